package query

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// History is everything that was ever recorded of the artifacts that bear an id or lie at a path.
type History struct {
	RepositoryID string    `json:"repository_id"`
	Repository   string    `json:"repository"`
	Artifacts    []Lineage `json:"artifacts"` // in the order in which they appeared
}

// Lineage is one artifact through time, moves included.
type Lineage struct {
	Kind    string  `json:"kind"`
	Name    string  `json:"name"`    // gxp_id or else place, as last recorded
	Path    string  `json:"path"`    // as last recorded
	Ordinal int64   `json:"ordinal"` // as last recorded
	Present bool    `json:"present"` // whether the last completed scan found it
	Entries []Entry `json:"entries"` // in the order in which they were recorded
}

// Entry is one thing that happened to an artifact: what the engine recorded, and apart from it what git claims.
type Entry struct {
	// What is new, changed, reread, moved, removed, rejected or relinked.
	What string `json:"what"`
	// Recorded by the engine.
	Scan       int64     `json:"scan"` // number of the scan
	ScanID     string    `json:"scan_id"`
	Actor      string    `json:"actor"`
	Reason     string    `json:"reason,omitempty"`
	RecordedAt time.Time `json:"recorded_at"`
	Position   int64     `json:"position"`
	// Claims is what git says of the revision that the scan read.
	Claims Claims `json:"claims"`
	// Version is what the artifact said; nil when it was removed or only its links changed.
	Version *Version `json:"version,omitempty"`
	// Changes lists what differs from the entry before.
	Changes []Change `json:"changes"`
	// Evidence is "re-signed", "re-verified" or "replaced" when that is what happened to evidence.
	Evidence string `json:"evidence,omitempty"`
}

// The entries of a history.
const (
	WhatNew      = "new"
	WhatChanged  = "changed"
	WhatReread   = "reread" // the same bytes, read by another reader or with other keys
	WhatMoved    = "moved"
	WhatRemoved  = "removed"
	WhatRejected = "rejected" // still there, but it could not be parsed any more
	WhatRelinked = "relinked" // unchanged itself, but a link of it leads elsewhere
)

// History returns what was ever recorded under id: a gxp_id, path or path#ordinal, exactly. repository is its id, or ""
// for whichever repository knows id.
//
// Errors: an *UnknownError; an *AmbiguousError when several repositories know id.
func (r *Reader) History(ctx context.Context, repository, id string) (History, error) {
	named, err := r.named(ctx, repository, id)
	if err != nil {
		return History{}, err
	}
	names, err := r.names(ctx)
	if err != nil {
		return History{}, err
	}
	if len(named) == 0 {
		return History{}, r.unknownHistory(ctx, repository, id)
	}
	in := []string{}
	for _, v := range named {
		if !slices.Contains(in, names[v.RepositoryID]) {
			in = append(in, names[v.RepositoryID])
		}
	}
	if len(in) > 1 {
		slices.Sort(in)
		return History{}, &AmbiguousError{What: "repository", Given: id, Choices: in}
	}
	h := History{RepositoryID: named[0].RepositoryID, Repository: in[0]}
	t := teller{reader: r, repository: h.RepositoryID}
	h.Artifacts, err = t.tell(ctx, named)
	return h, err
}

func (r *Reader) unknownHistory(ctx context.Context, repository, id string) error {
	known, err := r.everNamed(ctx, repository)
	if err != nil {
		return err
	}
	hint := ""
	if len(known) > 0 {
		hint = "nothing was ever recorded under that"
	}
	return &UnknownError{What: "artifact", Given: id, Near: near(id, known), Hint: hint}
}

// everNamed returns every gxp_id and path that a repository, or any, ever had.
func (r *Reader) everNamed(ctx context.Context, repository string) ([]string, error) {
	var w where
	is(&w, "repository_id", repository)
	type name struct{ id, path string }
	all, err := load(ctx, r, []column[name]{
		{"DISTINCT gxp_id", func(n *name) any { return optional(&n.id) }},
		{"path", func(n *name) any { return &n.path }},
	}, "FROM artifact_versions"+w.String(), w.args...)
	if err != nil {
		return nil, err
	}
	var known []string
	for _, n := range all {
		if n.id != "" {
			known = append(known, n.id)
		}
		known = append(known, n.path)
	}
	slices.Sort(known)
	return slices.Compact(known), nil
}

// teller tells histories of one repository.
type teller struct {
	reader     *Reader
	repository string
	scans      map[string]Scan // by id, of those that occur
}

// tell returns the lineages that the versions named belong to.
func (t *teller) tell(ctx context.Context, named []Version) ([]Lineage, error) {
	moves, err := t.reader.moves(ctx, t.repository, span{})
	if err != nil {
		return nil, err
	}
	if err := t.loadScans(ctx); err != nil {
		return nil, err
	}
	var out []Lineage
	told := map[int64]bool{}
	for _, v := range named {
		if told[v.Number] {
			continue
		}
		numbers := moves.chain(v.Number)
		for _, n := range numbers {
			told[n] = true
		}
		lineage, err := t.lineage(ctx, numbers)
		if err != nil {
			return nil, err
		}
		out = append(out, lineage)
	}
	return out, nil
}

