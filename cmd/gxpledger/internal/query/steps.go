package query

import (
	"context"
	"fmt"
	"iter"
)

// Step is one scan of a repository and what it changed.
type Step struct {
	RepositoryID string         `json:"repository_id"`
	Repository   string         `json:"repository"`
	Scan         Scan           `json:"scan"`
	Artifacts    []ArtifactDiff `json:"artifacts"` // in the order of paths
	Links        []LinkDiff     `json:"links"`     // links that broke, healed or were dropped, in the order of paths
}

// Steps yields the scans of a repository from one number to another, in order, each with what differs from the scan before
// it. A failed scan changed nothing. The error is the last thing that it yields: an *UnknownError when there is no scan of
// these numbers.
func (r *Reader) Steps(ctx context.Context, repository Repository, from, to int64) iter.Seq2[Step, error] {
	return func(yield func(Step, error) bool) {
		scans, err := r.Scans(ctx, ScanFilter{RepositoryID: repository.ID})
		if err == nil && (from < 1 || from > int64(len(scans))) {
			err = r.unknownScan(ctx, repository, from)
		}
		if err == nil && to > int64(len(scans)) {
			err = r.unknownScan(ctx, repository, to)
		}
		if err != nil {
			yield(Step{}, err)
			return
		}
		for i := from - 1; i < to; i++ {
			step, err := r.step(ctx, repository, scans, i)
			if !yield(step, err) || err != nil {
				return
			}
		}
	}
}

// step tells what the i-th of all scans changed.
func (r *Reader) step(ctx context.Context, repository Repository, scans []Scan, i int64) (Step, error) {
	s := Step{
		RepositoryID: repository.ID, Repository: repository.Name, Scan: scans[i], Artifacts: []ArtifactDiff{}, Links: []LinkDiff{},
	}
	if s.Scan.Outcome != completed {
		return s, nil
	}
	within := span{upTo: s.Scan.Position}
	if i > 0 {
		within.after = scans[i-1].Position
	}
	pairs, err := r.pairs(ctx, repository.ID, within)
	if err != nil {
		return s, fmt.Errorf("changes of scan %d: %w", s.Scan.Number, err)
	}
	s.Artifacts, s.Links = artifactDiffs(pairs), linkDiffs(pairs)
	return s, nil
}
