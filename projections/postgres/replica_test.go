package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/projections/databasetest"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/postgres"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

// await waits until done reports true.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx := soon(t)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: did not happen", what)
		}
	}
}

// The address leads to a standby for a while. Whoever met it there is live again once the address leads to the primary,
// although its connections to the standby still work.
func TestRunLeavesAReplica(t *testing.T) {
	t.Parallel()
	primary := pgtest.NewCluster(t)
	must(t, postgres.Up(soon(t), primary.URL("postgres"), postgres.Namespace{}))
	standby := primary.Standby(t)
	through := pgtest.NewSwitch(t, primary)
	log := databasetest.NewCounted(databasetest.CountedBatch)
	db := open(t, through.URL(t, primary.URL("postgres")))
	runner := projectionstest.Runner(t, log, db, databasetest.Inventory(), databasetest.Counting, func(c *run.Config) {
		c.FirstWait, c.LongestWait, c.LeaseTTL = 20*time.Millisecond, 200*time.Millisecond, time.Second
	})
	ctx, stop := context.WithCancel(soon(t))
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- runner.Run(ctx) }()
	live := func() bool {
		all, err := inspect.Statuses(ctx, runner.Pipeline, inspect.StatusOptions{})
		return err == nil && all[0].State == inspect.StateLive
	}
	await(t, "the tables are live", live)
	for range 2 {
		met := through.Met(standby)
		through.To(standby)
		through.Cut()
		log.Grow()
		await(t, "the standby is met", func() bool { return through.Met(standby) > met+3 })
		through.To(primary)
		await(t, "the tables are live again", live)
	}
	stop()
	must(t, <-ended)
	checkWhole(t, runner, db)
}
