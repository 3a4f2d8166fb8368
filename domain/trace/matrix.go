package trace

import (
	"errors"
	"fmt"
	"slices"
)

// Matrix is the traceability matrix: from requirements through user stories and specs to evidence.
type Matrix struct {
	Summary MatrixSummary `json:"summary"`
	// Rows are in the order of repositories and then of the paths of requirement, user story, spec and evidence. What leads
	// to nothing above it comes last. Every resolved link between artifacts of different levels is in a row.
	Rows []MatrixRow `json:"rows"`
	// Artifacts are the artifacts of the rows, each once, in the order of repositories, levels and keys.
	Artifacts []*Artifact `json:"artifacts"`
}

// MatrixRow is one path through the links, as far down as it goes. A cell is absent where it has nothing at that level.
type MatrixRow struct {
	RepositoryID string `json:"repository_id"`
	Repository   string `json:"repository"`
	State        State  `json:"state"` // the most severe of its cells
	Requirement  *Cell  `json:"requirement,omitempty"`
	UserStory    *Cell  `json:"user_story,omitempty"`
	Spec         *Cell  `json:"spec,omitempty"`
	Evidence     *Cell  `json:"evidence,omitempty"`

	artifacts [levels]*Artifact
}

// Artifact returns the artifact at a level of the row; nil for none.
func (r *MatrixRow) Artifact(level Level) *Artifact { return r.artifacts[level] }

// MatrixSummary counts the artifacts of a matrix, each once, by their states.
type MatrixSummary struct {
	Rows         int64       `json:"rows"`
	Artifacts    int64       `json:"artifacts"`
	States       StateCounts `json:"states"` // of all
	Requirements StateCounts `json:"requirements"`
	Stories      StateCounts `json:"user_stories"`
	Specs        StateCounts `json:"specs"`
	Evidence     StateCounts `json:"evidence"`
	// Risks counts the requirements by their risk, the highest first.
	Risks []RiskCount `json:"risks"`
}

// ErrTooManyRows says that a matrix would have more rows than fit in memory, because many-to-many links multiply. Choose one
// repository, or repair the links.
var ErrTooManyRows = errors.New("the matrix has too many rows")

// maxRows bounds the rows of a matrix: a tree of a few hundred files can ask for more than any memory holds.
const maxRows = 200_000

// Matrix returns the matrix. The error is ErrTooManyRows.
func (g *Graph) Matrix() (Matrix, error) {
	if g.countRows() > maxRows {
		return Matrix{}, fmt.Errorf("%w: more than %d, want at most that many", ErrTooManyRows, maxRows)
	}
	m := Matrix{Summary: g.summary(), Rows: []MatrixRow{}, Artifacts: g.Artifacts()}
	for _, n := range g.nodes { // of each repository requirements first, then what leads to nothing above it
		if len(n.above) == 0 {
			m.addRows(MatrixRow{RepositoryID: n.RepositoryID, Repository: n.Repository, State: StateCovered}, n)
		}
	}
	m.Summary.Rows = int64(len(m.Rows))
	return m, nil
}

// addRows adds a row for each path from an artifact down. row holds what is above n on the path.
func (m *Matrix) addRows(row MatrixRow, n *node) {
	row.artifacts[n.level] = n.Artifact
	row.State = worse(row.State, n.State)
	switch n.level {
	case LevelRequirement:
		row.Requirement = &n.Cell
	case LevelStory:
		row.UserStory = &n.Cell
	case LevelSpec:
		row.Spec = &n.Cell
	case LevelEvidence:
		row.Evidence = &n.Cell
	}
	if len(n.below) == 0 {
		m.Rows = append(m.Rows, row)
	}
	for _, down := range n.below {
		m.addRows(row, down)
	}
}

// countRows counts the rows, up to a little above the most that there may be.
func (g *Graph) countRows() int {
	rows := make(map[*node]int, len(g.nodes))
	total := 0
	upwards := slices.Clone(g.nodes)
	slices.SortStableFunc(upwards, func(a, b *node) int { return int(b.level - a.level) })
	for _, n := range upwards {
		below := 0
		for _, down := range n.below {
			below = min(below+rows[down], maxRows+1)
		}
		rows[n] = max(below, 1)
		if len(n.above) == 0 {
			total = min(total+rows[n], maxRows+1)
		}
	}
	return total
}

func (g *Graph) summary() MatrixSummary {
	s := MatrixSummary{Artifacts: int64(len(g.nodes)), States: newStateCounts(), Risks: riskCounts(g.nodes)}
	byLevel := [levels]*StateCounts{&s.Requirements, &s.Stories, &s.Specs, &s.Evidence}
	for _, counts := range byLevel {
		*counts = newStateCounts()
	}
	for _, n := range g.nodes {
		s.States[n.State]++
		(*byLevel[n.level])[n.State]++
	}
	return s
}
