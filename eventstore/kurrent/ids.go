package kurrent

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
)

// clockSlack is how far a clock may have been set back between the making of an id and the recording of its event.
const clockSlack = 10 * time.Minute

// newestIDs knows of streams how new the newest of their ids is, so that ids which are newer need not be looked for. It is
// safe for concurrent use.
type newestIDs struct {
	mu      sync.Mutex // guards streams
	streams map[string]newest
}

// newest says that no event of a stream before revision next has an id that was made after at.
type newest struct {
	next uint64
	at   time.Time
}

func (n *newestIDs) of(stream string) (newest, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	known, ok := n.streams[stream]
	return known, ok
}

func (n *newestIDs) set(stream string, known newest) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.streams[stream] = known
}

// forget is for a stream whose end is not known any more: an append failed, or its outcome is open.
func (n *newestIDs) forget(stream string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.streams, stream)
}

// refuseReused returns ErrIDReused if the stream, which ends with end, holds an id of b. An EventStoreDB compares ids
// only with those that stand where an append wants to, so that a batch which was written at an earlier place, as one whose
// answer was lost, would be written once more (I4), or its failure beside it (I2).
//
// An id that is derived from a scan tells when that began, and was recorded after it. The stream is read backwards as far
// as that, by the times of recording and of the ids that stand there, which is a page for the most part, and nothing for
// ids that are newer than all of the stream. Ids that tell no time, of guests, are not looked for. The turn of the stream
// must be held.
func (l *Log) refuseReused(ctx context.Context, b eventstore.Batch, end *event) error {
	oldest, _, ids := dated(b)
	if len(ids) == 0 {
		return nil
	}
	stream := l.names.stream(b.Stream)
	known, ok := l.newest.of(stream)
	if ok && known.next == sizeOf(end) && oldest.After(known.at) {
		return nil
	}
	known = newest{next: sizeOf(end), at: oldest.Add(-clockSlack)}
	if end != nil {
		if err := l.lookBack(ctx, b.Stream, ids, &known); err != nil {
			return err
		}
	}
	l.newest.set(stream, known)
	return nil
}

// learn notes what became of b, which refuseReused has let pass. The turn of the stream must be held.
func (l *Log) learn(b eventstore.Batch, written bool) { //revive:disable-line:flag-parameter // a fact, not a switch
	stream := l.names.stream(b.Stream)
	known, ok := l.newest.of(stream)
	if !written || !ok || known.next != uint64(b.Expected.Next()) {
		l.newest.forget(stream)
		return
	}
	_, latest, _ := dated(b)
	l.newest.set(stream, newest{next: known.next + uint64(len(b.Events)), at: later(known.at, latest)})
}

// lookBack reads a stream backwards, to events that were recorded and made before known.at, and returns ErrIDReused if it
// finds one of ids. It moves known.at to the newest id that it finds.
func (l *Log) lookBack(ctx context.Context, stream eventstore.StreamID, ids map[eventstore.EventID]bool, known *newest) error {
	far := known.at
	for e, err := range l.backStream(ctx, l.names.stream(stream), known.next-1) {
		if err != nil {
			return err
		}
		if ids[e.ID] {
			return fmt.Errorf("%w: %s is at position %d", eventstore.ErrIDReused, e.ID, e.Position)
		}
		r, err := record(e, stream)
		if err != nil {
			return err
		}
		made, ok := madeAt(r.ID)
		if r.RecordedAt.Before(far) && (!ok || made.Before(far)) {
			return nil
		}
		known.at = later(known.at, made)
	}
	return nil
}

// dated returns the ids of b that tell when they were made, and the oldest and latest of these times.
func dated(b eventstore.Batch) (oldest, latest time.Time, ids map[eventstore.EventID]bool) {
	ids = map[eventstore.EventID]bool{}
	for _, e := range b.Events {
		at, ok := madeAt(e.ID)
		if !ok {
			continue
		}
		ids[e.ID] = true
		if oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
		latest = later(latest, at)
	}
	return oldest, latest, ids
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// madeAt returns the time in an id, to the millisecond: of those that the engine derives (eventstore.DeriveEventID), and
// of a UUIDv7. It is the zero time for others.
func madeAt(id uuid.UUID) (time.Time, bool) {
	const derived, ordered = 8, 7
	if version := id.Version(); version != derived && version != ordered {
		return time.Time{}, false
	}
	var ms [8]byte
	copy(ms[2:], id[:6])
	return time.UnixMilli(int64(binary.BigEndian.Uint64(ms[:]))), true //nolint:gosec // 48 bits
}
