package migrations

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// postgresState is what a script depends on.
type postgresState struct {
	schemaOwner string // "" when there is no schema
	relations   int    // in the schema
	ledger      bool
	applied     []Migration

	user           string
	database       string
	super          bool
	mayCreateRoles bool
	mayCreate      bool // a schema
	mayBeOwner     bool // of the schema that is there
	owner          ownerState
	roles          []roleState // writer and reader, where the target names them
	access         []AccessProblem
}

// ownerState is whether there is the role that is to own a new schema, and whether the user may act as it, or let himself do so.
type ownerState struct{ exists, mayBe, mayJoin bool }

type roleState struct {
	name   string
	needs  rights
	exists bool
	lacks  []Lack // of what is there
}

// roles are those that get rights.
func (p *Postgres) roles() []roleState {
	all := []roleState{{name: p.target.Writer, needs: p.writer}, {name: p.target.Reader, needs: p.reader}}
	return slices.DeleteFunc(all, func(r roleState) bool { return r.name == "" })
}

// mayAct is how PostgreSQL calls the right to act as another role. Before version 16 every member has it.
const mayAct = `CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END`

// look reads the state, without rights, and refuses a database that the set does not fit.
func (p *Postgres) look(ctx context.Context, conn *pgx.Conn) (postgresState, error) {
	s := postgresState{roles: p.roles()}
	err := conn.QueryRow(ctx, `
		SELECT current_user::text, pg_catalog.current_database()::text,
		       coalesce(pg_catalog.pg_get_userbyid(n.nspowner), ''), coalesce(pg_catalog.pg_has_role(n.nspowner, `+mayAct+`), false),
		       (SELECT count(*) FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid),
		       EXISTS (SELECT FROM pg_catalog.pg_tables WHERE schemaname = $1 AND tablename = 'schema_migrations'),
		       r.rolsuper, r.rolsuper OR r.rolcreaterole, pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')
		FROM pg_catalog.pg_roles r LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = $1 WHERE r.rolname = current_user`, p.target.Schema).
		Scan(&s.user, &s.database, &s.schemaOwner, &s.mayBeOwner, &s.relations, &s.ledger, &s.super, &s.mayCreateRoles, &s.mayCreate)
	if err != nil {
		return s, err
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

// lookAtRights reads the whole state.
func (p *Postgres) lookAtRights(ctx context.Context, conn *pgx.Conn) (postgresState, error) {
	s, err := p.look(ctx, conn)
	if server, ok := errors.AsType[*pgconn.PgError](err); ok && server.Code == "42501" && s.ledger {
		return s, p.notOwner(s)
	}
	if err != nil {
		return s, err
	}
	err = conn.QueryRow(ctx, `SELECT count(*) = 1, coalesce(bool_or(pg_catalog.pg_has_role(oid, `+mayAct+`)), false),
			coalesce(bool_or(pg_catalog.pg_has_role(oid, 'MEMBER WITH ADMIN OPTION')), false)
			OR $2 AND pg_catalog.current_setting('server_version_num')::int < 160000
		FROM pg_catalog.pg_roles WHERE rolname = $1`, p.target.Owner, s.mayCreateRoles).
		Scan(&s.owner.exists, &s.owner.mayBe, &s.owner.mayJoin)
	if err != nil {
		return s, err
	}
	for i := range s.roles {
		r := &s.roles[i]
		if err = conn.QueryRow(ctx, "SELECT count(*) = 1 FROM pg_catalog.pg_roles WHERE rolname = $1", r.name).Scan(&r.exists); err != nil {
			return s, err
		}
		if r.lacks, err = r.needs.lacks(ctx, conn, p.target.Schema, r.name); err != nil {
			return s, err
		}
	}
	if s.ledger {
		s.access, err = p.access(ctx, conn, s)
	}
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
