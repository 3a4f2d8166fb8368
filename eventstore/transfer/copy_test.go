package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/transfer"
	"github.com/gxpledger/gxpledger/internal/race"
)

func TestACopyIsTheSameLogOfAnotherKind(t *testing.T) {
	t.Parallel()
	kinds := map[string]func(*testing.T) eventstore.Log{"memory": newMemory, "SQLite": newSQLite, "PostgreSQL": newPostgres}
	for _, way := range [][2]string{
		{"memory", "memory"}, {"memory", "SQLite"}, {"SQLite", "memory"}, {"SQLite", "SQLite"}, {"SQLite", "PostgreSQL"}, {"PostgreSQL", "SQLite"},
	} {
		t.Run(way[0]+" to "+way[1], func(t *testing.T) {
			t.Parallel()
			from, to := kinds[way[0]](t), kinds[way[1]](t)
			writeHistory(t, from, rand.New(rand.NewPCG(7, 7)), 40)
			copied := mustCopy(t, from, to)
			wantCopy(t, from, to, copied)
			if copied.Batches != 40 || copied.Written != copied.Events || copied.Repeated {
				t.Errorf("it says %+v", copied)
			}
			again := mustCopy(t, from, to)
			copied.Written, copied.Repeated = 0, true
			if !reflect.DeepEqual(again, copied) {
				t.Errorf("again it says\n %+v, want\n %+v", again, copied)
			}
			wantCopy(t, from, to, again)
		})
	}
}

func TestAnyHistoryCanBeCopied(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 1))
			from, to := newMemory(t), &eventstoretest.Faulty{Log: newMemory(t)}
			writeHistory(t, from, r, r.IntN(20))
			for range r.IntN(6) { // whatever goes wrong, and however often
				to.Next([]eventstoretest.Fault{
					eventstoretest.Pass(), eventstoretest.LoseAnswer(nil), eventstoretest.FailBefore(errLost),
				}[r.IntN(3)])
			}
			copied, err := copyLog(t, from, to)
			for ; errors.Is(err, eventstore.ErrTransient); copied, err = copyLog(t, from, to) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			wantCopy(t, from, to.Log, copied)
		})
	}
}

func TestACopyThatStopsAnywhereGoesOn(t *testing.T) {
	t.Parallel()
	const batches = 6
	for stop := range batches + 1 { // the last append is that of the admin action
		for name, fault := range map[string]eventstoretest.Fault{
			"before": eventstoretest.FailBefore(errLost), "after": eventstoretest.LoseAnswer(nil),
		} {
			t.Run(fmt.Sprintf("%s batch %d", name, stop), func(t *testing.T) {
				t.Parallel()
				from, to := newMemory(t), &eventstoretest.Faulty{Log: newSQLite(t)}
				writeHistory(t, from, rand.New(rand.NewPCG(3, 3)), batches)
				for range stop {
					to.Next(eventstoretest.Pass())
				}
				to.Next(fault)
				if _, err := copyLog(t, from, to); !errors.Is(err, eventstore.ErrTransient) {
					t.Fatalf("error is %v, want ErrTransient", err)
				}
				wantCopy(t, from, to.Log, mustCopy(t, from, to))
				want := batches + 1
				if name == "before" {
					want++ // that one was tried twice
				}
				if tried := len(to.Tried()); tried != want {
					t.Errorf("%d appends, want %d: nothing is written twice", tried, want)
				}
			})
		}
	}
}

func TestAnEmptyLogCanBeCopied(t *testing.T) {
	t.Parallel()
	from, to := newMemory(t), newMemory(t)
	copied := mustCopy(t, from, to)
	wantCopy(t, from, to, copied)
	if copied.First != (transfer.Pair{}) || copied.Action != 1 {
		t.Errorf("it says %+v", copied)
	}
	if again := mustCopy(t, from, to); !again.Repeated || again.Action != 1 {
		t.Errorf("again it says %+v", again)
	}
}

