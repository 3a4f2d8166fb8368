package postgres_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/eventstore/postgres"
	"github.com/gxpledger/gxpledger/eventstore/verify"
)

// checkRecipe restores a dump of a log as docs/operations.md has it, on a server with the roles of the log: rights and guards are there
// without another step.
func checkRecipe(t *testing.T, another *pgtest.Cluster, dump []byte, id uuid.UUID, before []eventstore.Record) {
	t.Helper()
	target := another.Database(t)
	admin := connect(t, target)
	for _, role := range []string{postgres.DefaultOwner, postgres.DefaultWriter} {
		exec(t, admin, "DO $$ BEGIN CREATE ROLE "+role+" NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
	}
	// The roles of the log have rights in another database of this server, too: operations.md says to keep others out.
	exec(t, admin, "DO $$ BEGIN EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', current_database()); END $$")
	restore := another.Tool("pg_restore", "--exit-on-error", "--single-transaction", "--dbname="+target)
	restore.Stdin = bytes.NewReader(dump)
	if out, err := restore.CombinedOutput(); err != nil {
		t.Fatalf("pg_restore: %v\n%s", err, out)
	}
	status, err := postgres.Status(t.Context(), target, postgres.Namespace{})
	if err != nil || len(status.Missing) > 0 || !status.Writer.Ready || status.Owner != postgres.DefaultOwner {
		t.Errorf("after the restore the status is %+v, %v", status, err)
	}
	for _, problem := range status.Access {
		t.Errorf("a right is missing: %+v", problem)
	}
	restored := open(t, target)
	if got := readAll(t, restored); restored.ID() != id || !reflect.DeepEqual(got, before) {
		t.Errorf("the log %s is %s after the restore, with %+v, want %+v", id, restored.ID(), got, before)
	}
	for _, statement := range []string{"DELETE FROM gxp_log.events", "UPDATE gxp_log.events SET data = data", "TRUNCATE gxp_log.events CASCADE"} {
		if _, err := admin.Exec(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "the log is append-only") {
			t.Errorf("the restored log answers %s with %v", statement, err)
		}
	}
	if _, err := verify.Run(t.Context(), restored, verify.Watch{Fault: func(f eventstore.Fault) { // what the batch of this test says is no scan
		if f.Code == eventstore.FaultGuard {
			t.Errorf("verify finds %+v", f)
		}
	}}); err != nil {
		t.Fatal(err)
	}
}
