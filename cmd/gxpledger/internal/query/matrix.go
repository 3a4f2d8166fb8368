package query

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Matrix is the traceability from requirements through user stories and specs to evidence.
type Matrix struct {
	Summary MatrixSummary `json:"summary"`
	// Rows are the chains, in the order of repositories and then of the paths of requirement, user story, spec and evidence.
	// What leads to nothing above it comes last. Every sound link between artifacts of the chain is in a row, but for those
	// within one level.
	Rows []MatrixRow `json:"rows"`
	// Artifacts are the artifacts of the rows, each once, in the order of repositories, levels and paths.
	Artifacts []*Item `json:"artifacts"`
}

// MatrixRow is one chain: as far down as it goes. A cell is absent where the chain has nothing at that level.
type MatrixRow struct {
	RepositoryID string `json:"repository_id"`
	Repository   string `json:"repository"`
	State        string `json:"state"` // the most severe of its cells
	Requirement  *Cell  `json:"requirement,omitempty"`
	UserStory    *Cell  `json:"user_story,omitempty"`
	Spec         *Cell  `json:"spec,omitempty"`
	Evidence     *Cell  `json:"evidence,omitempty"`

	items [levels]*Item
}

// Item returns the artifact at a level of the row; nil for none.
func (r *MatrixRow) Item(level Level) *Item { return r.items[level] }

// MatrixSummary counts the artifacts of a matrix, each once, by their states. Every state is there.
type MatrixSummary struct {
	Rows         int64       `json:"rows"`
	Artifacts    int64       `json:"artifacts"`
	States       StateCounts `json:"states"` // of all
	Requirements StateCounts `json:"requirements"`
	Stories      StateCounts `json:"user_stories"`
	Specs        StateCounts `json:"specs"`
	Evidence     StateCounts `json:"evidence"`
}

// StateCounts is how many artifacts are in each state.
type StateCounts map[string]int64

func newStateCounts() StateCounts {
	counts := StateCounts{}
	for _, s := range bySeverity() {
		counts[s] = 0
	}
	return counts
}

// ErrTooManyRows says that links of many to many multiply to more than any memory holds. Choose one repository, or mend
// the links.
var ErrTooManyRows = errors.New("the matrix has too many rows")

// mostRows bounds the rows of a matrix: a tree of a few hundred files can ask for more than any memory holds.
const mostRows = 200_000

// MatrixFilter chooses what a matrix is of. The zero value chooses all repositories.
type MatrixFilter struct{ RepositoryID string }

// Matrix returns the matrix. Errors: ErrTooManyRows.
func (r *Reader) Matrix(ctx context.Context, filter MatrixFilter) (Matrix, error) {
	c, err := r.readChain(ctx, filter.RepositoryID)
	if err != nil {
		return Matrix{}, err
	}
	if n := c.countRows(); n > mostRows {
		return Matrix{}, fmt.Errorf("%w: more than %d, want at most that many", ErrTooManyRows, mostRows)
	}
	m := Matrix{Summary: c.summary(), Rows: []MatrixRow{}, Artifacts: c.items}
	for n := 0; n < len(c.items); {
		end := n
		for end < len(c.items) && c.items[end].RepositoryID == c.items[n].RepositoryID {
			end++
		}
		for _, i := range c.items[n:end] { // requirements first, then what leads to nothing above it
			if len(i.above) == 0 {
				m.addRows(MatrixRow{RepositoryID: i.RepositoryID, Repository: i.Repository, State: StateCovered}, i)
			}
		}
		n = end
	}
	m.Summary.Rows = int64(len(m.Rows))
	return m, nil
}

// addRows adds a row for each way from an artifact down. row is how it came to i.
func (m *Matrix) addRows(row MatrixRow, i *Item) {
	row.items[i.level] = i
	row.State = worst(row.State, i.State)
	switch i.level {
	case LevelRequirement:
		row.Requirement = &i.Cell
	case LevelStory:
		row.UserStory = &i.Cell
	case LevelSpec:
		row.Spec = &i.Cell
	case LevelEvidence:
		row.Evidence = &i.Cell
	}
	if len(i.below) == 0 {
		m.Rows = append(m.Rows, row)
	}
	for _, down := range i.below {
		m.addRows(row, down)
	}
}

// countRows counts the rows, up to a little above the most that there may be.
func (c *chain) countRows() int {
	rows := make(map[*Item]int, len(c.items))
	total := 0
	lowest := slices.Clone(c.items)
	slices.SortStableFunc(lowest, func(a, b *Item) int { return int(b.level - a.level) })
	for _, i := range lowest {
		n := 0
		for _, down := range i.below {
			n = min(n+rows[down], mostRows+1)
		}
		rows[i] = max(n, 1)
		if len(i.above) == 0 {
			total = min(total+rows[i], mostRows+1)
		}
	}
	return total
}

func (c *chain) summary() MatrixSummary {
	s := MatrixSummary{Artifacts: int64(len(c.items)), States: newStateCounts()}
	var byLevel [levels]StateCounts
	for l := range byLevel {
		byLevel[l] = newStateCounts()
	}
	for _, i := range c.items {
		s.States[i.State]++
		byLevel[i.level][i.State]++
	}
	s.Requirements, s.Stories, s.Specs, s.Evidence = byLevel[0], byLevel[1], byLevel[2], byLevel[3]
	return s
}
