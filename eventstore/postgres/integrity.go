package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gxpledger/gxpledger/eventstore"
)

var _ eventstore.IntegrityChecker = (*Log)(nil)

// CheckIntegrity implements [eventstore.IntegrityChecker]: the schema is what the migrations made, triggers and indexes included; whoever
// may append may do nothing else to the log, and nobody else may write to it; and the counter row is where the events end.
//
// Whose rights are checked: every role that was given a right, all their members, and the user that is connected, but for
// a superuser, who looks after the server and may do anything. Let the user that records run it.
func (l *Log) CheckIntegrity(ctx context.Context, report func(eventstore.Fault)) error {
	var found []eventstore.Fault
	err := l.call(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		found = nil
		options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly} // one state, whoever appends
		return pgx.BeginTxFunc(ctx, conn, options, func(tx pgx.Tx) error {
			e := integrityCheck{schema: l.options.Schema, report: func(f eventstore.Fault) { found = append(found, f) }}
			return e.run(ctx, tx)
		})
	})
	if err != nil {
		return fmt.Errorf("cannot check log: %w", err)
	}
	for _, f := range found {
		report(f)
	}
	return nil
}

// integrityCheck is one run of CheckIntegrity.
type integrityCheck struct {
	schema string
	report func(eventstore.Fault)
}

func (e *integrityCheck) run(ctx context.Context, tx pgx.Tx) error {
	// So that the server leaves the schema out of what it says of the parts of it.
	if _, err := tx.Exec(ctx, "SELECT pg_catalog.set_config('search_path', pg_catalog.quote_ident($1) || ', pg_temp', true)", e.schema); err != nil {
		return err
	}
	for _, part := range []func(context.Context, pgx.Tx) error{e.checkForm, e.checkGrants, e.checkRoles, e.checkHead} {
		err := translate(ctx, pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { return part(ctx, tx) }))
		if errors.Is(err, eventstore.ErrCorrupt) { // also that a table is not there
			e.report(eventstore.Fault{Code: eventstore.FaultFile, Where: "schema " + e.schema, Text: err.Error()})
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// guard reports what is wrong with what keeps the log append-only.
func (e *integrityCheck) guard(where, text string) {
	e.report(eventstore.Fault{
		Code: eventstore.FaultGuard, Where: where, Text: text,
		Remedy: "find out who changed it and what was done meanwhile, keep the database as it is for an inquiry, and restore the last backup that verifies",
	})
}

// counter is what the counter row says of the log, or what its rows say.
type counter struct {
	position   int64
	recordedAt time.Time
	streams    int64
}

// checkHead compares the counter row with the rows that it counts: an append takes its word for where they end.
func (e *integrityCheck) checkHead(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `SELECT position, recorded_at, streams FROM head`)
	if err != nil {
		return err
	}
	heads, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (counter, error) {
		var c counter
		return c, row.Scan(&c.position, &c.recordedAt, &c.streams)
	})
	if err != nil {
		return err
	}
	var last counter
	err = tx.QueryRow(ctx, `SELECT coalesce((SELECT position FROM events ORDER BY position DESC LIMIT 1), 0),
		coalesce((SELECT recorded_at FROM batches ORDER BY first DESC LIMIT 1), to_timestamp(0)), coalesce((SELECT max(id) FROM streams), 0)`).
		Scan(&last.position, &last.recordedAt, &last.streams)
	if err != nil {
		return err
	}
	fault := func(text string, args ...any) {
		e.report(eventstore.Fault{Code: eventstore.FaultFile, Where: "table head", Text: fmt.Sprintf(text, args...)})
	}
	if len(heads) != 1 {
		fault("it has %d rows, want one: nothing can be appended", len(heads))
		return nil
	}
	head := heads[0]
	if head.position != last.position {
		fault("it says that the log ends at position %d, and the last event is at %d", head.position, last.position)
	}
	if !head.recordedAt.Equal(last.recordedAt) {
		fault("it says that the last batch was recorded at %s, and that was at %s",
			head.recordedAt.UTC().Format(time.RFC3339Nano), last.recordedAt.UTC().Format(time.RFC3339Nano))
	}
	if head.streams != last.streams {
		fault("it says that the last stream is number %d, and that is number %d", head.streams, last.streams)
	}
	return nil
}

// form is what the migrations make of a schema: a line for each thing, its name and what the server says of it. The test
// of this file writes it from a new log. It holds nothing that versions of the server tell differently.
//
//go:embed form.txt
var form string

