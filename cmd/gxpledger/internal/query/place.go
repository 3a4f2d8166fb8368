package query

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Place is where in a log a point in time is. It ends a batch, since a batch appears in one instant (I1).
type Place struct {
	Given      string              `json:"given,omitempty"`      // the point as it was given; absent for now
	Position   eventstore.Position `json:"position"`             // of the last event that was recorded by then
	RecordedAt time.Time           `json:"recorded_at,omitzero"` // when that event was; absent where nothing was
	Head       eventstore.Position `json:"head"`                 // where the log ended when it was asked
}

// Finder finds points in time in one log.
type Finder struct {
	// Log may have positions that are not dense. Its times must not fall: where several machines record with clocks that
	// disagree, a time is found as exactly as they agree.
	Log eventstore.Reader
	// Scans returns a reader of the present tables, which are up to date with the log. It is asked for scans and commits
	// alone, so that times and positions are found without any tables.
	Scans func(context.Context) (*Reader, error)
	// Now is the engine's clock.
	Now func() time.Time
}

// ErrFuture says that a point in time has not come yet. What will be true then is not recorded.
var ErrFuture = errors.New("in the future")

// Find returns the place of p, which must not be now. repository is the name or id of the repository whose scans p
// counts, or "" for the only one, or for whichever one the commit is of.
//
// Errors: ErrEmpty, ErrFuture, a *PointError when p says too little, an *AmbiguousError, an *UnknownError which says what
// there is.
func (f Finder) Find(ctx context.Context, p Point, repository string) (Place, error) {
	head, err := f.Log.Head(ctx)
	if err != nil {
		return Place{}, fmt.Errorf("find %s: %w", p, err)
	}
	if head == 0 {
		return Place{}, ErrEmpty
	}
	last, err := f.find(ctx, p, repository, head)
	if err != nil {
		return Place{}, err
	}
	if last, err = f.endOfBatch(ctx, last); err != nil {
		return Place{}, fmt.Errorf("find %s: %w", p, err)
	}
	return Place{Given: p.text, Position: last.Position, RecordedAt: last.RecordedAt, Head: max(head, last.Position)}, nil
}

// find returns the last record that p shows, or one of its batch.
func (f Finder) find(ctx context.Context, p Point, repository string, head eventstore.Position) (eventstore.Record, error) {
	switch p.form {
	case formTime:
		return f.byTime(ctx, p, head)
	case formPosition:
		return f.byPosition(ctx, p, eventstore.Position(p.number), head) //nolint:gosec // from 1
	case formScan, formCommit:
		tables, err := f.Scans(ctx)
		if err != nil {
			return eventstore.Record{}, err
		}
		scan, err := tables.ScanAt(ctx, p, repository)
		if err != nil {
			return eventstore.Record{}, err
		}
		return f.last(ctx, eventstore.Position(scan.Position)) //nolint:gosec // from 1
	case formNow:
	}
	return eventstore.Record{}, &PointError{Given: p.text, Want: "want " + PointForms}
}

func (f Finder) byPosition(ctx context.Context, p Point, at, head eventstore.Position) (eventstore.Record, error) {
	if at > head {
		return eventstore.Record{}, f.outside(ctx, p, "position", head)
	}
	record, err := f.last(ctx, at)
	if errors.Is(err, eventstore.ErrNotFound) {
		return record, f.outside(ctx, p, "event at or before", head)
	}
	return record, err
}

func (f Finder) byTime(ctx context.Context, p Point, head eventstore.Position) (eventstore.Record, error) {
	last, found, err := f.recordedBy(ctx, p.until, head)
	switch now := f.Now(); {
	case err != nil:
		return last, fmt.Errorf("find %s: %w", p, err)
	case !found:
		return last, f.outside(ctx, p, "event recorded at or before", head)
	case p.from.After(now) && p.from.After(last.RecordedAt): // a machine with another clock may have recorded the last
		return last, fmt.Errorf("%q is %w: it is %s now, and the last event was recorded at %s", p.text, ErrFuture,
			shortTime(now), shortTime(last.RecordedAt))
	}
	return last, nil
}

// recordedBy finds the last record that was recorded at or before t, by halving what may hold it: times never fall.
func (f Finder) recordedBy(ctx context.Context, t time.Time, head eventstore.Position) (last eventstore.Record, found bool, err error) {
	low, high := eventstore.Position(0), head // up to low all were recorded by t, behind high none was
	for low < high {
		middle := low + (high-low+1)/2
		next, more, err := f.first(ctx, middle)
		if err != nil {
			return last, false, err
		}
		if !more || next.RecordedAt.After(t) {
			high = middle - 1
			continue
		}
		low, last, found = next.Position, next, true
	}
	return last, found, nil
}

// first returns the first record at or behind a position, and whether there is one.
func (f Finder) first(ctx context.Context, at eventstore.Position) (eventstore.Record, bool, error) {
	for record, err := range f.Log.Read(ctx, at-1, eventstore.Filter{}) {
		return record, err == nil, err
	}
	return eventstore.Record{}, false, nil
}

