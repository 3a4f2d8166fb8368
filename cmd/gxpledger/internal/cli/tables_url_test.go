package cli_test

import (
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore/pgtest"
)

func TestAnAddressOfTablesIsCheckedBeforeAnythingIsDone(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"tables.db":                        "this is a path, not an address",
		"mysql://h/d":                      "cannot open mysql addresses",
		"esdb://h":                         "cannot open esdb addresses",
		"postgres://u:a@b@h/d":             "", // a password with an @ is told apart by its last one
		"postgres://u:topsecret@h/d?x=%zz": "ambiguous",
		"postgres://u:top secret@h/d":      "cannot read the address",
	} {
		d := newFixture(t)
		got := d.run("scans", "--db", address)
		if want == "" {
			if got.code == 2 {
				t.Errorf("%s: %s", address, got.stderr)
			}
			continue
		}
		if got.code != 2 || !strings.Contains(got.stderr, want) || !strings.Contains(got.stderr, "--db") || strings.Contains(got.stderr, "topsecret") {
			t.Errorf("%s: exit code %d: %s", address, got.code, got.stderr)
		}
	}
}

// A password is shown nowhere, and whoever has no tables yet is told how to make them.
func TestTablesThatAreNotThereAreToldOf(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("Write it down")
	url := pgtest.Start(t)
	d.env["GXPLEDGER_DB"] = pgtest.With(url, "schema=reviews")
	d.scan(r) // the scan is recorded, whatever the tables are
	got := d.run("scans").wantCode(1)
	if !strings.Contains(got.stderr, "migrate up") || !strings.Contains(got.stderr, `schema "reviews"`) {
		t.Errorf("%s", got.stderr)
	}
	d.run("migrate", "status").wantCode(0).has("Next        gxpledger migrate up")
	d.run("migrate", "plan").wantCode(0).has(`CREATE SCHEMA "reviews"`)
	d.run("migrate", "up").wantCode(0).has("2 migrations applied.")
	d.run("migrate", "up", "--json").wantCode(0).has(`"schema": "reviews"`)
	d.run("scans").wantCode(0)
	d.run("verify").wantCode(0)
	d.env["GXPLEDGER_DB"] = "postgres://u:topsecret@127.0.0.1:1/none"
	if got := d.run("scans", "--verbose"); got.code != 1 || strings.Contains(got.stdout+got.stderr, "topsecret") || !strings.Contains(got.stderr, "can be reached") {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
}

// Tables on a server belong to one log too, and a scan into another records nothing.
func TestTablesOnAServerBelongToOneLog(t *testing.T) {
	t.Parallel()
	one, other, r := newFixture(t), newFixture(t), newRepo(t).commit("Write it down")
	url := pgtest.Start(t)
	one.env["GXPLEDGER_DB"], other.env["GXPLEDGER_DB"] = url, url
	one.run("migrate", "up").wantCode(0)
	one.scan(r).wantCode(0)
	got := other.scan(r)
	if got.code != 1 || !strings.Contains(got.stderr, "were built from another log") || !strings.Contains(got.stderr, "another schema in --db") {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
}
