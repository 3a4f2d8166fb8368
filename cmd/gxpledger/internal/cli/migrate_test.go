package cli_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/eventstore/pgtest"
)

type migrated struct {
	Address     string `json:"address"`
	Applied     []step `json:"applied"`
	Missing     []step `json:"missing"`
	Done        []step `json:"done"`
	Owner       string `json:"owner"`
	WriterReady *bool  `json:"writer_ready"`
}

type step struct {
	Version  int    `json:"version"`
	Name     string `json:"name"`
	Checksum string `json:"checksum"`
}

func (d *fixture) migrated(args ...string) (m migrated) {
	d.t.Helper()
	got := d.run(append(args, "--json")...).wantCode(0)
	var all struct {
		Log *migrated `json:"log"`
	}
	if err := json.Unmarshal([]byte(got.stdout), &all); err != nil || all.Log == nil {
		d.t.Fatalf("%s: %v", got.stdout, err)
	}
	return *all.Log
}

// execute runs statements as the administrator of a server.
func execute(t *testing.T, address string, statements ...string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // also while a test cleans up
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func TestALogOnPostgreSQLIsMadeByMigrateUp(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	address := pgtest.Start(t)
	d.env["GXPLEDGER_LOG"] = address
	if m := d.migrated("migrate", "status"); len(m.Applied) != 0 || len(m.Missing) == 0 || m.Owner != "" {
		t.Errorf("an empty database: %+v", m)
	}
	d.run("migrate", "status").wantCode(0).has("Next        gxpledger migrate up")
	d.run("migrate", "plan").wantCode(0).has("CREATE SCHEMA")
	if m := d.migrated("migrate", "status"); len(m.Applied) != 0 {
		t.Errorf("looking has changed it: %+v", m)
	}
	m := d.migrated("migrate", "up")
	if len(m.Missing) != 0 || len(m.Done) != 1 || m.Owner == "" || m.WriterReady == nil || !*m.WriterReady {
		t.Errorf("after migrate up: %+v", m)
	}
	if again := d.migrated("migrate", "up"); len(again.Done) != 0 || len(again.Applied) != len(m.Applied) {
		t.Errorf("a second migrate up: %+v", again)
	}
	if got := d.run("migrate", "plan").wantCode(0); got.stdout != "" || !strings.Contains(got.stderr, "nothing to do") {
		t.Errorf("the plan for a log that lacks nothing: %q, %q", got.stdout, got.stderr)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	if secret, _ := u.User.Password(); strings.Contains(m.Address, secret) || !strings.Contains(m.Address, u.Host) {
		t.Errorf("the log is called %s", m.Address)
	}
}

// TestTheWriterRoleIsEnoughForEveryCommand: the user of the engine is nobody but a member of the role that migrate up made.
func TestTheWriterRoleIsEnoughForEveryCommand(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("Write it down")
	admin := pgtest.Start(t)
	user := "gxp_cli_" + strings.ToLower(rand.Text())
	d.run("migrate", "up", "--log", admin).wantCode(0)
	execute(t, admin, "CREATE ROLE "+user+" LOGIN PASSWORD 'only-for-this-test' IN ROLE gxp_log_writer")
	t.Cleanup(func() {
		execute(t, admin, "DROP ROLE "+user)
	})
	d.env["GXPLEDGER_LOG"] = withPassword(t, admin, user, "only-for-this-test")
	d.scan(r).wantCode(0)
	for _, command := range []string{"show requirements", "verify", "migrate status", "log", "repository retire demo --reason over"} {
		d.run(strings.Fields(command)...).wantCode(0)
	}
}

// TestMissingRightsAreNamedAndGivenBack: status and verify name them with the SQL, a scan says which one is missing, and migrate
// up gives it back.
func TestMissingRightsAreNamedAndGivenBack(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("Write it down")
	admin := pgtest.Start(t)
	user := "gxp_cli_" + strings.ToLower(rand.Text())
	d.run("migrate", "up", "--log", admin, "--db", admin).wantCode(0)
	execute(t, admin, "CREATE ROLE "+user+" LOGIN PASSWORD 'only-for-this-test' IN ROLE gxp_log_writer, gxp_writer")
	t.Cleanup(func() { execute(t, admin, "DROP OWNED BY "+user, "DROP ROLE "+user) })
	d.env["GXPLEDGER_LOG"] = withPassword(t, admin, user, "only-for-this-test")
	d.env["GXPLEDGER_DB"] = d.env["GXPLEDGER_LOG"]
	d.scan(r).wantCode(0)
	const missing, grant = "role gxp_log_writer lacks INSERT on table gxp_log.batches", `GRANT INSERT ON "gxp_log"."batches" TO "gxp_log_writer";`
	execute(t, admin, "REVOKE INSERT ON gxp_log.batches FROM gxp_log_writer", "REVOKE SELECT ON gxp.requirements FROM gxp_reader",
		"ALTER TABLE gxp.kept_acts ENABLE ROW LEVEL SECURITY")
	status := d.run("migrate", "status").wantCode(0)
	for _, want := range []string{missing, grant, `GRANT SELECT ON "gxp"."requirements" TO "gxp_reader";`} {
		status.has(want)
	}
	d.scan(r.commit("Go on")).wantCode(1).says(missing)
	verified := d.run("verify", "--log", admin, "--db", admin).wantCode(3)
	for _, want := range []string{missing, "role gxp_reader lacks SELECT on view gxp.requirements", "unknown: access"} {
		verified.has(want)
	}
	execute(t, admin, "ALTER TABLE gxp.kept_acts DISABLE ROW LEVEL SECURITY")
	d.run("migrate", "up", "--log", admin, "--db", admin).wantCode(0)
	if status := d.run("migrate", "status").wantCode(0); strings.Contains(status.stdout, " lacks ") {
		t.Errorf("after migrate up: %s", status.stdout)
	}
	d.scan(r.commit("Go on")).wantCode(0)
}

// TestAProductHasRolesOfItsOwn: with a prefix, nothing that another product of the server has is made or used.
func TestAProductHasRolesOfItsOwn(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("Write it down")
	admin, prefix := pgtest.Start(t), "lims_"+strings.ToLower(rand.Text())+"_"
	d.env["GXPLEDGER_ROLE_PREFIX"] = prefix
	roles := []string{prefix + "gxp_log_owner", prefix + "gxp_log_writer", prefix + "gxp_owner", prefix + "gxp_writer", prefix + "gxp_reader"}
	user := prefix + "scanner"
	d.run("migrate", "up", "--log", admin, "--db", admin).wantCode(0).has(prefix + "gxp_log_writer has its rights")
	execute(t, admin, "CREATE ROLE "+user+" LOGIN PASSWORD 'only-for-this-test' IN ROLE "+roles[1]+", "+roles[3])
	t.Cleanup(func() {
		all := user + ", " + strings.Join(roles, ", ")
		execute(t, admin, "DROP OWNED BY "+all+" CASCADE", "DROP ROLE "+all)
	})
	for _, setting := range []string{"GXPLEDGER_LOG", "GXPLEDGER_DB"} {
		d.env[setting] = withPassword(t, admin, user, "only-for-this-test")
	}
	d.scan(r).wantCode(0)
	d.run("show", "requirements").wantCode(0)
	d.verify(0)
	conn, err := pgx.Connect(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var others int
	err = conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_shdepend JOIN pg_roles r ON r.oid = refobjid AND refclassid = 'pg_authid'::regclass
		WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND rolname LIKE 'gxp\_%'`).Scan(&others)
	if err != nil || others > 0 {
		t.Errorf("%d rights of roles without the prefix, %v", others, err)
	}
	d.run("migrate", "status", "--role-prefix", "pg_x").wantCode(2).says("the prefix of roles is")
}

func TestThePlanDoesWhatMigrateUpDoes(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("Write it down")
	d.env["GXPLEDGER_LOG"] = pgtest.Start(t)
	execute(t, d.env["GXPLEDGER_LOG"], d.run("migrate", "plan").wantCode(0).stdout)
	if m := d.migrated("migrate", "status"); len(m.Missing) != 0 {
		t.Errorf("after the plan was run by hand: %+v", m)
	}
	d.scan(r).wantCode(0)
	d.verify(0)
}

func TestALogOfANewerFormIsRefused(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.env["GXPLEDGER_LOG"] = made(t)
	execute(t, d.env["GXPLEDGER_LOG"], "INSERT INTO gxp_log.schema_migrations (version, series, name, checksum) "+
		"SELECT version + 1, series, 'later', repeat('0', 64) FROM gxp_log.schema_migrations ORDER BY version DESC LIMIT 1")
	for _, command := range []string{"migrate status", "migrate up", "migrate plan", "verify"} {
		d.run(strings.Fields(command)...).wantCode(1).says("use the newer gxpledger")
	}
}

func TestMigratingTheSQLiteLog(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("Write it down")
	if m := d.migrated("migrate", "status"); len(m.Applied) != 0 || len(m.Missing) == 0 {
		t.Errorf("where there is no log: %+v", m)
	}
	d.run("migrate", "plan").wantCode(0).has("CREATE TABLE")
	if _, err := os.Stat(d.home); !os.IsNotExist(err) {
		t.Errorf("looking has made a home: %v", err)
	}
	if m := d.migrated("migrate", "up"); len(m.Done) == 0 || len(m.Missing) != 0 {
		t.Errorf("after migrate up: %+v", m)
	}
	d.run("migrate", "up").wantCode(0).golden("migrate.txt", d.home, "HOME")
	d.scan(r).wantCode(0)
	if m := d.migrated("migrate", "status"); len(m.Done) != 0 || len(m.Missing) != 0 || m.WriterReady != nil {
		t.Errorf("of a log that was scanned into: %+v", m)
	}
	if err := os.WriteFile(filepath.Join(d.home, "log.db"), []byte("no database, but as long as a header of one: "+strings.Repeat(".", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(d.home, "log.db-wal"))
	_ = os.Remove(filepath.Join(d.home, "log.db-shm"))
	d.run("migrate", "status").wantCode(1).says("log.db")
}

// TestABackupThatWasTakenWhileTheLogIsOpenIsWhole: the way to copy a SQLite log that docs/operations.md gives.
func TestABackupThatWasTakenWhileTheLogIsOpenIsWhole(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("Write it down")
	d.scan(r).wantCode(0)
	s := d.serve() // keeps the log open
	d.scan(r.requirement("REQ-002", "The second").commit("Write more")).wantCode(0)
	restored := newFixture(t)
	if err := os.MkdirAll(restored.home, 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(d.home, "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "VACUUM INTO ?", filepath.Join(restored.home, "log.db")); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s.stop()
	restored.verify(0)
	restored.run("show", "requirements").wantCode(0).has("REQ-002")
	restored.scan(r.requirement("REQ-003", "The third").commit("Go on")).wantCode(0)
	restored.verify(0)
	d.scan(r).wantCode(0)
}
