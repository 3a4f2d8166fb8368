package tables

import (
	"fmt"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
)

// parent is a column that names the parent of one kind: the first sound link of edge that leads to that kind, or else the
// first sound link of any edge that does.
type parent struct {
	column string
	edge   domain.Edge
	kind   domain.Kind
}

// parentsOf returns the parent columns of the table that artifacts of a kind are in.
func parentsOf(kind domain.Kind) []parent {
	switch kind {
	case domain.KindRequirement, domain.KindUserStory:
		return []parent{{"requirement_number", domain.EdgeParentID, domain.KindRequirement}}
	case domain.KindSpec:
		return []parent{{"user_story_number", domain.EdgeParentID, domain.KindUserStory}}
	case domain.KindRisk:
		return []parent{{"requirement_number", domain.EdgeRiskRequirement, domain.KindRequirement}}
	case domain.KindEvidenceJWS, domain.KindEvidencePackage:
		return []parent{
			{"spec_number", domain.EdgeSpecID, domain.KindSpec},
			{"traced_user_story_number", domain.EdgeTracedUserStory, domain.KindUserStory},
		}
	case domain.KindSystemContext, domain.KindADR, domain.KindRiskLog, domain.KindVendorAssessment:
	}
	return nil
}

// number returns the number of the parent, NULL when no link leads to one.
func (p parent) number(links []domain.Link) any {
	var other any
	for i := range links {
		l := &links[i]
		switch {
		case l.To == nil || l.To.Kind != p.kind:
		case l.Edge == p.edge:
			return l.To.Number
		case other == nil:
			other = l.To.Number
		}
	}
	return other
}

// declared returns the target of the first link of edge, sound or not.
func declared(links []domain.Link, edge domain.Edge) any {
	for i := range links {
		if links[i].Edge == edge {
			return str(links[i].Target)
		}
	}
	return nil
}

// linkState names how a link resolves.
func linkState(l *domain.Link) any {
	if l.Broken == "" {
		return "sound"
	}
	return string(l.Broken)
}

// linkTarget is where a link leads, as the values of to_kind, to_number, to_requirement, to_user_story and to_spec.
func linkTarget(l *domain.Link) [5]any {
	if l.To == nil {
		return [5]any{}
	}
	number := any(l.To.Number)
	switch l.To.Kind {
	case domain.KindRequirement:
		return [5]any{"requirement", number, number, nil, nil}
	case domain.KindUserStory:
		return [5]any{"user_story", number, nil, number, nil}
	case domain.KindSpec:
		return [5]any{"spec", number, nil, nil, number}
	case domain.KindSystemContext, domain.KindEvidenceJWS, domain.KindEvidencePackage, domain.KindADR,
		domain.KindRiskLog, domain.KindRisk, domain.KindVendorAssessment: // no edge leads there
	}
	return [5]any{string(l.To.Kind), number}
}

func insertLink(p *place, i int, l *domain.Link, rows *projections.Rows) {
	to := linkTarget(l)
	rows.Insert(tableLinks,
		p.repository, p.number, i, p.kind, p.gxpID, p.path, p.ordinal, p.edges.of(string(l.Edge)), str(l.Target),
		linkState(l), to[0], to[1], to[2], to[3], to[4], p.scan, p.position,
	)
}

// linkColumns are the columns of a link that change when it resolves differently.
func linkColumns() []string {
	return []string{"state", "to_kind", "to_number", "to_requirement", "to_user_story", "to_spec", "scan_id", "position"}
}

// relinked updates links of artifacts that did not change themselves, and which parents those have.
func (a *artifacts) relinked(o *origin, all []domain.Relinked, rows *projections.Rows) error {
	set := linkColumns()
	for i := range all {
		r := &all[i]
		if r.Index < 0 || r.Index >= len(r.Links) {
			return fmt.Errorf("relinked %s: link %d of %d", r.Key, r.Index, len(r.Links))
		}
		to := linkTarget(&r.Link)
		rows.Update(tableLinks, []any{o.repository, r.Number, r.Index}, set,
			linkState(&r.Link), to[0], to[1], to[2], to[3], to[4], o.scan, o.position)
		if i > 0 && all[i-1].Number == r.Number {
			continue // the links of one artifact follow each other and tell the same parents
		}
		if err := a.reparent(o, r, rows); err != nil {
			return err
		}
	}
	return nil
}

func (a *artifacts) reparent(o *origin, r *domain.Relinked, rows *projections.Rows) error {
	s, err := a.shape(r.Kind)
	if err != nil {
		return fmt.Errorf("relinked %s: %w", r.Key, err)
	}
	if len(s.parents) == 0 {
		return nil
	}
	to := make([]any, len(s.parents))
	for i, p := range s.parents {
		to[i] = p.number(r.Links)
	}
	rows.Update(s.table, []any{o.repository, r.Number}, s.follows, to...)
	return nil
}
