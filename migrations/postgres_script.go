package migrations

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// postgresLedger remembers what was applied. It refuses to forget: the history of a database's form belongs to its
// evidence.
const postgresLedger = `
CREATE TABLE :"schema".schema_migrations (
    version    integer     PRIMARY KEY,
    series     text        NOT NULL, -- which set of migrations this schema belongs to
    name       text        NOT NULL,
    checksum   text        NOT NULL, -- SHA-256 of the SQL that was run, before names were filled in
    applied_at timestamptz NOT NULL DEFAULT now(),
    applied_by text        NOT NULL DEFAULT session_user
);
CREATE FUNCTION :"schema".schema_migrations_refuse() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'schema_migrations is append-only: it refuses %', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER schema_migrations_refuses BEFORE UPDATE OR DELETE OR TRUNCATE ON :"schema".schema_migrations
FOR EACH STATEMENT EXECUTE FUNCTION :"schema".schema_migrations_refuse();
ALTER TABLE :"schema".schema_migrations ENABLE ALWAYS TRIGGER schema_migrations_refuses;
`

// script returns the statements that upgrade state to the set's version, "" when it is there.
func (p *Postgres) script(state postgresState) string {
	missing := p.set.Migrations()[len(state.applied):]
	if len(missing) == 0 && !state.lacks(p.target.Writer, state.writer) && !state.lacks(p.target.Reader, state.reader) {
		return ""
	}
	var sql strings.Builder
	writer, reader := p.make(&sql, state, p.target.Writer, state.writer), p.make(&sql, state, p.target.Reader, state.reader)
	p.beOwner(&sql, state)
	if !state.ledger {
		sql.WriteString(p.fill(postgresLedger))
	}
	for _, m := range missing {
		fmt.Fprintf(&sql, "\n-- %04d_%s\n%s\n", m.Version, m.Name, p.fill(m.SQL))
		fmt.Fprintf(&sql, "INSERT INTO %s.schema_migrations (version, series, name, checksum) VALUES (%d, '%s', '%s', '%s');\n",
			quote(p.target.Schema), m.Version, p.set.name, m.Name, m.Checksum)
	}
	if writer {
		sql.WriteString("\n" + p.fill(p.grants.Writer))
	}
	if reader {
		sql.WriteString("\n" + p.fill(p.grants.Reader))
	}
	return sql.String()
}

// make creates a role that is missing, and reports whether there is one to give rights to.
func (p *Postgres) make(sql *strings.Builder, state postgresState, name string, role roleState) bool {
	if name == "" || !role.exists && !state.mayCreateRoles {
		return false
	}
	if !role.exists {
		sql.WriteString(createRole(name))
	}
	return true
}

// beOwner makes the schema and its owner where they are missing, and goes on as the owner.
func (p *Postgres) beOwner(sql *strings.Builder, state postgresState) {
	owner, own := state.schemaOwner, state.owner
	if owner == "" {
		owner = p.target.Owner
		if owner == "" || !own.exists && !state.mayCreateRoles {
			owner = state.user
		}
		if owner != state.user && !own.exists {
			sql.WriteString(createRole(owner))
		}
		if owner != state.user && !state.super && !own.member {
			fmt.Fprintf(sql, "GRANT %s TO CURRENT_USER;\n", quote(owner))
		}
		fmt.Fprintf(sql, "CREATE SCHEMA %s AUTHORIZATION %s;\n", quote(p.target.Schema), quote(owner))
	}
	if owner != state.user {
		fmt.Fprintf(sql, "SET LOCAL ROLE %s;\n", quote(owner))
	}
}

// createRole creates a role without login. Roles belong to the whole server: another database may be faster.
func createRole(name string) string {
	return fmt.Sprintf("DO $$ BEGIN CREATE ROLE %s NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;\n", quote(name))
}

func (p *Postgres) fill(sql string) string {
	return strings.NewReplacer(
		`:"schema"`, quote(p.target.Schema), `:"owner"`, quote(p.target.Owner), `:"writer"`, quote(p.target.Writer),
		`:"reader"`, quote(p.target.Reader),
	).Replace(sql)
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
