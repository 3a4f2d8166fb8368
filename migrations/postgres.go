package migrations

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

//go:embed postgres
var postgresFiles embed.FS

// PostgresTarget says where in a PostgreSQL database a set lives and whose it is. Names are letters, digits, _ and -,
// begin with a letter or _, and are at most 63 long.
type PostgresTarget struct {
	// Schema holds every object. Up makes it when it is missing.
	Schema string
	// Owner is the role without login that owns what Up makes. Up creates it when the connected user may; when the user
	// may neither create it nor use it, the user owns all. An existing schema stays whose it is. "" for the user.
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
	set            Set
	target         PostgresTarget
	writer, reader rights
}

// PostgresLog returns the migrations of the log on PostgreSQL.
func PostgresLog(target PostgresTarget) (*Postgres, error) {
	set, err := Load(postgresFiles, "postgres/log")
	if err != nil {
		return nil, err
	}
	return newPostgres(set, target, logWriter(), nil)
}

// PostgresTables returns the migrations of what the tables on PostgreSQL need before any projection has built one.
func PostgresTables(target PostgresTarget) (*Postgres, error) {
	set, err := Load(postgresFiles, "postgres/tables")
	if err != nil {
		return nil, err
	}
	return newPostgres(set, target, tablesWriter(), tablesReader())
}

// PostgresCursors returns the migrations of the store of cursors on PostgreSQL.
func PostgresCursors(target PostgresTarget) (*Postgres, error) {
	set, err := Load(postgresFiles, "postgres/cursors")
	if err != nil {
		return nil, err
	}
	return newPostgres(set, target, cursorsWriter(), nil)
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,62}$`)

// newPostgres binds set to target. In its SQL :"schema" stands for that name, quoted. Names that do not fit are errors.
func newPostgres(set Set, target PostgresTarget, writer, reader rights) (*Postgres, error) {
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
	return &Postgres{set: set, target: target, writer: writer, reader: reader}, nil
}

// Status reads how far the database is and what is wrong with rights, and changes nothing. Its errors are those of Up.
func (p *Postgres) Status(ctx context.Context, conn *pgx.Conn) (Status, error) {
	return p.status(ctx, conn, p.lookAtRights)
}

// Version is Status without rights.
func (p *Postgres) Version(ctx context.Context, conn *pgx.Conn) (Status, error) {
	return p.status(ctx, conn, p.look)
}

func (p *Postgres) status(
	ctx context.Context, conn *pgx.Conn, look func(context.Context, *pgx.Conn) (postgresState, error),
) (Status, error) {
	state, err := look(ctx, conn)
	if err != nil {
		return Status{}, fmt.Errorf("cannot check migrations of %s in schema %s: %w", p.set.name, p.target.Schema, err)
	}
	status := Status{
		Schema: p.target.Schema, Applied: state.applied, Missing: p.set.Migrations()[len(state.applied):], Owner: state.schemaOwner,
		Access: state.access, Writer: Role{Name: p.target.Writer}, Reader: Role{Name: p.target.Reader},
	}
	for _, role := range state.roles {
		ready := role.exists && state.ledger && len(role.lacks) == 0
		if role.name == p.target.Writer {
			status.Writer.Ready = ready
		} else {
			status.Reader.Ready = ready
		}
	}
	return status, nil
}

// Plan returns the SQL that Up would run now, whole, for psql or a reviewer. It is "" when there is nothing to do. Its
// errors are those of Up.
func (p *Postgres) Plan(ctx context.Context, conn *pgx.Conn) (string, error) {
	body, err := p.planned(ctx, conn)
	if err != nil {
		return "", fmt.Errorf("cannot plan migrations of %s in schema %s: %w", p.set.name, p.target.Schema, err)
	}
	if body == "" {
		return "", nil
	}
	return "BEGIN;\n" + p.lock() + body + "COMMIT;\n", nil
}

// Up upgrades the schema to the version of the set: it applies what is missing in one transaction, under an advisory lock,
// so that several processes may call it at once. It gives the writer and the reader the rights that they lack, and takes none
// from anybody. A schema that lacks nothing is only read.
//
// Errors: *[NewerError], *[ChangedError], *[ForeignError], *[RightsError], or those of the database. On any error nothing was
// changed.
func (p *Postgres) Up(ctx context.Context, conn *pgx.Conn) error {
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := conn.PgConn().Exec(ctx, p.lock()).ReadAll(); err != nil {
			return err
		}
		script, err := p.planned(ctx, conn)
		if err != nil {
			return err
		}
		_, err = conn.PgConn().Exec(ctx, script).ReadAll() // as text, as Plan shows it
		return refused(err)
	})
	if err != nil {
		return fmt.Errorf("cannot migrate %s in schema %s: %w", p.set.name, p.target.Schema, err)
	}
	return nil
}

// planned returns the statements of Up, "" when there is nothing to do.
func (p *Postgres) planned(ctx context.Context, conn *pgx.Conn) (string, error) {
	state, err := p.lookAtRights(ctx, conn)
	if err != nil {
		return "", err
	}
	return p.script(state)
}

// refused says what to do when the server refused a statement of a script for want of a right.
func refused(err error) error {
	if server, ok := errors.AsType[*pgconn.PgError](err); ok && server.Code == "42501" {
		return fmt.Errorf("run it as a superuser, or have one run what gxpledger migrate plan prints: %w", err)
	}
	return err
}

// lock keeps two migrations of one schema apart, and unqualified names from meaning anything.
func (p *Postgres) lock() string {
	return fmt.Sprintf(`SELECT pg_advisory_xact_lock(hashtextextended('gxpledger migrations of %s', 0));
SET LOCAL search_path = '';
`, p.target.Schema)
}