// formQuery reads what a schema is made of. What an operator may choose is left out: the owner of all, statistics, storage,
// vacuuming, tablespaces and comments.
const formQuery = `
WITH ns AS (SELECT oid, nspowner FROM pg_namespace WHERE nspname = $1),
rel AS (SELECT c.oid, relname, relkind, relpersistence, relrowsecurity, relforcerowsecurity, relowner, nspowner
          FROM pg_class AS c JOIN ns ON c.relnamespace = ns.oid)
SELECT concat(CASE relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence' ELSE 'relation' END, ' ', relname),
       concat(CASE relpersistence WHEN 'p' THEN 'permanent' WHEN 'u' THEN 'unlogged' ELSE 'temporary' END,
              CASE WHEN relrowsecurity OR relforcerowsecurity THEN ', row security' END,
              CASE WHEN relowner <> nspowner THEN ', owned by ' || pg_get_userbyid(relowner) END,
              CASE relkind WHEN 'v' THEN ': ' || translate(pg_get_viewdef(oid, true), '()', '') WHEN 'r' THEN '' ELSE ', kind ' || relkind::text END)
  FROM rel WHERE relkind <> 'i'
UNION ALL
SELECT 'index ' || relname, concat(pg_get_indexdef(i.indexrelid, 0, true), CASE WHEN NOT (indisvalid AND indisready AND indislive) THEN ', not valid' END)
  FROM rel JOIN pg_index AS i ON i.indexrelid = rel.oid
UNION ALL
SELECT concat('column ', relname, '.', attname),
       concat(format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN ', not null' END,
              CASE WHEN a.attcollation <> t.typcollation THEN ', collate ' || l.collname END,
              CASE WHEN a.attidentity <> '' OR a.attgenerated <> '' THEN ', generated' END,
              ', default ' || pg_get_expr(d.adbin, d.adrelid))
  FROM rel JOIN pg_attribute AS a ON a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type AS t ON t.oid = a.atttypid LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
  LEFT JOIN pg_attrdef AS d ON d.adrelid = rel.oid AND d.adnum = a.attnum WHERE relkind = 'r'
UNION ALL
SELECT concat('constraint ', conname, ' on ', relname), pg_get_constraintdef(c.oid, true)
  FROM rel JOIN pg_constraint AS c ON c.conrelid = rel.oid WHERE contype IN ('p', 'u', 'c', 'f', 'x')
UNION ALL
SELECT concat('trigger ', tgname, ' on ', relname),
       concat(CASE tgenabled WHEN 'A' THEN 'always' WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'for replicas alone' ELSE 'not for replicas' END,
              ': ', pg_get_triggerdef(t.oid, true))
  FROM rel JOIN pg_trigger AS t ON t.tgrelid = rel.oid WHERE NOT tgisinternal
UNION ALL
SELECT concat('rule ', rulename, ' on ', relname), pg_get_ruledef(r.oid, true)
  FROM rel JOIN pg_rewrite AS r ON r.ev_class = rel.oid WHERE rulename <> '_RETURN'
UNION ALL
SELECT concat('policy ', polname, ' on ', relname), '' FROM rel JOIN pg_policy AS p ON p.polrelid = rel.oid
UNION ALL
SELECT concat('table that goes with ', p.relname), i.inhrelid::regclass::text FROM rel AS p JOIN pg_inherits AS i ON i.inhparent = p.oid
UNION ALL
SELECT concat('function ', proname, '(', pg_get_function_identity_arguments(p.oid), ')'),
       concat('returns ', prorettype::regtype, ', ', lanname, CASE WHEN prosecdef THEN ', security definer' END,
              CASE WHEN proowner <> nspowner THEN ', owned by ' || pg_get_userbyid(proowner) END,
              ', ' || array_to_string(proconfig, '; '), ': ', prosrc)
  FROM pg_proc AS p JOIN ns ON p.pronamespace = ns.oid JOIN pg_language AS l ON l.oid = p.prolang`

