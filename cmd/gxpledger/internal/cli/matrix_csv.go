package cli

import (
	"io"
	"strconv"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/query"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
)

// matrixColumns are the columns of matrix --format csv. The names are stable; new ones may come behind.
func matrixColumns() []string {
	return []string{
		"repository", "scan", "commit", "as_of", "position", "recorded_at", "state",
		"requirement", "requirement_title", "requirement_risk", "requirement_state", "requirement_path",
		"user_story", "user_story_title", "user_story_state", "user_story_path",
		"spec", "spec_title", "spec_tier", "spec_state", "spec_path",
		"evidence", "evidence_overall", "evidence_state", "evidence_path",
		"why",
	}
}

// writeMatrixCSV writes one record for each row, which says itself which state of which repository it is of.
func writeMatrixCSV(w io.Writer, d matrixDocument) error {
	csv := render.NewCSV(w)
	csv.Record(matrixColumns()...)
	scans := map[string]query.ShownScan{}
	for _, s := range d.AsOf.Scans {
		scans[s.RepositoryID] = s
	}
	for _, r := range d.Rows {
		scan := scans[r.RepositoryID]
		record := []string{
			r.Repository, strconv.FormatInt(scan.Scan, 10), scan.Commit, d.AsOf.Given, strconv.FormatUint(uint64(d.AsOf.Position), 10),
			exactTime(d.AsOf.RecordedAt), r.State,
		}
		for level := range query.LevelEvidence + 1 {
			record = append(record, csvCells(level, r.Item(level))...)
		}
		csv.Record(append(record, why(r))...)
	}
	return csv.Err()
}

// csvCells are the cells of one level of a row, empty where the chain has nothing there.
func csvCells(level query.Level, i *query.Item) []string {
	if i == nil {
		i = &query.Item{}
	}
	name := ""
	if i.Path != "" {
		name = i.Name()
	}
	switch level {
	case query.LevelRequirement:
		return []string{name, i.Title, i.Risk, i.State, i.Key()}
	case query.LevelStory:
		return []string{name, i.Title, i.State, i.Key()}
	case query.LevelSpec:
		return []string{name, i.Title, i.Tier, i.State, i.Key()}
	case query.LevelEvidence:
		return []string{name, i.Overall, i.State, i.Key()}
	}
	return nil
}
