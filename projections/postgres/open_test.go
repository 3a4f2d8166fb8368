package postgres_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/migrations"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/databasetest"
	"github.com/gxpledger/gxpledger/projections/postgres"
)

func contains(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }

func TestPlanIsWhatUpDoes(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	namespace := postgres.Namespace{Schema: "other-tables"}
	plan, err := postgres.Plan(soon(t), url, namespace)
	must(t, err)
	for _, want := range []string{`CREATE SCHEMA "other-tables"`, "pg_advisory_xact_lock", "-- 0001_create", `TO "gxp_reader"`, `TO "gxp_writer"`, "COMMIT;"} {
		if !strings.Contains(plan, want) {
			t.Errorf("the plan lacks %s", want)
		}
	}
	status, err := postgres.Status(soon(t), url, namespace)
	if err != nil || len(status.Applied) != 0 || len(status.Missing) == 0 || status.Owner != "" {
		t.Errorf("a plan changed something: %+v, %v", status, err)
	}
	if _, err := connect(t, url).PgConn().Exec(soon(t), plan).ReadAll(); err != nil {
		t.Fatalf("the plan by hand: %v", err)
	}
	status, err = postgres.Status(soon(t), url, namespace)
	if err != nil || len(status.Missing) != 0 || status.Owner != "gxp_owner" || !status.Writer.Ready || !status.Reader.Ready {
		t.Errorf("after the plan: %+v, %v", status, err)
	}
	if plan, err := postgres.Plan(soon(t), url, namespace); err != nil || plan != "" {
		t.Errorf("there is more to do after the plan: %q, %v", plan, err)
	}
	open(t, url, func(o *postgres.Options) { o.Namespace = namespace })
}

// A log and tables live in one database, and neither takes the other's schema for its own.
func TestTablesAreNotALog(t *testing.T) {
	t.Parallel()
	url := made(t)
	log, err := migrations.PostgresLog(migrations.PostgresTarget{Schema: "gxp"})
	must(t, err)
	var foreign *migrations.ForeignError
	if err := log.Up(soon(t), connect(t, url)); !errors.As(err, &foreign) || foreign.Held != "postgres/tables" {
		t.Errorf("error is %v, want a *ForeignError", err)
	}
}

func TestOpenRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	refused := func(url, want string, as any) {
		t.Helper()
		_, err := postgres.Open(soon(t), url, postgres.Options{Now: time.Now})
		if !contains(err, want) || as != nil && !errors.As(err, as) {
			t.Errorf("error is %v, want one with %q", err, want)
		}
	}
	refused(pgtest.Start(t), "run gxpledger migrate up", nil)
	if _, err := postgres.OpenReadOnly(soon(t), pgtest.Start(t), postgres.Namespace{}); !contains(err, "run gxpledger migrate up") {
		t.Errorf("to query: error is %v, want one that says what to do", err)
	}

	newer := made(t)
	exec(t, connect(t, newer), "INSERT INTO gxp.schema_migrations (version, series, name, checksum) VALUES (99, 'postgres/tables', 'later', 'x')")
	var newerError *migrations.NewerError
	refused(newer, "use the newer gxpledger", &newerError)

	changed := made(t)
	exec(t, connect(t, changed), "ALTER TABLE gxp.schema_migrations DISABLE TRIGGER ALL", "UPDATE gxp.schema_migrations SET checksum = 'forged'")
	var changedError *migrations.ChangedError
	refused(changed, "restore the one that is wrong", &changedError)
}

// A user who may not create roles makes the schema too: it is his, there is no writer role, and he can do everything.
func TestUpWithoutTheRightToCreateRoles(t *testing.T) {
	t.Parallel()
	where := pgtest.Start(t)
	owner := user(t, where)
	exec(t, connect(t, where), "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO PUBLIC', current_database()); END $$")
	namespace := postgres.Namespace{Owner: "nobody_there", Writer: "none_there", Reader: "blind_there"}
	must(t, postgres.Up(soon(t), owner, namespace))
	status, err := postgres.Status(soon(t), owner, namespace)
	if err != nil || !strings.HasPrefix(status.Owner, "user_") || status.Writer.Ready || status.Reader.Ready || len(status.Missing) != 0 {
		t.Errorf("status is %+v, %v", status, err)
	}
	db := open(t, owner, func(o *postgres.Options) { o.Namespace = namespace })
	_, err = projections.CreateBuild(soon(t), db, databasetest.Inventory(), projections.LeaseRequest{Holder: "x", TTL: time.Minute})
	must(t, err)
}

func TestOpenRefusesOddOptions(t *testing.T) {
	t.Parallel()
	_, err := postgres.Open(soon(t), "postgres://nowhere", postgres.Options{MaxConns: 1, Patience: -1, Namespace: postgres.Namespace{Schema: `a"b`, Reader: "pg_read"}})
	if !errors.Is(err, projections.ErrInvalid) {
		t.Fatalf("error is %v, want ErrInvalid", err)
	}
	for _, want := range []string{"Now", "MaxConns", "Patience", `a\"b`, "pg_read"} {
		if !contains(err, want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
}

// What the user did wrong is told apart from what passes by itself, and never with the password.
func TestOpenTellsWhyItCannotConnect(t *testing.T) {
	t.Parallel()
	for url, transient := range map[string]bool{
		"postgres://u:topsecret@127.0.0.1:1/none":               true,  // nobody listens
		"postgres://u:topsecret@127.0.0.1:1/none?sslmode=wrong": false, // not an address
	} {
		for what, try := range map[string]func() error{
			"open":  func() error { _, err := postgres.Open(soon(t), url, postgres.Options{Now: time.Now}); return err },
			"query": func() error { _, err := postgres.OpenReadOnly(soon(t), url, postgres.Namespace{}); return err },
			"up":    func() error { return postgres.Up(soon(t), url, postgres.Namespace{}) },
		} {
			err := try()
			if err == nil || errors.Is(err, projections.ErrTransient) != transient {
				t.Errorf("%s: error is %v, want one that is transient: %v", what, err, transient)
			}
			if contains(err, "topsecret") {
				t.Errorf("%s: the error tells the password: %v", what, err)
			}
		}
	}
}

// One DB keeps within its budget, whatever runs at once.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	url := made(t)
	shown(t, url)
	db := open(t, pgtest.With(url, "application_name=budget"), func(o *postgres.Options) { o.MaxConns = 4 })
	done := make(chan error)
	const many = 20
	for range many {
		go func() {
			_, err := db.Builds(soon(t), "inventory")
			if err == nil {
				_, err = projections.Renew(soon(t), db, projections.Lease{Ref: projections.Ref{Projection: "inventory", Number: 1}, LeaseRequest: projections.LeaseRequest{Holder: "x", TTL: 1}})
				if errors.Is(err, projections.ErrLeaseLost) {
					err = nil
				}
			}
			var n int
			done <- errors.Join(err, db.Query().QueryRowContext(soon(t), "SELECT count(*) FROM boxes").Scan(&n))
		}()
	}
	for range many {
		must(t, <-done)
	}
	var n int
	must(t, connect(t, url).QueryRow(soon(t), "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'budget'").Scan(&n))
	if n > 4 {
		t.Errorf("%d connections, want at most 4", n)
	}
}
