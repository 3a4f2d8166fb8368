package databasetest

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

// playEvents is how many events the log of a child process holds: more than it will get to.
const playEvents = 400 * CountedBatch

// play is what a child process does with the tables at path. It writes a line for each step.
func (a Adapter) play(part, path string) error {
	ctx := context.Background()
	switch part {
	case "reader":
		return a.read(ctx, path, os.Stdout, os.Stdin)
	case "sleep":
		return a.sleep(path)
	}
	db, err := a.Open(ctx, path, nil)
	if err != nil {
		return err
	}
	c := run.DefaultConfig(time.Now, DecodeCounted, fmt.Sprintf("child %d", os.Getpid()))
	c.PageEvents, c.LeaseTTL, c.Poll = 1, shortTTL, time.Millisecond
	c.Observe = func(p run.Progress) { fmt.Fprintln(os.Stdout, p.Position) }
	runner, err := run.NewRunner(NewCounted(playEvents), db, []projections.Projection{Inventory()}, c)
	if err != nil {
		return err
	}
	if part == "rebuild" {
		_, err := runner.Rebuild(ctx, "inventory", run.RebuildOptions{})
		for errors.Is(err, projections.ErrLeaseHeld) && pace(ctx) == nil { // by a child that was killed
			_, err = runner.Rebuild(ctx, "inventory", run.RebuildOptions{})
		}
		return errors.Join(err, db.Close())
	}
	return errors.Join(runner.CatchUp(ctx, 0), db.Close())
}

// shortTTL lets a test take over soon from a child that was killed.
const shortTTL = 150 * time.Millisecond

// child starts this test binary in a part, and returns a scanner of its lines.
func (a Adapter) child(t *testing.T, part, path string) (*exec.Cmd, *bufio.Scanner, io.WriteCloser) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), partEnv+"="+part, addressEnv+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	in, err := cmd.StdinPipe()
	must(t, err)
	must(t, cmd.Start())
	return cmd, bufio.NewScanner(out), in
}

