package postgres_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/eventstore/postgres"
	"github.com/gxpledger/gxpledger/internal/race"
	"github.com/gxpledger/gxpledger/migrations"
)

// server is a database with roles that no other test has.
type server struct {
	*testing.T

	admin string // address of a superuser
	conn  *pgx.Conn
	roles postgres.Namespace
	name  string // ends the names of its roles
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{T: t, admin: pgtest.Start(t), name: strings.ToLower(rand.Text())}
	s.conn = connect(t, s.admin)
	s.roles = postgres.Namespace{Owner: "owner_" + s.name, Writer: "writer_" + s.name}
	t.Cleanup(func() { s.drop(s.roles.Owner, s.roles.Writer) })
	return s
}

// drop drops roles, where they are there, and what they own.
func (s *server) drop(roles ...string) {
	ctx := context.WithoutCancel(s.Context())
	conn, err := pgx.Connect(ctx, s.admin)
	if err != nil {
		s.Error(err)
		return
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, role := range roles {
		var found bool
		if err := conn.QueryRow(ctx, "SELECT count(*) > 0 FROM pg_roles WHERE rolname = $1", role).Scan(&found); err != nil || !found {
			continue
		}
		if _, err := conn.PgConn().Exec(ctx, "DROP OWNED BY "+role+" CASCADE; DROP ROLE "+role).ReadAll(); err != nil {
			s.Error(err)
		}
	}
}

// user makes a user and returns its address and name.
func (s *server) user(what, attributes string) (address, name string) {
	s.Helper()
	name = what + "_" + s.name
	exec(s, s.conn, "CREATE ROLE "+name+" LOGIN PASSWORD 'secret' "+attributes)
	s.Cleanup(func() { s.drop(name) })
	u := mustParse(s.T, s.admin)
	u.User = url.UserPassword(name, "secret")
	return u.String(), name
}

func (s *server) up(address string) {
	s.Helper()
	if err := postgres.Up(within(s), address, s.roles); err != nil {
		s.Fatal(err)
	}
}

func (s *server) status() migrations.Status {
	s.Helper()
	status, err := postgres.Status(within(s), s.admin, s.roles)
	if err != nil {
		s.Fatal(err)
	}
	return status
}

// catalogue lists what the server knows of the roles of the test and of what is in the schema of the log.
func (s *server) catalogue() []string {
	s.Helper()
	rows, err := s.conn.Query(within(s), `
		SELECT concat_ws(' ', 'role', rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolconnlimit, rolvaliduntil,
			rolbypassrls, rolconfig, shobj_description(oid, 'pg_authid')) FROM pg_roles WHERE rolname LIKE '%' || $1
		UNION ALL SELECT concat_ws(' ', 'member', to_jsonb(m) - 'oid') FROM pg_auth_members m
			WHERE roleid IN (SELECT oid FROM pg_roles WHERE rolname LIKE '%' || $1)
		UNION ALL SELECT concat_ws(' ', 'schema', nspname, nspowner::regrole, a.a, obj_description(n.oid)) FROM pg_namespace n
			LEFT JOIN unnest(nspacl) AS a (a) ON true WHERE nspname !~ '^pg_'
		UNION ALL SELECT concat_ws(' ', 'relation', c.oid, relname, relowner::regrole, a.a, obj_description(c.oid), relrowsecurity) FROM pg_class c
			LEFT JOIN unnest(relacl) AS a (a) ON true WHERE relnamespace = 'gxp_log'::regnamespace
		UNION ALL SELECT concat_ws(' ', 'column', attrelid::regclass, attname, a.a) FROM pg_attribute
			JOIN pg_class c ON c.oid = attrelid AND relnamespace = 'gxp_log'::regnamespace, unnest(attacl) AS a (a)
		UNION ALL SELECT concat_ws(' ', 'function', p.oid, proowner::regrole, proacl, proconfig) FROM pg_proc p WHERE pronamespace = 'gxp_log'::regnamespace
		UNION ALL SELECT concat_ws(' ', 'setting', setdatabase, setrole, setconfig) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase
			WHERE datname = current_database()
		ORDER BY 1`, s.name)
	if err != nil {
		s.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		s.Fatal(err)
	}
	return all
}

func (s *server) unchanged(before []string) {
	s.Helper()
	after := s.catalogue()
	for _, line := range before {
		if !slices.Contains(after, line) {
			s.Errorf("gone: %s", line)
		}
	}
	for _, line := range after {
		if !slices.Contains(before, line) {
			s.Errorf("new: %s", line)
		}
	}
}

// use does all that the engine does with a log, and returns the first error.
func (s *server) use(address string) error {
	log, err := postgres.Open(within(s), address, postgres.Options{Now: time.Now, Writer: s.roles.Writer})
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	stream := eventstore.StreamID(rand.Text())
	batch := start(stream, 2)
	batch.Contents = []eventstore.Blob{blob(rand.Text())}
	if _, err := log.Append(within(s), batch); err != nil {
		return err
	}
	for _, err := range log.Read(within(s), 0, eventstore.Filter{}) {
		if err != nil {
			return err
		}
	}
	if _, err := log.Content(within(s), batch.Contents[0].SHA256); err != nil {
		return err
	}
	snapshot := eventstore.Snapshot{Stream: stream, EventID: batch.Events[0].ID, Data: []byte("x")}
	for range 2 { // the second one replaces
		if err := log.SaveSnapshot(within(s), snapshot); err != nil {
			return err
		}
	}
	return nil
}

// Whichever right of the writer is revoked alone: the status names it with the SQL that gives it back, who runs the engine is
// told of it, and Up gives it back and changes nothing else.
func TestEveryRightOfTheWriterIsNamedAndGivenBack(t *testing.T) {
	t.Parallel()
	if race.Enabled {
		t.Skip("a sweep that test:large makes without the race detector: nothing in it runs at the same time")
	}
	s := newServer(t)
	s.up(s.admin)
	user, name := s.user("scanner", "")
	exec(t, s.conn, "GRANT "+s.roles.Writer+" TO "+name)
	rows, err := s.conn.Query(within(t), `
		SELECT format('%s ON gxp_log.%I', privilege_type, relname) FROM pg_class, aclexplode(relacl)
			WHERE relnamespace = 'gxp_log'::regnamespace AND grantee = $1::regrole
		UNION ALL SELECT format('%s (%I) ON gxp_log.%I', privilege_type, attname, relname) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid,
			aclexplode(attacl) WHERE relnamespace = 'gxp_log'::regnamespace AND grantee = $1::regrole
		UNION ALL SELECT privilege_type || ' ON SCHEMA gxp_log' FROM pg_namespace, aclexplode(nspacl) WHERE nspname = 'gxp_log' AND grantee = $1::regrole
		ORDER BY 1`, s.roles.Writer)
	if err != nil {
		t.Fatal(err)
	}
	rights, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(rights) != 20 {
		t.Fatalf("the writer has the rights %q, %v", rights, err)
	}
	before, refused := s.catalogue(), 0
	for _, right := range rights {
		exec(t, s.conn, "REVOKE "+right+" FROM "+s.roles.Writer)
		status := s.status()
		if len(status.Access) != 1 || !status.Access[0].ByUp || status.Writer.Ready || !strings.Contains(status.Access[0].Text, s.roles.Writer+" lacks ") {
			t.Errorf("without %s: %+v", right, status)
		}
		if err := s.use(user); err != nil {
			refused++
			for _, want := range []string{"role " + s.roles.Writer + " lacks " + strings.Fields(right)[0] + " on ", "run gxpledger migrate up as role " + s.roles.Owner} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("without %s: %v; want %q", right, err, want)
				}
			}
		}
		s.up(s.admin)
		s.unchanged(before)
	}
	if refused != len(rights)-2 { // readable_events is for people, and no snapshot is deleted
		t.Errorf("%d of %d missing rights were noticed", refused, len(rights))
	}
	if status := s.status(); len(status.Access) > 0 || !status.Writer.Ready {
		t.Errorf("in the end: %+v", status)
	}
}

