package migrations

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// right is what a role may do with an object of the schema.
type right struct {
	kind      objectKind
	object    string // "" for the schema, and for every view or build
	column    string // "" for the whole object
	privilege string
}

// objectKind is what a right is on.
type objectKind string

const (
	onSchema   objectKind = "schema"
	onTable    objectKind = "table" // or view
	onFunction objectKind = "function"
	onViews    objectKind = "view"  // each that shows a build
	onBuilds   objectKind = "build" // each table of a build, and each view
)

// owns is the privilege of who owns an object.
const owns = "OWNER"

// rights is the list of all rights of a role. Nothing else says what a role may do.
type rights []right

func (r rights) on(kind objectKind, privileges string, objects ...string) rights {
	for _, object := range objects {
		for privilege := range strings.SplitSeq(privileges, ", ") {
			r = append(r, right{kind: kind, object: object, privilege: privilege})
		}
	}
	return r
}

// logWriter is the right to run the engine: to read, append, move the counter row, and keep snapshots. Nothing else.
func logWriter() rights {
	r := rights{}.on(onSchema, "USAGE", "").
		on(onTable, "SELECT", "schema_migrations", "log", "readable_events", "head").
		on(onTable, "SELECT, INSERT", "streams", "batches", "events", "contents").
		on(onTable, "SELECT, INSERT, UPDATE, DELETE", "snapshots")
	for _, column := range []string{"position", "recorded_at", "streams"} {
		r = append(r, right{kind: onTable, object: "head", column: column, privilege: "UPDATE"})
	}
	return r
}

// tablesWriter is the right to project: to make and drop builds, which the role then owns, and keep account of them.
// Nothing else, and nothing on a log.
func tablesWriter() rights {
	return rights{}.on(onSchema, "USAGE, CREATE", "").
		on(onTable, "SELECT", "schema_migrations", "catalogue", "catalogue_builds").
		on(onTable, "SELECT, INSERT, UPDATE", "projection_counters").
		on(onTable, "SELECT, INSERT, UPDATE, DELETE",
			"projection_builds", "build_tables", "build_columns", "build_digests", "projection_holds", "kept_acts").
		on(onFunction, "EXECUTE", "refuse", "shown", "words").
		on(onBuilds, owns, "")
}

// cursorsWriter is the right to create, move and remove cursors. Nothing else, and nothing on a log.
func cursorsWriter() rights {
	return rights{}.on(onSchema, "USAGE", "").
		on(onTable, "SELECT", "schema_migrations").
		on(onTable, "SELECT, UPDATE", "tokens").
		on(onTable, "SELECT, INSERT, UPDATE, DELETE", "cursors")
}

// tablesReader is the right of people and their tools: to read the views, what they mean and how far they are.
func tablesReader() rights {
	return rights{}.on(onSchema, "USAGE", "").
		on(onTable, "SELECT", "catalogue", "catalogue_builds").
		on(onFunction, "EXECUTE", "shown", "words").
		on(onViews, "SELECT", "")
}

// Lack is a right that a role needs and has not got.
type Lack struct {
	right

	Role  string
	Owner string // of the object
	mayBe bool   // the connected user may act as the owner
	keeps bool   // the owner may do all that the role may
	where string // the schema
}

// byUp reports whether Up gives the right. It gives a thing to a role only where its owner, who may be one that the engine connects as,
// keeps the use of it.
func (l Lack) byUp(state postgresState) bool {
	return l.privilege != owns || l.keeps && (state.super || l.mayBe)
}

// String says which right of whom it is.
func (l Lack) String() string { return fmt.Sprintf("%s lacks %s", l.Role, l.Right()) }

// Right says which right it is.
func (l Lack) Right() string {
	on := string(l.kind) + " " + strings.TrimSuffix(l.where+"."+l.object, ".")
	switch {
	case l.privilege == owns:
		return "ownership of " + on
	case l.column != "":
		return fmt.Sprintf("%s on column %s of %s", l.privilege, l.column, on)
	default:
		return fmt.Sprintf("%s on %s", l.privilege, on)
	}
}

