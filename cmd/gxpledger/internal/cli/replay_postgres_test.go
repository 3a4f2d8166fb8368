package cli_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/eventstore/pgtest"
)

// ask returns the one value of a query, as text, as any SQL tool would.
func ask(t *testing.T, address, query string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var out string
	if err := conn.QueryRow(t.Context(), query).Scan(&out); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return out
}

// digestLines returns the lines of a screen that end in a SHA-256.
func digestLines(r result) string {
	var out []string
	for line := range strings.Lines(r.stdout) {
		if fields := strings.Fields(line); len(fields) > 3 && len(fields[len(fields)-1]) == 64 {
			out = append(out, strings.Join(fields, " "))
		}
	}
	return strings.Join(out, "\n")
}

func TestReplayMakesASchemaOnPostgreSQL(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	server := pgtest.Start(t)
	into := pgtest.With(server, "schema=audit")
	made := d.run("replay", "--to", "scan:1", "--into", into).wantCode(0)
	file := d.run("replay", "--to", "scan:1", "--into", t.TempDir()+"/past.db").wantCode(0)
	if digestLines(made) == "" || digestLines(made) != digestLines(file) {
		t.Errorf("the tables on PostgreSQL are\n%s\nthose in a file are\n%s", digestLines(made), digestLines(file))
	}
	const schemas = "SELECT coalesce(string_agg(nspname, ' ' ORDER BY nspname), '') FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema|public)'"
	if got := ask(t, server, schemas); got != "audit" {
		t.Errorf("schemas are %q, want the one", got)
	}
	if got := ask(t, server, "SELECT position || ' ' || as_of || ' ' || left(made_by, 9) FROM audit.about"); got != "13 scan:1 gxpledger" {
		t.Errorf("about says %q", got)
	}
	if got := ask(t, server, "SELECT count(*) || '' FROM audit.requirements"); got == "0" {
		t.Error("the views show nothing")
	}
	if got := ask(t, server, "SELECT column_doc FROM audit.catalogue WHERE table_name = 'requirements' AND column_name = 'risk'"); got == "" {
		t.Error("the catalogue explains nothing")
	}
	d.run("replay", "--to", "scan:2", "--into", into).wantCode(1).says("schema audit", "exists already", "--force")
	d.run("replay", "--to", "scan:2", "--into", into, "--force").wantCode(0)
	if got := ask(t, server, "SELECT as_of FROM audit.about"); got != "scan:2" {
		t.Errorf("about says %q, want the tables that took their place", got)
	}
}

func TestReplayReplacesNoSchemaThatItDidNotMake(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	server := pgtest.Start(t)
	conn, err := pgx.Connect(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	for _, s := range []string{"CREATE SCHEMA audit", "CREATE TABLE audit.precious (x int)", "CREATE SCHEMA other_unfinished", "CREATE TABLE other_unfinished.x (x int)"} {
		if _, err := conn.Exec(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	into := pgtest.With(server, "schema=")
	d.run("replay", "--to", "scan:1", "--into", into+"audit", "--force").wantCode(1).says("schema audit")
	if got := ask(t, server, "SELECT count(*) || '' FROM audit.precious"); got != "0" {
		t.Errorf("it holds %s rows", got)
	}
	// What a crash left is cleared away.
	d.run("replay", "--to", "scan:1", "--into", into+"other").wantCode(0)
	if got := ask(t, server, "SELECT count(*) || '' FROM pg_namespace WHERE nspname LIKE '%unfinished'"); got != "0" {
		t.Errorf("%s unfinished schemas are left", got)
	}
	// While somebody makes a place, nobody else does.
	if _, err := conn.Exec(t.Context(), "SELECT pg_advisory_lock(hashtextextended('gxpledger keeps ' || 'held', 0))"); err != nil {
		t.Fatal(err)
	}
	d.run("replay", "--to", "scan:1", "--into", into+"held").wantCode(1).says("another process makes schema")
}
