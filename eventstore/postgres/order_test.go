package postgres_test

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/eventstore/postgres"
)

// The ways in which logs on PostgreSQL lose, reorder or withhold events when they order by sequences or transaction ids.
// Here each of them meets a transaction that another program holds open.

// hold opens a transaction that has an id, as any writer's has, and returns what ends it.
func hold(t *testing.T, url string) (commit func()) {
	t.Helper()
	conn := connect(t, url)
	exec(t, conn, "CREATE TABLE IF NOT EXISTS public.foreign_work (x int)")
	exec(t, conn, "BEGIN")
	exec(t, conn, "INSERT INTO public.foreign_work VALUES (1)")
	return func() { exec(t, conn, "COMMIT") }
}

// next returns the positions that come after after, and the last of them.
func next(t *testing.T, log eventstore.Reader, after eventstore.Position) (n int, last eventstore.Position) {
	t.Helper()
	last = after
	for r, err := range log.Read(within(t), after, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Position != last+1 {
			t.Fatalf("position %d comes after %d", r.Position, last)
		}
		n, last = n+1, r.Position
	}
	return n, last
}

// A writer gets its transaction id first and commits last: with an order by transaction id its event would come before
// one that was read already.
func TestTheFirstToTakeAnIDMayCommitLast(t *testing.T) {
	t.Parallel()
	url := made(t)
	log := open(t, url)
	slow := connect(t, url)
	exec(t, slow, "BEGIN")
	exec(t, slow, "SELECT pg_current_xact_id()") // the id is taken
	first := mustAppend(t, log, start("fast", 2))
	n, at := next(t, log, 0)
	if n != 2 || at != first.Last {
		t.Fatalf("read %d events up to %d beside an open transaction, want 2", n, at)
	}
	// The slow one appends now, by the same protocol: the lock, the next position, the new head.
	exec(t, slow, "SELECT position FROM gxp_log.head FOR UPDATE")
	exec(t, slow, "INSERT INTO gxp_log.streams VALUES (2, 'slow')")
	exec(t, slow, "INSERT INTO gxp_log.batches SELECT 3, 1, 2, 0, recorded_at, meta FROM gxp_log.batches WHERE first = 1")
	exec(t, slow, "INSERT INTO gxp_log.events SELECT 3, gen_random_uuid(), type, data, checksum FROM gxp_log.events WHERE position = 1")
	exec(t, slow, "UPDATE gxp_log.head SET position = 3, streams = 2")
	if head, err := log.Head(within(t)); err != nil || head != 2 {
		t.Fatalf("head is %d, %v, before the commit", head, err)
	}
	exec(t, slow, "COMMIT")
	if head, err := log.Head(within(t)); err != nil || head != 3 {
		t.Fatalf("head is %d, %v, after the commit: what commits last comes last", head, err)
	}
}

// A transaction that somebody holds open, in this database or another of the same server, withholds nothing.
func TestForeignTransactionsWithholdNothing(t *testing.T) {
	t.Parallel()
	url := made(t)
	log := open(t, url)
	here, elsewhere := hold(t, url), hold(t, pgtest.Start(t))
	ctx := within(t)
	heard := make(chan eventstore.Position)
	go func() {
		defer close(heard)
		for r, err := range log.Subscribe(ctx, 0, eventstore.Filter{}) {
			if err != nil {
				t.Error(err)
				return
			}
			heard <- r.Position
			if r.Position == 6 {
				return
			}
		}
	}()
	last := mustAppend(t, log, start("s", 3))
	mustAppend(t, log, after("s", last, 3))
	for want := eventstore.Position(1); want <= 6; want++ {
		if got := <-heard; got != want {
			t.Fatalf("heard %d, want %d", got, want)
		}
	}
	if n, _ := next(t, log, 0); n != 6 {
		t.Errorf("read %d events beside two open transactions, want 6", n)
	}
	here()
	elsewhere()
}