func TestAHugeBatchStaysOne(t *testing.T) {
	t.Parallel()
	from, to := newMemory(t), newSQLite(t)
	if _, err := from.Append(t.Context(), eventstoretest.NewBatch("s", eventstore.NoStream(), "w", 0, 20_000)); err != nil {
		t.Fatal(err)
	}
	copied := mustCopy(t, from, to)
	wantCopy(t, from, to, copied)
	if copied.Batches != 1 {
		t.Errorf("%d batches, want 1", copied.Batches)
	}
}

// thorough reads what it is to load, backwards and forwards, before it appends, as a log may that tries again.
type thorough struct {
	eventstore.Log
	most int // bytes that a batch held
}

func (l *thorough) Append(ctx context.Context, b eventstore.Batch) (eventstore.Appended, error) {
	held := 0
	for _, e := range b.Events {
		held += len(e.Data)
	}
	for _, c := range b.Contents {
		held += len(c.Bytes)
	}
	l.most = max(l.most, held)
	for _, i := range []int{len(b.Events) - 1, len(b.Events) / 2} {
		if _, err := b.Events[i].Read(); err != nil {
			return eventstore.Appended{}, err
		}
	}
	return l.Log.Append(ctx, b)
}

// Of a batch that is larger than memory should be, a part alone is held, and the rest is read again as it is written.
func TestALargeBatchIsNotHeld(t *testing.T) {
	t.Parallel()
	if race.Enabled {
		t.Skip("a size that test:large makes without the race detector")
	}
	const events, size = 600, 100_000
	saying := func(i int) string { return fmt.Sprintf("%d %s", i, strings.Repeat("x", size)) }
	var sayings []string
	for i := range events / 2 {
		sayings = append(sayings, saying(i))
	}
	from := newMemory(t)
	first := naming(t, "s", eventstore.NoStream(), sayings...) // large contents, and paths as long: 60 MB
	for _, b := range []eventstore.Batch{first, naming(t, "s", eventstore.AtRevision(events/2-1), sayings[0], "small"), naming(t, "t", eventstore.NoStream(), "a")} {
		if _, err := from.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	for name, open := range map[string]func(*testing.T) eventstore.Log{"memory": newMemory, "sqlite": newSQLite} {
		to := &thorough{Log: open(t)}
		wantCopy(t, from, to.Log, mustCopy(t, from, to))
		if to.most > 8<<20 {
			t.Errorf("%s: a batch of 60 MB holds %d bytes", name, to.most)
		}
	}
	lost := lossy{from, text(sayings[events/2-1]).SHA256}
	if copied, err := copyLog(t, lost, newMemory(t)); err != nil || len(copied.Lost) != 1 {
		t.Errorf("a large batch without one of its contents: lost %v, %v", copied.Lost, err)
	}
}

// A reader of the copy finds the contents with their events, as in the original. What no event names comes in the end.
func TestContentsTravelWithTheEventsThatNameThem(t *testing.T) {
	t.Parallel()
	from, to := newMemory(t), &eventstoretest.Faulty{Log: newMemory(t)}
	first := naming(t, "s", eventstore.NoStream(), "a", "b", "a")
	first.Contents = append(first.Contents, text("loose"))
	for _, b := range []eventstore.Batch{first, naming(t, "s", eventstore.AtRevision(2), "b", "c")} {
		if _, err := from.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	wantCopy(t, from, to.Log, mustCopy(t, from, to))
	want := [][]string{{"a", "b"}, {"c"}, {"loose"}}
	for i, b := range to.Tried() {
		var got []string
		for _, c := range b.Contents {
			data, err := c.Read()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(data))
		}
		if !reflect.DeepEqual(got, want[i]) {
			t.Errorf("batch %d brings %v, want %v", i, got, want[i])
		}
	}
}

func TestAContentThatTheSourceLostIsReported(t *testing.T) {
	t.Parallel()
	from, to := newMemory(t), newMemory(t)
	mustAppend(t, from, naming(t, "repository-a", eventstore.NoStream(), "a", "b", "c"))
	hash := text("b").SHA256
	for range 2 {
		copied := mustCopy(t, lossy{from, hash}, to)
		if !reflect.DeepEqual(copied.Lost, []string{hash}) || copied.Contents != 2 {
			t.Errorf("it says %+v, want %s lost", copied, hash)
		}
	}
}

// lossy is a log that does not hold one content any more.
type lossy struct {
	transfer.Source

	hash string
}

func (l lossy) Content(ctx context.Context, hash string) ([]byte, error) {
	if hash == l.hash {
		return nil, eventstore.ErrNotFound
	}
	return l.Source.Content(ctx, hash)
}

func (l lossy) ContentHashes(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for hash, err := range l.Source.ContentHashes(ctx) {
			if hash != l.hash && !yield(hash, err) {
				return
			}
		}
	}
}

func TestATargetWithAnotherHistoryIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(t *testing.T, to eventstore.Log, b eventstore.Batch)
		says  string
	}{
		"another event": {func(t *testing.T, to eventstore.Log, b eventstore.Batch) {
			t.Helper()
			b.Events = eventstoretest.NewBatch("s", b.Expected, "other", 0, len(b.Events)).Events
			mustAppend(t, to, b)
		}, "at its position 1 it has event"},
		"other data": {func(t *testing.T, to eventstore.Log, b eventstore.Batch) {
			t.Helper()
			b.Events[1].Data = []byte(`{"forged":true}`)
			mustAppend(t, to, b)
		}, "with another type or data than at position 2"},
		"another actor": {func(t *testing.T, to eventstore.Log, b eventstore.Batch) {
			t.Helper()
			b.Meta.Actor = "mallory"
			mustAppend(t, to, b)
		}, "with another metadata"},
		"another time": {func(t *testing.T, to eventstore.Log, b eventstore.Batch) {
			t.Helper()
			b.RecordedAt = b.RecordedAt.Add(time.Microsecond)
			mustAppend(t, to, b)
		}, "with another recorded time"},
		"another stream": {func(t *testing.T, to eventstore.Log, b eventstore.Batch) {
			t.Helper()
			b.Stream = "t"
			mustAppend(t, to, b)
		}, "with another place in its stream"},
		"events behind all of them": {func(t *testing.T, to eventstore.Log, b eventstore.Batch) {
			t.Helper()
			mustAppend(t, to, b)
			mustAppend(t, to, eventstoretest.NewBatch("t", eventstore.NoStream(), "other", 0, 1))
		}, "at its position 4 it has event"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, to := newMemory(t), newMemory(t)
			b := eventstoretest.NewBatch("s", eventstore.NoStream(), "w", 0, 3)
			b.RecordedAt = clock()
			mustAppend(t, from, b)
			c.spoil(t, to, b)
			before := recordsOf(t, to)
			_, err := copyLog(t, from, to)
			if !errors.Is(err, transfer.ErrOtherHistory) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error is %v, want ErrOtherHistory and %q", err, c.says)
			}
			if !reflect.DeepEqual(recordsOf(t, to), before) {
				t.Error("something was written")
			}
		})
	}
}

// A finished copy has a life of its own. It is left alone, and a source that went on after it is not mixed into it.
func TestAFinishedCopyIsLeftAlone(t *testing.T) {
	t.Parallel()
	from, to := newMemory(t), newMemory(t)
	writeHistory(t, from, rand.New(rand.NewPCG(5, 5)), 5)
	copied := mustCopy(t, from, to)
	mustAppend(t, to, eventstoretest.NewBatch("repository-new", eventstore.NoStream(), "w", 0, 2))
	if again := mustCopy(t, from, to); !again.Repeated || again.Action != copied.Action {
		t.Errorf("again it says %+v", again)
	}
	mustAppend(t, from, eventstoretest.NewBatch("repository-old", eventstore.NoStream(), "w", 0, 1))
	if _, err := copyLog(t, from, to); !errors.Is(err, transfer.ErrStillWritten) || !strings.Contains(err.Error(), "new, empty log") {
		t.Errorf("error is %v, want ErrStillWritten and what to do", err)
	}
}

// The copy of a copy holds the admin actions of both, and a log may come back to where it was.
func TestACopyCanBeCopiedOnAndBack(t *testing.T) {
	t.Parallel()
	from, to, next := newMemory(t), newMemory(t), newMemory(t)
	writeHistory(t, from, rand.New(rand.NewPCG(6, 6)), 5)
	mustCopy(t, from, to)
	wantCopy(t, to, next, mustCopy(t, to, next))
	mustAppend(t, to, eventstoretest.NewBatch("repository-new", eventstore.NoStream(), "w", 0, 2))
	back := mustCopy(t, to, from)
	wantCopy(t, to, from, back)
	if back.Written != 3 {
		t.Errorf("%d events were written, want the act and two", back.Written)
	}
}

