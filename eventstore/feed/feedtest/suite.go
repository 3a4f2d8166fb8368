package feedtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
)

// long is a lease that no test sees expire, short one that it waits for.
const (
	long  = time.Hour
	short = 20 * time.Millisecond
)

// patience bounds what a test waits for.
const patience = time.Minute

// TestCursors checks a store. Each call of open opens the same store for one subtest, which gives tb; calls with different tb open
// different stores. Stores are closed by the suite.
func TestCursors(t *testing.T, open func(tb testing.TB) func() feed.Cursors) { //nolint:tparallel // its caller says whether it is
	t.Helper()
	for name, test := range map[string]func(*testing.T, func() feed.Cursors){
		"a cursor is kept as it was saved":             testSave,
		"what is missing or there twice is refused":    testMissing,
		"invalid arguments are refused":                testInvalid,
		"one holder at a time":                         testHeld,
		"an expired lease is taken over":               testExpired,
		"a removed cursor does not bring tokens back":  testTokens,
		"two holders never save out of order":          testOrder,
		"many that acquire at once get it one by one":  testRace,
		"a cancelled call changes nothing":             testCancelled,
		"a list is in order and names who holds what":  testList,
		"a cursor of one log is not moved for another": testOtherLog,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opened := open(t)
			test(t, func() feed.Cursors {
				store := opened()
				t.Cleanup(func() {
					if err := store.Close(); err != nil {
						t.Error(err)
					}
				})
				return store
			})
		})
	}
}

func newCursor(name string) feed.Cursor { return feed.Cursor{Name: name, LogID: uuid.New()} }

func at(cursor feed.Cursor, position eventstore.Position) feed.Cursor {
	cursor.Position, cursor.EventID = position, uuid.New()
	return cursor
}

