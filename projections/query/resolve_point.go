package query

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
)

// ResolvedPoint is the position of a point in time in a log. It ends a batch, since a batch appears in one instant (I1).
type ResolvedPoint struct {
	Given      string              `json:"given,omitempty"`      // the point as it was given; absent for now
	Position   eventstore.Position `json:"position"`             // of the last event that was recorded by then
	RecordedAt time.Time           `json:"recorded_at,omitzero"` // when that event was; absent where nothing was
	Head       eventstore.Position `json:"head"`                 // where the log ended when it was asked
	// ByCommitDate reports that the point was found by the dates of commits, which git claims and nothing verifies.
	ByCommitDate bool `json:"by_commit_date,omitempty"`
}

// FinderLog is what finding points in time needs of a log.
type FinderLog interface {
	eventstore.Reader
	Features() eventstore.Features
}

// Finder finds points in time in one log. The log is only asked at positions that it gave itself (I19).
type Finder struct {
	// Log may have positions that are not dense. Its times must not fall: where several machines record with clocks that
	// disagree, a time is found as exactly as they agree.
	Log FinderLog
	// Scans returns a reader of the present tables, which are up to date with the log. It is asked for scans and commits
	// alone, so that times and positions are found without any tables.
	Scans func(context.Context) (*Reader, error)
	// Known returns a reader of the present tables as they are, which must have been made from this log. They say from where
	// on to look for a time or a number. Where they cannot be read, or Known is nil, the log is read from its beginning.
	Known func(context.Context) (*Reader, error)
	// Now is the engine's clock.
	Now func() time.Time
}

// ErrFuture says that a point in time has not come yet. What will be true then is not recorded.
var ErrFuture = errors.New("in the future")

// Find resolves p, which must not be now. repository is the name or id of the repository whose scans p
// counts, or "" for the only one, or for whichever one the commit is of.
//
// Errors: ErrEmpty, ErrFuture, a *PointError when p says too little, an *AmbiguousError, an *UnknownError which says what
// there is.
func (f Finder) Find(ctx context.Context, p Point, repository string) (ResolvedPoint, error) {
	head, err := f.Log.Head(ctx)
	if err != nil {
		return ResolvedPoint{}, fmt.Errorf("cannot find %s: %w", p, err)
	}
	if head == 0 {
		return ResolvedPoint{}, ErrEmpty
	}
	last, err := f.find(ctx, p, repository, head)
	if err != nil {
		return ResolvedPoint{}, err
	}
	if last, err = f.endOfBatch(ctx, last); err != nil {
		return ResolvedPoint{}, fmt.Errorf("cannot find %s: %w", p, err)
	}
	return ResolvedPoint{
		Given: p.text, Position: last.Position, RecordedAt: last.RecordedAt, Head: max(head, last.Position),
		ByCommitDate: p.ByCommitDate(),
	}, nil
}

// find returns the last record that p shows, or one of its batch.
func (f Finder) find(ctx context.Context, p Point, repository string, head eventstore.Position) (eventstore.Record, error) {
	switch p.form {
	case formTime:
		return f.byTime(ctx, p, head)
	case formPosition:
		return f.byPosition(ctx, p, eventstore.Position(p.number), head) //nolint:gosec // from 1
	case formScan, formCommit, formRef, formName, formCommitDate:
		tables, err := f.Scans(ctx)
		if err != nil {
			return eventstore.Record{}, err
		}
		scan, err := tables.ScanAt(ctx, p, repository)
		if err != nil {
			return eventstore.Record{}, err
		}
		return f.Log.At(ctx, eventstore.Position(scan.Position)) //nolint:gosec // from 1
	case formNow:
	}
	return eventstore.Record{}, &PointError{Given: p.text, Want: "want " + PointForms}
}

func (f Finder) byPosition(ctx context.Context, p Point, at, head eventstore.Position) (eventstore.Record, error) {
	if at > head {
		return eventstore.Record{}, f.outside(ctx, p, "position", head)
	}
	record, found, err := f.lastBy(ctx, at)
	switch {
	case err != nil:
		return record, fmt.Errorf("cannot find %s: %w", p, err)
	case !found:
		return record, f.outside(ctx, p, "event at or before", head)
	}
	return record, nil
}

// LastAtOrBefore returns the position that a person means with "after number": that of the last event at
// or before the number, 0 where there is none. number may be anything.
func (f Finder) LastAtOrBefore(ctx context.Context, number uint64) (eventstore.Position, error) {
	head, err := f.Log.Head(ctx)
	if err != nil {
		return 0, err
	}
	at := min(eventstore.Position(number), head)
	if at == 0 || at == head || f.Log.Features().DensePositions {
		return at, nil
	}
	last, _, err := f.lastBy(ctx, at)
	return last.Position, err
}