// SQL gives the right to the role.
func (l Lack) SQL() string {
	name := quote(l.where)
	if l.kind != onSchema {
		name += "." + quote(l.object)
	}
	privilege, on := l.privilege, name
	switch {
	case l.privilege == owns:
		return fmt.Sprintf("ALTER TABLE %s OWNER TO %s;", name, quote(l.Role)) // takes views too
	case l.column != "":
		privilege += " (" + quote(l.column) + ")"
	case l.kind == onSchema:
		on = "SCHEMA " + name
	case l.kind == onFunction:
		on = "FUNCTION " + name
	}
	return fmt.Sprintf("GRANT %s ON %s TO %s;", privilege, on, quote(l.Role))
}

// grants returns the SQL that gives a role all rights on what migrations make.
func (r rights) grants(schema, role string) string {
	var sql strings.Builder
	for _, one := range r {
		if one.object != "" || one.kind == onSchema {
			sql.WriteString(Lack{right: one, Role: role, where: schema}.SQL() + "\n")
		}
	}
	return sql.String()
}

// lacksSQL returns which of the rights $3 to $6 the role $2 lacks in the schema $1. A role that is not there lacks all. It
// asks only the catalogue of the server, which everybody may read.
const lacksSQL = `
WITH ns AS (SELECT oid, nspname, nspowner FROM pg_catalog.pg_namespace WHERE nspname = $1),
rel AS (SELECT c.oid, c.relname, c.relkind, c.relowner, pg_catalog.regexp_replace(c.relname, '__b[0-9]+$', '') AS shown
	FROM pg_catalog.pg_class c JOIN ns ON ns.oid = c.relnamespace WHERE c.relkind IN ('r', 'v')),
built AS (SELECT oid, relname, relowner, shown FROM rel WHERE relkind = 'r' AND shown <> relname),
shows AS (SELECT v.oid, v.relname, v.relowner FROM rel v WHERE relkind = 'v' AND EXISTS (SELECT FROM built WHERE built.shown = v.relname)),
objects (kind, name, oid, owner) AS (
	SELECT 'schema', '', oid, nspowner FROM ns
	UNION ALL SELECT 'table', relname::text, oid, relowner FROM rel
	UNION ALL SELECT 'function', proname::text, p.oid, proowner FROM pg_catalog.pg_proc p JOIN ns ON ns.oid = p.pronamespace
	UNION ALL SELECT 'view', relname::text, oid, relowner FROM shows
	UNION ALL SELECT 'build', relname::text, oid, relowner FROM built
	UNION ALL SELECT 'build', relname::text, oid, relowner FROM shows)
SELECT w.kind, o.name, w.col, w.privilege, pg_catalog.pg_get_userbyid(o.owner),
	pg_catalog.pg_has_role(o.owner, ` + mayAct + `),
	coalesce(pg_catalog.pg_has_role(o.owner, r.oid, 'USAGE'), false) OR EXISTS (SELECT FROM pg_catalog.pg_roles s WHERE s.oid = o.owner AND s.rolsuper)
FROM ROWS FROM (pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::text[]), pg_catalog.unnest($5::text[]), pg_catalog.unnest($6::text[]))
	WITH ORDINALITY AS w (kind, name, col, privilege, n)
JOIN objects o ON o.kind = w.kind AND (o.name = w.name OR w.kind IN ('view', 'build'))
LEFT JOIN pg_catalog.pg_roles r ON r.rolname = $2
LEFT JOIN pg_catalog.pg_attribute a ON w.col <> '' AND a.attrelid = o.oid AND a.attname = w.col
WHERE NOT CASE
	WHEN r.oid IS NULL THEN false
	WHEN w.privilege = 'OWNER' THEN pg_catalog.pg_has_role(r.oid, o.owner, 'USAGE')
	WHEN w.kind = 'schema' THEN pg_catalog.has_schema_privilege(r.oid, o.oid, w.privilege)
	WHEN w.kind = 'function' THEN pg_catalog.has_function_privilege(r.oid, o.oid, w.privilege)
	WHEN w.col <> '' THEN pg_catalog.has_column_privilege(r.oid, o.oid, a.attnum, w.privilege)
	ELSE pg_catalog.has_table_privilege(r.oid, o.oid, w.privilege)
END
ORDER BY w.n, o.name`

