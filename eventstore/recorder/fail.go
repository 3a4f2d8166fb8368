package recorder

import (
	"context"
	"errors"
	"fmt"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// fail records that the scan failed because of cause. It goes on for a while after ctx has ended: a scan that somebody
// stopped is a fact too.
func (s *session) fail(ctx context.Context, cause error) (Outcome, error) {
	violations := reasons(cause, endedBy(ctx, cause))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.FailureTimeout)
	defer cancel()
	if s.head.Scan == "" {
		s.head = s.describe(Reading{})
	}
	s.head.DecidedAt = s.config.Now().UTC()
	if s.attempt == 0 {
		s.target = targetUndecided
	}
	failed, at, err := s.recordFailure(ctx, violations, len(violations))
	if err == nil {
		s.outcome = Outcome{Failed: &failed, Position: at.Last, Attempts: s.attempt}
		return s.outcome, cause
	}
	if errors.Is(err, eventstore.ErrIDReused) {
		// The answer to an append was lost and the batch is there after all.
		if err = s.recover(ctx); err == nil {
			if s.outcome.Failed != nil {
				return s.outcome, cause
			}
			return s.outcome, nil
		}
		s.unknown = UnknownScan
	}
	failed = domain.Fail(domain.State{}, s.head, violations, len(violations)) // numbered when it is recorded
	failed.Number = 0
	s.outcome = Outcome{Failed: &failed, Attempts: s.attempt, Unknown: s.unknown}
	file, spoolErr := s.spool(failed)
	s.outcome.Spooled = file
	err = errors.Join(cause, fmt.Errorf("cannot record the failure of scan %s: %w", s.request.Scan, err), spoolErr)
	if s.unknown != UnknownNothing {
		err = eventstore.OutcomeUnknown(err)
	}
	return s.outcome, err
}

// target is the stream that a failure belongs to. The values are those of spool files.
type target string

const (
	targetRepository target = ""          // since an append was tried: also in files of older versions
	targetUndecided  target = "undecided" // as [domain.FailAttempt] says when it is recorded
	targetEngine     target = "engine"    // since an append to it was tried, whose outcome is unknown
)

// recordFailure appends the ScanFailed, or the ScanAttemptFailed of what is not known. Its id is that of the first event of the batch, so
// that a log that holds one refuses the other with ErrIDReused.
func (s *session) recordFailure(ctx context.Context, violations []domain.Violation, total int) (domain.ScanFailed, eventstore.Appended, error) {
	var err error
	for range s.config.Rounds {
		var at loaded
		if at, err = s.load(ctx, eventstore.RepositoryStream(s.request.Repository.ID)); err != nil {
			break
		}
		s.rename(at.state)
		s.head.Repository.Name = s.request.Repository.Name
		if s.target == targetEngine {
			at.state = domain.State{} // whoever registered it since
		}
		if attempt, ok := domain.FailAttempt(at.state, s.head, violations); ok && s.target != targetRepository {
			return s.recordAttempt(ctx, attempt)
		}
		failed := domain.Fail(at.state, s.head, violations, total)
		var batch eventstore.Batch
		if batch, err = s.batch(at, []domain.Event{failed}, nil); err != nil {
			break
		}
		var appended eventstore.Appended
		if appended, err = s.append(ctx, batch, UnknownFailure); err == nil {
			return failed, appended, nil
		}
		if !errors.Is(err, eventstore.ErrConflict) {
			break
		}
	}
	return domain.ScanFailed{}, eventstore.Appended{}, err
}

// recordAttempt appends the failure of a scan of what is not known, which has no number.
func (s *session) recordAttempt(ctx context.Context, attempt domain.ScanAttemptFailed) (domain.ScanFailed, eventstore.Appended, error) {
	failed := domain.ScanFailed{Head: s.head, Code: attempt.Code, Violations: attempt.Violations, Total: len(attempt.Violations)}
	failed.Number = 0
	last, err := s.appendLast(ctx, act{
		id: s.request.Scan, stream: eventstore.EngineStream, events: []domain.Event{attempt}, meta: eventstore.Meta{
			Actor: s.request.Actor, Reason: s.request.Reason, TraceParent: s.request.TraceParent, TraceState: s.request.TraceState,
		},
	})
	if errors.Is(err, eventstore.ErrOutcomeUnknown) {
		s.target, s.unknown = targetEngine, max(s.unknown, UnknownFailure)
	}
	return failed, eventstore.Appended{Last: last}, err
}

// recover finds the batch of this scan in the log and makes it the outcome.
func (s *session) recover(ctx context.Context) error {
	stream := eventstore.RepositoryStream(s.request.Repository.ID)
	var events []domain.Event
	var last eventstore.Record
	for record, err := range s.log.ReadStream(ctx, stream, 0) {
		if err != nil {
			return fmt.Errorf("cannot find the scan: %w", err)
		}
		if record.Meta.Scan != s.request.Scan.String() {
			continue
		}
		event, err := eventstore.Decode(record)
		if err != nil {
			return fmt.Errorf("cannot decode position %d: %w", record.Position, err)
		}
		events, last = append(events, event), record
	}
	if len(events) == 0 {
		return fmt.Errorf("%w: ids of the scan are those of another", eventstore.ErrIDReused)
	}
	s.complete(events, eventstore.Appended{Last: last.Position, LastRevision: last.Revision})
	if failed, ok := events[0].(domain.ScanFailed); ok {
		s.outcome.Failed = &failed
	} else if s.recorded != nil {
		s.recorded(&s.outcome)
	}
	return nil
}

// reasons turns what stopped a scan into the violations that its ScanFailed lists. stopped says that cause is the end of
// the scan's context.
func reasons(cause error, stopped bool) []domain.Violation {
	if refused, ok := errors.AsType[*domain.RefusedError](cause); ok {
		return refused.Violations
	}
	code := domain.ViolationInternal
	switch {
	case stopped:
		code = domain.ViolationCancelled
	case errors.Is(cause, eventstore.ErrConflict), errors.Is(cause, domain.ErrStale):
		code = domain.ViolationConflict
	case errors.Is(cause, eventstore.ErrTooLarge):
		code = domain.ViolationTooLarge
	case errors.Is(cause, eventstore.ErrTransient):
		code = domain.ViolationUnavailable
	case errors.Is(cause, ErrSource):
		code = domain.ViolationUnreadable
	case errors.Is(cause, context.DeadlineExceeded), errors.Is(cause, context.Canceled): // not of this scan: of a call to the log
		code = domain.ViolationUnavailable
	}
	return []domain.Violation{{Code: code, Text: cause.Error()}}
}