// killAfter kills a child at its n-th step, wherever it is on the way to the next.
func (a Adapter) killAfter(t *testing.T, part, path string, n int) {
	t.Helper()
	cmd, steps, _ := a.child(t, part, path)
	for i := 0; i < n && steps.Scan(); i++ {
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait() // killed, or done before
}

func (a Adapter) testAKilledProcessLosesAndDoublesNothing(t *testing.T) { // I5, I7
	path := a.New(t)
	log := NewCounted(playEvents)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	db := a.open(t, path)
	// The live tables must exist before a child fills them, or every life would begin with a new build.
	runner := projectionstest.Runner(t, NewCounted(0), db, Inventory(), Counting, taking)
	catchUp(t, runner)
	for life := range 8 {
		part := []string{"project", "rebuild"}[life%2]
		a.killAfter(t, part, path, 1+random.IntN(25))
		whole(t, db, log)
	}
	last := projectionstest.Runner(t, log, db, Inventory(), Counting, taking)
	catchUp(t, last)
	_, err := last.Rebuild(t.Context(), "inventory", run.RebuildOptions{})
	for tries := 0; errors.Is(err, projections.ErrLeaseHeld) && tries < 40; tries++ {
		// A server may carry out what a child had sent before it was killed: a renewal of its lease, which then lives a little longer.
		<-time.After(shortTTL)
		_, err = last.Rebuild(t.Context(), "inventory", run.RebuildOptions{})
	}
	must(t, err)
	whole(t, db, log)
	builds, err := db.Builds(t.Context(), "inventory")
	must(t, err)
	for _, b := range builds {
		if b.State != projections.BuildActive && b.State != projections.BuildRetired {
			t.Errorf("build %d is %s: a ruin was left", b.Number, b.State)
		}
	}
}

// taking lets a runner take over what a killed child has leased.
func taking(c *run.Config) { c.LeaseTTL = shortTTL }

// whole fails the test unless the tables are exactly what the log says up to their checkpoint.
func whole(t *testing.T, db projections.Database, log *Counted) {
	t.Helper()
	v, err := inspect.Verify(t.Context(), projectionstest.Runner(t, log, db, Inventory(), Counting), "inventory", projectionstest.Open(t))
	must(t, err)
	for _, d := range v.Differences {
		t.Errorf("at position %d: %s", v.Checkpoint.Position, d)
	}
	if rows := v.Tables[2].Rows; rows != int64(v.Checkpoint.Position) {
		t.Errorf("%d rows of moves at position %d", rows, v.Checkpoint.Position)
	}
}

// read polls the views as fast as it can until its input ends, and fails at the first sight of empty, partial or
// backward-going tables. It writes a line once it has started.
func (a Adapter) read(ctx context.Context, path string, out io.Writer, in io.Reader) error {
	db, err := a.OpenReader(ctx, path)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	var w watcher
	for n := 0; ctx.Err() == nil; n++ {
		if err := w.look(ctx, db); err != nil && ctx.Err() == nil {
			return errors.Join(err, db.Close())
		}
		if n == 1 {
			fmt.Fprintln(out, "reading")
		}
	}
	return db.Close()
}

// watcher remembers what it has seen.
type watcher struct{ last int64 }

// look checks that the tables are complete up to a position that never falls.
func (w *watcher) look(ctx context.Context, db *sql.DB) error {
	var rows, last, boxes, items, orphans int64
	err := db.QueryRowContext(ctx, `
SELECT (SELECT count(*) FROM moves), (SELECT coalesce(max(position), 0) FROM moves), (SELECT count(*) FROM boxes), (SELECT count(*) FROM items),
       (SELECT count(*) FROM items WHERE box NOT IN (SELECT number FROM boxes))`).Scan(&rows, &last, &boxes, &items, &orphans)
	switch {
	case err != nil:
		return err
	case rows != last || last%CountedBatch != 0 || boxes != items || orphans != 0:
		return fmt.Errorf("partial tables: %d moves up to position %d, %d boxes, %d items, %d orphans", rows, last, boxes, items, orphans)
	case last < w.last || rows == 0:
		return fmt.Errorf("tables went from position %d to %d", w.last, last)
	}
	w.last = last
	return nil
}

func (a Adapter) testReadersSeeWholeTablesDuringRebuilds(t *testing.T) { // I7
	path := a.New(t)
	log := NewCounted(100 * CountedBatch)
	db := a.open(t, path)
	runner := projectionstest.Runner(t, log, db, Inventory(), Counting, projectionstest.PageEvents(40))
	catchUp(t, runner)

	other, lines, stop := a.child(t, "reader", path)
	if !lines.Scan() {
		t.Fatal("the reader in another process did not begin")
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan error, 2)
	go func() { seen <- a.readHere(ctx, path) }()
	go func() { seen <- runner.Run(ctx) }()
	growing := make(chan struct{})
	go func() { // scans go on meanwhile
		defer close(growing)
		for range 600 {
			log.Grow()
			if pace(ctx) != nil {
				return
			}
		}
	}()
	for range 5 {
		report, err := runner.Rebuild(t.Context(), "inventory", run.RebuildOptions{})
		must(t, err)
		if report.Checkpoint.Position < 100*CountedBatch || report.Digests[2].Rows != int64(report.Checkpoint.Position) {
			t.Errorf("report is %+v", report)
		}
	}
	cancel()
	<-growing
	for range 2 {
		if err := <-seen; err != nil {
			t.Errorf("here: %v", err)
		}
	}
	must(t, stop.Close())
	if err := other.Wait(); err != nil {
		t.Errorf("in another process: %v", err)
	}
	catchUp(t, runner)
	whole(t, db, log)
}

// readHere is read in this process.
func (a Adapter) readHere(ctx context.Context, path string) error {
	r, w := io.Pipe()
	stop := context.AfterFunc(ctx, func() { _ = w.Close() })
	defer stop()
	return a.read(context.WithoutCancel(ctx), path, io.Discard, r)
}

// pace lets others work between two steps of a busy goroutine.
func pace(ctx context.Context) error {
	select {
	case <-time.After(time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (a Adapter) testTwoProcessesWriteOneBuildInTurn(t *testing.T) { // I8
	path := a.New(t)
	catchUp(t, projectionstest.Runner(t, NewCounted(0), a.open(t, path), Inventory(), Counting))
	first, _, _ := a.child(t, "project", path)
	second, _, _ := a.child(t, "project", path)
	for _, c := range []*exec.Cmd{first, second} {
		if err := c.Wait(); err != nil {
			t.Errorf("child: %v", err)
		}
	}
	whole(t, a.open(t, path), NewCounted(playEvents))
}

func (a Adapter) testOnlyOneProcessRebuilds(t *testing.T) { // I8
	path := a.New(t)
	db := a.open(t, path)
	log := NewCounted(20 * CountedBatch)
	catchUp(t, projectionstest.Runner(t, log, db, Inventory(), Counting))
	held := make(chan struct{})
	release := make(chan struct{})
	slow := &Spy{Database: db, Before: func(n int) error {
		if n == 1 {
			close(held)
			<-release
		}
		return nil
	}}
	done := make(chan error)
	go func() {
		_, err := projectionstest.Runner(t, log, slow, Inventory(), Counting).Rebuild(t.Context(), "inventory", run.RebuildOptions{})
		done <- err
	}()
	<-held
	_, err := projectionstest.Runner(t, log, a.open(t, path), Inventory(), Counting).Rebuild(t.Context(), "inventory", run.RebuildOptions{})
	var other *projections.LeaseHeldError
	if !errors.As(err, &other) || other.Number != 2 || other.Holder != t.Name() {
		t.Errorf("error is %v, want one that names the holder of build 2", err)
	}
	close(release)
	must(t, <-done)
	at, err := inspect.Position(t.Context(), projectionstest.Runner(t, log, db, Inventory(), Counting).Pipeline)
	must(t, err)
	if at != eventstore.Position(20*CountedBatch) {
		t.Errorf("position is %d", at)
	}
}
