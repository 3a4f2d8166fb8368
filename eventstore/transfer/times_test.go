package transfer_test

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/verify"
)

// late is a log in which the times of one stream are behind those of the others, as where several processes write without
// one order of time.
type late struct {
	eventstore.Log
	stream  eventstore.StreamID
	by      time.Duration
	ordered bool // it says of itself that this cannot be
}

func (l *late) ID() uuid.UUID { return uuid.UUID{15: 1} }

func (l *late) Features() eventstore.Features {
	f := l.Log.Features()
	f.OrderedTimes = l.ordered
	return f
}

func (l *late) Read(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		for r, err := range l.Log.Read(ctx, after, filter) {
			if r.Stream == l.stream {
				r.RecordedAt = r.RecordedAt.Add(-l.by)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

func TestTimesMayFallBetweenStreamsWhereTheLogSaysSo(t *testing.T) {
	t.Parallel()
	log := &late{Log: newMemory(t), stream: "repository-a", by: time.Second}
	writeHistory(t, log, rand.New(rand.NewPCG(7, 7)), 40)
	times := func() (n int) {
		_, err := verify.Run(t.Context(), log, verify.Watch{Fault: func(f eventstore.Fault) {
			if f.Code == eventstore.FaultTime {
				n++
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := times(); n != 0 {
		t.Errorf("%d faults of times, want none", n)
	}
	log.ordered = true
	if times() == 0 {
		t.Error("times that fall are no fault of a log that says they do not")
	}
}

// The copy of such a log has one order of time, however often it was stopped, and says what it changed for it.
func TestACopyRaisesTimesThatFall(t *testing.T) {
	t.Parallel()
	from := &late{Log: newMemory(t), stream: "repository-a", by: time.Second}
	writeHistory(t, from, rand.New(rand.NewPCG(7, 7)), 40)
	to := &eventstoretest.Faulty{Log: newSQLite(t)}
	for range 10 {
		to.Next(eventstoretest.Pass(), eventstoretest.Pass(), eventstoretest.FailBefore(errLost))
	}
	copied, err := copyLog(t, from, to)
	for ; errors.Is(err, eventstore.ErrTransient); copied, err = copyLog(t, from, to) {
		continue
	}
	if err != nil {
		t.Fatal(err)
	}
	raised, latest := map[string]bool{}, time.Time{}
	got := recordsOf(t, to)
	for i, r := range recordsOf(t, from) {
		if latest = later(latest, r.RecordedAt); !got[i].RecordedAt.Equal(latest) {
			t.Fatalf("event %d is recorded at %s in the copy, want %s", i, got[i].RecordedAt, latest)
		}
		if latest.After(r.RecordedAt) {
			raised[r.Meta.TraceState] = true // one for each batch
		}
	}
	if len(raised) == 0 || copied.Raised != uint64(len(raised)) {
		t.Errorf("%d recorded times were raised, it says %d", len(raised), copied.Raised)
	}
	if again := mustCopy(t, from, to); !again.Repeated || again.Raised != copied.Raised {
		t.Errorf("again it says %+v", again)
	}
	from.ordered = true
	if _, err := copyLog(t, from, newSQLite(t)); !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("from a log that says its times never fall: %v, want ErrInvalid", err)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
