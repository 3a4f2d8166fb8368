package esdbserver

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/gxpledger/gxpledger/eventstore"
)

const (
	// maxTries bounds how often an append that names no revision is tried while others write to its stream.
	maxTries = 16
	// maxLookBack bounds how many events of a stream are looked at for an earlier try of such an append.
	maxLookBack = 10_000
)

// write appends an order to the log.
func (v *service) write(ctx context.Context, user string, o *order) (outcome, error) {
	if len(o.proposals) == 0 {
		return v.writeNothing(ctx, o)
	}
	batch, err := v.compose(user, o)
	if err != nil {
		return outcome{}, err
	}
	if o.expected.loose() {
		return v.writeLoose(ctx, o.expected, batch)
	}
	batch.Expected = o.expected.at(0)
	return v.writeAt(ctx, batch)
}

// writeNothing answers an append without events, which says no more than whether the stream is as expected.
func (v *service) writeNothing(ctx context.Context, o *order) (outcome, error) {
	if err := v.permit(o.stream); err != nil {
		return outcome{}, err
	}
	if !possibleName(o.stream) {
		return outcome{}, malformed(fmt.Sprintf("stream name %q: want 1 to 200 bytes of printable ASCII without blanks", o.stream))
	}
	end, err := v.endOf(ctx, eventstore.StreamID(o.stream))
	return outcome{conflict: !o.expected.holds(end), end: end}, err
}

// writeAt appends a batch that says where.
func (v *service) writeAt(ctx context.Context, batch eventstore.Batch) (outcome, error) {
	appended, err := v.log.Append(ctx, batch)
	switch {
	case err == nil:
		return v.written(appended), nil
	case errors.Is(err, eventstore.ErrConflict):
		end, err := v.endOf(ctx, batch.Stream)
		return outcome{conflict: true, end: end}, err
	default:
		return outcome{}, v.appendFault(batch, err)
	}
}

// written is the outcome of what the log took.
func (v *service) written(appended eventstore.Appended) outcome {
	if appended.Last > 0 {
		v.give(appended.Last)
	}
	return outcome{end: streamEnd(appended.LastRevision) + 1, position: appended.Last}
}

// writeLoose appends a batch that does not say where: to the end, and again to the new end if others were faster. If an
// id is held already, an earlier try of the same batch may have been written: then that is the outcome.
func (v *service) writeLoose(ctx context.Context, e expectation, batch eventstore.Batch) (outcome, error) {
	for range maxTries {
		end, err := v.endOf(ctx, batch.Stream)
		if err != nil {
			return outcome{}, err
		}
		if !e.holds(end) {
			return outcome{conflict: true}, nil
		}
		batch.Expected = e.at(end)
		appended, err := v.log.Append(ctx, batch)
		switch {
		case err == nil:
			return v.written(appended), nil
		case errors.Is(err, eventstore.ErrIDReused):
			return v.writeAgain(ctx, batch)
		case !errors.Is(err, eventstore.ErrConflict):
			return outcome{}, v.appendFault(batch, err)
		}
	}
	return outcome{}, refuse(codes.Aborted, "Operation timed out: others write to the stream all the time.")
}

// writeAgain repeats a batch where its first event stands, so that the log compares them.
func (v *service) writeAgain(ctx context.Context, batch eventstore.Batch) (outcome, error) {
	looked := 0
	for r, err := range v.log.ReadStreamBackwards(ctx, batch.Stream) {
		if err != nil {
			return outcome{}, err
		}
		if r.ID == batch.Events[0].ID {
			if batch.Expected = eventstore.NoStream(); r.Revision > 0 {
				batch.Expected = eventstore.AtRevision(r.Revision - 1)
			}
			return v.writeAt(ctx, batch)
		}
		if looked++; looked == maxLookBack {
			break
		}
	}
	return outcome{}, idReused()
}

// idReused is no case of the protocol. Clients know its code as "exists already".
func idReused() *refusal {
	return refuse(codes.AlreadyExists,
		"an event id was used for another event, or at another place: ids are for ever, and a repeated append must be the same",
		"exception", "event-id-reused")
}

// appendFault makes a refusal of what the log says to a batch.
func (v *service) appendFault(batch eventstore.Batch, err error) error {
	switch {
	case errors.Is(err, eventstore.ErrIDReused):
		return idReused()
	case errors.Is(err, eventstore.ErrInvalid):
		if fault := batch.Validate(); fault != nil {
			return malformed(strings.ToValidUTF8(fault.Error(), "?"))
		}
		return err
	case errors.Is(err, eventstore.ErrTooLarge):
		return appendTooLarge(v.logLimit())
	default:
		return err
	}
}

// logLimit is the largest batch that the log takes.
func (v *service) logLimit() int {
	if limit := v.log.Features().MaxBatchBytes; limit > 0 && limit < int64(v.options.MaxAppendSize) {
		return int(limit)
	}
	return v.options.MaxAppendSize
}
