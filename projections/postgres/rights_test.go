package postgres_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/internal/race"
	"github.com/gxpledger/gxpledger/migrations"
	"github.com/gxpledger/gxpledger/projections/databasetest"
	"github.com/gxpledger/gxpledger/projections/postgres"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
)

// ours makes the tables of an inventory, with roles that no other test has.
func ours(t *testing.T) (admin string, roles postgres.Namespace, log *databasetest.Counted) {
	t.Helper()
	admin = pgtest.Start(t)
	name := strings.ToLower(rand.Text())
	roles = postgres.Namespace{Owner: "owner_" + name, Writer: "writer_" + name, Reader: "reader_" + name}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		conn, err := pgx.Connect(ctx, admin)
		must(t, err)
		all := roles.Owner + ", " + roles.Writer + ", " + roles.Reader
		_, err = conn.PgConn().Exec(ctx, "DROP OWNED BY "+all+" CASCADE; DROP ROLE "+all).ReadAll()
		must(t, errors.Join(err, conn.Close(ctx)))
	})
	must(t, postgres.Up(soon(t), admin, roles))
	log = databasetest.NewCounted(6 * databasetest.CountedBatch)
	must(t, fill(t, admin, roles, log))
	return admin, roles, log
}

// fill catches up the tables of the inventory.
func fill(t *testing.T, address string, roles postgres.Namespace, log *databasetest.Counted) error {
	t.Helper()
	db, err := postgres.Open(soon(t), address, postgres.Options{Now: time.Now, Namespace: roles})
	if err != nil {
		return err
	}
	defer func() { must(t, db.Close()) }()
	return projectionstest.Runner(t, log, db, databasetest.Inventory(), databasetest.Counting).CatchUp(soon(t), 0)
}

// read reads all views.
func read(t *testing.T, address string, roles postgres.Namespace) error {
	t.Helper()
	db, err := postgres.OpenReadOnly(soon(t), address, roles)
	if err != nil {
		return err
	}
	defer func() { must(t, db.Close()) }()
	for _, view := range []string{"boxes", "moves", "catalogue", "catalogue_builds"} {
		var rows int
		if err := db.QueryRowContext(soon(t), "SELECT count(*) FROM "+view).Scan(&rows); err != nil {
			return err
		}
		if rows == 0 {
			t.Errorf("%s is empty", view)
		}
	}
	return nil
}

func statusOf(t *testing.T, admin string, roles postgres.Namespace) migrations.Status {
	t.Helper()
	status, err := postgres.Status(soon(t), admin, roles)
	must(t, err)
	return status
}

