package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/databasetest"
	"github.com/gxpledger/gxpledger/projections/postgres"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

// moves counts the rows that a reader sees.
func moves(t *testing.T, q interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
},
) (n int) {
	t.Helper()
	must(t, q.QueryRowContext(soon(t), "SELECT count(*) FROM moves").Scan(&n))
	return n
}

// waiting waits until somebody waits for a lock of that mode.
func waiting(t *testing.T, where, mode string) {
	t.Helper()
	ctx, conn := soon(t), connect(t, where)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for found := false; !found; <-tick.C {
		must(t, conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
			WHERE NOT l.granted AND l.mode = $1)`, mode).Scan(&found))
	}
}

// A reader that takes its time sees one state to its end. The swap waits for it, and others read all the while (I7).
func TestASwapWaitsForALongReaderAndOthersPass(t *testing.T) {
	t.Parallel()
	where := made(t)
	log := shown(t, where)
	before := 6 * databasetest.CountedBatch
	readers, err := postgres.OpenReadOnly(soon(t), where, postgres.Namespace{})
	must(t, err)
	defer func() { must(t, readers.Close()) }()
	long, err := readers.BeginTx(soon(t), nil)
	must(t, err)
	log.Grow()
	done := make(chan error, 1)
	go func() {
		_, err := projectionstest.Runner(t, log, open(t, where), databasetest.Inventory(), databasetest.Counting).
			Rebuild(soon(t), "inventory", run.RebuildOptions{})
		done <- err
	}()
	for range 5 {
		waiting(t, where, "AccessExclusiveLock")
		for range 5 {
			if n := moves(t, readers); n != before {
				t.Errorf("%d moves, want the old %d", n, before)
			}
		}
	}
	if n := moves(t, long); n != before {
		t.Errorf("%d moves in the transaction, want %d", n, before)
	}
	must(t, long.Rollback())
	must(t, <-done)
	if n := moves(t, readers); n != before+databasetest.CountedBatch {
		t.Errorf("%d moves after the swap", n)
	}
}

// A transaction of somebody who does not lock the views first, and whose snapshot is older than a swap, is told to begin
// again: it must not see the new tables, of which its snapshot holds some rows, or none.
func TestASnapshotFromBeforeAnActivationMustBeRetried(t *testing.T) {
	t.Parallel()
	where := made(t)
	log := shown(t, where)
	stranger, modest := connect(t, where), connect(t, where)
	exec(t, stranger, "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1")
	exec(t, modest, "BEGIN ISOLATION LEVEL READ COMMITTED", "SELECT 1")
	log.Grow()
	_, err := projectionstest.Runner(t, log, open(t, where), databasetest.Inventory(), databasetest.Counting).
		Rebuild(soon(t), "inventory", run.RebuildOptions{})
	must(t, err)

	var n int
	err = stranger.QueryRow(soon(t), "SELECT count(*) FROM gxp.moves").Scan(&n)
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "40001" {
		t.Errorf("%d rows, error is %v, want 40001", n, err)
	}
	exec(t, stranger, "ROLLBACK", "BEGIN ISOLATION LEVEL REPEATABLE READ")
	for who, conn := range map[string]*pgx.Conn{"begun anew": stranger, "of single statements": modest} {
		must(t, conn.QueryRow(soon(t), "SELECT count(*) FROM gxp.moves").Scan(&n))
		if n != 7*databasetest.CountedBatch {
			t.Errorf("%d rows in the transaction %s", n, who)
		}
	}
}

// unfinished makes a build of p that holds a box and an item in it.
func unfinished(t *testing.T, db *postgres.DB, p projections.Projection, ops ...projections.Op) (projections.Lease, projections.Page) {
	t.Helper()
	lease, err := projections.CreateBuild(soon(t), db, p, projections.LeaseRequest{Holder: "x", TTL: time.Hour})
	must(t, err)
	page := projections.Page{
		Lease: lease, From: projections.Checkpoint{Version: p.Version}, Tables: p.Tables, Ops: ops,
		To: projections.Checkpoint{Log: uuid.Max, Position: 1, Event: uuid.Max, Version: p.Version},
	}
	must(t, db.WritePage(soon(t), page))
	return lease, page
}

// A new version may change the form of its tables. What was granted comes with the new views, what others made of views
// whose columns are still there stays, and what cannot stay is named.
func TestANewVersionChangesTheFormOfItsViews(t *testing.T) {
	t.Parallel()
	where := made(t)
	reader := user(t, where, "gxp_reader")
	db := open(t, where)
	first, next := databasetest.Inventory(), databasetest.Inventory()
	next.Version++
	next.Tables[0].Columns = slices.Delete(next.Tables[0].Columns, 1, 2) // the label, and so its index
	next.Tables[0].Indexes = nil
	next.Tables[1].Columns = append(next.Tables[1].Columns, projections.Column{Name: "weight", Type: projections.Integer, Null: true, Doc: "In grams."})
	next.Tables = next.Tables[:2]
	show := func(p projections.Projection) error {
		lease, _ := unfinished(t, db, p)
		must(t, db.FinishBuild(soon(t), lease, p))
		if err := projections.ActivateBuild(soon(t), db, lease, projections.Activation{}); err != nil {
			must(t, projections.DropBuild(soon(t), db, lease))
			return err
		}
		return projections.Release(soon(t), db, lease)
	}
	must(t, show(first))
	conn := connect(t, where)
	exec(t, conn, "CREATE VIEW of_boxes AS SELECT number FROM gxp.boxes", "CREATE VIEW of_items AS SELECT name FROM gxp.items")
	if err := show(next); err == nil || !strings.Contains(err.Error(), "of_boxes") || !strings.Contains(err.Error(), "drop that") {
		t.Errorf("error is %v, want what stands in the way and what to do", err)
	}
	exec(t, conn, "SELECT label FROM gxp.boxes", "SELECT FROM gxp.moves", "DROP VIEW of_boxes")
	must(t, show(next))
	exec(t, connect(t, reader), "SELECT number, open, since, detail FROM gxp.boxes", "SELECT box, slot, name, weight FROM gxp.items")
	exec(t, conn, "SELECT name FROM of_items")
	for _, gone := range []string{"SELECT label FROM gxp.boxes", "SELECT FROM gxp.moves"} {
		if _, err := conn.Exec(soon(t), gone); err == nil {
			t.Errorf("%s: it is there still", gone)
		}
	}
}

// Finishing that was refused or cancelled in the middle is resumed, and leaves nothing out.
func TestFinishingIsResumed(t *testing.T) {
	t.Parallel()
	where := made(t)
	db := open(t, where)
	p := databasetest.Inventory()
	var rows projections.Rows
	rows.Upsert("items", 7, "top", "cup") // there is no box 7
	lease, page := unfinished(t, db, p, rows.Ops()...)
	if err := db.FinishBuild(soon(t), lease, p); !errors.Is(err, projections.ErrRefused) || !strings.Contains(err.Error(), "items__b1_f1") {
		t.Errorf("error is %v, want a refusal that names the reference", err)
	}
	rows = projections.Rows{}
	rows.Upsert("boxes", 7, nil, true, time.Now(), nil)
	page.From, page.Ops = page.To, rows.Ops()
	page.To.Position++
	must(t, db.WritePage(soon(t), page))

	conn := connect(t, where)
	exec(t, conn, "BEGIN", "LOCK TABLE gxp.items__b1 IN ACCESS EXCLUSIVE MODE")
	ctx, cancel := context.WithCancel(soon(t))
	done := make(chan error, 1)
	go func() { done <- db.FinishBuild(ctx, lease, p) }()
	waiting(t, where, "AccessExclusiveLock") // of the replica identity, which is given again
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want a cancelled context", err)
	}
	exec(t, conn, "ROLLBACK")
	must(t, db.FinishBuild(soon(t), lease, p))
	var digests []projections.Digest
	for _, table := range p.Tables {
		digests = append(digests, projections.NewDigester(table.Name).Digest())
	}
	must(t, projections.ActivateBuild(soon(t), db, lease, projections.Activation{Digests: digests}))
	broken, err := db.CheckSchema(soon(t), lease.Ref, p)
	must(t, err)
	if len(broken) > 0 {
		t.Errorf("broken: %q", broken)
	}
}
