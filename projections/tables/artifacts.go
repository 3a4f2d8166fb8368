package tables

import (
	"fmt"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
)

// Artifacts is the projection "artifacts": what is true now. Rows of artifacts, links and rejected files show the tree
// of the last completed scan of each repository; rows of scans stay for ever. A failed scan adds a scan and changes
// nothing else.
//
// It wants the log's contract kept: removals and Relinked agree with what was parsed, and a page ends with a batch, since
// a foreign key may point forward within one.
func Artifacts() projections.Projection {
	return projections.Projection{
		Name: "artifacts", Version: 2, Tables: artifactsTables(),
		Handles: repositoryEvents(), Apply: newArtifacts().apply,
	}
}

// artifacts holds what Apply would otherwise compute for each event. It never changes once it is made.
type artifacts struct {
	shapes map[domain.Kind]shape
}

// shape is how artifacts of one kind become rows.
type shape struct {
	table   string
	kind    any
	columns int
	changes []string // columns that a new version writes: all but the fixed ones
	parents []parent
	follows []string // columns of the parents
}

func newArtifacts() *artifacts {
	columns := map[string][]string{}
	for _, t := range artifactsTables() {
		columns[t.Name] = names(t.Columns)
	}
	a := &artifacts{shapes: map[domain.Kind]shape{}}
	for _, kind := range domain.Kinds() {
		s := shape{table: tableOf(kind), kind: string(kind), parents: parentsOf(kind)}
		all := columns[s.table]
		s.columns, s.changes = len(all), all[fixedColumns:]
		for _, p := range s.parents {
			s.follows = append(s.follows, p.column)
		}
		a.shapes[kind] = s
	}
	return a
}

// tableOf returns the table that artifacts of a kind are in.
func tableOf(kind domain.Kind) string {
	switch kind {
	case domain.KindSystemContext:
		return tableContexts
	case domain.KindRequirement:
		return tableRequirements
	case domain.KindUserStory:
		return tableUserStories
	case domain.KindSpec:
		return tableSpecs
	case domain.KindEvidenceJWS, domain.KindEvidencePackage:
		return tableEvidence
	case domain.KindRisk:
		return tableRisks
	case domain.KindADR, domain.KindRiskLog, domain.KindVendorAssessment:
		return tableDocuments
	}
	return tableDocuments
}

func (a *artifacts) shape(kind domain.Kind) (shape, error) {
	s, ok := a.shapes[kind]
	if !ok {
		return shape{}, fmt.Errorf("kind %q has no table", kind)
	}
	return s, nil
}

func (a *artifacts) apply(page []projections.Event, rows *projections.Rows) error {
	var o origin
	for i := range page {
		e := &page[i]
		if err := a.event(&o, e, rows); err != nil {
			return poison("artifacts", e, err)
		}
	}
	return nil
}

func (a *artifacts) event(o *origin, e *projections.Event, rows *projections.Rows) error {
	if err := o.inRepository(e); err != nil {
		return err
	}
	switch event := e.Event.(type) {
	case domain.RepositoryRegistered:
		registered(o, event.Repository, rows)
	case domain.RepositoryRetired:
		retired(o, event, rows)
	case domain.ArtifactParsed:
		return a.parsed(o, &event, rows)
	case domain.ArtifactRejected:
		rejected(o, &event, rows)
	case domain.ArtifactRemoved:
		return a.removed(o, &event, rows)
	case domain.RejectionCleared:
		rows.Delete(tableRejected, o.repository, str(event.Path))
	case domain.ScanCompleted:
		return a.completed(o, e.Meta.Attempt, &event, rows)
	case domain.ScanFailed:
		failed(o, e.Meta.Attempt, &event, rows)
	case domain.AdminActed: // of another stream, and not asked for
		return errUnhandled(event)
	default:
		return errUnhandled(event)
	}
	return nil
}
