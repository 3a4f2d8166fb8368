package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/pgtest"
)

// await waits until done reports true.
func await(t *testing.T, what string, done func(ctx context.Context) bool) {
	t.Helper()
	ctx := within(t)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: did not happen", what)
		}
	}
}

// The address leads to a standby for a while. Appends fail meanwhile with an error that is worth another try, and succeed
// once it leads to the primary; so do reads, which no standby refuses: they come from the primary again within seconds,
// although the connections to the standby still work.
func TestALogLeavesAReplica(t *testing.T) {
	t.Parallel()
	primary := pgtest.NewCluster(t)
	where := primary.URL("postgres")
	up(t, where)
	standby := primary.Standby(t)
	through := pgtest.NewSwitch(t, primary)
	log := open(t, through.URL(t, where))
	last := mustAppend(t, log, start("s", 1))
	through.To(standby)
	through.Cut()
	await(t, "a standby refuses an append", func(ctx context.Context) bool {
		_, err := log.Append(ctx, after("s", last, 2))
		if !errors.Is(err, eventstore.ErrTransient) {
			t.Fatalf("error is %v, want one that is worth another try", err)
		}
		return through.Met(standby) > 0
	})
	if _, err := log.Head(within(t)); err != nil { // leaves a connection that nothing is wrong with
		t.Fatal(err)
	}
	through.To(primary)
	mustAppend(t, log, after("s", last, 2))

	through.To(standby)
	through.Cut()
	met := through.Met(standby)
	await(t, "a standby is read", func(ctx context.Context) bool {
		_, err := log.Head(ctx)
		return err == nil && through.Met(standby) > met
	})
	through.To(primary)
	met = through.Met(primary)
	await(t, "the primary is read", func(ctx context.Context) bool {
		if _, err := log.Head(ctx); err != nil {
			t.Fatal(err)
		}
		return through.Met(primary) > met
	})
}
