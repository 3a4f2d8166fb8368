package projections_test

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
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/sqlite"
)

// playEvents is how many events the log of a child process holds: more than it will get to.
const playEvents = 400 * countedBatch

// play is what a child process does with the tables at path. It writes a line for each step.
func play(part, path string) error {
	ctx := context.Background()
	switch part {
	case "reader":
		return read(ctx, path, os.Stdout, os.Stdin)
	case "sleep":
		return sleep(path)
	}
	db, err := sqlite.Open(ctx, path, sqlite.Options{Now: time.Now})
	if err != nil {
		return err
	}
	c := projections.DefaultConfig(time.Now, decodeCounted, fmt.Sprintf("child %d", os.Getpid()))
	c.PageEvents, c.LeaseTTL, c.Poll = 1, shortTTL, time.Millisecond
	c.Observe = func(p projections.Progress) { fmt.Fprintln(os.Stdout, p.Position) }
	runner, err := projections.NewRunner(newCounted(playEvents), db, []projections.Projection{shelf()}, c)
	if err != nil {
		return err
	}
	if part == "rebuild" {
		_, err := runner.Rebuild(ctx, "shelf", projections.RebuildOptions{})
		for errors.Is(err, projections.ErrLeaseHeld) && pace(ctx) == nil { // by a child that was killed
			_, err = runner.Rebuild(ctx, "shelf", projections.RebuildOptions{})
		}
		return errors.Join(err, db.Close())
	}
	return errors.Join(runner.CatchUp(ctx, 0), db.Close())
}

// shortTTL lets a test take over soon from a child that was killed.
const shortTTL = 150 * time.Millisecond

// child starts this test binary in a part, and returns a scanner of its lines.
func child(t *testing.T, part, path string) (*exec.Cmd, *bufio.Scanner, io.WriteCloser) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "GXPLEDGER_TEST_PART="+part, "GXPLEDGER_TEST_TABLES="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	in, err := cmd.StdinPipe()
	must(t, err)
	must(t, cmd.Start())
	return cmd, bufio.NewScanner(out), in
}

// killAfter kills a child at its n-th step, wherever it is on the way to the next.
func killAfter(t *testing.T, part, path string, n int) {
	t.Helper()
	cmd, steps, _ := child(t, part, path)
	for i := 0; i < n && steps.Scan(); i++ {
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait() // killed, or done before
}

func TestAKilledProcessLosesAndDoublesNothing(t *testing.T) { // I5, I7
	t.Parallel()
	path := file(t)
	log := newCounted(playEvents)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	db := open(t, path)
	// The live tables must stand before a child fills them, or every life would begin with a new build.
	runner := projectionstest.Runner(t, newCounted(0), db, shelf(), counting, taking)
	catchUp(t, runner)
	for life := range 15 {
		part := []string{"project", "rebuild"}[life%2]
		killAfter(t, part, path, 1+random.IntN(25))
		whole(t, db, log)
	}
	last := projectionstest.Runner(t, log, db, shelf(), counting, taking)
	catchUp(t, last)
	_, err := last.Rebuild(t.Context(), "shelf", projections.RebuildOptions{})
	must(t, err)
	whole(t, db, log)
	builds, err := db.Builds(t.Context(), "shelf")
	must(t, err)
	for _, b := range builds {
		if b.State != projections.BuildActive && b.State != projections.BuildRetired {
			t.Errorf("build %d is %s: a ruin was left", b.Number, b.State)
		}
	}
}

// taking lets a runner take over what a killed child has leased.
func taking(c *projections.Config) { c.LeaseTTL = shortTTL }

// whole fails the test unless the tables are exactly what the log says up to their checkpoint.
func whole(t *testing.T, db *sqlite.DB, log *counted) {
	t.Helper()
	v, err := projectionstest.Runner(t, log, db, shelf(), counting).Verify(t.Context(), "shelf", projectionstest.Open(t))
	must(t, err)
	for _, d := range v.Differences {
		t.Errorf("at position %d: %s", v.Checkpoint.Position, d)
	}
	if rows := v.Tables[2].Rows; rows != int64(v.Checkpoint.Position) {
		t.Errorf("%d rows of moves at position %d", rows, v.Checkpoint.Position)
	}
}

// read polls the views as fast as it can until its input ends, and fails at the first sight of empty, partial or
// backward-going tables. It writes a line once it has begun.
func read(ctx context.Context, path string, out io.Writer, in io.Reader) error {
	db, err := sqlite.OpenReadOnly(ctx, path)
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
	case rows != last || last%countedBatch != 0 || boxes != items || orphans != 0:
		return fmt.Errorf("partial tables: %d moves up to position %d, %d boxes, %d items, %d orphans", rows, last, boxes, items, orphans)
	case last < w.last || rows == 0:
		return fmt.Errorf("tables went from position %d to %d", w.last, last)
	}
	w.last = last
	return nil
}

