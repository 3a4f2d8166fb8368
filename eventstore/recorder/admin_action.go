package recorder

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// RecordAction records an admin action in the stream "engine". action.ID must be a UUIDv7; recording the same one again
// finds it and writes nothing. ErrOutcomeUnknown: the log may have it.
func (r *Recorder) RecordAction(ctx context.Context, action domain.AdminActed) (eventstore.Position, error) {
	id, err := uuid.Parse(action.ID)
	if err != nil || id.Version() != 7 || action.Actor == "" || action.Action == "" {
		return 0, fmt.Errorf("%w: admin action %q of %q needs a UUIDv7, an action and an actor", eventstore.ErrInvalid, action.Action, action.Actor)
	}
	event := single{id: id, stream: eventstore.EngineStream, event: action, meta: eventstore.Meta{Actor: action.Actor, Reason: action.Reason}}
	at, err := r.appendLast(ctx, event)
	if err != nil {
		return 0, fmt.Errorf("cannot record admin action %s: %w", action.Action, err)
	}
	return at, nil
}

// Retire records that a repository is scanned no more. Its history stays. id must be a UUIDv7. Retiring a repository
// that the log does not know, or that is retired, is ErrInvalid, also when somebody else retires it at the same moment. ErrOutcomeUnknown: the log may have
// recorded it.
func (r *Recorder) Retire(ctx context.Context, id uuid.UUID, retired domain.RepositoryRetired) (eventstore.Position, error) {
	stream := eventstore.RepositoryStream(retired.Repository.ID)
	var err error
	for range r.config.Rounds {
		var at loaded
		if at, err = r.load(ctx, stream); err != nil {
			return 0, err
		}
		switch {
		case !at.state.Registered:
			return 0, fmt.Errorf("%w: retire %q: no scan of it was ever recorded", eventstore.ErrInvalid, retired.Repository.Name)
		case at.state.Retired:
			return 0, fmt.Errorf("%w: retire %q: it is retired already", eventstore.ErrInvalid, retired.Repository.Name)
		}
		retired.Repository = at.state.Repository
		var position eventstore.Position
		position, err = r.appendSingle(ctx, at.expected, single{
			id: id, stream: stream, event: retired, meta: eventstore.Meta{Actor: retired.Actor, Reason: retired.Reason},
		})
		if err == nil {
			return position, nil
		}
		if !errors.Is(err, eventstore.ErrConflict) {
			break
		}
	}
	return 0, fmt.Errorf("cannot retire %q: %w", retired.Repository.Name, err)
}

// single is a batch of one event.
type single struct {
	id     uuid.UUID // of the admin action
	stream eventstore.StreamID
	event  domain.Event
	meta   eventstore.Meta
}

// appendLast appends one event at the end of its stream, wherever that is.
func (r *Recorder) appendLast(ctx context.Context, one single) (at eventstore.Position, err error) {
	for range r.config.Rounds {
		var expected eventstore.Expected
		if expected, err = r.end(ctx, one.stream); err != nil {
			return 0, err
		}
		if at, err = r.appendSingle(ctx, expected, one); !errors.Is(err, eventstore.ErrConflict) {
			return at, err
		}
	}
	return 0, err
}

// appendSingle appends one event where it is expected. One that the log holds already is found.
func (r *Recorder) appendSingle(ctx context.Context, expected eventstore.Expected, one single) (eventstore.Position, error) {
	typ, data, err := eventstore.Encode(one.event)
	if err != nil {
		return 0, err
	}
	one.meta.Scan, one.meta.Correlation = one.id.String(), one.id.String()
	batch := eventstore.Batch{
		Stream: one.stream, Expected: expected, Meta: one.meta,
		Events: []eventstore.NewEvent{{ID: eventstore.DeriveEventID(one.id, 0), Type: typ, Data: data}},
	}
	s := &session{Recorder: r}
	at, err := s.append(ctx, batch, UnknownScan)
	if errors.Is(err, eventstore.ErrIDReused) {
		return r.find(ctx, one.stream, batch.Events[0], err)
	}
	if s.unknown != UnknownNothing {
		err = eventstore.OutcomeUnknown(err)
	}
	return at.Last, err
}

// find returns where the log holds event already. An event with its id and other content is reused, the cause.
func (r *Recorder) find(ctx context.Context, stream eventstore.StreamID, event eventstore.NewEvent, reused error) (eventstore.Position, error) {
	for record, err := range r.log.ReadStreamBackwards(ctx, stream) {
		if err != nil {
			return 0, eventstore.OutcomeUnknown(err)
		}
		if record.ID == event.ID && record.Type == event.Type && bytes.Equal(record.Data, event.Data) {
			return record.Position, nil
		}
	}
	return 0, reused
}

// end returns the expectation that the stream ends where it ends now.
func (r *Recorder) end(ctx context.Context, stream eventstore.StreamID) (eventstore.Expected, error) {
	expected := eventstore.NoStream()
	none := 0
	err := r.retry(ctx, &none, func() error {
		for record, err := range r.log.ReadStreamBackwards(ctx, stream) {
			if err != nil {
				return err
			}
			expected = eventstore.AtRevision(record.Revision)
			break
		}
		return nil
	})
	return expected, err
}
