package query

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/trace"
)

// History is everything that was ever recorded of the artifacts with an id or at a path.
type History struct {
	RepositoryID string    `json:"repository_id"`
	Repository   string    `json:"repository"`
	Artifacts    []Lineage `json:"artifacts"` // in the order in which they appeared
}

// Lineage is one artifact through time, moves included.
type Lineage struct {
	Kind    domain.Kind `json:"kind"`
	Name    string      `json:"name"`    // gxp_id or else place, as last recorded
	Path    string      `json:"path"`    // as last recorded
	Ordinal int64       `json:"ordinal"` // as last recorded
	Present bool        `json:"present"` // whether the last completed scan found it
	Entries []Entry     `json:"entries"` // in the order in which they were recorded
}

// Entry is one thing that happened to an artifact: what the engine recorded, and apart from it what git claims.
type Entry struct {
	// What is new, changed, reread, moved, removed, rejected or relinked.
	What string `json:"what"`
	// Recorded by the engine.
	Scan       int64     `json:"scan"` // number of the scan
	ScanID     string    `json:"scan_id"`
	Actor      string    `json:"actor"`
	ActorFrom  string    `json:"actor_from,omitempty"` // claimed or authenticated
	Reason     string    `json:"reason,omitempty"`
	RecordedAt time.Time `json:"recorded_at"`
	Position   int64     `json:"position"`
	// Claims is what git says of the revision that the scan read.
	Claims Claims `json:"claims"`
	// Version is the new version of the artifact; nil when it was removed or only its links changed.
	Version *trace.Version `json:"version,omitempty"`
	// Changes lists what differs from the entry before.
	Changes []trace.Change `json:"changes"`
	// Evidence says what happened to evidence: see the Evidence... constants of package trace.
	Evidence string `json:"evidence,omitempty"`
}

// WhatRejected is an entry of an artifact whose file is still there and could not be parsed any more. All else that an
// entry can be is what [trace.ArtifactDiff] calls it.
const WhatRejected = "rejected"

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
func (t *teller) tell(ctx context.Context, named []trace.Version) ([]Lineage, error) {
	moves, err := t.reader.moves(ctx, t.repository, trace.Span{})
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
		numbers := moves.Numbers(v.Number)
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
	var last trace.Version
	var before *trace.Version
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
		What: what, Scan: s.Number, ScanID: scanID, Actor: s.Actor, ActorFrom: s.ActorFrom, Reason: s.Reason, RecordedAt: s.RecordedAt,
		Position: s.Position, Claims: s.Claims, Changes: []trace.Change{},
	}
}

func (t *teller) version(before, v *trace.Version) Entry {
	e := t.entry(v.Change, v.ScanID)
	e.Actor, e.RecordedAt, e.Position, e.Version = v.Actor, v.RecordedAt, v.Position, v
	if before == nil {
		return e
	}
	if before.Number != v.Number {
		e.What = trace.WhatMoved
	}
	e.Changes, e.Evidence = trace.Compare(before, v)
	return e
}

// removal tells why the last version ended: its file is gone, or cannot be parsed any more.
func (t *teller) removal(ctx context.Context, last trace.Version) (Entry, error) {
	var w where
	w.and("resource_type = ?", "file")
	w.and("resource_id = ?", last.Path)
	w.and("scan_id = ?", last.EndedScanID)
	w.and("action = ?", "ARTIFACT_REJECTED")
	rejected, err := load(ctx, t.reader, []column[int64]{{"sequence", func(n *int64) any { return n }}},
		"FROM audit_log"+w.String()+" LIMIT 1", w.args...)
	if err != nil {
		return Entry{}, err
	}
	e := t.entry(trace.WhatRemoved, last.EndedScanID)
	if len(rejected) > 0 {
		e.What = WhatRejected
	}
	e.RecordedAt, e.Position = last.EndedAt, last.EndedPosition
	return e, nil
}

// relinked tells of the scans that left the artifact as it was and resolved links of it differently.
func (t *teller) relinked(ctx context.Context, number int64, versions []trace.Version) ([]Entry, error) {
	var w where
	w.and("c.repository_id = ?", t.repository)
	w.and("c.number = ?", number)
	changes, err := t.reader.linkChanges(ctx, &w)
	if err != nil {
		return nil, err
	}
	var out []Entry
	differences := trace.CompareLinkChanges(versions, changes)
	for i, c := range changes {
		if len(out) == 0 || out[len(out)-1].ScanID != c.ScanID {
			out = append(out, t.entry(trace.WhatRelinked, c.ScanID))
		}
		e := &out[len(out)-1]
		e.RecordedAt, e.Position = c.RecordedAt, c.Position
		e.Changes = append(e.Changes, differences[i]...)
	}
	return out, nil
}
