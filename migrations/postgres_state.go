package migrations

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// postgresState is what a script depends on.
type postgresState struct {
	schemaOwner string // "" when there is no schema
	relations   int    // in the schema
	ledger      bool
	applied     []Migration

	user           string
	super          bool
	mayCreateRoles bool
	owner          roleState
	writer         roleState
	reader         roleState
}

type roleState struct {
	exists  bool
	member  bool // the user may take it
	granted bool // it has its rights, as far as the schema shows
}

// lacks reports whether the role is to get its rights, and can get them.
func (s postgresState) lacks(name string, role roleState) bool {
	return name != "" && !role.granted && (role.exists || s.mayCreateRoles)
}

// look reads the state and refuses a database that the set does not fit.
func (p *Postgres) look(ctx context.Context, conn *pgx.Conn) (postgresState, error) {
	var s postgresState
	err := conn.QueryRow(ctx, `
		SELECT current_user,
		       coalesce((SELECT pg_catalog.pg_get_userbyid(nspowner) FROM pg_catalog.pg_namespace WHERE nspname = $1), ''),
		       (SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE nspname = $1),
		       EXISTS (SELECT FROM pg_catalog.pg_tables WHERE schemaname = $1 AND tablename = 'schema_migrations'),
		       r.rolsuper, r.rolsuper OR r.rolcreaterole
		FROM pg_catalog.pg_roles r WHERE r.rolname = current_user`, p.target.Schema).
		Scan(&s.user, &s.schemaOwner, &s.relations, &s.ledger, &s.super, &s.mayCreateRoles)
	if err != nil {
		return s, err
	}
	for _, role := range []struct {
		name  string
		state *roleState
	}{{p.target.Owner, &s.owner}, {p.target.Writer, &s.writer}, {p.target.Reader, &s.reader}} {
		if *role.state, err = lookRole(ctx, conn, role.name, p.target.Schema); err != nil {
			return s, err
		}
	}
	if !s.ledger {
		if s.relations > 0 {
			return s, &ForeignError{Set: p.set.name}
		}
		return s, nil
	}
	s.applied, err = p.applied(ctx, conn)
	return s, err
}

func lookRole(ctx context.Context, conn *pgx.Conn, name, schema string) (roleState, error) {
	if name == "" {
		return roleState{}, nil
	}
	var s roleState
	err := conn.QueryRow(ctx, `SELECT count(*) = 1, coalesce(bool_or(pg_catalog.pg_has_role(r.oid, 'MEMBER')), false),
			coalesce(bool_or(pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE')), false)
		FROM pg_catalog.pg_roles r LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = $2 WHERE r.rolname = $1`, name, schema).
		Scan(&s.exists, &s.member, &s.granted)
	return s, err
}

// applied reads the ledger and checks every step in it against the set.
func (p *Postgres) applied(ctx context.Context, conn *pgx.Conn) ([]Migration, error) {
	rows, err := conn.Query(ctx, fmt.Sprintf("SELECT version, series, name, checksum FROM %s.schema_migrations ORDER BY version",
		pgx.Identifier{p.target.Schema}.Sanitize()))
	if err != nil {
		return nil, err
	}
	applied, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Migration, error) {
		var m Migration
		var series string
		if err := row.Scan(&m.Version, &series, &m.Name, &m.Checksum); err != nil {
			return m, err
		}
		switch {
		case series != p.set.name:
			return m, &ForeignError{Set: p.set.name, Held: series}
		case m.Version <= p.set.Version():
			return m, p.set.sameAs(m)
		default:
			return m, nil
		}
	})
	if err != nil {
		return nil, err
	}
	if n := len(applied); n > p.set.Version() {
		return nil, &NewerError{Set: p.set.name, Found: n, Known: p.set.Version()}
	}
	return applied, nil
}
