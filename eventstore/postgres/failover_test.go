package postgres_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore/pgtest"
)

// The primary is killed and its standby promoted while sixteen writers append, through an address that names both. The
// primary waits for the standby, so that what was acknowledged is on both: it is there once and whole afterwards, where it
// was reported to be, and a subscription continues as if nothing had happened.
func TestAppendsSurviveAFailover(t *testing.T) {
	t.Parallel()
	const writers = 16
	primary := pgtest.NewCluster(t)
	standby := primary.Standby(t)
	where := pgtest.URLOf("postgres", primary, standby)
	up(t, where)
	log := open(t, where)
	message := &promised{kept: make(chan struct{})}
	ctx, stop := context.WithCancel(within(t))
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() { writeUntil(ctx, t, log, fmt.Sprint(w), message) })
	}
	heard := follow(ctx, t, log)
	message.await(ctx, t, 4*writers)
	primary.Kill()
	before := message.acknowledged()
	standby.Promote(t)
	message.await(ctx, t, 4*writers)
	heard.await(ctx, t, len(readAll(t, log)))
	stop()
	running.Wait()
	if n := message.check(t, open(t, standby.URL("postgres"))); n < before+3*writers || before < 4*writers {
		t.Errorf("%d batches were acknowledged, %d of them before the failover", n, before)
	}
	heard.check(t)
}
