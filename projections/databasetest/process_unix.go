//go:build !windows

package databasetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

// sleep is what a child process does that stops in the middle of a rebuild, and finds out what happened meanwhile.
func (a Adapter) sleep(path string) error {
	ctx := context.Background()
	db, err := a.Open(ctx, path, nil)
	if err != nil {
		return err
	}
	c := run.DefaultConfig(time.Now, DecodeCounted, "sleeper")
	c.PageEvents, c.LeaseTTL = 1, 2*time.Second // not to be renewed, and so in the middle of a write, when it stops
	woken := make(chan os.Signal, 1)
	signal.Notify(woken, syscall.SIGCONT)
	pages := 0
	c.Observe = func(run.Progress) {
		if pages++; pages == 5 {
			fmt.Fprintln(os.Stdout, "stopping")
			_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
			<-woken
		}
	}
	runner, err := run.NewRunner(NewCounted(playEvents), db, []projections.Projection{Inventory()}, c)
	if err != nil {
		return err
	}
	_, err = runner.Rebuild(ctx, "inventory", run.RebuildOptions{})
	fmt.Fprintln(os.Stdout, errors.Is(err, projections.ErrLeaseLost) && pages == 5)
	return db.Close()
}

// A process that was stopped while it held the lease wakes up after another took its work over: the token of its lease
// proves to the database that it is not the writer any more.
func (a Adapter) testAStoppedProcessDoesNotWriteWhenItWakesUp(t *testing.T) { // I8
	path := a.New(t)
	log := NewCounted(playEvents)
	db := a.open(t, path)
	runner := projectionstest.Runner(t, log, db, Inventory(), Counting, taking)
	catchUp(t, runner)
	sleeper, says, _ := a.child(t, "sleep", path)
	if !says.Scan() || says.Text() != "stopping" {
		t.Fatalf("the child says %q", says.Text())
	}
	var report run.Report
	eventually(t, "its lease runs out", func() bool {
		var err error
		report, err = runner.Rebuild(t.Context(), "inventory", run.RebuildOptions{})
		if errors.Is(err, projections.ErrLeaseHeld) {
			return false
		}
		must(t, err)
		return true
	})
	if report.Number != 2 || report.From != 5*CountedBatch {
		t.Errorf("report is %+v, want that the sleeper's build was taken over from position %d", report, 5*CountedBatch)
	}
	must(t, sleeper.Process.Signal(syscall.SIGCONT))
	if !says.Scan() || says.Text() != "true" {
		t.Errorf("the child says %q, want that it lost its lease and wrote no page more", says.Text())
	}
	must(t, sleeper.Wait())
	whole(t, db, log)
}
