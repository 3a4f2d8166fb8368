package postgres_test

import (
	"testing"

	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/projections/databasetest"
	"github.com/gxpledger/gxpledger/projections/postgres"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

// A publication of all tables, as Debezium and blue/green upgrades make one, keeps nobody from filling a build: while it
// has no keys, whole rows identify themselves.
func TestTablesMayBePublished(t *testing.T) {
	t.Parallel()
	server := pgtest.NewCluster(t, "wal_level=logical")
	where := server.Database(t)
	must(t, postgres.Up(soon(t), where, postgres.Namespace{}))
	conn := connect(t, where)
	exec(t, conn, "CREATE PUBLICATION everything FOR ALL TABLES", "SELECT pg_create_logical_replication_slot('reader', 'pgoutput')")
	db := open(t, where)
	log := databasetest.NewCounted(20 * databasetest.CountedBatch)
	runner := projectionstest.Runner(t, log, db, databasetest.Inventory(), databasetest.Counting, projectionstest.PageEvents(4))
	must(t, runner.CatchUp(soon(t), 0))
	for range 5 {
		log.Grow()
	}
	must(t, runner.CatchUp(soon(t), 0))
	_, err := runner.Rebuild(soon(t), "inventory", run.RebuildOptions{})
	must(t, err)
	checkWhole(t, runner, db)

	var silent []string
	must(t, conn.QueryRow(soon(t), `SELECT coalesce(array_agg(c.relname::text), '{}') FROM pg_class c
		WHERE c.relnamespace = 'gxp'::regnamespace AND c.relkind = 'r' AND NOT
			(c.relreplident = 'd' AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary))`).Scan(&silent))
	if len(silent) > 0 {
		t.Errorf("tables %q do not identify their rows by a key", silent)
	}
}
