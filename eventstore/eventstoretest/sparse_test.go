package eventstoretest_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/eventstore/transfer"
	"github.com/gxpledger/gxpledger/eventstore/verify"
)

// TestNoPositionIsMadeUp holds the suite, Copy and Verify to what they ask of others (I19).
func TestNoPositionIsMadeUp(t *testing.T) {
	t.Parallel()
	sparse := func(t *testing.T) eventstore.Log {
		t.Helper()
		return eventstoretest.NewSparse(t, memory.New(time.Now), 137)
	}
	t.Run("suite", func(t *testing.T) {
		t.Parallel()
		eventstoretest.Run(t, eventstore.Features{Name: "memory", OrderedTimes: true, UniqueIDs: true}, sparse)
	})
	t.Run("copy", func(t *testing.T) {
		t.Parallel()
		from, to := sparse(t), eventstoretest.NewSparse(t, memory.New(time.Now), 1000)
		order := transfer.Request{Action: uuid.Must(uuid.NewV7()), Actor: "a", Checkpoints: []eventstore.Position{1, 5000, 1 << 40}}
		for i := range 3 {
			appendTo(t, from, i)
		}
		for range 2 {
			copied, err := transfer.Copy(t.Context(), from, to, order, nil)
			if err != nil || copied.Events != 9 || copied.Checkpoints[0].To != 0 || copied.Checkpoints[1].To != 10096 || copied.Checkpoints[2].To != 13096 {
				t.Fatalf("copied %+v, %v", copied, err)
			}
		}
		if _, err := verify.Run(t.Context(), to, verify.Watch{Fault: func(eventstore.Fault) {}}); err != nil {
			t.Error(err)
		}
	})
}

func appendTo(t *testing.T, log eventstore.Log, n int) {
	t.Helper()
	stream := eventstore.StreamID([]string{"a", "b", "c"}[n])
	if _, err := log.Append(t.Context(), eventstoretest.NewBatch(stream, eventstore.NoStream(), "w", n, 3)); err != nil {
		t.Fatal(err)
	}
}

// TestAPositionThatWasNeverGivenIsFound breaks the rule on purpose.
func TestAPositionThatWasNeverGivenIsFound(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(context.Context, eventstore.Log, eventstore.Position){
		"At": func(ctx context.Context, log eventstore.Log, at eventstore.Position) { _, _ = log.At(ctx, at) },
		"Read": func(ctx context.Context, log eventstore.Log, at eventstore.Position) {
			log.Read(ctx, at, eventstore.Filter{})
		},
		"ReadBackwards": func(ctx context.Context, log eventstore.Log, at eventstore.Position) {
			log.ReadBackwards(ctx, at, eventstore.Filter{})
		},
		"Subscribe": func(ctx context.Context, log eventstore.Log, at eventstore.Position) {
			log.Subscribe(ctx, at, eventstore.Filter{})
		},
	} {
		seen := &failures{TB: t}
		log := eventstoretest.NewSparse(seen, memory.New(time.Now), 137)
		appendTo(t, log, 0)
		head, err := log.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if ask(t.Context(), log, head); seen.n != 0 {
			t.Errorf("%s: the head is taken for a position that was never given", name)
		}
		if ask(t.Context(), log, head-1); seen.n != 1 {
			t.Errorf("%s: the position before the head is not found", name)
		}
	}
}

// failures counts what a test was told to fail for.
type failures struct {
	testing.TB

	n int
}

func (f *failures) Errorf(string, ...any) { f.n++ }
