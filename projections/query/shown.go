package query

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// Shown names the state that an answer shows (I16).
type Shown struct {
	ResolvedPoint
	// Scans has an entry for each repository that is shown, by name, whether or not a scan of it completed.
	Scans []ShownScan `json:"scans"`
	// RetiredLeftOut is how many retired repositories are not shown because nobody asked for them.
	RetiredLeftOut int `json:"retired_left_out,omitempty"`
}

// ShownScan is the state of one repository: the tree of its last completed scan.
type ShownScan struct {
	RepositoryID string    `json:"repository_id"`
	Repository   string    `json:"repository"`
	Scan         int64     `json:"scan,omitempty"` // absent when no scan completed
	RecordedAt   time.Time `json:"recorded_at,omitzero"`
	Commit       string    `json:"commit_sha,omitempty"` // as git claims; absent for a work tree without one
	Worktree     bool      `json:"worktree"`             // files on disk were read, not the commit
	Dirty        bool      `json:"dirty"`                // those files differed from the commit
	RetiredAt    time.Time `json:"retired_at,omitzero"`
	// Since counts the scans after Scan, none of which completed; nil when there is none.
	Since *IncompleteScans `json:"not_completed_since,omitempty"`
}

// IncompleteScans are scans of a repository in a row that did not complete.
type IncompleteScans struct {
	First   int64 `json:"first"`
	Last    int64 `json:"last"`
	Count   int64 `json:"count"`
	Refused int64 `json:"refused"` // by a rule or a policy; the others could not be carried out
}

// Completed reports whether the last scan of the repository completed. Nothing is expected of one that is retired.
func (s *ShownScan) Completed() bool { return !s.RetiredAt.IsZero() || s.Since == nil && s.Scan > 0 }

// LeaveOutRetired removes the retired repositories from s and counts them.
func (s *Shown) LeaveOutRetired() {
	all := len(s.Scans)
	s.Scans = slices.DeleteFunc(s.Scans, func(o ShownScan) bool { return !o.RetiredAt.IsZero() })
	s.RetiredLeftOut = all - len(s.Scans)
}

// Only removes all repositories but one from s.
func (s *Shown) Only(repositoryID string) {
	s.Scans = slices.DeleteFunc(s.Scans, func(o ShownScan) bool { return o.RepositoryID != repositoryID })
}

// Shown says which state the tables show that were made up to place. repository limits it to one, by name or id; "" does
// not.
func (r *Reader) Shown(ctx context.Context, point ResolvedPoint, repository string) (Shown, error) {
	all, err := r.Repositories(ctx)
	if err != nil {
		return Shown{}, err
	}
	at, err := r.statesAt(ctx, "", 0)
	if err != nil {
		return Shown{}, err
	}
	shown := Shown{ResolvedPoint: point, Scans: []ShownScan{}}
	if repository != "" {
		all = matching(all, repository)
	}
	for _, o := range all {
		shown.Scans = append(shown.Scans, o.shown(at[o.ID]))
	}
	slices.SortStableFunc(shown.Scans, func(a, b ShownScan) int {
		return cmp.Or(cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.RepositoryID, b.RepositoryID))
	})
	return shown, nil
}

// shownAt says which state of one repository tables show as of place, which may be before the place that they were made
// up to.
func (r *Reader) shownAt(ctx context.Context, point ResolvedPoint, repository Repository) (Shown, error) {
	shown := Shown{ResolvedPoint: point, Scans: []ShownScan{}}
	if point.Position == 0 {
		return shown, nil
	}
	at, err := r.statesAt(ctx, repository.ID, int64(point.Position)) //nolint:gosec // positions stay far below 2^63
	if err != nil {
		return Shown{}, err
	}
	repository.RetiredAt = time.Time{} // which may have been later
	shown.Scans = append(shown.Scans, repository.shown(at[repository.ID]))
	return shown, nil
}

func (o *Repository) shown(s ShownScan) ShownScan {
	s.RepositoryID, s.Repository, s.RetiredAt = o.ID, o.Name, o.RetiredAt
	return s
}

// statesAt returns the state of each repository, or of one, as of a position; 0 is the end. Names and retirement are for
// the caller to add.
func (r *Reader) statesAt(ctx context.Context, repository string, upTo int64) (map[string]ShownScan, error) {
	var w where
	is(&w, "s.repository_id", repository)
	if upTo > 0 {
		w.and("s.position <= ?", upTo)
	}
	last := w
	last.conditions = append(slices.Clone(w.conditions), "s.outcome = '"+completed+"'")
	done := "(SELECT s.repository_id, MAX(s.number) AS number FROM scans s" + last.String() + " GROUP BY s.repository_id) d"
	trees, err := load(ctx, r, []column[ShownScan]{
		{"t.repository_id", func(s *ShownScan) any { return &s.RepositoryID }},
		{"t.number", func(s *ShownScan) any { return &s.Scan }},
		{"t.recorded_at", func(s *ShownScan) any { return instant(&s.RecordedAt) }},
		{"t.commit_sha", func(s *ShownScan) any { return optional(&s.Commit) }},
		{"t.worktree", func(s *ShownScan) any { return &s.Worktree }},
		{"t.dirty", func(s *ShownScan) any { return &s.Dirty }},
	}, "FROM scans t JOIN "+done+" ON d.repository_id = t.repository_id AND d.number = t.number", w.args...)
	if err != nil {
		return nil, fmt.Errorf("cannot find last completed scans: %w", err)
	}
	at := make(map[string]ShownScan, len(trees))
	for _, t := range trees {
		at[t.RepositoryID] = t
	}
	type since struct {
		repository string
		IncompleteScans
	}
	w.and("s.number > COALESCE(d.number, 0)")
	later, err := load(ctx, r, []column[since]{
		{"s.repository_id", func(s *since) any { return &s.repository }},
		{"MIN(s.number)", func(s *since) any { return &s.First }},
		{"MAX(s.number)", func(s *since) any { return &s.Last }},
		{"COUNT(*)", func(s *since) any { return &s.Count }},
		{"SUM(CASE WHEN s.code IN (" + notCarriedOut() + ") THEN 0 ELSE 1 END)", func(s *since) any { return &s.Refused }},
	}, "FROM scans s LEFT JOIN "+done+" ON d.repository_id = s.repository_id"+w.String()+" GROUP BY s.repository_id", slices.Concat(w.args, w.args)...)
	if err != nil {
		return nil, fmt.Errorf("cannot find later scans: %w", err)
	}
	for _, l := range later {
		state := at[l.repository]
		state.Since = &l.IncompleteScans
		at[l.repository] = state
	}
	return at, nil
}

// notCarriedOut lists, for SQL, the codes of scans that were not judged: something kept them from it.
func notCarriedOut() string {
	return "'" + strings.Join(domain.NotCarriedOutCodes(), "', '") + "'"
}

// Present is the point that tables show which are up to date: where the last scan was recorded. Admin actions may
// have been recorded behind it. It is the zero place when no scan was.
func (r *Reader) Present(ctx context.Context) (ResolvedPoint, error) {
	last, err := r.Scans(ctx, ScanFilter{Last: true})
	if err != nil || len(last) == 0 {
		return ResolvedPoint{}, err
	}
	at := eventstore.Position(last[0].Position) //nolint:gosec // positions are not negative
	return ResolvedPoint{Position: at, RecordedAt: last[0].RecordedAt, Head: at}, nil
}