// The SQL of the status does what Up does.
func TestTheSQLOfTheStatusGivesRightsBack(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.up(s.admin)
	before := s.catalogue()
	exec(t, s.conn, "REVOKE ALL ON ALL TABLES IN SCHEMA gxp_log FROM "+s.roles.Writer)
	exec(t, s.conn, "REVOKE ALL ON SCHEMA gxp_log FROM "+s.roles.Writer)
	for _, problem := range s.status().Access {
		exec(t, s.conn, problem.SQL)
	}
	s.unchanged(before)
	if status := s.status(); len(status.Access) > 0 || !status.Writer.Ready {
		t.Errorf("after its SQL, the status is %+v", status)
	}
}

// Up gives rights back, and leaves alone what an administrator set, granted and wrote.
func TestUpChangesNothingThatItDidNotMake(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	_, other := s.user("auditor", "")
	exec(t, s.conn, fmt.Sprintf("CREATE ROLE %s LOGIN CONNECTION LIMIT 3 NOINHERIT VALID UNTIL '2099-01-01'", s.roles.Writer))
	exec(t, s.conn, fmt.Sprintf("COMMENT ON ROLE %s IS 'of the administrator'", s.roles.Writer))
	exec(t, s.conn, fmt.Sprintf("ALTER ROLE %s SET search_path = public", s.roles.Writer))
	exec(t, s.conn, fmt.Sprintf("CREATE ROLE %s CREATEDB", s.roles.Owner))
	before := s.catalogueOfRoles()
	s.up(s.admin)
	if after := s.catalogueOfRoles(); !slices.Equal(before, after) {
		t.Errorf("the roles were\n%s\nand are\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	for _, sql := range []string{
		"GRANT SELECT ON gxp_log.events TO " + other, "GRANT USAGE ON SCHEMA gxp_log TO " + other, "GRANT " + s.roles.Writer + " TO " + other,
		"COMMENT ON TABLE gxp_log.events IS 'ours'", "COMMENT ON SCHEMA gxp_log IS 'ours'",
		"ALTER DATABASE " + strings.TrimPrefix(mustParse(t, s.admin).Path, "/") + " SET search_path = gxp_log",
	} {
		exec(t, s.conn, sql)
	}
	all := s.catalogue()
	s.up(s.admin) // nothing to do
	s.unchanged(all)
	exec(t, s.conn, "REVOKE INSERT ON gxp_log.events FROM "+s.roles.Writer)
	s.up(s.admin)
	s.unchanged(all)
}

func (s *server) catalogueOfRoles() []string {
	s.Helper()
	rows, err := s.conn.Query(within(s), `SELECT to_jsonb(r)::text || shobj_description(oid, 'pg_authid') FROM pg_roles r WHERE rolname LIKE '%' || $1
		UNION ALL SELECT to_jsonb(m)::text FROM pg_auth_members m WHERE roleid IN (SELECT oid FROM pg_roles WHERE rolname LIKE '%' || $1) ORDER BY 1`, s.name)
	if err != nil {
		s.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[*string])
	if err != nil {
		s.Fatal(err)
	}
	var texts []string
	for _, text := range all {
		if text != nil {
			texts = append(texts, *text)
		}
	}
	return texts
}

// The roles are there, and belong to somebody else: the second administrator owns his log, and the writer gets its rights.
func TestASecondAdministratorWhoMayNotUseTheRoles(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	exec(t, s.conn, "CREATE ROLE "+s.roles.Owner)
	exec(t, s.conn, "CREATE ROLE "+s.roles.Writer)
	database := strings.TrimPrefix(mustParse(t, s.admin).Path, "/")
	for _, attributes := range []string{"", "CREATEROLE"} {
		second, name := s.user("second"+strings.ToLower(attributes), attributes)
		err := postgres.Up(within(t), second, s.roles)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("let one run: GRANT CREATE ON DATABASE %q TO %q", database, name)) {
			t.Errorf("without a right on the database: error is %v", err)
		}
		exec(t, s.conn, "GRANT CREATE ON DATABASE "+database+" TO "+name)
		s.up(second)
		if status := s.status(); !status.Writer.Ready || len(status.Missing) > 0 {
			t.Errorf("status is %+v", status)
		}
		exec(t, s.conn, "DROP SCHEMA gxp_log CASCADE")
	}
	s.up(s.admin)
	exec(t, s.conn, "REVOKE INSERT ON gxp_log.events FROM "+s.roles.Writer)
	third, name := s.user("third", "")
	err := postgres.Up(within(t), third, s.roles)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("let one run: GRANT %q TO %q", s.roles.Owner, name)) {
		t.Errorf("of a schema that belongs to somebody else: error is %v", err)
	}
	exec(t, s.conn, "GRANT "+s.roles.Owner+" TO "+name)
	s.up(third)
	if status := s.status(); !status.Writer.Ready {
		t.Errorf("status is %+v", status)
	}
}