// checkForm compares what the schema is made of with what the migrations make.
func (e *integrityCheck) checkForm(ctx context.Context, tx pgx.Tx) error {
	held, err := formOf(ctx, tx, e.schema)
	if err != nil {
		return err
	}
	want := map[string]string{}
	for line := range strings.Lines(form) {
		name, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		want[name] = text
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		switch text, there := held[name]; {
		case !there:
			e.guard(name, "it is gone from the schema of the log")
		case text != want[name]:
			e.guard(name, fmt.Sprintf("it is not what gxpledger made: it is %s, want %s", text, want[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(held)) {
		if _, known := want[name]; !known {
			e.guard(name, "gxpledger did not make it: "+held[name])
		}
	}
	return nil
}

// formOf reads what a schema is made of, each text in one line.
func formOf(ctx context.Context, tx pgx.Tx, schema string) (map[string]string, error) {
	rows, err := tx.Query(ctx, formQuery, schema)
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	var name, text string
	_, err = pgx.ForEachRow(rows, []any{&name, &text}, func() error {
		found[strings.Join(strings.Fields(name), " ")] = strings.Join(strings.Fields(text), " ")
		return nil
	})
	return found, err
}

// given are the rights that others than the owner were given: the role, "" for everybody, the right, and on what.
const given = `
WITH ns AS (SELECT oid, nspname, nspowner, nspacl FROM pg_namespace WHERE nspname = $1),
rel AS (SELECT c.oid, relname, relowner, relacl FROM pg_class AS c JOIN ns ON c.relnamespace = ns.oid WHERE relkind IN ('r', 'v')),
acl AS (
	SELECT 'table ' || relname AS what, relowner AS owner, a.grantee, a.privilege_type FROM rel, aclexplode(relacl) AS a
	UNION ALL
	SELECT concat('column ', relname, '.', attname), relowner, a.grantee, a.privilege_type
	  FROM rel JOIN pg_attribute AS t ON t.attrelid = rel.oid, aclexplode(t.attacl) AS a
	UNION ALL
	SELECT 'schema ' || nspname, nspowner, a.grantee, a.privilege_type FROM ns, aclexplode(nspacl) AS a
)
SELECT what, coalesce((SELECT rolname FROM pg_roles WHERE oid = grantee), ''), privilege_type FROM acl WHERE grantee <> owner ORDER BY 1, 2, 3`

// harmless reports whether a right lets nobody change what was recorded: appending and reading, the counter row, which its
// trigger lets only go forward, and the snapshots, which are a cache.
func harmless(what, right string) bool {
	switch right {
	case "INSERT":
		return slices.Contains([]string{"table streams", "table batches", "table events", "table contents", "table snapshots"}, what)
	case "UPDATE":
		return slices.Contains([]string{"column head.position", "column head.recorded_at", "column head.streams", "table snapshots"}, what)
	case "DELETE":
		return what == "table snapshots"
	case "TRUNCATE", "TRIGGER", "CREATE":
		return false
	default: // SELECT, USAGE, REFERENCES, MAINTAIN
		return true
	}
}

// checkGrants looks for rights that nobody but the owner should have, and that somebody may append.
func (e *integrityCheck) checkGrants(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, given, e.schema)
	if err != nil {
		return err
	}
	appends := false
	var what, role, right string
	_, err = pgx.ForEachRow(rows, []any{&what, &role, &right}, func() error {
		switch writes := right != "SELECT" && right != "USAGE" && right != "REFERENCES" && right != "MAINTAIN"; {
		case role == "" && writes:
			e.guard(what, fmt.Sprintf("everybody may %s it", right))
		case !harmless(what, right):
			e.guard(what, fmt.Sprintf("role %s may %s it", role, right))
		case what == "table events" && right == "INSERT":
			appends = true
		}
		return nil
	})
	if err == nil && !appends {
		e.guard("schema "+e.schema, "no role may append but the owner and superusers, who can take its triggers away: run gxpledger migrate up "+
			"as a user who may create roles, and let a member of the writer role record")
	}
	return err
}

// engines are the roles that the engine may run as, and what each could do to the log: those that may append, all members
// of theirs, and the user that is connected. A superuser is one only as a member. Memberships that neither inherit nor
// let a role be taken on, as whoever creates one gets it from PostgreSQL 16 on, are none.
const engines = `
WITH RECURSIVE links AS (
	SELECT roleid, member FROM pg_auth_members AS m
	 WHERE coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, true) OR coalesce((to_jsonb(m) ->> 'set_option')::boolean, true)
),
events AS (SELECT c.oid, c.relacl, n.nspowner FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND relname = 'events'),
engine AS (
	SELECT a.grantee AS oid FROM events, aclexplode(relacl) AS a WHERE a.privilege_type = 'INSERT' AND a.grantee <> nspowner
	UNION
	SELECT oid FROM pg_roles WHERE rolname = current_user AND NOT rolsuper
	UNION
	SELECT l.member FROM engine JOIN links AS l ON l.roleid = engine.oid
),
acts AS (
	SELECT oid AS engine, oid AS role FROM engine
	UNION
	SELECT acts.engine, l.roleid FROM acts JOIN links AS l ON l.member = acts.role
)
SELECT r.rolname, r.rolsuper,
       EXISTS (SELECT FROM acts WHERE acts.engine = r.oid AND acts.role = (SELECT nspowner FROM events)),
       r.rolcreaterole AND current_setting('server_version_num')::integer < 160000,
       (SELECT coalesce(string_agg(concat(right_, ' ', c.relname), ', ' ORDER BY c.relname, right_), '')
          FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace, unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) AS right_
         WHERE n.nspname = $1 AND c.relname = ANY ('{log,head,streams,batches,events,contents,schema_migrations}')
           AND c.relkind = 'r' AND has_table_privilege(r.oid, c.oid, right_))
  FROM engine JOIN pg_roles AS r ON r.oid = engine.oid ORDER BY 1`

// checkRoles looks at what those who may run the engine could do beside it.
func (e *integrityCheck) checkRoles(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, engines, e.schema)
	if err != nil {
		return err
	}
	var role, rights string
	var super, owner, creates bool
	_, err = pgx.ForEachRow(rows, []any{&role, &super, &owner, &creates, &rights}, func() error {
		const instead = ": let a role record that is a member of the writer role and of no other"
		switch where := "role " + role; {
		case super:
			e.guard(where, "it may append and is a superuser, who can take the triggers away"+instead)
		case owner:
			e.guard(where, "it may append and is the owner of the log, or may take that role, and the owner can take the triggers away"+instead)
		case rights != "":
			e.guard(where, "it may append and has the right to "+rights+instead)
		case creates:
			e.guard(where, "it may append and may create roles, and so make itself a member of the owner's"+instead)
		}
		return nil
	})
	return err
}