func TestASourceThatIsWrittenToMeanwhileIsNotFinished(t *testing.T) {
	t.Parallel()
	from, to := newMemory(t), &eventstoretest.Faulty{Log: newMemory(t)}
	writeHistory(t, from, rand.New(rand.NewPCG(8, 8)), 3)
	to.Next(eventstoretest.Overtake(from, eventstoretest.NewBatch("repository-c", eventstore.NoStream(), "w", 0, 2)))
	if _, err := copyLog(t, from, to); !errors.Is(err, transfer.ErrStillWritten) {
		t.Fatalf("error is %v, want ErrStillWritten", err)
	}
	wantCopy(t, from, to.Log, mustCopy(t, from, to))
}

func TestATargetThatIsWrittenToMeanwhileIsRefused(t *testing.T) {
	t.Parallel()
	from, to := newMemory(t), &eventstoretest.Faulty{Log: newMemory(t)}
	writeHistory(t, from, rand.New(rand.NewPCG(8, 8)), 3)
	other := eventstoretest.NewBatch("repository-c", eventstore.NoStream(), "w", 0, 2)
	other.RecordedAt = time.Unix(0, 0)
	to.Next(eventstoretest.Overtake(to.Log, other))
	if _, err := copyLog(t, from, to); !errors.Is(err, transfer.ErrOtherHistory) {
		t.Errorf("error is %v, want ErrOtherHistory", err)
	}
}

func TestALogWithHalfABatchIsNotCopied(t *testing.T) {
	t.Parallel()
	for _, at := range []eventstore.Position{1, 2, 4} { // the first, one inside, the end of a batch of four
		whole := newMemory(t)
		mustAppend(t, whole, eventstoretest.NewBatch("repository-a", eventstore.NoStream(), "writer", 0, 4))
		from := without{whole, at}
		if _, err := copyLog(t, from, newMemory(t)); !errors.Is(err, eventstore.ErrCorrupt) || !strings.Contains(err.Error(), "not whole") {
			t.Errorf("without position %d: error is %v, want ErrCorrupt", at, err)
		}
	}
}

// without is a log that has lost the event at a position.
type without struct {
	transfer.Source

	at eventstore.Position
}

func (w without) Head(ctx context.Context) (eventstore.Position, error) {
	var head eventstore.Position
	for r, err := range w.Read(ctx, 0, eventstore.Filter{}) {
		if err != nil {
			return 0, err
		}
		head = r.Position
	}
	return head, nil
}

func (w without) Read(ctx context.Context, after eventstore.Position, f eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		for r, err := range w.Source.Read(ctx, after, f) {
			if (err != nil || r.Position != w.at) && !yield(r, err) {
				return
			}
		}
	}
}

// brokenBehind is a log that cannot be read behind a position, nor asked for its end.
type brokenBehind struct {
	transfer.Source

	at eventstore.Position
}

func (b brokenBehind) Head(context.Context) (eventstore.Position, error) {
	return 0, eventstore.ErrCorrupt
}

