package query

import (
	"cmp"
	"context"
	"slices"
)

// Diff is what differs between the trees of one repository at two points in time.
type Diff struct {
	RepositoryID string `json:"repository_id"`
	Repository   string `json:"repository"`
	// From and To are the last scans of the repository that were recorded by then; absent where none was yet.
	From      *Scan          `json:"from,omitempty"`
	To        *Scan          `json:"to,omitempty"`
	FromPoint Place          `json:"from_point"`
	ToPoint   Place          `json:"to_point"`
	Artifacts []ArtifactDiff `json:"artifacts"` // in the order of paths
	Links     []LinkDiff     `json:"links"`     // links that broke, healed or were dropped, in the order of paths
}

// ArtifactDiff is one artifact that differs.
type ArtifactDiff struct {
	// What is new, changed, reread, moved, removed or readded (removed in between and added again at its place).
	What      string   `json:"what"`
	Kind      string   `json:"kind"`
	GxPID     string   `json:"gxp_id,omitempty"`
	Title     string   `json:"title,omitempty"`
	Path      string   `json:"path"`
	Ordinal   int64    `json:"ordinal"`
	MovedFrom string   `json:"moved_from,omitempty"`
	Changes   []Change `json:"changes"`
	// Evidence is "re-signed", "re-verified" or "replaced" when that is what happened to evidence.
	Evidence string `json:"evidence,omitempty"`
	// Replaces names the evidence for the same spec that is gone, where this is new.
	Replaces []string `json:"replaces,omitempty"`
}

// WhatReadded is an artifact that was removed and added again at its place.
const WhatReadded = "readded"

// Name is how people call the artifact: its gxp_id, or else its place.
func (a ArtifactDiff) Name() string {
	if a.GxPID != "" {
		return a.GxPID
	}
	return keyText(a.Path, a.Ordinal)
}

// LinkDiff is a link that is broken on one side and not on the other.
type LinkDiff struct {
	// What is broken, healed, or dropped: broken before and declared no more.
	What    string `json:"what"`
	Kind    string `json:"kind"` // of the artifact that declares it
	GxPID   string `json:"gxp_id,omitempty"`
	Path    string `json:"path"`
	Ordinal int64  `json:"ordinal"`
	Edge    string `json:"edge"`
	Target  string `json:"target"`
	Before  string `json:"before,omitempty"` // state; absent when it was not declared
	After   string `json:"after,omitempty"`  // state; absent when it is not declared
}

// What happened to a link.
const (
	WhatBroken  = "broken"
	WhatHealed  = "healed"
	WhatDropped = "dropped"
)

// Diff compares the tree of a repository as it was at from with that at to; from may be the later one. A failed scan left
// the tree as it was, and before the first scan there was none.
func (r *Reader) Diff(ctx context.Context, repository Repository, from, to Place) (Diff, error) {
	d := Diff{RepositoryID: repository.ID, Repository: repository.Name, FromPoint: from, ToPoint: to}
	a, b := int64(from.Position), int64(to.Position) //nolint:gosec // positions stay far below 2^63
	var err error
	if d.From, err = r.lastScan(ctx, repository, a); err != nil {
		return Diff{}, err
	}
	if d.To, err = r.lastScan(ctx, repository, b); err != nil {
		return Diff{}, err
	}
	pairs, err := r.pairs(ctx, repository.ID, span{after: min(a, b), upTo: max(a, b)})
	if err != nil {
		return Diff{}, err
	}
	if a > b {
		for i := range pairs {
			pairs[i].before, pairs[i].after = pairs[i].after, pairs[i].before
		}
	}
	d.Artifacts, d.Links = artifactDiffs(pairs), linkDiffs(pairs)
	return d, nil
}

// lastScan returns the last scan, completed or failed, that was recorded at or before a position; nil for none.
func (r *Reader) lastScan(ctx context.Context, repository Repository, upTo int64) (*Scan, error) {
	scans, err := r.Scans(ctx, ScanFilter{RepositoryID: repository.ID, UpTo: upTo, Last: true})
	if err != nil || len(scans) == 0 {
		return nil, err
	}
	return &scans[0], nil
}

