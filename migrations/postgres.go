package migrations

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
)

//go:embed postgres
var postgresFiles embed.FS

// PostgresTarget says where in a PostgreSQL database a set lives and whose it is. Names are letters, digits, _ and -,
// begin with a letter or _, and are at most 63 long.
type PostgresTarget struct {
	// Schema holds every object. Up makes it when it is missing.
	Schema string
	// Owner is the role without login that owns what Up makes. Up creates it when the connected user may; when it is
	// missing and the user may not, the user owns all. An existing schema stays whose it is. "" for the user.
	Owner string
	// Writer is the role without login that gets the rights to run the engine, and no other: grant it to the user that
	// the engine connects as. Up creates it when the connected user may, and goes without when not. "" for none.
	Writer string
	// Reader is the role without login that gets the rights to read what people read, and no other. Up creates it when
	// the connected user may, and goes without when not. "" for none.
	Reader string
}

// Postgres is a set of migrations bound to its place in a PostgreSQL database. It is safe for concurrent use.
type Postgres struct {
	set    Set
	target PostgresTarget
	grants Grants
}

// Grants are SQL that gives roles their rights, any number of times. Each is run at the end of an Up that has something to
// do, if its role is there.
type Grants struct{ Writer, Reader string }

// PostgresLog returns the migrations of the log on PostgreSQL.
func PostgresLog(target PostgresTarget) (*Postgres, error) {
	set, err := Load(postgresFiles, "postgres/log")
	if err != nil {
		return nil, err
	}
	grants, err := readGrants("postgres/log.grants.sql")
	if err != nil {
		return nil, err
	}
	return NewPostgres(set, target, Grants{Writer: grants})
}

// PostgresTables returns the migrations of what the tables on PostgreSQL need before any projection has built one.
func PostgresTables(target PostgresTarget) (*Postgres, error) {
	set, err := Load(postgresFiles, "postgres/tables")
	if err != nil {
		return nil, err
	}
	var grants Grants
	if grants.Writer, err = readGrants("postgres/tables.grants.sql"); err != nil {
		return nil, err
	}
	if grants.Reader, err = readGrants("postgres/tables.reader.sql"); err != nil {
		return nil, err
	}
	return NewPostgres(set, target, grants)
}

func readGrants(name string) (string, error) {
	grants, err := postgresFiles.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("cannot load grants: %w", err)
	}
	return string(grants), nil
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,62}$`)

// NewPostgres binds set to target. In its SQL and in grants, :"schema", :"owner", :"writer" and :"reader" stand for the
// names, quoted. Names that do not fit are errors.
func NewPostgres(set Set, target PostgresTarget, grants Grants) (*Postgres, error) {
	var faults []error
	for _, name := range []struct{ what, name string }{
		{"schema", target.Schema}, {"owner role", target.Owner}, {"writer role", target.Writer}, {"reader role", target.Reader},
	} {
		switch {
		case name.name == "" && name.what != "schema":
		case !identifier.MatchString(name.name), strings.HasPrefix(name.name, "pg_"):
			faults = append(faults, fmt.Errorf("%s %q: want at most 63 letters, digits, _ and -, not beginning with pg_", name.what, name.name))
		}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("cannot bind migrations of %s: %w", set.name, errors.Join(faults...))
	}
	return &Postgres{set: set, target: target, grants: grants}, nil
}

// Status reads how far the database is and changes nothing. Its errors are those of Up.
func (p *Postgres) Status(ctx context.Context, conn *pgx.Conn) (Status, error) {
	state, err := p.look(ctx, conn)
	if err != nil {
		return Status{}, fmt.Errorf("cannot check migrations of %s in schema %s: %w", p.set.name, p.target.Schema, err)
	}
	return Status{
		Schema: p.target.Schema, Applied: state.applied, Missing: p.set.Migrations()[len(state.applied):], Owner: state.schemaOwner,
		Writer: Role{Name: p.target.Writer, Ready: state.writer.granted}, Reader: Role{Name: p.target.Reader, Ready: state.reader.granted},
	}, nil
}

// Plan returns the SQL that Up would run now, whole, for psql or a reviewer. It is "" when there is nothing to do. Its
// errors are those of Up.
func (p *Postgres) Plan(ctx context.Context, conn *pgx.Conn) (string, error) {
	state, err := p.look(ctx, conn)
	if err != nil {
		return "", fmt.Errorf("cannot plan migrations of %s in schema %s: %w", p.set.name, p.target.Schema, err)
	}
	body := p.script(state)
	if body == "" {
		return "", nil
	}
	return "BEGIN;\n" + p.lock() + body + "COMMIT;\n", nil
}

// Up upgrades the schema to the version of the set: it applies what is missing in one transaction, under an advisory lock,
// so that several processes may call it at once. A schema that lacks nothing is only read.
//
// Errors: *[NewerError], *[ChangedError], *[ForeignError], or those of the database. On any error nothing was changed.
func (p *Postgres) Up(ctx context.Context, conn *pgx.Conn) error {
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := conn.PgConn().Exec(ctx, p.lock()).ReadAll(); err != nil {
			return err
		}
		state, err := p.look(ctx, conn)
		if err != nil {
			return err
		}
		_, err = conn.PgConn().Exec(ctx, p.script(state)).ReadAll() // as text, as Plan shows it
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot migrate %s in schema %s: %w", p.set.name, p.target.Schema, err)
	}
	return nil
}

// lock keeps two migrations of one schema apart, and unqualified names from meaning anything.
func (p *Postgres) lock() string {
	return fmt.Sprintf(`SELECT pg_advisory_xact_lock(hashtextextended('gxpledger migrations of %s', 0));
SET LOCAL search_path = '';
`, p.target.Schema)
}
