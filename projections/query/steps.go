package query

import (
	"context"
	"fmt"
	"iter"

	"github.com/gxpledger/gxpledger/domain/trace"
)

// Step is one scan of a repository and what it changed.
type Step struct {
	RepositoryID string `json:"repository_id"`
	Repository   string `json:"repository"`
	Scan         Scan   `json:"scan"`
	trace.Differences
}

// Steps yields the scans of a repository from one number to another, in order, each with what differs from the scan before
// it. A failed scan changed nothing. The error is the last thing that it yields: an *UnknownError when there is no scan of
// these numbers.
func (r *Reader) Steps(ctx context.Context, repository Repository, from, to int64) iter.Seq2[Step, error] {
	return func(yield func(Step, error) bool) {
		for _, number := range []int64{from, to} {
			if _, err := r.Scan(ctx, repository, number); err != nil {
				yield(Step{}, err)
				return
			}
		}
		scans, err := r.Scans(ctx, ScanFilter{RepositoryID: repository.ID})
		if err != nil {
			yield(Step{}, err)
			return
		}
		after := int64(0)
		for _, s := range scans {
			if s.Number >= from && s.Number <= to {
				step, err := r.step(ctx, repository, s, after)
				if !yield(step, err) || err != nil {
					return
				}
			}
			after = s.Position
		}
	}
}

// step finds what a scan changed; after is the position of the scan before it.
func (r *Reader) step(ctx context.Context, repository Repository, scan Scan, after int64) (Step, error) {
	s := Step{RepositoryID: repository.ID, Repository: repository.Name, Scan: scan}
	if scan.Outcome != completed {
		s.Artifacts, s.Links = []trace.ArtifactDiff{}, []trace.LinkDiff{}
		return s, nil
	}
	var err error
	if s.Differences, err = r.differences(ctx, repository, trace.Span{From: after, To: scan.Position}); err != nil {
		return s, fmt.Errorf("changes of scan %d: %w", s.Scan.Number, err)
	}
	return s, nil
}