// A member who does not inherit is told so, and so is the administrator.
func TestAMemberWithoutInheritanceIsNamed(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.up(s.admin)
	user, name := s.user("scanner", "NOINHERIT")
	exec(t, s.conn, "GRANT "+s.roles.Writer+" TO "+name)
	if err := s.use(user); err == nil || !strings.Contains(err.Error(), "does not inherit the rights of role "+s.roles.Writer) {
		t.Errorf("error is %v", err)
	}
	status := s.status()
	if len(status.Access) != 1 || status.Access[0].ByUp || !strings.Contains(status.Access[0].Text, name) {
		t.Fatalf("status is %+v", status)
	}
	exec(t, s.conn, status.Access[0].SQL)
	if status := s.status(); len(status.Access) != 0 {
		t.Errorf("after its SQL, the status is %+v", status)
	}
	if err := s.use(user); err != nil {
		t.Error(err)
	}
}

// Policies that an administrator added hide rows: that is an error, and never fewer rows (I15).
func TestRowLevelSecurityIsAnErrorAndNeverHidesRows(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.up(s.admin)
	user, name := s.user("scanner", "")
	exec(t, s.conn, "GRANT "+s.roles.Writer+" TO "+name)
	if err := s.use(user); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"log", "head", "streams", "batches", "events", "contents", "snapshots", "schema_migrations"} {
		exec(t, s.conn, "ALTER TABLE gxp_log."+table+" ENABLE ROW LEVEL SECURITY")
		exec(t, s.conn, "CREATE POLICY everything ON gxp_log."+table+" USING (true)")
		err := s.use(user)
		if err == nil || !strings.Contains(err.Error(), "row level security of table gxp_log."+table+" would hide rows") {
			t.Errorf("with policies for %s: error is %v", table, err)
		}
		status := s.status()
		if len(status.Access) != 1 || !status.Access[0].Hides {
			t.Fatalf("status is %+v", status)
		}
		exec(t, s.conn, status.Access[0].SQL)
	}
	if err := s.use(user); err != nil {
		t.Error(err)
	}
}

