package postgres_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"go.uber.org/goleak"

	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/projections/databasetest"
	"github.com/gxpledger/gxpledger/projections/postgres"
)

func TestMain(m *testing.M) {
	adapter("").Child()
	// The proxy that cuts connections leaves a goroutine of its own behind when it cuts in the middle of a message.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"))
}

// made returns the address of a database that holds an empty schema for tables.
func made(tb testing.TB) string {
	tb.Helper()
	url := pgtest.Start(tb)
	if err := postgres.Up(tb.Context(), url, postgres.Namespace{}); err != nil {
		tb.Fatal(err)
	}
	return url
}

// schemas counts the schemas of this process.
var schemas atomic.Int64

// within returns the address of a new schema for tables in the database at url: such an address is the name of the schema,
// a blank and the URL.
func within(tb testing.TB, url string) string {
	tb.Helper()
	schema := fmt.Sprintf("gxp_%d", schemas.Add(1))
	if err := postgres.Up(tb.Context(), url, postgres.Namespace{Schema: schema}); err != nil {
		tb.Fatal(err)
	}
	return schema + " " + url
}

// split takes an address of within apart.
func split(address string) (namespace postgres.Namespace, url string) {
	schema, url, _ := strings.Cut(address, " ")
	return postgres.Namespace{Schema: schema}, url
}

// admin opens a handle that may do everything.
func admin(_ context.Context, address string) (*sql.DB, error) {
	namespace, url := split(address)
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["search_path"] = namespace.Schema
	return stdlib.OpenDB(*config), nil
}

// adapter puts tables into schemas of the database at url.
func adapter(url string) databasetest.Adapter {
	return databasetest.Adapter{
		New: func(tb testing.TB) string {
			tb.Helper()
			return within(tb, url)
		},
		Open: func(ctx context.Context, address string, now func() time.Time) (databasetest.Database, error) {
			namespace, url := split(address)
			if now == nil {
				return postgres.Open(ctx, url, postgres.Options{Now: time.Now, Namespace: namespace})
			}
			return postgres.Open(ctx, url, postgres.Options{Now: now, LeaseClock: now, Namespace: namespace})
		},
		OpenReader: func(ctx context.Context, address string) (*sql.DB, error) {
			namespace, url := split(address)
			return postgres.OpenReadOnly(ctx, url, namespace)
		},
		Admin: admin,
		Failing: []string{
			"CREATE FUNCTION burn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'disk on fire'; END $$",
			"CREATE TRIGGER broken BEFORE UPDATE OF position ON projection_builds FOR EACH ROW EXECUTE FUNCTION burn()",
		},
		Mending:   []string{"DROP TRIGGER broken ON projection_builds", "DROP FUNCTION burn"},
		Unguarded: []string{"DROP TRIGGER moves__b1_refuses ON moves__b1"},
		Attacks: []string{
			"UPDATE log_lines__b1 SET said = 'x'", "DELETE FROM log_lines__b1", "TRUNCATE log_lines__b1", "UPDATE log_lines SET said = 'x'",
			"SET session_replication_role = replica; DELETE FROM log_lines__b1",
			"INSERT INTO log_lines__b1 VALUES ('day', 1, 'x') ON CONFLICT (day, line) DO UPDATE SET said = 'x'",
			"UPDATE projection_counters SET builds = 0", "DELETE FROM projection_counters", "TRUNCATE projection_counters CASCADE",
			"SET session_replication_role = replica; UPDATE projection_builds SET token = token - 1",
		},
		Objects: `SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relname LIKE '%\_\_b2%'`,
		Broken:  broken(),

		Histories: 5,
	}
}

func broken() [][]databasetest.Breakage {
	return append([][]databasetest.Breakage{{
		{
			Edit: []string{"CREATE OR REPLACE VIEW boxes AS SELECT * FROM boxes__b1 WHERE number <> 5"},
			Want: "view boxes: it is not what gxpledger made",
		},
		{Edit: []string{"DROP VIEW items"}, Want: "table items: it lacks what gxpledger made: view items"},
		{
			Edit: []string{"DROP TRIGGER moves__b1_refuses ON moves__b1"},
			Want: "table moves: it lacks what gxpledger made: trigger moves__b1_refuses",
		},
	}, {
		{
			Edit: []string{
				"CREATE TABLE mine AS SELECT * FROM items__b1", "CREATE OR REPLACE VIEW items AS SELECT * FROM mine",
			},
			Want: "view items: it is not what gxpledger made",
		},
		{
			Edit: []string{"ALTER TABLE moves__b1 DISABLE TRIGGER moves__b1_refuses"},
			Want: "trigger moves__b1_refuses: it is not what gxpledger made",
		},
		{
			Edit: []string{"ALTER TABLE items__b1 DISABLE TRIGGER ALL"},
			Want: "check of items__b1_f1: it is not what gxpledger made",
		},
		{
			Edit: []string{
				"CREATE FUNCTION sly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM items__b1; RETURN NULL; END $$",
				"CREATE TRIGGER sly AFTER INSERT ON boxes__b1 EXECUTE FUNCTION sly()",
			},
			Want: "trigger sly: it is not what gxpledger made",
		},
		{Edit: []string{"CREATE RULE sly AS ON INSERT TO boxes__b1 DO INSTEAD NOTHING"}, Want: "rule sly: it is not what gxpledger made"},
		{Edit: []string{"DROP INDEX boxes__b1_i1"}, Want: "table boxes: it lacks what gxpledger made: index boxes__b1_i1"},
		{Edit: []string{"ALTER TABLE items__b1 DROP CONSTRAINT items__b1_pkey"}, Want: "table items: it lacks what gxpledger made"},
		{Edit: []string{"ALTER TABLE boxes__b1 ALTER since DROP NOT NULL"}, Want: "column boxes__b1.since: it is not what gxpledger made"},
		{Edit: []string{"ALTER TABLE boxes__b1 ENABLE ROW LEVEL SECURITY"}, Want: "table boxes__b1: it is not what gxpledger made"},
	}, {
		{
			Edit: []string{"DROP VIEW items", "CREATE VIEW items AS SELECT 1 AS one", "ALTER VIEW items OWNER TO " + postgres.DefaultWriter},
			Want: "column items.one: it is not what gxpledger made",
		},
		{Edit: []string{"DROP VIEW boxes", "CREATE MATERIALIZED VIEW boxes AS SELECT 1 AS one", "ALTER MATERIALIZED VIEW boxes OWNER TO " + postgres.DefaultWriter}, Want: "boxes"},
		{Edit: []string{"DROP VIEW moves", "CREATE INDEX moves ON items__b1 (name)"}, Want: "moves"},
	}}, databasetest.BrokenCatalogue(
		"ALTER TABLE items OWNER TO "+postgres.DefaultWriter, "ALTER TABLE boxes__b2 OWNER TO "+postgres.DefaultWriter)...)
}

func TestTablesKeepTheContract(t *testing.T) {
	t.Parallel()
	adapter(pgtest.Start(t)).Run(t)
}
