package query

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
)

// Shelf is a group of artifacts that are listed together.
type Shelf string

// The shelves.
const (
	ShelfContexts     Shelf = "system contexts"
	ShelfRequirements Shelf = "requirements"
	ShelfStories      Shelf = "user stories"
	ShelfSpecs        Shelf = "specs"
	ShelfEvidence     Shelf = "evidence"
	ShelfRisks        Shelf = "risks"
	ShelfDocuments    Shelf = "documents"
	ShelfADRs         Shelf = "decision records"
	ShelfVendors      Shelf = "vendor assessments"
)

// Shelves returns those that hold every artifact once between them, in the order in which people read them.
func Shelves() []Shelf {
	return []Shelf{
		ShelfContexts, ShelfRequirements, ShelfStories, ShelfSpecs, ShelfEvidence, ShelfRisks, ShelfDocuments,
	}
}

// Kinds returns the kinds of artifact on the shelf.
func (s Shelf) Kinds() []domain.Kind {
	switch s {
	case ShelfContexts:
		return []domain.Kind{domain.KindSystemContext}
	case ShelfRequirements:
		return []domain.Kind{domain.KindRequirement}
	case ShelfStories:
		return []domain.Kind{domain.KindUserStory}
	case ShelfSpecs:
		return []domain.Kind{domain.KindSpec}
	case ShelfEvidence:
		return []domain.Kind{domain.KindEvidenceJWS, domain.KindEvidencePackage}
	case ShelfRisks:
		return []domain.Kind{domain.KindRisk}
	case ShelfADRs:
		return []domain.Kind{domain.KindADR}
	case ShelfVendors:
		return []domain.Kind{domain.KindVendorAssessment}
	case ShelfDocuments:
		return []domain.Kind{domain.KindADR, domain.KindRiskLog, domain.KindVendorAssessment}
	}
	return nil
}

// One is what one artifact on the shelf is called.
func (s Shelf) One() string {
	switch s {
	case ShelfEvidence:
		return "piece of evidence"
	case ShelfStories:
		return "user story"
	case ShelfContexts, ShelfRequirements, ShelfSpecs, ShelfRisks, ShelfDocuments, ShelfADRs, ShelfVendors:
		return strings.TrimSuffix(string(s), "s")
	}
	return "artifact"
}

// ShelfOf returns the shelf of a kind; "" for what no kind is.
func ShelfOf(kind string) Shelf {
	for _, s := range Shelves() {
		for _, k := range s.Kinds() {
			if string(k) == kind {
				return s
			}
		}
	}
	return ""
}

// errShelf is the error of a shelf that is none of the constants.
var errShelf = errors.New("no such shelf")

// from names the table: the one list of what a shelf is in SQL.
func (s Shelf) from() (string, error) {
	const repository = " a JOIN repositories r ON r.repository_id = a.repository_id"
	switch s {
	case ShelfContexts:
		return "FROM system_contexts" + repository, nil
	case ShelfRequirements:
		return "FROM requirements" + repository, nil
	case ShelfStories:
		return "FROM user_stories" + repository, nil
	case ShelfSpecs:
		return "FROM specs" + repository, nil
	case ShelfEvidence:
		return "FROM evidence" + repository, nil
	case ShelfRisks:
		return "FROM risks" + repository, nil
	case ShelfDocuments, ShelfADRs, ShelfVendors:
		return "FROM documents" + repository, nil
	}
	return "", fmt.Errorf("%w: %q", errShelf, string(s))
}
