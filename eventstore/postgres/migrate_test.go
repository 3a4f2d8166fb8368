package postgres_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/eventstore/postgres"
	"github.com/gxpledger/gxpledger/migrations"
)

func TestPlanIsWhatUpDoes(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	plan, err := postgres.Plan(within(t), url, postgres.Namespace{Schema: "other-log"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`CREATE SCHEMA "other-log"`, "pg_advisory_xact_lock", "-- 0001_create", `GRANT INSERT ON "other-log"."events" TO "gxp_log_writer"`, "COMMIT;"} {
		if !strings.Contains(plan, want) {
			t.Errorf("the plan lacks %s", want)
		}
	}
	status, err := postgres.Status(within(t), url, postgres.Namespace{Schema: "other-log"})
	if err != nil || len(status.Applied) != 0 || len(status.Missing) == 0 || status.Owner != "" {
		t.Errorf("a plan changed something: %+v, %v", status, err)
	}
	if _, err := connect(t, url).PgConn().Exec(within(t), plan).ReadAll(); err != nil {
		t.Fatalf("the plan by hand: %v", err)
	}
	status, err = postgres.Status(within(t), url, postgres.Namespace{Schema: "other-log"})
	if err != nil || len(status.Missing) != 0 || status.Owner != "gxp_log_owner" || !status.Writer.Ready {
		t.Errorf("after the plan: %+v, %v", status, err)
	}
	if plan, err := postgres.Plan(within(t), url, postgres.Namespace{Schema: "other-log"}); err != nil || plan != "" {
		t.Errorf("there is more to do after the plan: %q, %v", plan, err)
	}
	log := open(t, url, func(o *postgres.Options) { o.Schema = "other-log" })
	mustAppend(t, log, start("s", 2))
}

func TestOpenRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	refused := func(url, want string, as any) {
		t.Helper()
		log, err := postgres.Open(within(t), url, postgres.Options{Now: time.Now})
		if err == nil {
			_ = log.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || as != nil && !errors.As(err, as) {
			t.Errorf("error is %v, want one with %q", err, want)
		}
	}
	empty := pgtest.Start(t)
	refused(empty, "run gxpledger migrate up", nil)

	newer := made(t)
	exec(t, connect(t, newer), "INSERT INTO gxp_log.schema_migrations (version, series, name, checksum) VALUES (2, 'postgres/log', 'later', 'x')")
	var newerError *migrations.NewerError
	refused(newer, "use the newer gxpledger", &newerError)
	if err := postgres.Up(within(t), newer, postgres.Namespace{}); !errors.As(err, &newerError) {
		t.Errorf("up: error is %v, want a NewerError", err)
	}

	changed := made(t)
	conn := connect(t, changed)
	exec(t, conn, "ALTER TABLE gxp_log.schema_migrations DISABLE TRIGGER ALL")
	exec(t, conn, "UPDATE gxp_log.schema_migrations SET checksum = 'forged'")
	var changedError *migrations.ChangedError
	refused(changed, "restore the one that is wrong", &changedError)

	foreign := pgtest.Start(t)
	exec(t, connect(t, foreign), "CREATE SCHEMA gxp_log CREATE TABLE recipes (x int)")
	var foreignError *migrations.ForeignError
	refused(foreign, "did not make", &foreignError)
	if err := postgres.Up(within(t), foreign, postgres.Namespace{}); !errors.As(err, &foreignError) {
		t.Errorf("up: error is %v, want a ForeignError", err)
	}
}

// A user who may not create roles makes the log too: it is his, and there is no writer role.
func TestUpWithoutTheRightToCreateRoles(t *testing.T) {
	t.Parallel()
	where := pgtest.Start(t)
	user, name := ordinary(t, where)
	namespace := postgres.Namespace{Owner: "nobody_" + name, Writer: "none_" + name}
	if err := postgres.Up(within(t), user, namespace); err != nil {
		t.Fatal(err)
	}
	status, err := postgres.Status(within(t), user, namespace)
	if err != nil || status.Owner != name || status.Writer.Ready || len(status.Missing) != 0 {
		t.Errorf("status is %+v, %v", status, err)
	}
	mustAppend(t, open(t, user), start("s", 2))
}

func TestUpRefusesOddNames(t *testing.T) {
	t.Parallel()
	err := postgres.Up(within(t), "postgres://nowhere", postgres.Namespace{Schema: `a"b`, Owner: "pg_owner", Writer: strings.Repeat("w", 64)})
	if err == nil {
		t.Fatal("odd names are taken")
	}
	for _, want := range []string{`a\"b`, "pg_owner", "wwww"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
}

func TestOpenRefusesOddOptions(t *testing.T) {
	t.Parallel()
	_, err := postgres.Open(within(t), "postgres://nowhere", postgres.Options{MaxConns: 1, PollEvery: -1})
	if !errors.Is(err, eventstore.ErrInvalid) {
		t.Fatalf("error is %v, want ErrInvalid", err)
	}
	for _, want := range []string{"Now", "MaxConns", "PollEvery"} {
		if !strings.Contains(err.Error(), want) {
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
		_, err := postgres.Open(within(t), url, postgres.Options{Now: time.Now})
		if err == nil || errors.Is(err, eventstore.ErrTransient) != transient {
			t.Errorf("error is %v, want one that is transient: %v", err, transient)
		}
		if err != nil && strings.Contains(err.Error(), "topsecret") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
}
