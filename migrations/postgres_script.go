package migrations

import (
	"cmp"
	"fmt"
	"slices"
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

// script returns the statements that upgrade state to the set's version and give roles what they lack, "" when there is
// nothing to do. Its error is a *[RightsError].
func (p *Postgres) script(state postgresState) (string, error) {
	missing := p.set.Migrations()[len(state.applied):]
	var sql strings.Builder
	var roles []roleState // that can get rights
	lacking := false
	for _, r := range state.roles {
		if r.exists || state.mayCreateRoles {
			roles, lacking = append(roles, r), lacking || len(r.lacks) > 0
		}
	}
	if len(missing) == 0 && !lacking {
		return "", nil
	}
	for _, r := range roles {
		if !r.exists {
			sql.WriteString(createRole(r.name))
		}
	}
	if len(missing) > 0 {
		if err := p.beOwner(&sql, state); err != nil {
			return "", err
		}
		if !state.ledger {
			sql.WriteString(p.fill(postgresLedger))
		}
		for _, m := range missing {
			fmt.Fprintf(&sql, "\n-- %04d_%s\n%s\n", m.Version, m.Name, p.fill(m.SQL))
			fmt.Fprintf(&sql, "INSERT INTO %s.schema_migrations (version, series, name, checksum) VALUES (%d, '%s', '%s', '%s');\n",
				quote(p.target.Schema), m.Version, p.set.name, m.Name, m.Checksum)
		}
		for _, r := range roles {
			sql.WriteString("\n" + r.needs.grants(p.target.Schema, r.name))
		}
		sql.WriteString("SET LOCAL ROLE NONE;\n")
	}
	if err := p.giveBack(&sql, state, roles); err != nil {
		return "", err
	}
	return sql.String(), nil
}

// giveBack gives roles the rights that they lack on what was there before. The owner of each thing gives them, and gives away
// what it owns last.
func (p *Postgres) giveBack(sql *strings.Builder, state postgresState, roles []roleState) error {
	var lacks []Lack
	for _, r := range roles {
		lacks = append(lacks, r.lacks...)
	}
	slices.SortStableFunc(lacks, func(a, b Lack) int { return strings.Compare(a.giver(state), b.giver(state)) })
	slices.SortStableFunc(lacks, func(a, b Lack) int { return cmp.Compare(a.last(), b.last()) })
	is := state.user
	for _, l := range lacks {
		if !l.byUp(state) {
			continue // the status tells of it
		}
		if !state.super && !l.mayBe {
			return &RightsError{
				User: state.user, Text: l.String() + ", which only the owner " + l.Owner + " gives",
				SQL: fmt.Sprintf("GRANT %s TO %s", quote(l.Owner), quote(state.user)),
			}
		}
		if giver := l.giver(state); giver != is {
			is = giver
			sql.WriteString(actAs(giver, state))
		}
		sql.WriteString(l.SQL() + "\n")
	}
	return nil
}

// giver is who gives a right: the owner. A superuser may give all, and whoever gives a thing away acts for both.
func (l Lack) giver(state postgresState) string {
	if state.super || l.privilege == owns {
		return state.user
	}
	return l.Owner
}

// last orders rights: ownership is given when the former owner has given all else.
func (l Lack) last() int {
	if l.privilege == owns {
		return 1
	}
	return 0
}

func actAs(role string, state postgresState) string {
	if role == state.user {
		return "SET LOCAL ROLE NONE;\n"
	}
	return fmt.Sprintf("SET LOCAL ROLE %s;\n", quote(role))
}

// beOwner makes the schema and its owner where they are missing, and goes on as the owner.
func (p *Postgres) beOwner(sql *strings.Builder, state postgresState) error {
	owner, own := state.schemaOwner, state.owner
	switch {
	case owner == "" && !state.mayCreate:
		return &RightsError{
			User: state.user, Text: "schema " + p.target.Schema + " does not exist, and this user may not create it",
			SQL: fmt.Sprintf("GRANT CREATE ON DATABASE %s TO %s", quote(state.database), quote(state.user)),
		}
	case owner != "" && !state.super && !state.mayBeOwner:
		return p.notOwner(state)
	case owner == "":
		owner = p.target.Owner
		if owner == "" || !own.exists && !state.mayCreateRoles || own.exists && !state.super && !own.mayBe && !own.mayJoin {
			owner = state.user
		}
		if owner != state.user && !own.exists {
			sql.WriteString(createRole(owner))
		}
		if owner != state.user && !state.super && !own.mayBe {
			fmt.Fprintf(sql, "GRANT %s TO CURRENT_USER;\n", quote(owner))
		}
		fmt.Fprintf(sql, "CREATE SCHEMA %s AUTHORIZATION %s;\n", quote(p.target.Schema), quote(owner))
	}
	if owner != state.user {
		sql.WriteString(actAs(owner, state))
	}
	return nil
}

// notOwner is the error of a user who may not use the role that owns the schema that is there.
func (p *Postgres) notOwner(state postgresState) error {
	return &RightsError{
		User: state.user, Text: "schema " + p.target.Schema + " belongs to role " + state.schemaOwner + ", which this user may not use",
		SQL: fmt.Sprintf("GRANT %s TO %s", quote(state.schemaOwner), quote(state.user)),
	}
}

// createRole creates a role without login. Roles belong to the whole server: another database may be faster.
func createRole(name string) string {
	return fmt.Sprintf("DO $$ BEGIN CREATE ROLE %s NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;\n", quote(name))
}

func (p *Postgres) fill(sql string) string {
	return strings.ReplaceAll(sql, `:"schema"`, quote(p.target.Schema))
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
