package query

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// refNames returns what a ref may be recorded as that a person calls name, as git resolves names.
func refNames(name string) []any {
	return []any{name, "refs/" + name, "refs/tags/" + name, "refs/heads/" + name, "refs/remotes/" + name}
}

// scanOfName returns the last completed scan of a ref or, where the name can be the beginning of a commit id, of that commit. A name with
// two meanings is refused.
func (r *Reader) scanOfName(ctx context.Context, p Point, repositoryID string) (Scan, error) {
	of, err := r.Scans(ctx, ScanFilter{RepositoryID: repositoryID, Ref: p.ref})
	if err != nil {
		return Scan{}, err
	}
	named, commit := wholeScans(of), []Scan(nil)
	if p.form == formName {
		if commit, err = r.Scans(ctx, ScanFilter{RepositoryID: repositoryID, Commit: p.commit}); err != nil {
			return Scan{}, err
		}
		commit = wholeScans(commit)
	}
	switch {
	case len(named) == 0 && len(commit) == 0:
		return Scan{}, r.unknownRef(ctx, p, repositoryID, of)
	case len(named) == 0:
		return onlyCommit(p, commit)
	case slices.ContainsFunc(commit, func(s Scan) bool { return s.Claims.Commit != named[len(named)-1].Claims.Commit }):
		return Scan{}, &PointError{Given: p.text, Want: fmt.Sprintf("it is a ref that was scanned, and the beginning of commit %s, which was too: give ref:%s or commit:%s",
			commit[len(commit)-1].Claims.Commit, p.ref, p.commit)}
	}
	return onlyRef(p, named)
}

// onlyRef returns the last of the scans of one ref, unless they are of several.
func onlyRef(p Point, scans []Scan) (Scan, error) {
	names := refNames(p.ref)
	var refs, repositories []string
	for _, s := range scans {
		if full := s.Claims.FullRef; slices.Contains(names, any(full)) && !slices.Contains(refs, full) {
			refs = append(refs, full)
		}
		if !slices.Contains(repositories, s.Repository) {
			repositories = append(repositories, s.Repository)
		}
	}
	switch {
	case len(repositories) > 1:
		return Scan{}, &AmbiguousError{What: "repository", Given: p.text, Choices: repositories}
	case len(refs) > 1:
		slices.Sort(refs)
		return Scan{}, &PointError{Given: p.text, Want: fmt.Sprintf("several refs of that name were scanned, %s: give one in full", strings.Join(refs, ", "))}
	}
	return scans[len(scans)-1], nil
}

// unknownRef says what there is instead of a completed scan of a ref. of are the scans of it that do not count.
func (r *Reader) unknownRef(ctx context.Context, p Point, repositoryID string, of []Scan) error {
	unknown := &UnknownError{What: "completed scan of tag or branch", Given: p.ref}
	if p.form == formName {
		unknown.What = "completed scan of tag, branch or commit"
	}
	if len(of) > 0 {
		last := of[len(of)-1]
		unknown.Hint = fmt.Sprintf("scan %d of %q failed, or read a work tree with other changes", last.Number, last.Repository)
		return unknown
	}
	all, err := r.Scans(ctx, ScanFilter{RepositoryID: repositoryID, Outcome: completed})
	if err != nil {
		return err
	}
	var refs []string
	for _, s := range all {
		for _, ref := range []string{s.Claims.Ref, s.Claims.FullRef} {
			for _, prefix := range []string{"refs/tags/", "refs/heads/"} {
				ref = strings.TrimPrefix(ref, prefix)
			}
			if ref != "" && ref != s.Claims.Commit && !slices.Contains(refs, ref) {
				refs = append(refs, ref)
			}
		}
	}
	unknown.Near = near(p.ref, refs)
	unknown.Hint = "a point in time is " + PointForms
	return unknown
}

// scanByCommitDate returns the last completed scan whose commit was committed at or before a time, as git claims: the last one in the
// order in which they were recorded, whatever the dates of the ones before it, so that commits of one date have an order too. Work trees
// with changes are no commit. Where a later scan has no date, it is unknown whether it counts (I15).
func (r *Reader) scanByCommitDate(ctx context.Context, p Point, of Repository) (Scan, error) {
	all, err := r.Scans(ctx, ScanFilter{RepositoryID: of.ID, Outcome: completed})
	if err != nil {
		return Scan{}, err
	}
	whole := wholeScans(all)
	var earliest time.Time
	for _, s := range slices.Backward(whole) {
		at := s.Claims.CommitterAt
		if at.IsZero() {
			return Scan{}, &UnknownError{What: "known commit date", Given: p.text, Hint: fmt.Sprintf(
				"scan %d of %q has none, so that it is unknown whether it counts; give scan:N", s.Number, s.Repository)}
		}
		if !at.After(p.until) {
			return s, nil
		}
		if earliest.IsZero() || at.Before(earliest) {
			earliest = at
		}
	}
	unknown := &UnknownError{What: "completed scan of a commit at or before", Given: p.text, Hint: fmt.Sprintf("no commit of %q was scanned", of.Name)}
	if !earliest.IsZero() {
		unknown.Hint = fmt.Sprintf("the earliest commit of %q that was scanned says %s", of.Name, shortTime(earliest))
	}
	return Scan{}, unknown
}