func wants(tb testing.TB, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Errorf("error is %v, want %v", err, want)
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func acquire(tb testing.TB, store feed.Cursors, name string, ttl time.Duration) (feed.Lease, feed.Cursor) {
	tb.Helper()
	lease, cursor, err := store.Acquire(tb.Context(), name, "tester", ttl)
	must(tb, err)
	return lease, cursor
}

// takeOver acquires a cursor once its lease has expired.
func takeOver(tb testing.TB, store feed.Cursors, name string) feed.Lease {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	for {
		lease, _, err := store.Acquire(ctx, name, "heir", long)
		if _, held := errors.AsType[*feed.LeaseHeldError](err); !held {
			must(tb, err)
			return lease
		}
		select {
		case <-time.After(short / 4):
		case <-ctx.Done():
			tb.Fatal("the lease never expired")
		}
	}
}

func same(tb testing.TB, got, want feed.Cursor) {
	tb.Helper()
	if got.Name != want.Name || got.LogID != want.LogID || got.Position != want.Position || got.EventID != want.EventID ||
		!bytes.Equal(got.State, want.State) || got.UpdatedAt.IsZero() {
		tb.Errorf("cursor is %+v, want %+v", got, want)
	}
}

func testSave(t *testing.T, open func() feed.Cursors) {
	t.Helper()
	store, other := open(), open()
	cursor := newCursor("relay/a")
	must(t, store.Create(t.Context(), cursor))
	lease, got := acquire(t, store, cursor.Name, long)
	same(t, got, cursor)
	if lease.Cursor != cursor.Name || lease.Holder != "tester" || lease.Token == 0 || lease.Expires.IsZero() {
		t.Errorf("lease is %+v", lease)
	}
	for n, state := range [][]byte{[]byte("x\x00y"), nil, bytes.Repeat([]byte{7}, feed.MaxState)} {
		place := uint64(7*n + 7)
		cursor = at(cursor, eventstore.Position(place))
		cursor.State = state
		must(t, store.Save(t.Context(), lease, cursor))
	}
	must(t, store.Release(t.Context(), lease))
	must(t, store.Release(t.Context(), lease))
	wants(t, store.Save(t.Context(), lease, cursor), feed.ErrLeaseLost)
	_, err := store.Renew(t.Context(), lease, long)
	wants(t, err, feed.ErrLeaseLost)
	again, got := acquire(t, other, cursor.Name, long)
	same(t, got, cursor)
	if again.Token <= lease.Token {
		t.Errorf("token %d after %d", again.Token, lease.Token)
	}
}

func testMissing(t *testing.T, open func() feed.Cursors) {
	t.Helper()
	store, cursor := open(), newCursor("a")
	lease := feed.Lease{Cursor: "a", Holder: "h", Token: 1}
	_, _, err := store.Acquire(t.Context(), "a", "h", long)
	wants(t, err, feed.ErrNoCursor)
	_, err = store.Renew(t.Context(), lease, long)
	wants(t, err, feed.ErrNoCursor)
	wants(t, store.Save(t.Context(), lease, cursor), feed.ErrNoCursor)
	wants(t, store.Remove(t.Context(), "a"), feed.ErrNoCursor)
	must(t, store.Release(t.Context(), lease))
	must(t, store.Create(t.Context(), cursor))
	wants(t, store.Create(t.Context(), at(cursor, 9)), feed.ErrCursorExists)
	_, got := acquire(t, store, "a", long)
	same(t, got, cursor)
}

func testInvalid(t *testing.T, open func() feed.Cursors) {
	t.Helper()
	store, good := open(), newCursor("a")
	large := good
	large.State = make([]byte, feed.MaxState+1)
	for _, bad := range []feed.Cursor{
		{},
		newCursor("-a"), newCursor("a b"),
		{Name: "a"},
		large,
		{Name: "a", LogID: good.LogID, Position: 1},
		{Name: "a", LogID: good.LogID, EventID: good.LogID},
		at(good, 1<<63),
	} {
		wants(t, store.Create(t.Context(), bad), eventstore.ErrInvalid)
	}
	must(t, store.Create(t.Context(), good))
	for holder, ttl := range map[string]time.Duration{"": long, "a\nb": long, "\xff": long, "none": 0, "ever": feed.MaxTTL + 1} {
		_, _, err := store.Acquire(t.Context(), "a", holder, ttl)
		wants(t, err, eventstore.ErrInvalid)
	}
	lease, _ := acquire(t, store, "a", long)
	wants(t, store.Save(t.Context(), lease, newCursor("b")), eventstore.ErrInvalid)
	wants(t, store.Save(t.Context(), lease, large), eventstore.ErrInvalid)
}

func testHeld(t *testing.T, open func() feed.Cursors) {
	t.Helper()
	store, other := open(), open()
	must(t, store.Create(t.Context(), newCursor("a")))
	lease, _ := acquire(t, store, "a", long)
	var held *feed.LeaseHeldError
	_, _, err := other.Acquire(t.Context(), "a", "tester", long)
	if !errors.As(err, &held) || held.Holder != "tester" || held.Cursor != "a" || !held.Expires.Equal(lease.Expires) {
		t.Errorf("error is %v, want one that names the holder until %s", err, lease.Expires)
	}
	if err := other.Remove(t.Context(), "a"); !errors.As(err, &held) {
		t.Errorf("removal: %v", err)
	}
	must(t, store.Release(t.Context(), lease))
	must(t, other.Remove(t.Context(), "a"))
}

func testExpired(t *testing.T, open func() feed.Cursors) {
	t.Helper()
	store, other := open(), open()
	cursor := newCursor("a")
	must(t, store.Create(t.Context(), cursor))
	lost, _ := acquire(t, store, "a", short)
	heir := takeOver(t, other, "a")
	wants(t, store.Save(t.Context(), lost, at(cursor, 5)), feed.ErrLeaseLost)
	_, err := store.Renew(t.Context(), lost, long)
	wants(t, err, feed.ErrLeaseLost)
	must(t, store.Release(t.Context(), lost)) // frees nothing
	must(t, other.Save(t.Context(), heir, at(cursor, 6)))
	renewed, err := other.Renew(t.Context(), heir, 2*long)
	must(t, err)
	if renewed.Token != heir.Token || !renewed.Expires.After(heir.Expires) {
		t.Errorf("%+v was renewed as %+v", heir, renewed)
	}
}

func testTokens(t *testing.T, open func() feed.Cursors) {
	t.Helper()
	store, cursor := open(), newCursor("a")
	must(t, store.Create(t.Context(), cursor))
	lease, _ := acquire(t, store, "a", long)
	must(t, store.Release(t.Context(), lease))
	must(t, store.Remove(t.Context(), "a"))
	must(t, store.Create(t.Context(), cursor))
	wants(t, store.Save(t.Context(), lease, cursor), feed.ErrLeaseLost)
	again, _ := acquire(t, store, "a", long)
	if again.Token <= lease.Token {
		t.Errorf("token %d after %d", again.Token, lease.Token)
	}
	wants(t, store.Save(t.Context(), lease, cursor), feed.ErrLeaseLost)
}

func testOtherLog(t *testing.T, open func() feed.Cursors) {
	t.Helper()
	store, cursor := open(), newCursor("a")
	must(t, store.Create(t.Context(), cursor))
	lease, _ := acquire(t, store, "a", long)
	wants(t, store.Save(t.Context(), lease, newCursor("a")), feed.ErrOtherLog)
}

func testCancelled(t *testing.T, open func() feed.Cursors) {
	t.Helper()
	store, cursor := open(), newCursor("a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wants(t, store.Create(ctx, cursor), context.Canceled)
	must(t, store.Create(t.Context(), cursor))
	_, _, err := store.Acquire(ctx, "a", "h", long)
	wants(t, err, context.Canceled)
	acquire(t, store, "a", long)
}

func testList(t *testing.T, open func() feed.Cursors) {
	t.Helper()
	store := open()
	for _, name := range []string{"b", "B", "a/1"} {
		must(t, store.Create(t.Context(), newCursor(name)))
	}
	lease, _ := acquire(t, store, "b", long)
	list, err := store.List(t.Context())
	must(t, err)
	if len(list) != 3 || list[0].Name != "B" || list[1].Name != "a/1" || list[2].Name != "b" {
		t.Fatalf("list is %+v", list)
	}
	if list[0].Holder != "" || !list[0].Expires.IsZero() || list[2].Holder != "tester" || !list[2].Expires.Equal(lease.Expires) {
		t.Errorf("list is %+v", list)
	}
}

// testOrder lets two consumers take, lose and use leases in any order. An accepted save has the largest token that was ever given.
func testOrder(t *testing.T, open func() feed.Cursors) {
	t.Helper()
	stores := []feed.Cursors{open(), open()}
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		cursor := newCursor(fmt.Sprintf("run/%d", run))
		must(t, stores[0].Create(t.Context(), cursor))
		leases, newest, free := make([]feed.Lease, 2), uint64(0), true
		for n := range rapid.IntRange(1, 8).Draw(rt, "steps") {
			who := rapid.IntRange(0, 1).Draw(rt, "who")
			switch rapid.IntRange(0, 2).Draw(rt, "what") {
			case 0:
				lease, got, err := stores[who].Acquire(t.Context(), cursor.Name, "h", long)
				if (err == nil) != free {
					rt.Fatalf("acquired: %v, while free is %v", err, free)
				}
				if err == nil {
					same(t, got, cursor)
					if lease.Token <= newest {
						rt.Fatalf("token %d after %d", lease.Token, newest)
					}
					leases[who], newest, free = lease, lease.Token, false
				}
			case 1:
				must(t, stores[who].Release(t.Context(), leases[who]))
				free = free || leases[who].Token == newest
			case 2:
				place := uint64(n + 1)
				next, lease := at(cursor, eventstore.Position(place)), leases[who]
				lease.Cursor = cursor.Name
				err := stores[who].Save(t.Context(), lease, next)
				if may := !free && lease.Token == newest; (err == nil) != may {
					rt.Fatalf("save with token %d of %d, free %v: %v", lease.Token, newest, free, err)
				}
				if err == nil {
					cursor = next
				}
			}
		}
	})
}

// testRace lets consumers count in the state of a cursor. No count is lost.
func testRace(t *testing.T, open func() feed.Cursors) {
	t.Helper()
	const consumers, rounds = 4, 5
	first := open()
	must(t, first.Create(t.Context(), newCursor("a")))
	var all sync.WaitGroup
	for range consumers {
		store := open()
		all.Go(func() {
			for range rounds {
				if err := count(t.Context(), store); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	_, cursor := acquire(t, first, "a", long)
	if len(cursor.State) != consumers*rounds {
		t.Errorf("%d counts are left of %d", len(cursor.State), consumers*rounds)
	}
}

func count(ctx context.Context, store feed.Cursors) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		lease, cursor, err := store.Acquire(ctx, "a", "counter", long)
		if _, held := errors.AsType[*feed.LeaseHeldError](err); held {
			select {
			case <-time.After(time.Millisecond):
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err != nil {
			return err
		}
		cursor.State = append(cursor.State, 'x')
		if err := store.Save(ctx, lease, cursor); err != nil {
			return err
		}
		return store.Release(ctx, lease)
	}
}
