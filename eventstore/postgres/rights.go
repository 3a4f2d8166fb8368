package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

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
