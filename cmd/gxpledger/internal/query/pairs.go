package query

import (
	"context"
	"slices"
)

// pair is one artifact at two positions of the log; one side is nil for what is new or removed. The links of a side are
// as they resolved at its position.
type pair struct {
	before, after *Version
	moved         bool
}

// inSpan is the scans of a repository that were recorded within a span. Ends of spans are ends of batches.
const inSpan = "SELECT s.scan_id FROM scans s WHERE s.repository_id = ? AND s.position > ? AND s.position <= ?"

// relinkedIn is the numbers of artifacts of which a link resolved differently within a span.
const relinkedIn = "SELECT n.number FROM link_changes n WHERE n.repository_id = ? AND n.position > ? AND n.position <= ?"

// pairs matches what was current at the beginning of a span with what was at its end, as far as it differs. What it costs
// grows with what the scans of the span changed, not with what was there before.
func (r *Reader) pairs(ctx context.Context, repository string, s span) ([]pair, error) {
	versions, err := r.differing(ctx, repository, s)
	if err != nil {
		return nil, err
	}
	within := []any{repository, s.after, s.upTo}
	var w where
	w.and("c.repository_id = ?", repository)
	w.and("c.position <= ?", s.upTo)
	w.and(`c.number IN (
		SELECT v.number FROM artifact_versions v WHERE v.repository_id = ? AND v.scan_id IN (`+inSpan+`)
		UNION SELECT v.number FROM artifact_versions v WHERE v.repository_id = ? AND v.ended_scan_id IN (`+inSpan+`)
		UNION `+relinkedIn+`)`, slices.Concat([]any{repository}, within, []any{repository}, within, within)...)
	changes, err := r.linkChanges(ctx, &w)
	if err != nil {
		return nil, err
	}
	moved, err := r.moves(ctx, repository, s)
	if err != nil {
		return nil, err
	}
	m := matcher{span: s, changes: map[int64][]LinkChange{}, moved: moved}
	for _, c := range changes {
		m.changes[c.Number] = append(m.changes[c.Number], c)
	}
	return m.match(versions), nil
}

// differing reads the versions that were current at one end of a span and not at the other, and those that were at both
// while a link of them changed in between. A version is current from its position to before its end.
func (r *Reader) differing(ctx context.Context, repository string, s span) ([]Version, error) {
	within := []any{repository, s.after, s.upTo}
	var began, ended, relinked where
	for _, w := range []*where{&began, &ended, &relinked} {
		w.and("v.repository_id = ?", repository)
	}
	began.and("v.scan_id IN ("+inSpan+")", within...)
	ended.and("v.ended_scan_id IN ("+inSpan+")", within...)
	relinked.and("v.number IN ("+relinkedIn+")", within...)
	for _, w := range []*where{&ended, &relinked} {
		w.and("v.position <= ?", s.after)
	}
	for _, w := range []*where{&began, &relinked} {
		w.and("(v.ended_position IS NULL OR v.ended_position > ?)", s.upTo)
	}
	var all []Version
	for _, w := range []*where{&began, &ended, &relinked} {
		versions, err := r.versions(ctx, w)
		if err != nil {
			return nil, err
		}
		all = append(all, versions...)
	}
	return all, nil
}

type matcher struct {
	span
	changes map[int64][]LinkChange // by artifact, in order
	moved   moves
}

// match pairs versions by their number, through moves, and then by their place and kind.
func (m matcher) match(versions []Version) []pair {
	var pairs []pair
	gone, came := map[int64]Version{}, []Version{}
	for _, v := range versions {
		before := v.Position <= m.after
		after := v.Position <= m.upTo && (v.EndedPosition == 0 || v.EndedPosition > m.upTo)
		switch {
		case before && after:
			pairs = append(pairs, pair{before: m.at(v, m.after), after: m.at(v, m.upTo)})
		case before:
			gone[m.moved.last(v.Number)] = v
		case after:
			came = append(came, v)
		}
	}
	places := map[place]Version{}
	rest := came[:0:0]
	for _, v := range came {
		old, known := gone[v.Number]
		if !known {
			rest = append(rest, v)
			continue
		}
		delete(gone, v.Number)
		pairs = append(pairs, pair{before: m.at(old, m.after), after: m.at(v, m.upTo), moved: old.Number != v.Number})
	}
	for _, v := range gone {
		places[placeOf(v)] = v
	}
	for _, v := range rest {
		p := pair{after: m.at(v, m.upTo)}
		if old, known := places[placeOf(v)]; known {
			p.before = m.at(old, m.after)
			delete(places, placeOf(v))
		}
		pairs = append(pairs, p)
	}
	for _, v := range places {
		pairs = append(pairs, pair{before: m.at(v, m.after)})
	}
	return pairs
}

type place struct{ key, kind string }

func placeOf(v Version) place { return place{v.Key(), v.Kind} }

// at returns a version with its links as they resolved at a position.
func (m matcher) at(v Version, position int64) *Version {
	links := newOverlay([]Version{v})
	links.upTo(v.Position)
	for _, c := range m.changes[v.Number] {
		if c.Position > v.Position && c.Position <= position {
			links.apply(c)
		}
	}
	v.Links = links.links
	return &v
}
