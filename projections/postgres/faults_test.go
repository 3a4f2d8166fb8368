package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/databasetest"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/postgres"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

// pages tells of pages that were written, to whoever waits for them.
type pages chan struct{}

func (p pages) observe(run.Progress) {
	select {
	case p <- struct{}{}:
	default:
	}
}

// await waits until n more pages are written.
func (p pages) await(ctx context.Context, t *testing.T, n int) {
	t.Helper()
	for range n {
		select {
		case <-p:
		case <-ctx.Done():
			t.Fatal("the tables stand still")
		}
	}
}

// The server is killed eight times, and a process of it now and then, while the log grows, one process projects live and
// another rebuilds all the time. Nobody has to do anything for it: not a row is lost or there twice, and no reader sees
// tables that are empty, partial or behind what it saw before (I5, I7).
func TestTablesSurviveTheDeathOfTheServer(t *testing.T) {
	t.Parallel()
	const kills = 8
	server := pgtest.NewCluster(t)
	where := server.Database(t)
	must(t, postgres.Up(soon(t), where, postgres.Namespace{}))
	log := databasetest.NewCounted(10 * databasetest.CountedBatch)
	written := make(pages)
	options := func(c *run.Config) {
		c.LeaseTTL, c.PageEvents, c.Observe = 500*time.Millisecond, 400, written.observe
	}
	live := projectionstest.Runner(t, log, open(t, where), databasetest.Inventory(), databasetest.Counting, options)
	must(t, live.CatchUp(soon(t), 0))

	ctx, stop := context.WithCancel(soon(t))
	var running sync.WaitGroup
	running.Go(func() { must(t, live.Run(ctx)) })
	running.Go(func() { grow(ctx, log) })
	rebuilt := make(chan int, 1)
	other := projectionstest.Runner(t, log, open(t, where), databasetest.Inventory(), databasetest.Counting, options)
	running.Go(func() { rebuildUntil(ctx, t, other, rebuilt) })
	running.Go(func() { readUntil(ctx, t, where) })
	for kill := range kills {
		if kill%4 == 0 { // so that some come to their end
			<-rebuilt
		}
		written.await(ctx, t, 1+rand.IntN(12))
		server.Kill()
		server.Restart(t)
		if kill%4 == 3 {
			written.await(ctx, t, 1+rand.IntN(12))
			must(t, server.KillBackend(ctx, "gxpledger"))
		}
	}
	written.await(ctx, t, 2)
	stop()
	running.Wait()

	must(t, live.CatchUp(soon(t), 0))
	report, err := other.Rebuild(soon(t), "inventory", run.RebuildOptions{})
	must(t, err)
	t.Logf("build %d was the last, after %d kills; the tables stand at position %d", report.Number, kills, report.Checkpoint.Position)
	checkWhole(t, live, open(t, where))
}

func grow(ctx context.Context, log *databasetest.Counted) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		log.Grow()
	}
}

// rebuildUntil rebuilds until ctx ends, whatever comes between, and tells of each that ended, where somebody
// listens.
func rebuildUntil(ctx context.Context, t *testing.T, runner *run.Runner, rebuilt chan<- int) {
	t.Helper()
	defer close(rebuilt)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		report, err := runner.Rebuild(ctx, "inventory", run.RebuildOptions{})
		switch {
		case err == nil:
			select {
			case rebuilt <- report.Number:
			default:
			}
		case ctx.Err() == nil && !errors.Is(err, projections.ErrTransient) && !errors.Is(err, projections.ErrLeaseHeld) &&
			!errors.Is(err, projections.ErrLeaseLost) && !errors.Is(err, projections.ErrMoved):
			t.Errorf("rebuild: %v", err)
			return
		}
		<-tick.C
	}
}

