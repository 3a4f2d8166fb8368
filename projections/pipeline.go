package projections

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Log is what projections need of a log.
type Log interface { //nolint:interfacebloat // less than a log does
	Read(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error]
	At(ctx context.Context, at eventstore.Position) (eventstore.Record, error)
	Head(ctx context.Context) (eventstore.Position, error)
	Subscribe(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error]
	ReadStream(ctx context.Context, stream eventstore.StreamID, from eventstore.Revision) iter.Seq2[eventstore.Record, error]
	ID() uuid.UUID
}

// Pipeline is a log, the projections that read it, and the database that holds their tables.
type Pipeline struct {
	Log         Log
	Projections []Projection
	Database    Database
	// Now is the engine's clock. It decides nothing about rows (I6); it dates faults and measures how long work took.
	Now func() time.Time
}

// Projection returns a projection by its name.
func (p Pipeline) Projection(name string) (Projection, error) {
	for _, each := range p.Projections {
		if each.Name == name {
			return each, nil
		}
	}
	return Projection{}, fmt.Errorf("%w: no projection is named %q", ErrInvalid, name)
}

// Active returns the build that readers see, nil when there is none.
func (p Pipeline) Active(ctx context.Context, projection string) (*Build, error) {
	found, err := p.Database.Builds(ctx, projection)
	if err != nil {
		return nil, err
	}
	for _, b := range found {
		if b.State == BuildActive {
			return &b, nil
		}
	}
	return nil, nil //nolint:nilnil // none, as documented
}

// ender is a log of several nodes, of which the one that is asked may have been replaced without knowing it: what its Head
// says is then older than the log. EndsBefore is what most of them say.
type ender interface {
	EndsBefore(ctx context.Context, at eventstore.Position) (bool, error)
}

// Belongs returns a *MismatchError unless the checkpoint of b is a place in this log (I14).
func (p Pipeline) Belongs(ctx context.Context, ref Ref, at Checkpoint) error {
	if at.Position == 0 {
		return nil // nothing was folded yet, of any log
	}
	head, err := p.Log.Head(ctx)
	if err != nil {
		return fmt.Errorf("cannot read head: %w", err)
	}
	mismatch := &MismatchError{Ref: ref, Checkpoint: at, Log: p.Log.ID(), Head: head}
	zero := Checkpoint{}.Log // of a log that was opened before it showed its id; the event at the checkpoint decides
	if at.Log != zero && at.Log != p.Log.ID() {
		return mismatch
	}
	ends, err := p.endsBefore(ctx, at.Position, head)
	if err != nil {
		return fmt.Errorf("cannot check whether the log ends before position %d: %w", at.Position, err)
	}
	if ends {
		return mismatch
	}
	found, err := p.seen(ctx, at)
	if errors.Is(err, eventstore.ErrNotFound) {
		return mismatch
	}
	if err != nil {
		return fmt.Errorf("cannot read position %d: %w", at.Position, err)
	}
	if found.ID != at.Event || found.Position != at.Position {
		mismatch.Found, mismatch.FoundAt = found.ID, found.Position
		return mismatch
	}
	return nil
}

// endsBefore reports whether the log, whose head was told as head, ends before a position.
func (p Pipeline) endsBefore(ctx context.Context, at, head eventstore.Position) (bool, error) {
	log, ok := p.Log.(ender)
	if at <= head || !ok {
		return at > head, nil
	}
	return log.EndsBefore(ctx, at)
}

// seen returns the event that is where a checkpoint was. A log that was swapped or restored may never have given the
// checkpoint's position, and so it is asked for the place in the stream (I19).
func (p Pipeline) seen(ctx context.Context, at Checkpoint) (eventstore.Record, error) {
	if at.Stream == "" {
		return p.Log.At(ctx, at.Position) // a checkpoint of the older form does not say where
	}
	for record, err := range p.Log.ReadStream(ctx, at.Stream, at.Revision) {
		return record, err
	}
	return eventstore.Record{}, fmt.Errorf("revision %d of stream %q: %w", at.Revision, at.Stream, eventstore.ErrNotFound)
}
