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
	at, err := r.appendLast(ctx, act{
		id: id, stream: eventstore.EngineStream, events: []domain.Event{action}, meta: eventstore.Meta{Actor: action.Actor, Reason: action.Reason},
	})
	if err != nil {
		return 0, fmt.Errorf("cannot record admin action %s: %w", action.Action, err)
	}
	return at, nil
}

// Change is what an administrator does to a repository.
type Change struct {
	ID            uuid.UUID // UUIDv7 of the admin action
	Repository    domain.RepositoryID
	Actor, Reason string
	// Decide returns the events that record it, given what the log knows of the repository. It is called again when a scan came
	// between.
	Decide func(domain.State) ([]domain.Event, error)
}

// Change records what Decide says of a repository, as one batch of its stream, and returns the position of the last event. The error
// is that of Decide, with which nothing was recorded, or ErrOutcomeUnknown: the log may have recorded it.
func (r *Recorder) Change(ctx context.Context, change Change) (eventstore.Position, error) {
	stream := eventstore.RepositoryStream(change.Repository)
	var err error
	for range r.config.Rounds {
		var at loaded
		if at, err = r.load(ctx, stream); err != nil {
			return 0, err
		}
		var events []domain.Event
		if events, err = change.Decide(at.state); err != nil {
			return 0, err
		}
		var position eventstore.Position
		position, err = r.appendAct(ctx, at.expected, act{
			id: change.ID, stream: stream, events: events, meta: eventstore.Meta{Actor: change.Actor, Reason: change.Reason},
		})
		if err == nil {
			return position, nil
		}
		if !errors.Is(err, eventstore.ErrConflict) {
			break
		}
	}
	return 0, fmt.Errorf("cannot record the change of repository %s: %w", change.Repository, err)
}

// act is a batch that an admin action makes.
type act struct {
	id     uuid.UUID // of the admin action
	stream eventstore.StreamID
	events []domain.Event
	meta   eventstore.Meta
}

// appendLast appends a batch at the end of its stream, wherever that is.
func (r *Recorder) appendLast(ctx context.Context, one act) (at eventstore.Position, err error) {
	for range r.config.Rounds {
		var expected eventstore.Expected
		if expected, err = r.end(ctx, one.stream); err != nil {
			return 0, err
		}
		if at, err = r.appendAct(ctx, expected, one); !errors.Is(err, eventstore.ErrConflict) {
			return at, err
		}
	}
	return 0, err
}

// appendAct appends a batch where it is expected. One that the log holds already is found.
func (r *Recorder) appendAct(ctx context.Context, expected eventstore.Expected, one act) (eventstore.Position, error) {
	one.meta.Scan, one.meta.Correlation = one.id.String(), one.id.String()
	batch := eventstore.Batch{Stream: one.stream, Expected: expected, Meta: one.meta}
	for i, event := range one.events {
		typ, data, err := eventstore.Encode(event)
		if err != nil {
			return 0, err
		}
		batch.Events = append(batch.Events, eventstore.NewEvent{ID: eventstore.DeriveEventID(one.id, i), Type: typ, Data: data})
	}
	s := &session{Recorder: r}
	at, err := s.append(ctx, batch, UnknownScan)
	if errors.Is(err, eventstore.ErrIDReused) {
		return r.find(ctx, one.stream, batch.Events[len(batch.Events)-1], err)
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
