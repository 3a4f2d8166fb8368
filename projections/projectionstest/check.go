package projectionstest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/run"
)

// TB is what the checks need of a test: a *testing.T, or a *rapid.T.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// Check folds log in every way that there is and fails the test unless all give the same rows, to the byte (I6): live,
// with pages of one batch, of a few and of all, and with batches that are read again in parts; twice; rebuilt beside the live tables; as of the head. It also folds the
// beginning of the log live and as-of, up to a few places. The tables' foreign keys and guards are in force.
func Check(tb testing.TB, p projections.Projection, log projections.Log) {
	tb.Helper()
	CheckWith(tb, tb, p, log)
}

// CheckWith is Check for a property: failures go to t, a *rapid.T, and the temporary databases belong to tb.
func CheckWith(tb testing.TB, t TB, p projections.Projection, log projections.Log) {
	tb.Helper()
	CheckIn(tb, t, p, log, func() (projections.Database, func()) {
		db := open(tb)
		return db, func() { closing(tb, db) }
	})
}

// CheckIn is CheckWith for tables in any database: fresh opens one that is empty, and returns what closes it. What they
// must be is still folded by SQLite.
func CheckIn(tb testing.TB, t TB, p projections.Projection, log projections.Log, fresh func() (projections.Database, func())) {
	tb.Helper()
	c := check{tb: tb, t: t, p: p, log: log, fresh: fresh}
	head, err := log.Head(tb.Context())
	c.must("read head", err)
	want := c.asOf(head)
	for _, size := range []int{1, 3, 17} {
		c.pages(size, head, want)
	}
	c.pages(2, head, want, large)
	c.beside(head, want)
	c.history()
}

type check struct {
	tb    testing.TB
	t     TB
	p     projections.Projection
	log   projections.Log
	fresh func() (projections.Database, func())
}

// pages folds the log live with pages of a size, and again.
func (c check) pages(size int, head eventstore.Position, want string, options ...func(*run.Config)) {
	db, done := c.fresh()
	defer done()
	c.live(db, size, head, want, options...)
}

// large makes batches of two events too large for memory.
func large(c *run.Config) { c.HeldEvents = 1 }

// live makes the tables while nothing is in the log yet, so that they are shown, and then fills them live.
func (c check) live(db projections.Database, size int, head eventstore.Position, want string, options ...func(*run.Config)) *run.Runner {
	ctx := c.tb.Context()
	part := &clipped{Log: c.log}
	runner := Runner(c.tb, part, db, c.p, append(options, PageEvents(size))...)
	c.must("make the tables", runner.CatchUp(ctx, 0))
	part.head = head
	c.must("catch up", runner.CatchUp(ctx, 0))
	c.equal(fmt.Sprintf("live in pages of %d events", size), Dump(ctx, c.t, db, c.p), want)
	c.must("catch up again", runner.CatchUp(ctx, 0))
	c.equal("caught up twice", Dump(ctx, c.t, db, c.p), want)
	return runner
}

// beside folds the log live in one page, rebuilds, and verifies.
func (c check) beside(head eventstore.Position, want string) {
	ctx := c.tb.Context()
	scratch := open(c.tb)
	defer closing(c.tb, scratch)
	db, done := c.fresh()
	defer done()
	runner := c.live(db, everything, head, want)
	_, err := runner.Rebuild(ctx, c.p.Name, run.RebuildOptions{})
	c.must("rebuild", err)
	c.equal("rebuilt", Dump(ctx, c.t, db, c.p), want)
	verification, err := inspect.Verify(ctx, runner, c.p.Name, scratch)
	c.must("verify", err)
	for _, d := range verification.Differences {
		c.t.Errorf("verify: %s", d)
	}
}

// everything is a page that holds any history of a test.
const everything = 1 << 20

// maxSteps bounds how many ends of batches history looks at.
const maxSteps = 4

// history compares live tables with as-of tables along the way.
func (c check) history() {
	ctx := c.tb.Context()
	var ends []eventstore.Position
	for r, err := range c.log.Read(ctx, 0, eventstore.Filter{}) {
		c.must("read", err)
		if r.EndsBatch() {
			ends = append(ends, r.Position)
		}
	}
	part := &clipped{Log: c.log}
	db, done := c.fresh()
	defer done()
	runner := Runner(c.tb, part, db, c.p)
	c.must("make the tables", runner.CatchUp(ctx, 0))
	for i := 0; i < len(ends); i += len(ends)/maxSteps + 1 {
		part.head = ends[i]
		c.must("catch up", runner.CatchUp(ctx, 0))
		c.equal(fmt.Sprintf("live at position %d", ends[i]), Dump(ctx, c.t, db, c.p), c.asOf(ends[i]))
	}
}

func (c check) asOf(at eventstore.Position) string {
	ctx := c.tb.Context()
	into := open(c.tb)
	defer closing(c.tb, into)
	_, err := Runner(c.tb, c.log, into, c.p).AsOf(ctx, at, into)
	c.must("as of", err)
	return Dump(ctx, c.t, into, c.p)
}

func (c check) must(what string, err error) { must(c.t, what, err) }

// Dump returns every row of the active build, readable, in the order of tables and keys.
func Dump(ctx context.Context, t TB, db projections.Database, p projections.Projection) string {
	t.Helper()
	builds, err := db.Builds(ctx, p.Name)
	must(t, "list builds", err)
	var b strings.Builder
	for _, build := range builds {
		if build.State != projections.BuildActive {
			continue
		}
		must(t, "dump", db.Inspect(ctx, build.Ref, func(s projections.Snapshot) error { return dump(ctx, &b, s, p) }))
	}
	return b.String()
}

func dump(ctx context.Context, b *strings.Builder, s projections.Snapshot, p projections.Projection) error {
	for _, table := range p.Tables {
		for row, err := range s.Rows(ctx, table) {
			if err != nil {
				return err
			}
			b.WriteString(table.Name)
			for i, c := range table.Columns {
				fmt.Fprintf(b, " %s=%s", c.Name, plain(row[i]))
			}
			b.WriteByte('\n')
		}
	}
	return nil
}

func must(t TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// equal reports the first line that differs.
func (c check) equal(what, got, want string) {
	c.t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		a, b := "(nothing)", "(nothing)"
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			c.t.Fatalf("%s: row %d\n got: %s\nwant: %s", what, i+1, a, b)
		}
	}
}