// last returns the last record at or before a position, or ErrNotFound.
func (f Finder) last(ctx context.Context, at eventstore.Position) (eventstore.Record, error) {
	for record, err := range f.Log.ReadBackwards(ctx, at+1, eventstore.Filter{}) {
		return record, err
	}
	return eventstore.Record{}, fmt.Errorf("no event at or before position %d: %w", at, eventstore.ErrNotFound)
}

// endOfBatch returns the last record of the batch that r is of.
func (f Finder) endOfBatch(ctx context.Context, r eventstore.Record) (eventstore.Record, error) {
	if r.EndsBatch() {
		return r, nil
	}
	for next, err := range f.Log.Read(ctx, r.Position, eventstore.Filter{}) {
		if err != nil || next.EndsBatch() {
			return next, err
		}
	}
	return r, fmt.Errorf("the batch of position %d: %w: it has no end", r.Position, eventstore.ErrCorrupt)
}

// outside says from when to when there is something, about a point beyond.
func (f Finder) outside(ctx context.Context, p Point, what string, head eventstore.Position) error {
	unknown := &UnknownError{What: what, Given: strings.TrimPrefix(p.text, prefixPosition+":")}
	begin, found, err := f.first(ctx, 1)
	if err != nil || !found {
		return err
	}
	end, err := f.last(ctx, head)
	if err != nil {
		return err
	}
	unknown.Hint = fmt.Sprintf("the first event is at position %d, recorded at %s, the last at position %d, recorded at %s",
		begin.Position, shortTime(begin.RecordedAt), end.Position, shortTime(end.RecordedAt))
	return unknown
}

func shortTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// ScanAt returns the scan that a point names, which must be one that names a scan. repository and the errors are those of
// [Finder.Find].
func (r *Reader) ScanAt(ctx context.Context, p Point, repository string) (Scan, error) {
	if p.form == formScan {
		found, err := r.Find(ctx, repository)
		if err != nil {
			return Scan{}, err
		}
		return r.Scan(ctx, found, p.number)
	}
	var filter ScanFilter
	if repository != "" {
		found, err := r.Find(ctx, repository)
		if err != nil {
			return Scan{}, err
		}
		filter.RepositoryID = found.ID
	}
	filter.Commit = p.commit
	of, err := r.Scans(ctx, filter)
	if err != nil {
		return Scan{}, err
	}
	whole := slices.DeleteFunc(slices.Clone(of), func(s Scan) bool { return s.Outcome != completed || s.Claims.Dirty })
	if len(whole) == 0 {
		return Scan{}, r.unknownCommit(ctx, p, filter.RepositoryID, of)
	}
	return onlyCommit(p, whole)
}

// onlyCommit returns the last of the scans of one commit, unless they are of several.
func onlyCommit(p Point, scans []Scan) (Scan, error) {
	var commits, repositories []string
	for _, s := range scans {
		if !slices.Contains(commits, s.Claims.Commit) {
			commits = append(commits, s.Claims.Commit)
		}
		if !slices.Contains(repositories, s.Repository) {
			repositories = append(repositories, s.Repository)
		}
	}
	switch {
	case len(commits) > 1:
		return Scan{}, &PointError{Given: p.text, Want: fmt.Sprintf("%d commits that were scanned begin so, %s: give more digits",
			len(commits), strings.Join(commits[:min(len(commits), nearest)], ", "))}
	case len(repositories) > 1:
		return Scan{}, &AmbiguousError{What: "repository", Given: p.text, Choices: repositories}
	}
	return scans[len(scans)-1], nil
}

// unknownCommit says what there is instead of a completed scan of a commit. of are the scans of it that do not count.
func (r *Reader) unknownCommit(ctx context.Context, p Point, repository string, of []Scan) error {
	unknown := &UnknownError{What: "completed scan of commit", Given: p.commit}
	if len(of) > 0 {
		last := of[len(of)-1]
		unknown.Hint = fmt.Sprintf("scan %d of %q read a work tree with other changes", last.Number, last.Repository)
		if last.Outcome != completed {
			unknown.Hint = fmt.Sprintf("scan %d of %q failed, and left what was there before", last.Number, last.Repository)
		}
		return unknown
	}
	all, err := r.Scans(ctx, ScanFilter{RepositoryID: repository, Outcome: completed})
	if err != nil {
		return err
	}
	unknown.Near = alike(p.commit, all)
	for _, s := range slices.Backward(all) {
		if s.Claims.Commit != "" {
			unknown.Hint = fmt.Sprintf("the last scan of a commit is scan %d of %q, of %s, recorded at %s", s.Number, s.Repository,
				s.Claims.Commit, shortTime(s.RecordedAt))
			break
		}
	}
	return unknown
}

// alike returns the commits of scans that begin most like digits.
func alike(digits string, scans []Scan) []string {
	longest := 0
	var near []string
	for _, s := range scans {
		n := 0
		for n < len(digits) && n < len(s.Claims.Commit) && digits[n] == s.Claims.Commit[n] {
			n++
		}
		if n > longest {
			near, longest = nil, n
		}
		if n == longest && n > 0 && !slices.Contains(near, s.Claims.Commit) {
			near = append(near, s.Claims.Commit)
		}
	}
	slices.Sort(near)
	return near[:min(len(near), nearest)]
}