// lacks returns the rights that a role lacks.
func (r rights) lacks(ctx context.Context, conn *pgx.Conn, schema, role string) ([]Lack, error) {
	var kinds, names, columns, privileges []string
	for _, one := range r {
		kinds, names = append(kinds, string(one.kind)), append(names, one.object)
		columns, privileges = append(columns, one.column), append(privileges, one.privilege)
	}
	rows, err := conn.Query(ctx, lacksSQL, schema, role, kinds, names, columns, privileges)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Lack, error) {
		l := Lack{Role: role, where: schema}
		return l, row.Scan(&l.kind, &l.object, &l.column, &l.privilege, &l.Owner, &l.mayBe, &l.keeps)
	})
}

// hiddenSQL returns the tables of the schema $1 whose rows the server may keep from those who read them.
const hiddenSQL = `SELECT c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relrowsecurity ORDER BY 1`

func (p *Postgres) hidden(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, err := conn.Query(ctx, hiddenSQL, p.target.Schema)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// membersSQL returns the users who are members of one of the roles $1 and do not have its rights, and how they get them. A
// membership that neither inherits nor lets the role be taken on is none.
const membersSQL = `
SELECT m.rolname::text, r.rolname::text, pg_catalog.current_setting('server_version_num')::int >= 160000
FROM pg_catalog.pg_auth_members am JOIN pg_catalog.pg_roles r ON r.oid = am.roleid JOIN pg_catalog.pg_roles m ON m.oid = am.member
WHERE r.rolname = ANY ($1) AND m.rolcanlogin AND NOT pg_catalog.pg_has_role(m.oid, r.oid, 'USAGE')
	AND pg_catalog.has_database_privilege(m.oid, pg_catalog.current_database(), 'CONNECT')
	AND coalesce((pg_catalog.to_jsonb(am) ->> 'set_option')::boolean, true)
ORDER BY 1, 2`

// sharedSQL returns the roles $1 that have rights in other databases too, with those, while everybody may connect to this one.
const sharedSQL = `
SELECT r.rolname::text, pg_catalog.string_agg(DISTINCT o.datname, ', '), pg_catalog.current_database()::text
FROM pg_catalog.pg_shdepend s JOIN pg_catalog.pg_roles r ON s.refclassid = 'pg_catalog.pg_authid'::regclass AND r.oid = s.refobjid
JOIN pg_catalog.pg_database o ON o.oid = s.dbid AND o.datname <> pg_catalog.current_database()
JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
WHERE r.rolname = ANY ($1) AND EXISTS (SELECT FROM pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a
	WHERE a.grantee = 0 AND a.privilege_type = 'CONNECT')
GROUP BY 1 ORDER BY 1`

// AccessProblem is something about rights that an administrator should know.
type AccessProblem struct {
	Text string
	SQL  string // gives the right back, or ends the problem
	// ByUp reports that Up does it.
	ByUp bool
	// Hides reports that rows may be missing from what is read, without a word.
	Hides bool
}

// access returns what is wrong with rights, of a schema that is there.
func (p *Postgres) access(ctx context.Context, conn *pgx.Conn, s postgresState) (all []AccessProblem, err error) {
	for _, role := range s.roles {
		for _, l := range role.lacks {
			if role.exists {
				all = append(all, AccessProblem{Text: "role " + l.String(), SQL: l.SQL(), ByUp: l.byUp(s)})
			}
		}
	}
	hidden, err := p.hidden(ctx, conn)
	for _, table := range hidden {
		all = append(all, AccessProblem{
			Text: fmt.Sprintf("row level security is on for table %s.%s: its policies hide rows from those who read it", p.target.Schema, table),
			SQL:  fmt.Sprintf("ALTER TABLE %s.%s DISABLE ROW LEVEL SECURITY;", quote(p.target.Schema), quote(table)), Hides: true,
		})
	}
	if err != nil {
		return nil, err
	}
	names := slices.DeleteFunc([]string{p.target.Writer, p.target.Reader}, func(name string) bool { return name == "" })
	rows, err := conn.Query(ctx, membersSQL, names)
	if err != nil {
		return nil, err
	}
	var user, role, others, database string
	var ofMembership bool
	_, err = pgx.ForEachRow(rows, []any{&user, &role, &ofMembership}, func() error {
		problem := AccessProblem{Text: fmt.Sprintf("user %s is a member of role %s and does not inherit its rights", user, role)}
		problem.SQL = fmt.Sprintf("ALTER ROLE %s INHERIT;", quote(user))
		if ofMembership {
			problem.SQL = fmt.Sprintf("GRANT %s TO %s WITH INHERIT TRUE;", quote(role), quote(user))
		}
		all = append(all, problem)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if rows, err = conn.Query(ctx, sharedSQL, names); err != nil {
		return nil, err
	}
	_, err = pgx.ForEachRow(rows, []any{&role, &others, &database}, func() error {
		all = append(all, AccessProblem{
			Text: fmt.Sprintf("role %s has rights in other databases of the server too (%s), and every user may connect to this one: "+
				"whoever uses it there can do the same here", role, others),
			SQL: fmt.Sprintf("REVOKE CONNECT ON DATABASE %s FROM PUBLIC;", quote(database)),
		})
		return nil
	})
	return all, err
}

// Explain says which right is missing, after the server has refused something to the user of conn for want of one. It
// returns nil when it finds none. The connection must be outside a transaction.
func (p *Postgres) Explain(ctx context.Context, conn *pgx.Conn) error {
	var user, role string
	err := conn.QueryRow(ctx, `SELECT current_user::text, coalesce((SELECT rolname::text FROM pg_catalog.pg_roles
		WHERE rolname = ANY ($1) AND pg_catalog.pg_has_role(oid, 'MEMBER') ORDER BY rolname <> $2 LIMIT 1), '')`,
		[]string{p.target.Writer, p.target.Reader}, p.target.Writer).Scan(&user, &role)
	if err != nil {
		return err
	}
	hidden, err := p.hidden(ctx, conn)
	if err != nil {
		return err
	}
	if len(hidden) > 0 {
		return fmt.Errorf("row level security of table %s.%s would hide rows from user %s: run ALTER TABLE %s.%s DISABLE ROW LEVEL SECURITY",
			p.target.Schema, hidden[0], user, quote(p.target.Schema), quote(hidden[0]))
	}
	roles := p.roles()
	if len(roles) == 0 {
		return nil
	}
	if role != "" && role == p.target.Reader {
		slices.Reverse(roles) // the user's first
	}
	lacks, err := roles[0].needs.lacks(ctx, conn, p.target.Schema, user)
	if err != nil {
		return err
	}
	if role == "" && len(lacks) > 0 {
		return p.notMember(user, lacks)
	}
	for _, r := range roles { // views are read with the rights of the writer too
		ofRole, err := r.needs.lacks(ctx, conn, p.target.Schema, r.name)
		if err != nil {
			return err
		}
		if len(ofRole) > 0 {
			return fmt.Errorf("role %s: run gxpledger migrate up as role %s or a superuser", summarize(ofRole), ofRole[0].Owner)
		}
	}
	if len(lacks) > 0 {
		return fmt.Errorf("user %s, and does not inherit the rights of role %s: gxpledger migrate status shows the SQL that helps",
			summarize(lacks), role)
	}
	return nil
}

// notMember says which role to grant to a user who is a member of none.
func (p *Postgres) notMember(user string, lacks []Lack) error {
	advice := fmt.Sprintf("GRANT %s TO %s", quote(p.target.Writer), quote(user))
	if p.target.Reader != "" {
		advice += fmt.Sprintf(", or GRANT %s TO %s for reading alone", quote(p.target.Reader), quote(user))
	}
	return fmt.Errorf("user %s: run %s", summarize(lacks), advice)
}

// summarize names the first of some rights of one role.
func summarize(lacks []Lack) string {
	text := lacks[0].String()
	if n := len(lacks) - 1; n > 0 {
		text += fmt.Sprintf(" and %d more rights", n)
	}
	return text
}