// Whichever right of the writer or the reader is revoked alone: the status names it, who needs it is told, and Up gives it back.
func TestEveryRightOnTheTablesIsNamedAndGivenBack(t *testing.T) {
	t.Parallel()
	if race.Enabled {
		t.Skip("a sweep that test:large makes without the race detector: nothing in it runs at the same time")
	}
	admin, roles, log := ours(t)
	conn := connect(t, admin)
	writer, reader := user(t, admin, roles.Writer), user(t, admin, roles.Reader)
	rows, err := conn.Query(soon(t), `
		SELECT format('%s ON gxp.%I FROM %s', privilege_type, relname, grantee::regrole) FROM pg_class, aclexplode(relacl)
			WHERE relnamespace = 'gxp'::regnamespace AND grantee NOT IN (0, relowner)
		UNION ALL SELECT format('%s ON SCHEMA gxp FROM %s', privilege_type, grantee::regrole) FROM pg_namespace, aclexplode(nspacl)
			WHERE nspname = 'gxp' AND grantee NOT IN (0, nspowner)
		ORDER BY 1`)
	must(t, err)
	rights, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	if len(rights) < 30 {
		t.Fatalf("rights are %q", rights)
	}
	told := 0
	for _, right := range rights {
		exec(t, conn, "REVOKE "+right)
		status := statusOf(t, admin, roles)
		role := right[strings.LastIndex(right, " ")+1:]
		if len(status.Access) != 1 || !status.Access[0].ByUp || !strings.Contains(status.Access[0].Text, "role "+role+" lacks ") {
			t.Errorf("without %s: %+v", right, status)
		}
		var refused []error
		if role == roles.Writer {
			log.Grow()
			refused = append(refused, fill(t, writer, roles, log))
		}
		if role == roles.Reader || strings.Contains(right, "projection_builds") { // which every view reads
			refused = append(refused, read(t, reader, roles))
		}
		for _, err := range refused {
			if err == nil {
				continue
			}
			if told++; !contains(err, "role "+role+" lacks "+strings.Fields(right)[0]+" on ") || !contains(err, "migrate up") {
				t.Errorf("without %s: %v", right, err)
			}
		}
		must(t, postgres.Up(soon(t), admin, roles))
		if status := statusOf(t, admin, roles); len(status.Access) != 0 || !status.Writer.Ready || !status.Reader.Ready {
			t.Errorf("after %s was revoked and Up: %+v", right, status)
		}
	}
	if told < 10 {
		t.Errorf("%d of %d missing rights were noticed", told, len(rights))
	}
	for _, function := range []string{"shown(text, text)", "words(text[])", "refuse()"} {
		exec(t, conn, "REVOKE EXECUTE ON FUNCTION gxp."+function+" FROM PUBLIC, "+roles.Writer+", "+roles.Reader)
		if status := statusOf(t, admin, roles); len(status.Access) == 0 || status.Writer.Ready {
			t.Errorf("without the right to execute %s: %+v", function, status)
		}
		must(t, postgres.Up(soon(t), admin, roles))
		if status := statusOf(t, admin, roles); len(status.Access) != 0 || !status.Reader.Ready {
			t.Errorf("with the right to execute %s: %+v", function, status)
		}
	}
	log.Grow()
	must(t, errors.Join(fill(t, writer, roles, log), read(t, reader, roles)))
}

// What pg_restore --no-owner --no-privileges leaves belongs to whoever restored it, and nobody else may do anything with it. Up
// gives the builds to the writer and the views to the reader: no rebuild is needed.
func TestUpGivesBackWhatARestoreWithoutOwnersAndPrivilegesTookAway(t *testing.T) {
	t.Parallel()
	admin, roles, log := ours(t)
	conn := connect(t, admin)
	writer, reader := user(t, admin, roles.Writer), user(t, admin, roles.Reader)
	exec(t, conn, fmt.Sprintf("REASSIGN OWNED BY %s, %s TO CURRENT_USER", roles.Owner, roles.Writer),
		fmt.Sprintf("REVOKE ALL ON ALL TABLES IN SCHEMA gxp FROM %s, %s", roles.Writer, roles.Reader),
		fmt.Sprintf("REVOKE ALL ON SCHEMA gxp FROM %s, %s", roles.Writer, roles.Reader))
	log.Grow()
	if err := fill(t, writer, roles, log); err == nil {
		t.Error("the writer needs no rights")
	}
	status := statusOf(t, admin, roles)
	if status.Writer.Ready || status.Reader.Ready || len(status.Access) < 30 {
		t.Errorf("status is %+v", status)
	}
	must(t, postgres.Up(soon(t), admin, roles))
	if status := statusOf(t, admin, roles); len(status.Access) != 0 || !status.Writer.Ready || !status.Reader.Ready {
		t.Errorf("after Up the status is %+v", status)
	}
	must(t, errors.Join(fill(t, writer, roles, log), read(t, reader, roles)))
}

// Policies on what the tables stand on are an error for who writes and reads them, and the status names them.
func TestRowLevelSecurityOfTheTablesIsAnError(t *testing.T) {
	t.Parallel()
	admin, roles, log := ours(t)
	conn := connect(t, admin)
	writer := user(t, admin, roles.Writer)
	for _, table := range []string{"projection_builds", "projection_holds"} {
		exec(t, conn, "ALTER TABLE gxp."+table+" ENABLE ROW LEVEL SECURITY")
		log.Grow()
		if err := fill(t, writer, roles, log); !contains(err, "row level security of table gxp."+table) {
			t.Errorf("with policies for %s: error is %v", table, err)
		}
		status := statusOf(t, admin, roles)
		if len(status.Access) != 1 || !status.Access[0].Hides {
			t.Fatalf("status is %+v", status)
		}
		exec(t, conn, status.Access[0].SQL)
	}
	must(t, fill(t, writer, roles, log))
}
