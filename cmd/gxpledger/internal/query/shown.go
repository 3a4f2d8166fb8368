package query

import (
	"context"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Shown says which state of the record a result shows.
type Shown struct {
	Place
	Scans []ShownScan `json:"scans"` // of each repository that is shown, the one whose tree it is
}

// ShownScan is the last completed scan of a repository.
type ShownScan struct {
	RepositoryID string    `json:"repository_id"`
	Repository   string    `json:"repository"`
	Scan         int64     `json:"scan"`
	RecordedAt   time.Time `json:"recorded_at"`
	Commit       string    `json:"commit_sha,omitempty"` // as git claims; absent for a work tree without one
}

// Shown says which state the tables show that were made up to place. repository limits the scans to those of one, by name
// or id; "" does not.
func (r *Reader) Shown(ctx context.Context, place Place, repository string) (Shown, error) {
	all, err := r.Repositories(ctx)
	if err != nil {
		return Shown{}, err
	}
	shown := Shown{Place: place, Scans: []ShownScan{}}
	for _, o := range all {
		if o.LastScan > 0 && (repository == "" || repository == o.Name || repository == o.ID) {
			shown.Scans = append(shown.Scans, ShownScan{
				RepositoryID: o.ID, Repository: o.Name, Scan: o.LastScan, RecordedAt: o.LastScanAt, Commit: o.LastScanCommit,
			})
		}
	}
	return shown, nil
}

// Present is the place that tables show which are up to date: where the last scan was recorded. Acts of administrators may
// have been recorded behind it. It is the zero place when no scan was.
func (r *Reader) Present(ctx context.Context) (Place, error) {
	last, err := r.Scans(ctx, ScanFilter{Last: true})
	if err != nil || len(last) == 0 {
		return Place{}, err
	}
	at := eventstore.Position(last[0].Position) //nolint:gosec // positions are not negative
	return Place{Position: at, RecordedAt: last[0].RecordedAt, Head: at}, nil
}