// A writer that is held open while it has the counter row makes others wait, and readers neither wait nor miss anything.
func TestAWriterHeldOpenLosesNothing(t *testing.T) {
	t.Parallel()
	url := made(t)
	log, other := open(t, url), open(t, url)
	mustAppend(t, log, start("s", 2))
	held := connect(t, url)
	exec(t, held, "BEGIN")
	exec(t, held, "SELECT position FROM gxp_log.head FOR UPDATE")
	answers := make(chan eventstore.Appended, 2)
	for i, l := range []*postgres.Log{log, other} {
		batch := start(eventstore.StreamID([]string{"a", "b"}[i]), 3)
		go func() {
			appended, err := l.Append(within(t), batch)
			if err != nil {
				t.Error(err)
			}
			answers <- appended
		}()
	}
	waitForLocks(t, url, 2)
	n, at := next(t, log, 0)
	if n != 2 {
		t.Fatalf("read %d events while writers wait, want 2", n)
	}
	exec(t, held, "ROLLBACK")
	<-answers
	<-answers
	if n, at = next(t, other, at); n != 6 || at != 8 {
		t.Errorf("read %d more events up to %d, want 6 up to 8", n, at)
	}
}

// waitForLocks waits until n connections of the database of url wait for a lock.
func waitForLocks(t *testing.T, url string, n int) {
	t.Helper()
	conn := connect(t, url)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ctx := within(t); ; <-tick.C {
		var waiting int
		err := conn.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
		if waiting >= n {
			return
		}
	}
}

// Two appends to one stream, by two processes, whose transactions began in the other order: the stream keeps the order of
// its revisions, for whoever reads by position.
func TestAStreamKeepsItsOrderWhateverTheTransactionsAre(t *testing.T) {
	t.Parallel()
	url := made(t)
	one, other := open(t, url), open(t, url)
	last := mustAppend(t, one, start("s", 1))
	logs := []*postgres.Log{other, one}
	for i := range 20 {
		// An id is taken between the appends, so that those of the two handles are in no order.
		taken := hold(t, url)
		last = mustAppend(t, logs[i%2], after("s", last, 2))
		taken()
	}
	revision := eventstore.Revision(0)
	for _, r := range readAll(t, one) {
		if r.Revision != revision {
			t.Fatalf("position %d has revision %d, want %d", r.Position, r.Revision, revision)
		}
		revision++
	}
	if revision != 41 {
		t.Errorf("read %d events, want 41", revision)
	}
}

// A dump that is restored on another server is the same log: transaction ids begin again there, positions do not.
func TestADumpRestoredElsewhereIsTheSameLog(t *testing.T) {
	t.Parallel()
	server, another := pgtest.NewCluster(t), pgtest.NewCluster(t)
	url, target := server.Database(t), another.Database(t)
	up(t, url)
	log := open(t, url)
	last := mustAppend(t, log, start("s", 3))
	for range 50 { // so that the ids of transactions here are ahead of those there
		hold(t, url)()
	}
	last = mustAppend(t, log, after("s", last, 3))
	before := readAll(t, log)

	dump, err := server.Tool("pg_dump", "--format=custom", "--schema=gxp_log", url).Output()
	if err != nil {
		t.Fatalf("pg_dump: %v", err)
	}
	restore := another.Tool("pg_restore", "--no-owner", "--no-acl", "--exit-on-error", "--dbname", target)
	restore.Stdin = bytes.NewReader(dump)
	if out, err := restore.CombinedOutput(); err != nil {
		t.Fatalf("pg_restore: %v\n%s", err, out)
	}
	up(t, target) // grants the roles again
	restored := open(t, target)
	if restored.ID() != log.ID() {
		t.Errorf("the log %s is %s after it was restored", log.ID(), restored.ID())
	}
	if got := readAll(t, restored); !reflect.DeepEqual(got, before) {
		t.Errorf("the restored log holds\n %+v\nwant\n %+v", got, before)
	}
	checkRecipe(t, another, dump, log.ID(), before)
	mustAppend(t, restored, after("s", last, 2))
	if n, at := next(t, restored, 6); n != 2 || at != 8 {
		t.Errorf("after the restore, %d new events up to %d, want 2 up to 8", n, at)
	}
}
