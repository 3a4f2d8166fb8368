package trace

import (
	"cmp"
	"slices"

	"github.com/gxpledger/gxpledger/domain"
)

// Differences is what differs between the trees of one repository at two positions of the log.
type Differences struct {
	Artifacts []ArtifactDiff `json:"artifacts"` // in the order of keys
	Links     []LinkDiff     `json:"links"`     // links that broke, healed or were dropped, in the order of keys
}

// ArtifactDiff is one artifact that differs.
type ArtifactDiff struct {
	// What is new, changed, reread, moved, removed, readded or relinked.
	What      string      `json:"what"`
	Kind      domain.Kind `json:"kind"`
	GxPID     string      `json:"gxp_id,omitempty"`
	Title     string      `json:"title,omitempty"`
	Path      string      `json:"path"`
	Ordinal   int64       `json:"ordinal"`
	MovedFrom string      `json:"moved_from,omitempty"`
	Changes   []Change    `json:"changes"`
	// Evidence says what happened to evidence: see the Evidence... constants.
	Evidence string `json:"evidence,omitempty"`
	// Replaces names the evidence for the same spec that is gone, where this is new.
	Replaces []string `json:"replaces,omitempty"`
}

// What happened to an artifact.
const (
	WhatNew      = "new"
	WhatChanged  = "changed"
	WhatReread   = "reread" // the same bytes, read by another reader or with other keys
	WhatMoved    = "moved"
	WhatRemoved  = "removed"
	WhatReadded  = "readded"  // removed and added again at its place
	WhatRelinked = "relinked" // unchanged itself, but a link of it leads elsewhere
)

// Name is the gxp_id of the artifact, or else its key.
func (a *ArtifactDiff) Name() string { return cmp.Or(a.GxPID, keyText(a.Path, a.Ordinal)) }

// LinkDiff is a link that is broken on one side and not on the other.
type LinkDiff struct {
	// What is broken, healed, or dropped: broken before and declared no more.
	What    string      `json:"what"`
	Kind    domain.Kind `json:"kind"` // of the artifact that declares it
	GxPID   string      `json:"gxp_id,omitempty"`
	Path    string      `json:"path"`
	Ordinal int64       `json:"ordinal"`
	Edge    string      `json:"edge"`
	Target  string      `json:"target"`
	Before  LinkState   `json:"before,omitempty"` // absent when it was not declared
	After   LinkState   `json:"after,omitempty"`  // absent when it is not declared
}

// What happened to a link.
const (
	WhatBroken  = "broken"
	WhatHealed  = "healed"
	WhatDropped = "dropped"
)

// Span is a range of positions of the log: after From, up to To. Both end a scan.
type Span struct{ From, To int64 }

// Record is what was recorded of one repository, as far as it bears on a span.
type Record struct {
	// Versions are at least those that were current at one end of the span and not at the other, and those of artifacts
	// with a change of links within it that were current at both; each once.
	Versions []Version
	// LinkChanges are those of the artifacts of Versions up to the end of the span, in the order in which they were recorded.
	LinkChanges []LinkChange
	// Moves are those within the span.
	Moves Moves
}

// Diff compares the trees at the ends of a span. From may be the later one, which turns the differences around: the record is
// then that of the span the other way.
func Diff(span Span, record Record) Differences {
	within := Span{min(span.From, span.To), max(span.From, span.To)}
	pairs := match(within, record)
	if span.From > span.To {
		for i := range pairs {
			pairs[i].before, pairs[i].after = pairs[i].after, pairs[i].before
		}
	}
	return Differences{Artifacts: artifactDiffs(pairs), Links: linkDiffs(pairs)}
}

// artifactDiffs says what happened to each artifact.
func artifactDiffs(pairs []pair) []ArtifactDiff {
	out := []ArtifactDiff{}
	type claim struct {
		kind domain.Kind
		spec string
	}
	gone := map[claim][]string{} // evidence that is gone
	for _, p := range pairs {
		if p.after == nil && claimedSpec(p.before) != "" {
			key := claim{p.before.Kind, claimedSpec(p.before)}
			gone[key] = append(gone[key], p.before.Name())
		}
	}
	for _, p := range pairs {
		d, differs := p.diff()
		if !differs {
			continue
		}
		if d.What == WhatNew && claimedSpec(p.after) != "" {
			d.Replaces = gone[claim{p.after.Kind, claimedSpec(p.after)}]
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
	case p.unchangedExceptLinks():
		d.What = WhatRelinked
		d.Changes = compareLinks(redirected(p.before.Links, p.after.Links))
		return d, len(d.Changes) > 0
	}
	d.Changes, d.Evidence = Compare(p.before, p.after)
	switch {
	case p.moved && p.before.Key() != p.after.Key():
		d.What, d.MovedFrom = WhatMoved, p.before.Key()
	case !p.moved && p.before.Number != p.after.Number:
		d.What = WhatReadded
	case p.before.Digest == p.after.Digest:
		d.What = WhatReread
	default:
		d.What = WhatChanged
	}
	return d, len(d.Changes) > 0 || d.What == WhatReadded
}

// unchangedExceptLinks reports whether an artifact is at its place as it was, its links aside. It may have moved away and
// back.
func (p pair) unchangedExceptLinks() bool {
	stayed := p.before.Number == p.after.Number || p.moved && p.before.Key() == p.after.Key()
	return stayed && p.before.Digest == p.after.Digest && p.before.Stamp == p.after.Stamp
}

// redirected keeps the links, which both sides declare alike, that are resolved on both and lead elsewhere.
func redirected(before, after []VersionLink) (from, to []VersionLink) {
	for i := range min(len(before), len(after)) {
		if before[i] != after[i] && before[i].State == LinkResolved && after[i].State == LinkResolved {
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
	before, after := linkStates(p.before), linkStates(p.after)
	var out []LinkDiff
	add := func(l VersionLink, what string) {
		out = append(out, LinkDiff{What: what, Edge: l.Edge, Target: l.Target, Before: before[l.key()], After: after[l.key()]})
	}
	if p.before != nil {
		for _, l := range p.before.Links {
			now := after[l.key()]
			switch {
			case l.State == LinkResolved:
			case now == "":
				add(l, WhatDropped)
			case now == LinkResolved:
				add(l, WhatHealed)
			}
		}
	}
	if p.after != nil {
		for _, l := range p.after.Links {
			if l.State != LinkResolved && before[l.key()] != l.State {
				add(l, WhatBroken)
			}
		}
	}
	return out
}

type linkKey struct{ edge, target string }

func (l *VersionLink) key() linkKey { return linkKey{l.Edge, l.Target} }

// linkStates maps each declared link to its state; a version that is not there declares none.
func linkStates(v *Version) map[linkKey]LinkState {
	out := map[linkKey]LinkState{}
	if v != nil {
		for _, l := range v.Links {
			out[l.key()] = l.State
		}
	}
	return out
}