// readUntil polls the views until ctx ends. A server that is not there is the only excuse.
func readUntil(ctx context.Context, t *testing.T, where string) {
	t.Helper()
	db, err := postgres.OpenReadOnly(ctx, where, postgres.Namespace{})
	if err != nil {
		t.Errorf("read: %v", err)
		return
	}
	defer func() { must(t, db.Close()) }()
	last, seen := int64(0), 0
	for ctx.Err() == nil {
		var rows, at, boxes, items int64
		err := db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM moves), (SELECT coalesce(max(position), 0) FROM moves),
			(SELECT count(*) FROM boxes), (SELECT count(*) FROM items)`).Scan(&rows, &at, &boxes, &items)
		switch {
		case err != nil && !excused(err):
			t.Errorf("read: %v", err)
			return
		case err != nil:
		case rows != at || boxes != items || rows < last || rows == 0:
			t.Errorf("%d moves up to position %d, %d boxes, %d items; before there were %d moves", rows, at, boxes, items, last)
			return
		default:
			last = rows
			seen++
		}
	}
	if seen == 0 {
		t.Error("nothing was read")
	}
}

// excused reports whether err says no more than that the server was gone.
func excused(err error) bool {
	var network net.Error
	text := err.Error()
	return errors.As(err, &network) || errors.Is(err, context.Canceled) || errors.Is(err, sql.ErrConnDone) ||
		strings.Contains(text, "57P0") || strings.Contains(text, "EOF") || strings.Contains(text, "connect") || strings.Contains(text, "conn closed") ||
		strings.Contains(text, "bad connection") || strings.Contains(text, "reset by peer") || strings.Contains(text, "broken pipe")
}

// checkWhole fails the test unless the tables are what the log says, and no orphaned build was left.
func checkWhole(t *testing.T, runner *run.Runner, db *postgres.DB) {
	t.Helper()
	v, err := inspect.Verify(soon(t), runner, "inventory", projectionstest.Open(t))
	must(t, err)
	for _, d := range v.Differences {
		t.Errorf("at position %d: %s", v.Checkpoint.Position, d)
	}
	if len(v.Broken) > 0 {
		t.Errorf("broken: %q", v.Broken)
	}
	if rows := v.Tables[2].Rows; rows != int64(v.Checkpoint.Position) {
		t.Errorf("%d moves at position %d", rows, v.Checkpoint.Position)
	}
	builds, err := db.Builds(soon(t), "inventory")
	must(t, err)
	for _, b := range builds {
		if b.State != projections.BuildActive && b.State != projections.BuildRetired {
			t.Errorf("build %d is %s: a ruin was left", b.Number, b.State)
		}
	}
}

// The connection is cut after every so many bytes, in both directions: before the transaction arrives, in the middle of it,
// and after COMMIT, when only the answer is lost. Each page is written once (I5).
func TestPagesSurviveACutConnection(t *testing.T) {
	t.Parallel()
	where := made(t)
	proxy, through := throughProxy(t, where)
	db := open(t, through, func(o *postgres.Options) { o.Patience = 20 * time.Millisecond })
	lease, err := projections.CreateBuild(soon(t), db, databasetest.Inventory(), projections.LeaseRequest{Holder: "cut", TTL: time.Hour})
	must(t, err)
	page := projections.Page{Lease: lease, From: projections.Checkpoint{Version: 1}, Tables: databasetest.Inventory().Tables}
	next := func() {
		var rows projections.Rows
		n := int64(page.From.Position) + 1
		rows.Insert("moves", n, "ann", strings.Repeat("x", 100))
		rows.Upsert("boxes", n%7, "label", true, time.Now(), nil)
		page.Ops = rows.Ops()
		page.To = projections.Checkpoint{Log: uuid.Max, Position: page.From.Position + 1, Event: uuid.Max, Version: 1}
	}
	next()
	must(t, db.WritePage(soon(t), page))
	must(t, db.FinishBuild(soon(t), lease, databasetest.Inventory()))
	must(t, projections.ActivateBuild(soon(t), db, lease, projections.Activation{}))
	lost, found := 0, 0
	cut := func(direction string, bytes int) (passed bool) {
		page.From = page.To
		next()
		must(t, persist(soon(t), db, page)) // so that there is a connection, on which every statement is known
		page.From = page.To
		next()
		cutAfter(t, proxy, direction, bytes)
		err := db.WritePage(soon(t), page)
		must(t, proxy.Toxics.RemoveToxic(t.Context(), "cut"))
		if err == nil {
			return true
		}
		if !errors.Is(err, projections.ErrTransient) {
			t.Fatalf("cut after %d bytes %s: error is %v", bytes, direction, err)
		}
		switch err := persist(soon(t), db, page); {
		case err == nil:
			lost++
		case errors.Is(err, projections.ErrMoved): // its answer was lost
			found++
		default:
			t.Fatalf("cut after %d bytes %s: error is %v", bytes, direction, err)
		}
		return false
	}
	for bytes := 0; !cut("upstream", bytes); bytes += 100 { // until all is through
	}
	whole := 0
	for ; !cut("downstream", whole); whole += 20 {
	}
	for back := range 30 { // where the answer to COMMIT is
		cut("downstream", whole-back)
	}
	t.Logf("%d pages were lost, of %d only the answer", lost, found)
	if lost < 10 || found < 5 {
		t.Error("the cuts miss the transaction, or its answer")
	}
	var n int
	must(t, db.Query().QueryRowContext(soon(t), "SELECT count(*) FROM moves").Scan(&n))
	if n != int(page.To.Position) {
		t.Errorf("%d moves, want %d", n, page.To.Position)
	}
}

// persist writes a page as a Runner does, again and again while the database does not answer.
func persist(ctx context.Context, db *postgres.DB, page projections.Page) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := db.WritePage(ctx, page)
		if !errors.Is(err, projections.ErrTransient) || ctx.Err() != nil {
			return err
		}
		<-tick.C
	}
}

// throughProxy returns a proxy to the server of address, and the address that goes through it.
func throughProxy(t *testing.T, address string) (*toxiproxy.Proxy, string) {
	t.Helper()
	u, err := url.Parse(address)
	must(t, err)
	api := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(api, "postgres", "127.0.0.1:0", u.Host)
	must(t, proxy.Start())
	t.Cleanup(proxy.Stop)
	u.Host = proxy.Listen
	return proxy, u.String()
}

func cutAfter(t *testing.T, proxy *toxiproxy.Proxy, direction string, bytes int) {
	t.Helper()
	toxic := fmt.Sprintf(`{"name":"cut","type":"limit_data","stream":%q,"attributes":{"bytes":%d}}`, direction, bytes)
	_, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic))
	must(t, err)
}
