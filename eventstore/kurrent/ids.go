package kurrent

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
)

// clockSlack is how far a clock may have been set back between the making of an id and the recording of its event.
const clockSlack = 10 * time.Minute

// refuseReused returns ErrIDReused if the stream, which ends with end, holds an id of b. An EventStoreDB compares ids
// only with those that stand where an append wants to, so that a batch which was written at an earlier place, as one whose
// answer was lost, would be written once more (I4), or its failure beside it (I2).
//
// An id that is derived from a scan tells when that began, and was recorded after it. The stream is read backwards as far
// as that, by the times of recording and of the ids that stand there, which is a page for the most part. Ids that tell no
// time, of guests, are not looked for.
func (l *Log) refuseReused(ctx context.Context, b eventstore.Batch, end *esdb.RecordedEvent) error {
	oldest, ids := dated(b)
	if end == nil || len(ids) == 0 {
		return nil
	}
	far := oldest.Add(-clockSlack)
	for e, err := range l.backStream(ctx, l.names.stream(b.Stream), end.EventNumber) {
		if err != nil {
			return err
		}
		if ids[e.EventID] {
			return fmt.Errorf("%w: %s stands at position %d", eventstore.ErrIDReused, e.EventID, e.Position.Commit)
		}
		r, err := record(e, b.Stream)
		if err != nil {
			return err
		}
		if made, ok := madeAt(r.ID); r.RecordedAt.Before(far) && (!ok || made.Before(far)) {
			return nil
		}
	}
	return nil
}

// dated returns the ids of b that tell when they were made, and the oldest of these times.
func dated(b eventstore.Batch) (oldest time.Time, ids map[eventstore.EventID]bool) {
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
	}
	return oldest, ids
}

// madeAt returns the time in an id, to the millisecond: of those that the engine derives (eventstore.DeriveEventID), and
// of a UUIDv7.
func madeAt(id uuid.UUID) (time.Time, bool) {
	const derived, ordered = 8, 7
	if version := id.Version(); version != derived && version != ordered {
		return time.Time{}, false
	}
	var ms [8]byte
	copy(ms[2:], id[:6])
	return time.UnixMilli(int64(binary.BigEndian.Uint64(ms[:]))), true //nolint:gosec // 48 bits
}
