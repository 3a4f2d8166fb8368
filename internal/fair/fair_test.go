package fair_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gxpledger/gxpledger/internal/fair"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// line is a budget of 1 that is taken, and those who wait for it.
type line struct {
	*fair.Budget
	got     chan string
	waiting sync.WaitGroup
}

var holder = fair.Party{Host: "holder"}

func newLine(t *testing.T, waiters int) *line {
	t.Helper()
	l := &line{Budget: fair.NewBudget(1, 1, waiters), got: make(chan string)}
	if err := l.Take(t.Context(), holder, 1); err != nil {
		t.Fatal(err)
	}
	return l
}

// join lets one more wait, whose name is host or host/user.
func (l *line) join(t *testing.T, ctx context.Context, name string) { //nolint:revive // the test comes first
	t.Helper()
	host, user, _ := strings.Cut(name, "/")
	p, before := fair.Party{Host: host, User: user}, l.Waiting()
	l.waiting.Go(func() {
		if err := l.Take(ctx, p, 1); err == nil {
			l.got <- name
			l.GiveBack(p, 1)
		}
	})
	until(t, func() bool { return l.Waiting() > before })
}

func until(t *testing.T, is func() bool) {
	t.Helper()
	pause := time.NewTicker(time.Millisecond)
	defer pause.Stop()
	for !is() {
		select {
		case <-pause.C:
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

func TestHostsTakeTurnsAndTheirUsersWithinThem(t *testing.T) {
	t.Parallel()
	l := newLine(t, 0)
	for _, name := range []string{"a/x", "a/x", "a/x", "a/y", "b", "b", "c"} {
		l.join(t, t.Context(), name)
	}
	if l.TryTake(fair.Party{Host: "d"}, 1) || !l.IsShort() {
		t.Error("who comes late is served first")
	}
	l.GiveBack(holder, 1)
	var order []string
	for range 7 {
		order = append(order, <-l.got)
	}
	l.waiting.Wait()
	if want := []string{"a/x", "b", "c", "a/y", "b", "a/x", "a/x"}; !slices.Equal(order, want) {
		t.Errorf("served in the order %v, want %v", order, want)
	}
	if l.Free() != 1 || l.IsShort() {
		t.Errorf("%d is free at the end", l.Free())
	}
}

func TestWhoHasGoneIsPassedOver(t *testing.T) {
	t.Parallel()
	l := newLine(t, 0)
	ctx, cancel := context.WithCancel(t.Context())
	l.join(t, ctx, "a")
	l.join(t, t.Context(), "b")
	cancel()
	until(t, func() bool { return l.Waiting() == 1 })
	l.GiveBack(holder, 1)
	if got := <-l.got; got != "b" {
		t.Errorf("%s is served", got)
	}
	l.waiting.Wait()
	if err := l.Take(ctx, holder, 1); !errors.Is(err, context.Canceled) || l.Free() != 1 {
		t.Errorf("who has gone before: %v, and %d is free", err, l.Free())
	}
}

func TestWhoWaitsTooOftenIsRefused(t *testing.T) {
	t.Parallel()
	l := newLine(t, 1)
	l.join(t, t.Context(), "a/x")
	if err := l.Take(t.Context(), fair.Party{Host: "a", User: "x"}, 1); !errors.Is(err, fair.ErrTooManyWait) {
		t.Errorf("one more of a user: %v", err)
	}
	l.join(t, t.Context(), "a/y")
	l.GiveBack(holder, 1)
	<-l.got
	<-l.got
	l.waiting.Wait()
}

// A party that holds as much as it may waits alone: what there is goes to others.
func TestAPartyLeavesSomeToOthers(t *testing.T) {
	t.Parallel()
	b, a := fair.NewBudget(10, 6, 0), fair.Party{Host: "a"}
	if !b.TryTake(a, 4) || b.TryTake(a, 4) {
		t.Fatal("a party holds 4 of the 6 that it may")
	}
	done := make(chan error, 1)
	go func() { done <- b.Take(t.Context(), a, 4) }()
	until(t, b.IsShort)
	if err := b.Take(t.Context(), fair.Party{Host: "b"}, 6); err != nil { // more than a may hold, and all that is left
		t.Fatal(err)
	}
	b.Charge(1) // which is not there
	b.GiveBack(a, 4)
	if b.Free() != 3 {
		t.Errorf("%d is free, and somebody waits for 4", b.Free())
	}
	b.Charge(-1)
	if err := <-done; err != nil || b.Free() != 0 {
		t.Errorf("%v, and %d is free", err, b.Free())
	}
}

// Who waits makes others give back what they do not need.
func TestWhoWaitsIsTold(t *testing.T) {
	t.Parallel()
	b := fair.NewBudget(2, 2, 0)
	wanted := 0
	b.Wanted = func() {
		wanted++
		b.Charge(-1)
	}
	b.Charge(1)
	for want := range 2 { // the second one waits
		if err := b.Take(t.Context(), fair.Party{}, 1); err != nil || wanted != want {
			t.Errorf("%v, told %d times, want %d", err, wanted, want)
		}
	}
}

// What is given to one who has gone just then is not lost.
func TestNothingIsLostToThoseWhoGo(t *testing.T) {
	t.Parallel()
	b, p := fair.NewBudget(1, 1, 0), fair.Party{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				ctx, cancel := context.WithCancel(t.Context())
				go cancel()
				if b.Take(ctx, p, 1) == nil {
					b.GiveBack(p, 1)
				}
			}
		})
	}
	all.Wait()
	if b.Free() != 1 || b.IsShort() {
		t.Errorf("%d is free", b.Free())
	}
}