// lastBy returns the last record at or before a number, which is not above the head.
func (f Finder) lastBy(ctx context.Context, number eventstore.Position) (last eventstore.Record, found bool, err error) {
	if f.Log.Features().DensePositions {
		last, err = f.Log.At(ctx, number)
		return last, err == nil, err
	}
	start := f.known(ctx, ScanFilter{UpTo: int64(min(number, math.MaxInt64))})
	return f.lastWithin(ctx, start, true, func(r eventstore.Record) bool { return r.Position <= number })
}

func (f Finder) byTime(ctx context.Context, p Point, head eventstore.Position) (eventstore.Record, error) {
	start := f.known(ctx, ScanFilter{By: p.until})
	last, found, err := f.lastWithin(ctx, start, f.Log.Features().OrderedTimes, func(r eventstore.Record) bool {
		return !r.RecordedAt.After(p.until)
	})
	switch now := f.Now(); {
	case err != nil:
		return last, fmt.Errorf("cannot find %s: %w", p, err)
	case !found:
		return last, f.outside(ctx, p, "event recorded at or before", head)
	case p.from.After(now) && p.from.After(last.RecordedAt): // a machine with another clock may have recorded the last
		return last, fmt.Errorf("%q is %w: it is %s now, and the last event was recorded at %s", p.text, ErrFuture,
			shortTime(now), shortTime(last.RecordedAt))
	}
	return last, nil
}

// known returns the position of the last scan that tables know of those that filter chooses, 0 when they know none. It is
// where reading may begin, and changes nothing of what is found.
func (f Finder) known(ctx context.Context, filter ScanFilter) eventstore.Position {
	if f.Known == nil {
		return 0
	}
	tables, err := f.Known(ctx)
	if err != nil {
		return 0
	}
	filter.Last = true
	scans, err := tables.Scans(ctx, filter)
	if err != nil || len(scans) == 0 {
		return 0
	}
	return eventstore.Position(scans[0].Position) //nolint:gosec // from 1
}

// lastWithin returns the last record from the one at start on that is within what is asked for, and whether there is one. A
// start that is not within, or 0, is the beginning of the log. ordered says that nothing is within behind what is not.
func (f Finder) lastWithin( //revive:disable-line:flag-parameter // a feature of the log
	ctx context.Context, start eventstore.Position, ordered bool, within func(eventstore.Record) bool,
) (last eventstore.Record, found bool, err error) {
	if start > 0 {
		last, err = f.Log.At(ctx, start)
		if found = err == nil && within(last); !found {
			start = 0
		}
	}
	for r, err := range f.Log.Read(ctx, start, eventstore.Filter{}) {
		if err != nil {
			return eventstore.Record{}, false, err
		}
		if within(r) {
			last, found = r, true
		} else if ordered {
			break
		}
	}
	return last, found, nil
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
	var begin eventstore.Record
	for r, err := range f.Log.Read(ctx, 0, eventstore.Filter{}) {
		if err != nil {
			return err
		}
		begin = r
		break
	}
	end, err := f.Log.At(ctx, head)
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
	switch p.form {
	case formScan:
		found, err := r.Find(ctx, repository)
		if err != nil {
			return Scan{}, err
		}
		return r.Scan(ctx, found, p.number)
	case formCommitDate:
		found, err := r.Find(ctx, repository)
		if err != nil {
			return Scan{}, err
		}
		return r.scanByCommitDate(ctx, p, found)
	case formNow, formTime, formPosition, formCommit, formRef, formName:
	}
	id := ""
	if repository != "" {
		found, err := r.Find(ctx, repository)
		if err != nil {
			return Scan{}, err
		}
		id = found.ID
	}
	if p.form == formCommit {
		return r.scanOfCommit(ctx, p, id)
	}
	return r.scanOfName(ctx, p, id)
}

func (r *Reader) scanOfCommit(ctx context.Context, p Point, repositoryID string) (Scan, error) {
	of, err := r.Scans(ctx, ScanFilter{RepositoryID: repositoryID, Commit: p.commit})
	if err != nil {
		return Scan{}, err
	}
	whole := wholeScans(of)
	if len(whole) == 0 {
		return Scan{}, r.unknownCommit(ctx, p, repositoryID, of)
	}
	return onlyCommit(p, whole)
}

// wholeScans returns those that completed and show what is in their commit.
func wholeScans(of []Scan) []Scan {
	return slices.DeleteFunc(slices.Clone(of), func(s Scan) bool { return s.Outcome != completed || s.Claims.Dirty })
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
		return Scan{}, &PointError{Given: p.text, Want: fmt.Sprintf("%d scanned commits begin with that, %s: give more digits",
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
