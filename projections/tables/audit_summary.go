package tables

import (
	"maps"
	"slices"

	"github.com/gxpledger/gxpledger/domain"
)

// sayParsed says what became of an artifact and returns the action.
func sayParsed(e *domain.ArtifactParsed, s *sentence) string {
	var action string
	switch {
	case e.Change == domain.ChangeChanged:
		action = "ARTIFACT_UPDATED"
		s.text("Changed ").artifact(e.Kind, e.GxPID, e.Title).at(e.Key).text(": version ").number(e.Version)
	case e.Change == domain.ChangeReread:
		action = "ARTIFACT_REREAD"
		s.text("Read ").artifact(e.Kind, e.GxPID, e.Title).at(e.Key).
			text(" again, unchanged, with another reader or other keys: version ").number(e.Version)
	case e.MovedFrom != nil:
		action = "ARTIFACT_MOVED"
		s.text("Moved ").artifact(e.Kind, e.GxPID, e.Title).text(" from ").key(*e.MovedFrom).text(" to ").key(e.Key)
	default:
		action = "ARTIFACT_INSERTED"
		s.text("Added ").artifact(e.Kind, e.GxPID, e.Title).at(e.Key)
	}
	if e.Evidence != nil {
		s.text("; as evidence it is ").text(string(overall(e.Evidence)))
	}
	s.text(".")
	return action
}

func sayRemoved(e *domain.ArtifactRemoved, s *sentence) {
	s.text("Removed ").artifact(e.Kind, e.GxPID, "").at(e.Key)
	if e.MovedTo != nil {
		s.text("; it moved to ").key(*e.MovedTo)
	}
	s.text(". History keeps its ").count(e.Version, "version").text(".")
}

func sayRejected(e *domain.ArtifactRejected, s *sentence) {
	s.text("Could not read ").text(kindName(e.Kind)).text(" ").quote(e.Path)
	if e.Line > 0 {
		s.text(" at line ").number(e.Line)
	}
	if e.Column > 0 {
		s.text(", column ").number(e.Column)
	}
	s.text(": ").tell(e.Message)
	if e.Content.SHA256 != "" {
		s.text(". Its bytes are kept")
	}
	s.text(".")
}

func sayCompleted(e *domain.ScanCompleted, s *sentence) {
	var total domain.Count
	for _, c := range e.Counts {
		total = add(total, c)
	}
	s.text("Completed ").scan(&e.Head).text(": ").count(total.Found, "artifact").text(" (").
		number(total.New).text(" new, ").number(total.Changed).text(" changed, ").
		number(total.Reread).text(" read again, ").number(total.Unchanged).text(" unchanged), ").
		number(total.Removed).text(" removed, ").number(total.Rejected).text(" rejected; ").
		count(e.Links.Sound+e.Links.Missing+e.Links.WrongKind, "link").text(", ").
		number(e.Links.Missing+e.Links.WrongKind).text(" broken; ").
		count(len(e.Findings), "finding").text(" about the tree.")
}

func sayFailed(e *domain.ScanFailed, s *sentence) {
	s.text("Failed ").scan(&e.Head).text(", and changed nothing, for ").count(len(e.Violations), "reason")
	if len(e.Violations) > 0 {
		s.text(", the first: ").tell(e.Violations[0].Text)
	}
	s.text(".")
}

func sayActed(e *domain.AdminActed, s *sentence) {
	s.text("Administrator ").quote(e.Actor).text(" ran ").quote(e.Action)
	if e.Target != "" {
		s.text(" on ").quote(e.Target)
	}
	for i, name := range slices.Sorted(maps.Keys(e.Arguments)) {
		if i == 0 {
			s.text(" with ")
		} else {
			s.text(", ")
		}
		s.quote(name).text(" = ").quote(e.Arguments[name])
	}
	s.text(": ").tell(e.Outcome)
	if e.Detail != "" {
		s.text(", ").tell(e.Detail)
	}
	s.text(".")
}

// kindName is a kind as a reader calls it.
func kindName(kind domain.Kind) string {
	switch kind {
	case domain.KindSystemContext:
		return "system context"
	case domain.KindRequirement:
		return "requirement"
	case domain.KindUserStory:
		return "user story"
	case domain.KindSpec:
		return "specification"
	case domain.KindEvidenceJWS:
		return "signed evidence"
	case domain.KindEvidencePackage:
		return "evidence package"
	case domain.KindADR:
		return "decision record"
	case domain.KindRiskLog:
		return "risk log"
	case domain.KindRisk:
		return "risk entry"
	case domain.KindVendorAssessment:
		return "vendor assessment"
	}
	return "artifact of an unknown kind"
}
