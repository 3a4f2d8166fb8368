package render

import (
	"io"
	"iter"
	"slices"
	"strconv"

	"github.com/gxpledger/gxpledger/domain/trace"
)

// matrixColumns are the columns of matrix --format csv. The names are stable; new ones may come behind.
func matrixColumns() []string {
	return slices.Concat(HeadColumns(), []string{
		"state",
		"requirement", "requirement_title", "requirement_risk", "requirement_state", "requirement_path",
		"user_story", "user_story_title", "user_story_state", "user_story_path",
		"spec", "spec_title", "spec_tier", "spec_state", "spec_path",
		"evidence", "evidence_overall", "evidence_state", "evidence_path",
		"why", "evidence_passed", "evidence_failed", "evidence_skipped", "evidence_key",
	}, sourceColumns())
}

// MatrixCSV writes one record for each row, which says itself which state of which repository it is of.
func MatrixCSV(w io.Writer, d Matrix) error { return writeCSV(w, matrixColumns(), matrixRecords(d)) }

// matrixRecords yields the records of [matrixColumns].
func matrixRecords(d Matrix) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		for _, r := range d.Rows {
			record := append(HeadCells(d.Shown, r.RepositoryID, r.Repository), string(r.State))
			for level := range trace.LevelEvidence + 1 {
				record = append(record, csvCells(level, r.Artifact(level))...)
			}
			var e trace.Artifact
			if a := r.Artifact(trace.LevelEvidence); a != nil {
				e = *a
			}
			record = append(record, why(r), number(e.Passed), number(e.Failed), number(e.Skipped), e.Fingerprint)
			if !yield(append(record, d.cells()...)) {
				return
			}
		}
	}
}

// number is a number in a cell, which is empty where it is not known.
func number(n *int64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(*n, 10)
}

// csvCells are the cells of one level of a row, empty where the row has nothing at that level.
func csvCells(level trace.Level, i *trace.Artifact) []string {
	if i == nil {
		i = &trace.Artifact{}
	}
	name := ""
	if i.Path != "" {
		name = i.Name()
	}
	switch level {
	case trace.LevelRequirement:
		return []string{name, i.Title, i.Risk, string(i.State), i.Key()}
	case trace.LevelStory:
		return []string{name, i.Title, string(i.State), i.Key()}
	case trace.LevelSpec:
		return []string{name, i.Title, i.Tier, string(i.State), i.Key()}
	case trace.LevelEvidence:
		return []string{name, i.Overall, string(i.State), i.Key()}
	}
	return nil
}
