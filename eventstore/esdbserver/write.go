package esdbserver

import (
	"bytes"
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

// write appends an order to the log. One that names no revision goes to the end of its stream, and again to the new end if others
// were faster. What the log refuses may have been written by an earlier try, whose answer the client did not get: see repeated.
func (v *service) write(ctx context.Context, user string, o *order) (outcome, error) {
	if len(o.proposals) == 0 {
		return v.writeNothing(ctx, o)
	}
	batch, err := v.compose(user, o)
	if err != nil {
		return outcome{}, err
	}
	for range maxTries {
		done, again, err := v.writeOnce(ctx, o.expected, batch)
		if !again {
			return done, err
		}
	}
	return outcome{}, refuse(codes.Aborted, "Operation timed out: others write to the stream all the time.")
}

// writeOnce tries to append a batch. It is tried again where others were faster, and where they left the stream as it is expected.
func (v *service) writeOnce(ctx context.Context, e expectation, batch eventstore.Batch) (_ outcome, again bool, err error) {
	var end streamEnd
	if e.loose() {
		if end, err = v.endOf(ctx, batch.Stream); err != nil {
			return outcome{}, false, err
		}
		if !e.holds(end) {
			return outcome{conflict: true}, false, nil
		}
	}
	batch.Expected = e.at(end)
	appended, err := v.log.Append(ctx, batch)
	switch conflict := errors.Is(err, eventstore.ErrConflict); {
	case err == nil:
		return v.written(appended.LastRevision, appended.Last), false, nil
	case conflict && e.loose():
		return outcome{}, true, nil
	case conflict, errors.Is(err, eventstore.ErrIDReused):
		done, expected, failure := v.repeated(ctx, e, batch)
		if expected && !conflict {
			failure = idReused()
		}
		return done, expected && conflict, failure
	default:
		return outcome{}, false, v.appendFault(batch, err)
	}
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
	if err != nil {
		return outcome{}, err
	}
	head, err := v.log.Head(ctx)
	v.give(head)
	return outcome{conflict: !o.expected.holds(end), end: end, position: head}, err
}

// written is the outcome of an append whose last event is at a revision and a position.
func (v *service) written(last eventstore.Revision, at eventstore.Position) outcome {
	v.give(at)
	return outcome{end: streamEnd(last) + 1, position: at}
}

// repeated answers an append that the log refused: with the place of an earlier try that was written, with a conflict where the
// stream is elsewhere or holds a part of the append, and with a refusal where an id is held by another event. Where the stream is as the
// append expects it, as it may be meanwhile, expected is true and there is no answer.
//
// An event is the same if id, type and data are. Metadata may differ: some clients put the trace of each try into it. What an
// engine appends is the same only with the same metadata, which is the log's own.
func (v *service) repeated(ctx context.Context, e expectation, batch eventstore.Batch) (_ outcome, expected bool, err error) {
	from, found, err := v.placeOfFirst(ctx, e, batch)
	if err != nil {
		return outcome{}, false, err
	}
	held, same, last := 0, true, eventstore.Record{}
	if found {
		for r, err := range v.log.ReadStream(ctx, batch.Stream, from) {
			if err != nil {
				return outcome{}, false, err
			}
			if held == len(batch.Events) || r.ID != batch.Events[held].ID {
				break
			}
			same = same && v.sameEvent(r, batch, held)
			held, last = held+1, r
		}
	}
	switch {
	case held == len(batch.Events) && same:
		return v.written(last.Revision, last.Position), false, nil
	case held > 0 && !same:
		return outcome{}, false, idReused()
	}
	end, err := v.endOf(ctx, batch.Stream)
	if err != nil || held == 0 && e.holds(end) {
		return outcome{}, err == nil, err
	}
	return outcome{conflict: true, end: end}, false, nil
}

// placeOfFirst returns the revision at which the first event of an append would stand, were it written: behind the one that is
// expected, or where its id is.
func (v *service) placeOfFirst(ctx context.Context, e expectation, batch eventstore.Batch) (at eventstore.Revision, found bool, err error) {
	switch e.kind {
	case expectNoStream:
		return 0, true, nil
	case expectRevision:
		return eventstore.Revision(e.revision + 1), true, nil
	case expectAny, expectExists, expectNothing:
	}
	looked := 0
	for r, err := range v.log.ReadStreamBackwards(ctx, batch.Stream) {
		if err != nil {
			return 0, false, err
		}
		if r.ID == batch.Events[0].ID {
			return r.Revision, true, nil
		}
		if looked++; looked == maxLookBack {
			break
		}
	}
	return 0, false, nil
}

// sameEvent reports whether r is the event of batch with an index.
func (v *service) sameEvent(r eventstore.Record, batch eventstore.Batch, index int) bool {
	proposed := batch.Events[index]
	meta := r.Meta
	meta.Index, meta.Size, meta.Attempt = batch.Meta.Index, batch.Meta.Size, batch.Meta.Attempt
	if v.options.AllowEngineStreams && meta != batch.Meta {
		return false
	}
	held, want := clientEvent(r.Data), clientEvent(proposed.Data)
	return r.Type == proposed.Type && held.json == want.json && bytes.Equal(held.data, want.data)
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
