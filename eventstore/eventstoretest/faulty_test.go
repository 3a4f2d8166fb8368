package eventstoretest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/memory"
)

func batch(stream eventstore.StreamID) eventstore.Batch {
	return eventstore.Batch{
		Stream: stream, Expected: eventstore.NoStream(), Meta: eventstore.Meta{Actor: "a", Attempt: 1},
		Events: []eventstore.NewEvent{{ID: uuid.New(), Type: "t.v1", Data: []byte(`{}`)}},
	}
}

func head(t *testing.T, log eventstore.Log) eventstore.Position {
	t.Helper()
	at, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestFaultyFailsOnCueAndThenNoMore(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		fault   func(log eventstore.Log) eventstoretest.Fault
		want    error
		written eventstore.Position // after the faulty append
	}{
		"pass":        {func(eventstore.Log) eventstoretest.Fault { return eventstoretest.Pass() }, nil, 1},
		"fail before": {func(eventstore.Log) eventstoretest.Fault { return eventstoretest.FailBefore(broken) }, broken, 0},
		"lose answer": {func(eventstore.Log) eventstoretest.Fault { return eventstoretest.LoseAnswer(nil) }, eventstore.ErrTransient, 1},
		"conflict":    {func(eventstore.Log) eventstoretest.Fault { return eventstoretest.Conflict() }, eventstore.ErrConflict, 0},
		"overtake": {func(log eventstore.Log) eventstoretest.Fault {
			return eventstoretest.Overtake(log, batch("s"))
		}, eventstore.ErrConflict, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := memory.New(time.Now)
			faulty := &eventstoretest.Faulty{Log: log}
			faulty.Next(test.fault(log))
			if _, err := faulty.Append(t.Context(), batch("s")); !errors.Is(err, test.want) {
				t.Errorf("error is %v, want %v", err, test.want)
			}
			if at := head(t, faulty); at != test.written {
				t.Errorf("head is %d, want %d", at, test.written)
			}
			if _, err := faulty.Append(t.Context(), batch("other")); err != nil {
				t.Errorf("the append after the fault: %v", err)
			}
			if n := len(faulty.Tried()); n != 2 {
				t.Errorf("%d batches tried, want 2", n)
			}
		})
	}
}

func TestLoseAnswerDoesNotHideARefusal(t *testing.T) {
	t.Parallel()
	faulty := &eventstoretest.Faulty{Log: memory.New(time.Now)}
	faulty.Next(eventstoretest.LoseAnswer(nil))
	if _, err := faulty.Append(t.Context(), eventstore.Batch{}); !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("error is %v, want an invalid batch", err)
	}
}

func TestHoldWaitsForItsRelease(t *testing.T) {
	t.Parallel()
	faulty := &eventstoretest.Faulty{Log: memory.New(time.Now)}
	arrived, release, done := make(chan struct{}), make(chan struct{}), make(chan error)
	faulty.Next(eventstoretest.Hold(arrived, release))
	go func() {
		_, err := faulty.Append(t.Context(), batch("s"))
		done <- err
	}()
	<-arrived
	if at := head(t, faulty); at != 0 {
		t.Errorf("head is %d while the append is held", at)
	}
	close(release)
	if err := <-done; err != nil || head(t, faulty) != 1 {
		t.Errorf("the released append: %v, head %d", err, head(t, faulty))
	}

	ctx, cancel := context.WithCancel(t.Context())
	faulty.Next(eventstoretest.Hold(make(chan struct{}), make(chan struct{})))
	cancel()
	if _, err := faulty.Append(ctx, batch("other")); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want a cancelled context", err)
	}
}
