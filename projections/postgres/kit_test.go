package postgres_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gxpledger/gxpledger/projections/databasetest"
	"github.com/gxpledger/gxpledger/projections/postgres"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
)

// patience bounds what a test waits for. It is reached only by a database that hangs.
const patience = 2 * time.Minute

func soon(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	tb.Cleanup(cancel)
	return ctx
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func open(tb testing.TB, address string, options ...func(*postgres.Options)) *postgres.DB {
	tb.Helper()
	o := postgres.Options{Now: time.Now}
	for _, set := range options {
		set(&o)
	}
	db, err := postgres.Open(soon(tb), address, o)
	must(tb, err)
	tb.Cleanup(func() { must(tb, db.Close()) })
	return db
}

func connect(tb testing.TB, address string) *pgx.Conn {
	tb.Helper()
	conn, err := pgx.Connect(soon(tb), address)
	must(tb, err)
	tb.Cleanup(func() { _ = conn.Close(context.WithoutCancel(tb.Context())) }) // the test may have broken it
	return conn
}

func exec(tb testing.TB, conn *pgx.Conn, statements ...string) {
	tb.Helper()
	for _, s := range statements {
		if _, err := conn.Exec(soon(tb), s); err != nil {
			tb.Fatalf("%s: %v", s, err)
		}
	}
}

// forbidden fails the test unless the server refuses a statement for want of rights.
func forbidden(tb testing.TB, conn *pgx.Conn, statement string) {
	tb.Helper()
	_, err := conn.Exec(soon(tb), statement)
	var answer *pgconn.PgError
	if !errors.As(err, &answer) || answer.Code != "42501" {
		tb.Errorf("%s: error is %v, want a refusal", statement, err)
	}
}

// user makes a user who is a member of roles, with a hostile search_path, and returns its address.
func user(t *testing.T, where string, roles ...string) string {
	t.Helper()
	u, err := url.Parse(where)
	must(t, err)
	name := "user_" + strings.ToLower(strings.TrimPrefix(u.Path, "/gxpledger_test_")) + "_" + strings.Join(roles, "_")
	conn := connect(t, where)
	exec(t, conn, "CREATE USER "+name+" PASSWORD 'secret'", "CREATE SCHEMA trap_"+name, "CREATE TABLE trap_"+name+".boxes (x int)",
		"GRANT USAGE ON SCHEMA trap_"+name+" TO "+name, "ALTER ROLE "+name+" SET search_path = trap_"+name)
	for _, role := range roles {
		exec(t, conn, "GRANT "+role+" TO "+name)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		conn, err := pgx.Connect(ctx, where)
		must(t, err)
		_, err = conn.PgConn().Exec(ctx, "DROP OWNED BY "+name+" CASCADE; DROP ROLE "+name).ReadAll()
		must(t, errors.Join(err, conn.Close(ctx)))
	})
	u.User = url.UserPassword(name, "secret")
	return u.String()
}

// shown makes and fills the tables of a inventory at address, as another user.
func shown(t *testing.T, address string) *databasetest.Counted {
	t.Helper()
	log := databasetest.NewCounted(6 * databasetest.CountedBatch)
	must(t, projectionstest.Runner(t, log, open(t, address), databasetest.Inventory(), databasetest.Counting).CatchUp(soon(t), 0))
	return log
}