func (t *teller) loadScans(ctx context.Context) error {
	scans, err := t.reader.Scans(ctx, ScanFilter{RepositoryID: t.repository, Outcome: completed})
	if err != nil {
		return err
	}
	t.scans = make(map[string]Scan, len(scans))
	for _, s := range scans {
		t.scans[s.ScanID] = s
	}
	return nil
}

// lineage tells of the artifacts with these numbers, each of which moved to the place of the next.
func (t *teller) lineage(ctx context.Context, numbers []int64) (Lineage, error) {
	var entries []Entry
	var last Version
	var before *Version
	for _, number := range numbers {
		var w where
		w.and("v.repository_id = ?", t.repository)
		w.and("v.number = ?", number)
		versions, err := t.reader.versions(ctx, &w)
		if err != nil {
			return Lineage{}, err
		}
		for i := range versions {
			entries = append(entries, t.version(before, &versions[i]))
			before, last = &versions[i], versions[i]
		}
		relinked, err := t.relinked(ctx, number, versions)
		if err != nil {
			return Lineage{}, err
		}
		entries = append(entries, relinked...)
	}
	if last.EndReason == "removed" {
		removal, err := t.removal(ctx, last)
		if err != nil {
			return Lineage{}, err
		}
		entries = append(entries, removal)
	}
	slices.SortStableFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Position, b.Position) })
	return Lineage{
		Kind: last.Kind, Name: last.Name(), Path: last.Path, Ordinal: last.Ordinal,
		Present: last.EndReason == "", Entries: entries,
	}, nil
}

// entry is what the engine recorded of a scan, and what git claims.
func (t *teller) entry(what, scanID string) Entry {
	s := t.scans[scanID]
	return Entry{
		What: what, Scan: s.Number, ScanID: scanID, Actor: s.Actor, Reason: s.Reason, RecordedAt: s.RecordedAt,
		Position: s.Position, Claims: s.Claims, Changes: []Change{},
	}
}

func (t *teller) version(before, v *Version) Entry {
	e := t.entry(v.Change, v.ScanID)
	e.Actor, e.RecordedAt, e.Position, e.Version = v.Actor, v.RecordedAt, v.Position, v
	if before == nil {
		return e
	}
	if before.Number != v.Number {
		e.What = WhatMoved
	}
	e.Changes = compare(*before, *v)
	e.Evidence = resigned(*before, *v)
	return e
}

// removal tells why the last version ended: its file is gone, or cannot be parsed any more.
func (t *teller) removal(ctx context.Context, last Version) (Entry, error) {
	var w where
	w.and("resource_type = ?", "file")
	w.and("resource_id = ?", last.Path)
	w.and("scan_id = ?", last.EndedScanID)
	w.and("action = ?", "ARTIFACT_REJECTED")
	rejected, err := count(ctx, t.reader, "FROM audit_log"+w.String(), w.args...)
	if err != nil {
		return Entry{}, err
	}
	e := t.entry(WhatRemoved, last.EndedScanID)
	if rejected > 0 {
		e.What = WhatRejected
	}
	e.RecordedAt, e.Position = last.EndedAt, last.EndedPosition
	return e, nil
}

// relinked tells of the scans that left the artifact as it was and resolved links of it differently.
func (t *teller) relinked(ctx context.Context, number int64, versions []Version) ([]Entry, error) {
	var w where
	w.and("c.repository_id = ?", t.repository)
	w.and("c.number = ?", number)
	changes, err := t.reader.linkChanges(ctx, &w)
	if err != nil {
		return nil, err
	}
	var out []Entry
	links := newOverlay(versions)
	for _, c := range changes {
		before, after := links.apply(c)
		if len(out) == 0 || out[len(out)-1].ScanID != c.ScanID {
			out = append(out, t.entry(WhatRelinked, c.ScanID))
		}
		e := &out[len(out)-1]
		e.RecordedAt, e.Position = c.RecordedAt, c.Position
		e.Changes = append(e.Changes, changed(AreaLink, c.Edge, before, after)...)
	}
	return out, nil
}

// overlay is the links of one artifact as they resolve after the changes applied so far.
type overlay struct {
	versions []Version
	at       int
	links    []VersionLink
}

func newOverlay(versions []Version) *overlay { return &overlay{versions: versions, at: -1} }

// upTo moves on to the version that was current at position.
func (o *overlay) upTo(position int64) {
	for o.at+1 < len(o.versions) && o.versions[o.at+1].Position <= position {
		o.at++
		o.links = slices.Clone(o.versions[o.at].Links)
	}
}

// apply makes a change, which must not be older than the last one, and returns the link before and after it.
func (o *overlay) apply(c LinkChange) (before, after VersionLink) {
	o.upTo(c.Position)
	after = VersionLink{Edge: c.Edge, Target: c.Target, State: c.State, ToKind: c.ToKind, ToNumber: c.ToNumber}
	if c.Index < 0 || int(c.Index) >= len(o.links) {
		return VersionLink{}, after // the tables contradict themselves; the change is shown as it is
	}
	before, o.links[c.Index] = o.links[c.Index], after
	return before, after
}