// artifactDiffs says what happened to each artifact.
func artifactDiffs(pairs []pair) []ArtifactDiff {
	out := []ArtifactDiff{}
	gone := map[[2]string][]string{} // evidence that is gone, by kind and spec
	for _, p := range pairs {
		if p.after == nil && specOf(*p.before) != "" {
			key := [2]string{p.before.Kind, specOf(*p.before)}
			gone[key] = append(gone[key], p.before.Name())
		}
	}
	for _, p := range pairs {
		d, differs := p.diff()
		if !differs {
			continue
		}
		if d.What == WhatNew && specOf(*p.after) != "" {
			d.Replaces = gone[[2]string{p.after.Kind, specOf(*p.after)}]
		}
		out = append(out, d)
	}
	slices.SortStableFunc(out, func(a, b ArtifactDiff) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Ordinal, b.Ordinal), cmp.Compare(a.Kind, b.Kind))
	})
	return out
}

// diff says what happened to one artifact, and whether anything did that is not a matter of broken links alone.
func (p pair) diff() (ArtifactDiff, bool) {
	v := p.after
	if v == nil {
		v = p.before
	}
	d := ArtifactDiff{Kind: v.Kind, GxPID: v.GxPID, Title: v.Title, Path: v.Path, Ordinal: v.Ordinal, Changes: []Change{}}
	switch {
	case p.before == nil:
		d.What = WhatNew
		return d, true
	case p.after == nil:
		d.What = WhatRemoved
		return d, true
	case p.before.Version == p.after.Version && p.before.Number == p.after.Number:
		d.What = WhatRelinked
		d.Changes = compareLinks(elsewhere(p.before.Links, p.after.Links))
		return d, len(d.Changes) > 0
	}
	d.Changes, d.Evidence = compare(*p.before, *p.after), resigned(*p.before, *p.after)
	switch {
	case p.moved:
		d.What, d.MovedFrom = WhatMoved, p.before.Key()
	case p.before.Number != p.after.Number:
		d.What = WhatReadded
	case p.before.Digest == p.after.Digest:
		d.What = WhatReread
	default:
		d.What = WhatChanged
	}
	return d, len(d.Changes) > 0 || d.What == WhatReadded
}

// elsewhere keeps the links, which both sides declare alike, that are sound on both and lead elsewhere.
func elsewhere(before, after []VersionLink) (from, to []VersionLink) {
	for i := range min(len(before), len(after)) {
		if before[i] != after[i] && before[i].State == StateSound && after[i].State == StateSound {
			from, to = append(from, before[i]), append(to, after[i])
		}
	}
	return from, to
}

// linkDiffs says which links broke, healed or were dropped.
func linkDiffs(pairs []pair) []LinkDiff {
	out := []LinkDiff{}
	for _, p := range pairs {
		v := p.after
		if v == nil {
			v = p.before
		}
		for _, l := range p.linkDiffs() {
			l.Kind, l.GxPID, l.Path, l.Ordinal = v.Kind, v.GxPID, v.Path, v.Ordinal
			out = append(out, l)
		}
	}
	slices.SortStableFunc(out, func(a, b LinkDiff) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Ordinal, b.Ordinal), cmp.Compare(a.Kind, b.Kind))
	})
	return out
}

func (p pair) linkDiffs() []LinkDiff {
	before, after := states(p.before), states(p.after)
	var out []LinkDiff
	add := func(l VersionLink, what string) {
		k := linkKey{l.Edge, l.Target}
		out = append(out, LinkDiff{What: what, Edge: l.Edge, Target: l.Target, Before: before[k], After: after[k]})
	}
	if p.before != nil {
		for _, l := range p.before.Links {
			now := after[linkKey{l.Edge, l.Target}]
			switch {
			case l.State == StateSound:
			case now == "":
				add(l, WhatDropped)
			case now == StateSound:
				add(l, WhatHealed)
			}
		}
	}
	if p.after != nil {
		for _, l := range p.after.Links {
			if l.State != StateSound && before[linkKey{l.Edge, l.Target}] != l.State {
				add(l, WhatBroken)
			}
		}
	}
	return out
}

type linkKey struct{ edge, target string }

// states maps each declared link to its state; a version that is not there declares none.
func states(v *Version) map[linkKey]string {
	out := map[linkKey]string{}
	if v != nil {
		for _, l := range v.Links {
			out[linkKey{l.Edge, l.Target}] = l.State
		}
	}
	return out
}