func TestReadersSeeWholeTablesDuringRebuilds(t *testing.T) { // I7
	t.Parallel()
	path := file(t)
	log := newCounted(100 * countedBatch)
	db := open(t, path)
	runner := projectionstest.Runner(t, log, db, shelf(), counting, projectionstest.PageEvents(40))
	catchUp(t, runner)

	other, lines, stop := child(t, "reader", path)
	if !lines.Scan() {
		t.Fatal("the reader in another process did not begin")
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan error, 2)
	go func() { seen <- readHere(ctx, path) }()
	go func() { seen <- runner.Run(ctx) }()
	growing := make(chan struct{})
	go func() { // scans go on meanwhile
		defer close(growing)
		for range 600 {
			log.grow()
			if pace(ctx) != nil {
				return
			}
		}
	}()
	for range 10 {
		report, err := runner.Rebuild(t.Context(), "shelf", projections.RebuildOptions{})
		must(t, err)
		if report.Checkpoint.Position < 100*countedBatch || report.Digests[2].Rows != int64(report.Checkpoint.Position) {
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
func readHere(ctx context.Context, path string) error {
	r, w := io.Pipe()
	stop := context.AfterFunc(ctx, func() { _ = w.Close() })
	defer stop()
	return read(context.WithoutCancel(ctx), path, io.Discard, r)
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

func TestTwoProcessesWriteOneBuildInTurn(t *testing.T) { // I8
	t.Parallel()
	path := file(t)
	catchUp(t, projectionstest.Runner(t, newCounted(0), open(t, path), shelf(), counting))
	first, _, _ := child(t, "project", path)
	second, _, _ := child(t, "project", path)
	for _, c := range []*exec.Cmd{first, second} {
		if err := c.Wait(); err != nil {
			t.Errorf("child: %v", err)
		}
	}
	whole(t, open(t, path), newCounted(playEvents))
}

func TestOnlyOneProcessRebuilds(t *testing.T) { // I8
	t.Parallel()
	path := file(t)
	db := open(t, path)
	log := newCounted(20 * countedBatch)
	catchUp(t, projectionstest.Runner(t, log, db, shelf(), counting))
	held := make(chan struct{})
	release := make(chan struct{})
	slow := &spy{Database: db, before: func(n int) error {
		if n == 1 {
			close(held)
			<-release
		}
		return nil
	}}
	done := make(chan error)
	go func() {
		_, err := projectionstest.Runner(t, log, slow, shelf(), counting).Rebuild(t.Context(), "shelf", projections.RebuildOptions{})
		done <- err
	}()
	<-held
	_, err := projectionstest.Runner(t, log, open(t, path), shelf(), counting).Rebuild(t.Context(), "shelf", projections.RebuildOptions{})
	var other *projections.HeldError
	if !errors.As(err, &other) || other.Number != 2 || !strings.Contains(other.Holder, "TestOnlyOneProcessRebuilds") {
		t.Errorf("error is %v, want one that names the holder of build 2", err)
	}
	close(release)
	must(t, <-done)
	at, err := projectionstest.Runner(t, log, db, shelf(), counting).Position(t.Context())
	must(t, err)
	if at != eventstore.Position(20*countedBatch) {
		t.Errorf("position is %d", at)
	}
}
