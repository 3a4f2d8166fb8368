package postgres_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/postgres"
)

// attacks are what nobody may do to a log.
func attacks() []string {
	return []string{
		"UPDATE gxp_log.events SET data = '\\x00' WHERE position = 1",
		"UPDATE gxp_log.events SET data = data WHERE false", // not even nothing
		"DELETE FROM gxp_log.events WHERE position = 1",
		"TRUNCATE gxp_log.events",
		"UPDATE gxp_log.batches SET meta = '{}'",
		"DELETE FROM gxp_log.batches",
		"TRUNCATE gxp_log.batches",
		"UPDATE gxp_log.streams SET name = 'x'",
		"DELETE FROM gxp_log.streams",
		"TRUNCATE gxp_log.streams",
		"UPDATE gxp_log.contents SET bytes = ''",
		"DELETE FROM gxp_log.contents",
		"TRUNCATE gxp_log.contents",
		"UPDATE gxp_log.log SET id = gen_random_uuid()",
		"DELETE FROM gxp_log.log",
		"TRUNCATE gxp_log.log",
		"UPDATE gxp_log.head SET position = position - 1",
		"UPDATE gxp_log.head SET recorded_at = recorded_at - interval '1 second'",
		"DELETE FROM gxp_log.head",
		"TRUNCATE gxp_log.head",
		"UPDATE gxp_log.schema_migrations SET checksum = 'x'",
		"DELETE FROM gxp_log.schema_migrations",
		"TRUNCATE gxp_log.schema_migrations",
	}
}

func refused(t *testing.T, conn *pgx.Conn, statement string) {
	t.Helper()
	_, err := conn.Exec(within(t), statement)
	var answer *pgconn.PgError
	if !errors.As(err, &answer) || answer.Code != "42501" {
		t.Errorf("%s: error is %v, want a refusal", statement, err)
	}
}

// Triggers refuse everybody: the owner, and a superuser, also one who switches triggers off for the session.
func TestTheOwnerCannotRewriteTheLog(t *testing.T) {
	t.Parallel()
	where := made(t)
	log := open(t, where)
	batch := start("s", 3)
	batch.Contents = []eventstore.Blob{blob("a")}
	mustAppend(t, log, batch)
	for _, become := range []string{"SET ROLE gxp_log_owner", "SET session_replication_role = replica"} {
		conn := connect(t, where)
		exec(t, conn, become)
		for _, attack := range attacks() {
			refused(t, conn, attack)
		}
	}
	if n := len(readAll(t, log)); n != 3 {
		t.Errorf("the log holds %d events, want 3", n)
	}
}

// A user with nothing but the writer role can run the whole log, and do nothing else to it.
func TestTheWriterRoleIsEnoughAndNoMore(t *testing.T) {
	t.Parallel()
	where := made(t)
	user := writer(t, where)
	log := open(t, user)
	batch := start("s", 3)
	batch.Contents = []eventstore.Blob{blob("a")}
	last := mustAppend(t, log, batch)
	mustAppend(t, log, after("s", last, 2))
	if _, err := log.Append(within(t), start("s", 1)); !errors.Is(err, eventstore.ErrConflict) {
		t.Errorf("error is %v, want ErrConflict", err)
	}
	if _, err := log.Content(within(t), blob("a").SHA256); err != nil {
		t.Error(err)
	}
	snapshot := eventstore.Snapshot{Stream: "s", EventID: batch.Events[0].ID, Data: []byte("x")}
	for range 2 {
		if err := log.SaveSnapshot(within(t), snapshot); err != nil {
			t.Error(err)
		}
	}
	conn := connect(t, user)
	for _, attack := range append(attacks(),
		"ALTER TABLE gxp_log.events DISABLE TRIGGER ALL",
		"ALTER TABLE gxp_log.events ADD COLUMN x int",
		"DROP TABLE gxp_log.events",
		"CREATE TABLE gxp_log.mine (x int)",
		"DROP FUNCTION gxp_log.refuse() CASCADE",
		"UPDATE gxp_log.head SET one = 1",
		"INSERT INTO gxp_log.log VALUES (1, gen_random_uuid(), now())",
		"SET session_replication_role = replica",
	) {
		refused(t, conn, attack)
	}
	if err := postgres.Up(within(t), user, postgres.Namespace{}); err != nil {
		t.Errorf("Up with nothing to do needs no rights: %v", err)
	}
	if n := len(readAll(t, log)); n != 5 {
		t.Errorf("the log holds %d events, want 5", n)
	}
}

// writer makes a user with the writer role and a hostile search_path, and returns its address.
func writer(t *testing.T, where string) string {
	t.Helper()
	user, name := ordinary(t, where)
	conn := connect(t, where)
	exec(t, conn, "REVOKE CREATE ON DATABASE "+strings.TrimPrefix(mustParse(t, where).Path, "/")+" FROM "+name)
	exec(t, conn, "GRANT gxp_log_writer TO "+name)
	exec(t, conn, "CREATE SCHEMA trap")
	exec(t, conn, "CREATE TABLE trap.events (x int)")
	exec(t, conn, "GRANT USAGE ON SCHEMA trap TO "+name)
	exec(t, conn, "ALTER ROLE "+name+" SET search_path = trap")
	return user
}

// ordinary makes a user who may do nothing but create schemas, and returns its address and name.
func ordinary(t *testing.T, where string) (address, name string) {
	t.Helper()
	u := mustParse(t, where)
	database := strings.TrimPrefix(u.Path, "/")
	name = "user_" + strings.TrimPrefix(database, "gxpledger_test_")
	conn := connect(t, where)
	exec(t, conn, "CREATE USER "+name+" PASSWORD 'secret'")
	exec(t, conn, "GRANT CREATE ON DATABASE "+database+" TO "+name)
	t.Cleanup(func() {
		ctx := context.Background()
		conn, err := pgx.Connect(ctx, where)
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := conn.PgConn().Exec(ctx, "DROP OWNED BY "+name+" CASCADE; DROP ROLE "+name).ReadAll(); err != nil {
			t.Error(err)
		}
		if err := conn.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	u.User = url.UserPassword(name, "secret")
	return u.String(), name
}

func mustParse(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
