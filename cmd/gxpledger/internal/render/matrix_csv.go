package render

import (
	"io"

	"github.com/gxpledger/gxpledger/domain/trace"
)

// matrixColumns are the columns of matrix --format csv. The names are stable; new ones may come behind.
func matrixColumns() []string {
	return append(HeadColumns(), []string{
		"state",
		"requirement", "requirement_title", "requirement_risk", "requirement_state", "requirement_path",
		"user_story", "user_story_title", "user_story_state", "user_story_path",
		"spec", "spec_title", "spec_tier", "spec_state", "spec_path",
		"evidence", "evidence_overall", "evidence_state", "evidence_path",
		"why",
	}...)
}

// MatrixCSV writes one record for each row, which says itself which state of which repository it is of.
func MatrixCSV(w io.Writer, d Matrix) error {
	csv := NewCSV(w)
	csv.Record(matrixColumns()...)
	for _, r := range d.Rows {
		record := append(HeadCells(d.AsOf, r.RepositoryID, r.Repository), string(r.State))
		for level := range trace.LevelEvidence + 1 {
			record = append(record, csvCells(level, r.Artifact(level))...)
		}
		csv.Record(append(record, why(r))...)
	}
	return csv.Err()
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
