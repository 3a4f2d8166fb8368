package projectionstest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
)

// TB is what the checks need of a test: a *testing.T, or a *rapid.T.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// Check folds log in every way that there is and fails the test unless all give the same rows, to the byte (I6): live,
// with pages of one batch, of a few and of all; twice; rebuilt beside the live tables; as of the head. It also folds the
// beginning of the log live and as-of, batch by batch for short logs. The tables' foreign keys and guards are in force.
func Check(t *testing.T, p projections.Projection, log projections.Log) {
	t.Helper()
	CheckWith(t, t, p, log)
}

// CheckWith is Check for a property: t gets the failures, owner the temporary databases.
func CheckWith(t TB, owner testing.TB, p projections.Projection, log projections.Log) {
	t.Helper()
	ctx := context.Background()
	head, err := log.Head(ctx)
	if err != nil {
		t.Fatalf("read head: %v", err)
	}
	want := asOf(ctx, t, owner, p, log, head)
	for _, size := range []int{1, 3, 17, 1 << 20} {
		db := Open(owner)
		part := &clipped{Log: log} // nothing is there yet, so that the tables are made and shown, and then filled live
		runner := Runner(owner, part, db, p, PageEvents(size))
		must(t, "make the tables", runner.CatchUp(ctx, 0))
		part.head = head
		must(t, "catch up", runner.CatchUp(ctx, 0))
		equal(t, fmt.Sprintf("live in pages of %d events", size), Dump(ctx, t, db, p), want)
		must(t, "catch up again", runner.CatchUp(ctx, 0))
		equal(t, "caught up twice", Dump(ctx, t, db, p), want)
		_, err := runner.Rebuild(ctx, p.Name, projections.RebuildOptions{})
		must(t, "rebuild", err)
		equal(t, fmt.Sprintf("rebuilt in pages of %d events", size), Dump(ctx, t, db, p), want)
		verification, err := runner.Verify(ctx, p.Name, Open(owner))
		must(t, "verify", err)
		for _, d := range verification.Differences {
			t.Errorf("verify: %s", d)
		}
	}
	checkHistory(ctx, t, owner, p, log)
}

// maxSteps bounds how many ends of batches checkHistory looks at.
const maxSteps = 12

// checkHistory compares live tables with as-of tables along the way.
func checkHistory(ctx context.Context, t TB, owner testing.TB, p projections.Projection, log projections.Log) {
	t.Helper()
	var ends []eventstore.Position
	for r, err := range log.Read(ctx, 0, eventstore.Filter{}) {
		must(t, "read", err)
		if r.EndsBatch() {
			ends = append(ends, r.Position)
		}
	}
	part := &clipped{Log: log}
	db := Open(owner)
	runner := Runner(owner, part, db, p)
	must(t, "make the tables", runner.CatchUp(ctx, 0))
	step := len(ends)/maxSteps + 1
	for i := 0; i < len(ends); i += step {
		part.head = ends[i]
		must(t, "catch up", runner.CatchUp(ctx, 0))
		equal(t, fmt.Sprintf("live at position %d", ends[i]), Dump(ctx, t, db, p), asOf(ctx, t, owner, p, log, ends[i]))
	}
}

func asOf(ctx context.Context, t TB, owner testing.TB, p projections.Projection, log projections.Log, at eventstore.Position) string {
	t.Helper()
	into := Open(owner)
	_, err := Runner(owner, log, Open(owner), p).AsOf(ctx, at, into)
	must(t, "as of", err)
	return Dump(ctx, t, into, p)
}

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
func equal(t TB, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := 0; i < max(len(g), len(w)); i++ {
		a, b := "(nothing)", "(nothing)"
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			t.Fatalf("%s: row %d\n got: %s\nwant: %s", what, i+1, a, b)
		}
	}
}
