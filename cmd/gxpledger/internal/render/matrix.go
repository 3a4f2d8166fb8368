package render

import (
	"fmt"
	"strings"

	"github.com/gxpledger/gxpledger/domain/trace"
)

// Matrix is the traceability matrix of a state of the record.
type Matrix struct {
	Source
	trace.Matrix
}

// MatrixTable writes a row for each path from a requirement to its evidence.
func MatrixTable(screen *Screen, d Matrix) {
	if len(d.Rows) == 0 {
		screen.Line("There is no requirement, user story, spec or evidence.")
		return
	}
	t := NewList("Repository", "Requirement", "User story", "Spec", "Evidence", "State", "Why")
	for _, r := range d.Rows {
		repository := ""
		if len(d.Shown.Scans) > 1 {
			repository = r.Repository
		}
		t.Add(repository, cellText(r.Requirement), cellText(r.UserStory), cellText(r.Spec), cellText(r.Evidence),
			stateStyle(r.State).Of(r.State.Words()), why(r))
	}
	screen.List(t)
	screen.Blank()
	screen.Line("%s", MatrixSummary(d.Summary))
}

// cellText is the name of an artifact, with its state unless that is a matter of others.
func cellText(c *trace.Cell) string {
	switch {
	case c == nil:
		return ""
	case c.State == trace.StateCovered || c.State == trace.StateTransitive:
		return c.Name()
	}
	return c.Name() + " (" + c.State.Words() + ")"
}

func stateStyle(state trace.State) Style {
	switch state {
	case trace.StateCovered:
		return Good
	case trace.StateTransitive, trace.StateSuspect, trace.StateUnverified, trace.StateDuplicate:
		return Notice
	case trace.StateFailed, trace.StateOrphaned, trace.StateWrongKind, trace.StateMissing:
	}
	return Bad
}

// why lists the reasons of the artifacts of a row. Transitive reasons are left out where an artifact has one of its own.
func why(r trace.MatrixRow) string {
	var own, transitive []string
	for level := range trace.LevelEvidence + 1 {
		i := r.Artifact(level)
		if i == nil {
			continue
		}
		for _, reason := range i.Reasons {
			text := i.Name() + ": " + reason.Text
			if reason.State == trace.StateTransitive {
				transitive = append(transitive, text)
				continue
			}
			own = append(own, text)
		}
	}
	if len(own) == 0 {
		own = transitive
	}
	return strings.Join(own, "; ")
}

// MatrixSummary counts the artifacts in each state.
func MatrixSummary(s trace.MatrixSummary) string {
	parts := make([]string, 0, len(trace.States()))
	for _, state := range trace.States() {
		parts = append(parts, fmt.Sprintf("%d %s", s.States[state], state.Words()))
	}
	return fmt.Sprintf("%s in %s: %s", Count(int(s.Artifacts), "artifact"), Count(int(s.Rows), "row"), strings.Join(parts, ", "))
}