func (b brokenBehind) Read(ctx context.Context, after eventstore.Position, f eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		for r, err := range b.Source.Read(ctx, after, f) {
			if err == nil && r.Position > b.at {
				err = eventstore.ErrCorrupt
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// Of a damaged log the copy holds the whole batches before the damage, whatever position is named, and says that there was
// more. Done again it stays as it is.
func TestACopyUntilAPositionHoldsTheWholeBatchesBeforeIt(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		from := newMemory(t)
		writeHistory(t, from, rand.New(rand.NewPCG(seed, 1)), 8)
		all := recordsOf(t, from)
		for until := eventstore.Position(1); int(until) <= len(all); until++ {
			whole := 0
			for i, r := range all[:until] {
				if r.EndsBatch() {
					whole = i + 1
				}
			}
			to := newMemory(t)
			order := transfer.Request{Action: uuid.Must(uuid.NewV7()), Actor: "mover", Reason: "tampered", At: clock(), Until: until}
			copied, err := transfer.Copy(t.Context(), brokenBehind{from, until}, to, order, nil)
			if whole == 0 {
				if !errors.Is(err, eventstore.ErrInvalid) || len(recordsOf(t, to)) > 0 {
					t.Errorf("until %d: %v, want ErrInvalid and an empty log", until, err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("until %d: %v", until, err)
			}
			got := recordsOf(t, to)
			if !reflect.DeepEqual(got[:len(got)-1], all[:whole]) || int(copied.Events) != whole || copied.Until != until || len(copied.Lost) > 0 {
				t.Fatalf("until %d: %d events, want %d; it says %+v", until, len(got)-1, whole, copied)
			}
			action, ok := decoded(t, got[whole]).(domain.AdminActed)
			if !ok || action.Arguments["until"] != fmt.Sprint(until) || action.Arguments["from_head"] != fmt.Sprint(whole) || action.Reason != "tampered" {
				t.Errorf("until %d: the act is %+v", until, action)
			}
			order.Action = uuid.Must(uuid.NewV7())
			if again, err := transfer.Copy(t.Context(), brokenBehind{from, until}, to, order, nil); err != nil || !again.Repeated {
				t.Errorf("until %d, again: %+v, %v", until, again, err)
			}
			if want := len(all); whole < want {
				if _, err := copyLog(t, from, to); !errors.Is(err, transfer.ErrStillWritten) {
					t.Errorf("until %d, then all: %v, want ErrStillWritten", until, err)
				}
			}
		}
	}
}

// The error of a damaged log names the position to copy it until.
func TestADamagedLogReportsItsLastIntactPosition(t *testing.T) {
	t.Parallel()
	from := newMemory(t)
	writeHistory(t, from, rand.New(rand.NewPCG(1, 1)), 8)
	all := recordsOf(t, from)
	for at := range all[:len(all)-1] {
		if !all[at].EndsBatch() {
			continue
		}
		_, err := copyLog(t, brokenOnlyBehind{brokenBehind{from, all[at].Position}}, newMemory(t))
		if want := fmt.Sprintf("ends at position %d", all[at].Position); !errors.Is(err, eventstore.ErrCorrupt) || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want ErrCorrupt and %q", err, want)
		}
	}
}

// brokenOnlyBehind can be asked for its end.
type brokenOnlyBehind struct{ brokenBehind }

func (b brokenOnlyBehind) Head(ctx context.Context) (eventstore.Position, error) {
	return b.Source.Head(ctx)
}

func TestACopyNeedsAnActorAndTwoLogs(t *testing.T) {
	t.Parallel()
	log := newMemory(t)
	if _, err := copyLog(t, log, log); !errors.Is(err, eventstore.ErrInvalid) || !strings.Contains(err.Error(), "both are the log") {
		t.Errorf("to itself: %v, want ErrInvalid", err)
	}
	for _, order := range []transfer.Request{{Action: uuid.Must(uuid.NewV7())}, {Action: uuid.New(), Actor: "a"}, {Actor: "a"}} {
		if _, err := transfer.Copy(t.Context(), log, newMemory(t), order, nil); !errors.Is(err, eventstore.ErrInvalid) {
			t.Errorf("%+v: %v, want ErrInvalid", order, err)
		}
	}
}

func TestACopyReportsProgress(t *testing.T) {
	t.Parallel()
	from, to := newMemory(t), newMemory(t)
	mustAppend(t, from, naming(t, "repository-a", eventstore.NoStream(), "a", "b", "c"))
	last := map[transfer.Step][2]uint64{}
	order := transfer.Request{Action: uuid.Must(uuid.NewV7()), Actor: "mover", At: clock()}
	if _, err := transfer.Copy(t.Context(), from, to, order, func(step transfer.Step, done, all uint64) {
		last[step] = [2]uint64{done, all}
	}); err != nil {
		t.Fatal(err)
	}
	want := map[transfer.Step][2]uint64{
		transfer.Appending: {3, 3}, transfer.Checking: {3, 3}, transfer.Contents: {3, 0},
	}
	if !reflect.DeepEqual(last, want) {
		t.Errorf("told %v, want %v", last, want)
	}
}
