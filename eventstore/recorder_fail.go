package eventstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/gxpledger/gxpledger/domain"
)

// fail records that the scan failed because of cause. It goes on for a while after ctx has ended: a scan that somebody
// stopped is a fact too.
func (s *session) fail(ctx context.Context, cause error) (Outcome, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.LastWords)
	defer cancel()
	if s.head.Scan == "" {
		s.head = s.describe(Reading{})
	}
	s.head.DecidedAt = s.config.Now().UTC()
	violations := reasons(cause)
	failed, at, err := s.recordFailure(ctx, violations)
	switch {
	case err == nil:
		s.outcome = Outcome{Failed: &failed, Position: at.Last, Attempts: s.attempt}
		return s.outcome, cause
	case errors.Is(err, ErrIDReused):
		// The answer to an append was lost and the batch is there after all.
		return s.recover(ctx, cause)
	}
	failed = domain.Fail(domain.State{}, s.head, violations) // numbered when it is recorded
	failed.Number = 0
	s.outcome = Outcome{Failed: &failed, Attempts: s.attempt}
	file, spoolErr := s.spool(failed)
	s.outcome.Spooled = file
	return s.outcome, errors.Join(cause, fmt.Errorf("record the failure of scan %s: %w", s.request.Scan, err), spoolErr)
}

// recordFailure appends the ScanFailed. Its id is that of the first event of the batch, so that a log that holds one
// refuses the other with ErrIDReused.
func (s *session) recordFailure(ctx context.Context, violations []domain.Violation) (domain.ScanFailed, Appended, error) {
	var err error
	for range s.config.Rounds {
		var at loaded
		if at, err = s.load(ctx, RepositoryStream(s.request.Repository.ID)); err != nil {
			break
		}
		failed := domain.Fail(at.state, s.head, violations)
		var batch Batch
		if batch, err = s.batch(at, []domain.Event{failed}); err != nil {
			break
		}
		var appended Appended
		if appended, err = s.append(ctx, batch); err == nil {
			return failed, appended, nil
		}
		if !errors.Is(err, ErrConflict) {
			break
		}
	}
	return domain.ScanFailed{}, Appended{}, err
}

// recover finds the batch of this scan in the log and reports it as what happened.
func (s *session) recover(ctx context.Context, cause error) (Outcome, error) {
	stream := RepositoryStream(s.request.Repository.ID)
	var events []domain.Event
	var last Record
	for record, err := range s.log.ReadStream(ctx, stream, 0) {
		if err != nil {
			return s.outcome, errors.Join(cause, fmt.Errorf("look for scan %s: %w", s.request.Scan, err))
		}
		if record.Meta.Scan != s.request.Scan.String() {
			continue
		}
		event, err := Decode(record)
		if err != nil {
			return s.outcome, errors.Join(cause, fmt.Errorf("decode position %d: %w", record.Position, err))
		}
		events, last = append(events, event), record
	}
	if len(events) == 0 {
		return s.outcome, errors.Join(cause, fmt.Errorf("%w: ids of scan %s are those of another", ErrIDReused, s.request.Scan))
	}
	s.complete(events, Appended{Last: last.Position, LastRevision: last.Revision})
	if failed, ok := events[0].(domain.ScanFailed); ok {
		s.outcome.Failed = &failed
		return s.outcome, cause
	}
	return s.outcome, nil
}

// reasons turns what stopped a scan into the violations that its ScanFailed lists.
func reasons(cause error) []domain.Violation {
	if refused, ok := errors.AsType[*domain.RefusedError](cause); ok {
		return refused.Violations
	}
	code := domain.ViolationInternal
	switch {
	case errors.Is(cause, context.Canceled), errors.Is(cause, context.DeadlineExceeded):
		code = domain.ViolationCancelled
	case errors.Is(cause, ErrConflict), errors.Is(cause, domain.ErrStale):
		code = domain.ViolationConflict
	case errors.Is(cause, ErrTooLarge):
		code = domain.ViolationTooLarge
	case errors.Is(cause, ErrTransient):
		code = domain.ViolationUnavailable
	case errors.Is(cause, ErrSource):
		code = domain.ViolationUnreadable
	}
	return []domain.Violation{{Code: code, Text: cause.Error()}}
}
