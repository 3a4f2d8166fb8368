package trace

import (
	"cmp"
	"slices"

	"github.com/gxpledger/gxpledger/domain"
)

// ArtifactGroup is a group of artifacts that are listed together, by its name in the plural. Which groups there are, and what
// they are called, is in the table of kinds: see [domain.Groups].
type ArtifactGroup string

// The groups that a program may want to name. [AllGroups] has those of every kind.
const (
	GroupContexts     ArtifactGroup = "system contexts"
	GroupRequirements ArtifactGroup = "requirements"
	GroupStories      ArtifactGroup = "user stories"
	GroupSpecs        ArtifactGroup = "specs"
	GroupEvidence     ArtifactGroup = "pieces of evidence"
	GroupRisks        ArtifactGroup = "risks"
	GroupDocuments    ArtifactGroup = "documents"
	GroupADRs         ArtifactGroup = "decision records"
	GroupVendors      ArtifactGroup = "vendor assessments"
)

// Groups returns groups that between them hold every artifact once, in the order in which people read them.
func Groups() []ArtifactGroup {
	var all []ArtifactGroup
	for _, g := range domain.Groups() {
		all = append(all, ArtifactGroup(g.Many))
	}
	return all
}

// AllGroups returns [Groups], and behind them those that are one kind of a group of several.
func AllGroups() []ArtifactGroup {
	all := Groups()
	for _, kind := range domain.Kinds() {
		if info := kind.Info(); len(info.Words) > 0 && !slices.Contains(all, ArtifactGroup(info.Many)) {
			all = append(all, ArtifactGroup(info.Many))
		}
	}
	return all
}

// Info returns what the table of kinds says of the group; the zero value for what is no group.
func (g ArtifactGroup) Info() domain.Group {
	for _, group := range domain.Groups() {
		if group.Many == string(g) {
			return group
		}
	}
	for _, kind := range domain.Kinds() {
		if info := kind.Info(); info.Many == string(g) {
			return domain.Group{Names: info.Names, Table: info.Table, Kinds: []domain.Kind{kind}}
		}
	}
	return domain.Group{}
}

// Kinds returns the kinds of artifact in the group; none for what is no group.
func (g ArtifactGroup) Kinds() []domain.Kind { return g.Info().Kinds }

// Singular is what one artifact of the group is called.
func (g ArtifactGroup) Singular() string { return cmp.Or(g.Info().One, "artifact") }

// GroupOf returns the group of [Groups] that holds a kind; "" when none does.
func GroupOf(kind domain.Kind) ArtifactGroup {
	for _, g := range domain.Groups() {
		if slices.Contains(g.Kinds, kind) {
			return ArtifactGroup(g.Many)
		}
	}
	return ""
}
