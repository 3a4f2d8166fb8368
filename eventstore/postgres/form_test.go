package postgres_test

import (
	"os"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/eventstore/postgres"
)

// The form that verify compares with is what the migrations make, in a schema of whatever name and with whatever owner.
// UPDATE_GOLDEN=1 writes it.
func TestTheFormIsWhatTheMigrationsMake(t *testing.T) {
	t.Parallel()
	const path = "form.txt"
	for _, schema := range []string{postgres.DefaultSchema, "other-log", "s"} {
		url := pgtest.Start(t)
		if err := postgres.Up(within(t), url, postgres.Namespace{Schema: schema}); err != nil {
			t.Fatal(err)
		}
		got, err := postgres.Form(within(t), url, schema)
		if err != nil {
			t.Fatal(err)
		}
		if os.Getenv("UPDATE_GOLDEN") == "1" && schema == postgres.DefaultSchema {
			if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("schema %q is made of\n%s\nwant, as %s says,\n%s", schema, got, path, want)
		}
		if n := strings.Count(got, "\n"); n < 60 {
			t.Errorf("the form has %d lines: it was not read", n)
		}
	}
}