// Roles are of the cluster: who may write one log may write another, unless he may not connect to its database.
func TestRolesThatOtherDatabasesHaveAreNamed(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.up(s.admin)
	if status := s.status(); len(status.Access) > 0 {
		t.Errorf("of the only database: %+v", status)
	}
	other := pgtest.Start(t)
	s.up(other)
	name := strings.TrimPrefix(mustParse(t, other).Path, "/")
	t.Cleanup(func() { // before its roles are dropped
		ctx := context.WithoutCancel(t.Context())
		conn, err := pgx.Connect(ctx, other)
		if err == nil {
			_, err = conn.Exec(ctx, "DROP OWNED BY "+s.roles.Owner+", "+s.roles.Writer+" CASCADE")
			err = errors.Join(err, conn.Close(ctx))
		}
		if err != nil {
			t.Error(err)
		}
	})
	status := s.status()
	if len(status.Access) != 1 || !strings.Contains(status.Access[0].Text, name) || !strings.HasPrefix(status.Access[0].SQL, "REVOKE CONNECT ON DATABASE") {
		t.Fatalf("of two databases: %+v", status)
	}
	exec(t, s.conn, status.Access[0].SQL)
	if status := s.status(); len(status.Access) > 0 {
		t.Errorf("after its SQL: %+v", status)
	}
}
