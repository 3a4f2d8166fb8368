package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/projections/query"
)

// checkSelection refuses a selection by something that nothing has: whatever it then finds or does not find would be an answer to
// a slip of the pen, which a pipeline takes for a good one.
func (v *view) checkSelection(ctx context.Context, s trace.Selection) error {
	if s.Requirement != "" { // an *UnknownError says what is near
		if _, err := v.Details(ctx, trace.GroupRequirements, query.ArtifactFilter{RepositoryID: v.repositoryID, ID: s.Requirement}); err != nil {
			return err
		}
	}
	for _, given := range []struct {
		flag, word string
		group      trace.ArtifactGroup
		of         func(query.Artifact) string
		known      []string
	}{
		{"risk", s.Risk, trace.GroupRequirements, func(a query.Artifact) string { return a.Risk }, []string{"high", "medium", "low"}},
		{"tier", s.Tier, trace.GroupSpecs, func(a query.Artifact) string { return a.Tier }, []string{"iq", "oq", "pq"}},
	} {
		if given.word == "" || slices.Contains(given.known, query.Normal(given.word)) {
			continue
		}
		all, err := v.Artifacts(ctx, given.group, query.ArtifactFilter{RepositoryID: v.repositoryID})
		if err != nil {
			return err
		}
		present := []string{}
		for _, a := range all {
			present = append(present, given.of(a))
		}
		if f := word("--"+given.flag, given.word, present); !f.isPresent() {
			return usage("the flag --%s does not take %q: no %s has it; %s", given.flag, given.word, given.group.Singular(), f.listed())
		}
	}
	return nil
}

// levelOf returns the level of a group of artifacts, and whether it is one.
func levelOf(group trace.ArtifactGroup) (trace.Level, bool) {
	for level := range trace.LevelEvidence + 1 {
		if level.Group() == group {
			return level, true
		}
	}
	return 0, false
}

// selection is what of the filters is a matter of the requirements and specs that artifacts lead to, and not of their own rows.
func (o *showOptions) selection() trace.Selection {
	level, traced := levelOf(o.subject.group)
	s := trace.Selection{States: o.states, Requirement: o.requirement}
	if traced && level != trace.LevelRequirement {
		s.Risk = o.filter.Risk
	}
	if traced && level != trace.LevelSpec {
		s.Tier = o.filter.Tier
	}
	return s
}

// selected returns the artifacts of the group that the filters choose. unknown counts those that are left out because their risk
// or tier is not known.
func (o *showOptions) selected(ctx context.Context, v *view) (artifacts []query.Artifact, unknown int, err error) {
	filter, s := o.filter, o.selection()
	if s.Risk != "" {
		filter.Risk = ""
	}
	if s.Tier != "" {
		filter.Tier = ""
	}
	if artifacts, err = v.Artifacts(ctx, o.subject.group, filter); err != nil || s.IsZero() {
		return artifacts, 0, err
	}
	if err := v.checkSelection(ctx, s); err != nil {
		return nil, 0, err
	}
	match, err := v.Select(ctx, query.Scope{RepositoryID: v.repositoryID}, s)
	if err != nil {
		return nil, 0, err
	}
	artifacts = slices.DeleteFunc(artifacts, func(a query.Artifact) bool {
		m := match(a.RepositoryID, a.Number)
		if m == trace.MatchUnknown {
			unknown++
		}
		return m != trace.MatchYes
	})
	return artifacts, unknown, nil
}

// leftOut says that artifacts are not listed that may be of the risk or tier that was asked for; "" for none.
func (o *showOptions) leftOut(unknown int) string {
	if unknown == 0 {
		return ""
	}
	return fmt.Sprintf("%s not listed: the risk or tier is not known.", render.CountOf(unknown, o.subject.one+" is", o.subject.many+" are"))
}
