package trace_test

import (
	"maps"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/trace"
)

// definition finds the states of artifacts of one repository in the plainest way, by what they are defined as.
type definition struct {
	artifacts map[int64]trace.Artifact
	declared  map[int64][]trace.Link
	resolved  map[int64][]trace.Link // between these artifacts
}

func define(artifacts []trace.Artifact, links []trace.Link) *definition {
	d := &definition{map[int64]trace.Artifact{}, map[int64][]trace.Link{}, map[int64][]trace.Link{}}
	for _, a := range artifacts {
		d.artifacts[a.Number] = a
	}
	for _, l := range links {
		d.declared[l.Number] = append(d.declared[l.Number], l)
		if l.State == trace.LinkResolved {
			d.resolved[l.Number] = append(d.resolved[l.Number], l)
		}
	}
	return d
}

func rank(kind domain.Kind) int {
	return slices.Index([]domain.Kind{domain.KindRequirement, domain.KindUserStory, domain.KindSpec, domain.KindEvidenceJWS}, kind)
}

// from returns the artifacts of a kind with a resolved link to an artifact.
func (d *definition) from(to int64, kind domain.Kind) []trace.Artifact {
	var out []trace.Artifact
	for number, links := range d.resolved {
		if d.artifacts[number].Kind == kind && slices.ContainsFunc(links, func(l trace.Link) bool { return l.ToNumber == to }) {
			out = append(out, d.artifacts[number])
		}
	}
	return out
}

// own are the states that an artifact is in by itself.
func (d *definition) own(number int64) map[trace.State]bool {
	a := d.artifacts[number]
	found := map[trace.State]bool{}
	broken := false
	for _, l := range d.declared[number] {
		switch l.State {
		case trace.LinkMissing:
			found[trace.StateOrphaned], broken = true, true
		case trace.LinkWrongKind:
			found[trace.StateWrongKind], broken = true, true
		case trace.LinkResolved:
			if l.ToNumber != number && d.artifacts[l.ToNumber].LastChanged > a.LastChanged {
				found[trace.StateSuspect] = true
			}
		}
	}
	if !broken && rank(a.Kind) > 0 && len(d.up(number)) == 0 {
		found[trace.StateOrphaned] = true
	}
	for other, b := range d.artifacts {
		if other != number && b.Kind == a.Kind && b.GxPID == a.GxPID {
			found[trace.StateDuplicate] = true
		}
	}
	d.cover(&a, found)
	return found
}

func (d *definition) cover(a *trace.Artifact, found map[trace.State]bool) {
	switch a.Kind { //nolint:exhaustive // the others are not drawn
	case domain.KindRequirement:
		found[trace.StateMissing] = len(d.from(a.Number, domain.KindUserStory)) == 0
	case domain.KindUserStory:
		found[trace.StateMissing] = len(d.from(a.Number, domain.KindSpec)) == 0
	case domain.KindSpec:
		passed, failed := false, false
		evidence := d.from(a.Number, domain.KindEvidenceJWS)
		for _, e := range evidence {
			passed = passed || e.Overall == "valid" && *e.Passed > 0 && *e.Failed == 0
			failed = failed || *e.Failed > 0
		}
		found[trace.StateMissing] = len(evidence) == 0
		found[trace.StateFailed] = failed
		found[trace.StateUnverified] = len(evidence) > 0 && !passed && !failed
	case domain.KindEvidenceJWS:
		found[trace.StateFailed] = *a.Failed > 0
		found[trace.StateUnverified] = !found[trace.StateFailed] && (a.Overall != "valid" || *a.Passed == 0)
	}
	maps.DeleteFunc(found, func(_ trace.State, is bool) bool { return !is })
}

// up is what is above an artifact in rows: what it leads to on higher levels, less what is above of that already, or what
// is above of what it leads to on its own.
func (d *definition) up(number int64) []int64 { return d.upWithout(number, nil) }

func (d *definition) upWithout(number int64, without []int64) []int64 {
	kind := func(n int64) int { return rank(d.artifacts[n].Kind) }
	higher := map[int64]bool{}
	for _, l := range d.resolved[number] {
		if kind(l.ToNumber) < kind(number) {
			higher[l.ToNumber] = true
		}
	}
	for _, near := range slices.Collect(maps.Keys(higher)) {
		for far := range higher {
			if far != near && kind(far) < kind(near) && d.reaches(near, far) {
				delete(higher, far)
			}
		}
	}
	if len(higher) == 0 && kind(number) > 0 {
		for _, l := range d.resolved[number] {
			if kind(l.ToNumber) == kind(number) && !slices.Contains(without, l.ToNumber) {
				for _, up := range d.upWithout(l.ToNumber, append(slices.Clip(without), number)) {
					higher[up] = true
				}
			}
		}
	}
	return slices.Collect(maps.Keys(higher))
}

// reaches reports whether the rows lead from an artifact up to another.
func (d *definition) reaches(from, to int64) bool {
	return slices.ContainsFunc(d.up(from), func(up int64) bool { return up == to || d.reaches(up, to) })
}

// states are all states of an artifact.
func (d *definition) states(number int64) string {
	if own := d.own(number); len(own) > 0 {
		return words(slices.Collect(maps.Keys(own)))
	}
	for other := range d.artifacts {
		if len(d.own(other)) > 0 && (d.reaches(number, other) || d.taints(other, number)) {
			return string(trace.StateTransitive)
		}
	}
	return string(trace.StateCovered)
}

// taints reports whether what is below an artifact makes it transitive: not through a spec that has evidence with which
// nothing is wrong.
func (d *definition) taints(below, number int64) bool {
	for _, up := range d.up(below) {
		enough := d.artifacts[up].Kind == domain.KindSpec &&
			slices.ContainsFunc(d.from(up, domain.KindEvidenceJWS), func(e trace.Artifact) bool { return len(d.own(e.Number)) == 0 })
		if !enough && (up == number || d.taints(up, number)) {
			return true
		}
	}
	return false
}

func words(states []trace.State) string {
	out := make([]string, len(states))
	for i, s := range states {
		out[i] = string(s)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}
