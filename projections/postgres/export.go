package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/internal/pg"
	"github.com/gxpledger/gxpledger/projections"
)

// ErrSchemaExists says that something is where tables were to be kept. Name another schema, or let it be replaced when it
// holds exported tables.
var ErrSchemaExists = errors.New("schema exists already")

// unfinished ends the name of the schema in which tables are until they are whole.
const unfinished = "_unfinished"

// Export is tables in a schema of their own, which are filled once and then kept for any SQL tool. Until [Export.Publish] they are
// in a schema beside their place. One user at a time makes what is kept in a place; a crash leaves a schema whose name ends
// in "_unfinished", which the next one who makes the same clears away.
type Export struct {
	*DB

	namespace Namespace // where they are to be
	replace   bool
	url       string
	lock      *pgx.Conn // holds the place
	locked    bool
	done      bool
}

// CreateExport begins tables for the schema that options name. A schema of that name is ErrSchemaExists, unless replace is set
// and it holds exported tables. Close what it returns, whether it was kept or not.
func CreateExport(ctx context.Context, url string, options Options, replace bool) (_ *Export, err error) { //revive:disable-line:flag-parameter // what the user chose
	options = options.withDefaults()
	k := &Export{namespace: options.Namespace, replace: replace, url: url}
	defer func() { //nolint:contextcheck // Close works when ctx has ended
		if err != nil {
			err = errors.Join(fmt.Errorf("cannot create the export: %w", translate(ctx, err)), k.Close())
		}
	}()
	config, err := parse(url, options.MaxConns)
	if err != nil {
		return nil, err
	}
	if k.lock, err = pg.Connect(ctx, config.ConnConfig); err != nil {
		return nil, err
	}
	if err := k.lockSchema(ctx); err != nil {
		return nil, err
	}
	// Nobody projects into them: whoever makes them owns them.
	if err := k.lock.QueryRow(ctx, "SELECT current_user").Scan(&options.Owner); err != nil {
		return nil, err
	}
	options.Writer, options.Schema = options.Owner, options.Schema+unfinished
	if err := options.validate(); err != nil {
		return nil, err
	}
	if err := Up(ctx, url, options.Namespace); err != nil {
		return nil, err
	}
	k.DB, err = Open(ctx, url, options)
	return k, err
}

// lockSchema takes the place for this connection, and clears away what somebody left unfinished.
func (k *Export) lockSchema(ctx context.Context) error {
	var free bool
	err := k.lock.QueryRow(ctx, "SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended('gxpledger keeps ' || $1, 0))", k.namespace.Schema).Scan(&free)
	switch {
	case err != nil:
		return err
	case !free:
		return fmt.Errorf("%w: another process makes schema %q", projections.ErrLeaseHeld, k.namespace.Schema)
	}
	k.locked = true
	if err := k.checkSchemaFree(ctx, k.lock); err != nil {
		return err
	}
	return k.drop(ctx)
}

// checkSchemaFree returns ErrSchemaExists unless the place is free, or may be made so.
func (k *Export) checkSchemaFree(ctx context.Context, conn queryer) error {
	var exists, isExport bool
	err := conn.QueryRow(ctx, `SELECT count(*) > 0, coalesce(bool_or(pg_catalog.to_regclass(pg_catalog.format('%I.about', nspname)) IS NOT NULL), false)
		FROM pg_catalog.pg_namespace WHERE nspname = $1`, k.namespace.Schema).Scan(&exists, &isExport)
	switch {
	case err != nil:
		return err
	case exists && !isExport:
		return fmt.Errorf("%w, and is not an export: %q", ErrSchemaExists, k.namespace.Schema)
	case exists && !k.replace:
		return fmt.Errorf("%w: %q", ErrSchemaExists, k.namespace.Schema)
	}
	return nil
}

// queryer is a connection or a transaction.
type queryer interface {
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
}

func (k *Export) drop(ctx context.Context) error {
	_, err := k.lock.Exec(ctx, "DROP SCHEMA IF EXISTS "+pgx.Identifier{k.namespace.Schema + unfinished}.Sanitize()+" CASCADE")
	return err
}

// about is the table that says what exported tables are.
const about = `
CREATE TABLE @.about (
    log_id      uuid        NOT NULL,
    position    bigint      NOT NULL,
    recorded_at timestamptz NOT NULL,
    log_head    bigint      NOT NULL,
    as_of       text        NOT NULL,
    made_at     timestamptz NOT NULL,
    made_by     text        NOT NULL
);
COMMENT ON TABLE @.about IS 'One row: what these tables are.';
COMMENT ON COLUMN @.about.log_id IS 'Id of the log that the tables were replayed from.';
COMMENT ON COLUMN @.about.position IS 'Position in the log of the last event that they show.';
COMMENT ON COLUMN @.about.recorded_at IS 'When that event was recorded, by the clock of the engine.';
COMMENT ON COLUMN @.about.log_head IS 'Position at which the log ended when the tables were made.';
COMMENT ON COLUMN @.about.as_of IS 'The point in time as it was asked for.';
COMMENT ON COLUMN @.about.made_at IS 'When the tables were made.';
COMMENT ON COLUMN @.about.made_by IS 'By which program and version.'`

// guardAbout keeps the table as it is, and lets readers of the tables read it.
const guardAbout = `
CREATE TRIGGER about_stays BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON @.about FOR EACH STATEMENT EXECUTE FUNCTION @.refuse();
ALTER TABLE @.about ENABLE ALWAYS TRIGGER about_stays`

// WriteOrigin adds the table about, which says what the tables are. It may be called once.
func (k *Export) WriteOrigin(ctx context.Context, o projections.Origin) error {
	fill := strings.NewReplacer("@", pgx.Identifier{k.options.Schema}.Sanitize()).Replace
	err := pgx.BeginFunc(ctx, k.lock, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, fill(about)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, fill("INSERT INTO @.about VALUES ($1, $2, $3, $4, $5, $6, $7)"), o.Log, int64(o.Position), //nolint:gosec // positions stay far below 2^63
			o.RecordedAt, int64(o.Head), o.Given, o.MadeAt, o.MadeBy); err != nil { //nolint:gosec // see above
			return err
		}
		if _, err := tx.Exec(ctx, fill(guardAbout)); err != nil {
			return err
		}
		return k.letRead(ctx, tx, fill)
	})
	if err != nil {
		return fmt.Errorf("cannot write the table about: %w", translate(ctx, err))
	}
	return nil
}

// letRead lets the reader role, where there is one, read the table about.
func (k *Export) letRead(ctx context.Context, tx pgx.Tx, fill func(string) string) error {
	var there bool
	if err := tx.QueryRow(ctx, "SELECT count(*) > 0 FROM pg_catalog.pg_roles WHERE rolname = $1", k.namespace.Reader).Scan(&there); err != nil || !there {
		return err
	}
	_, err := tx.Exec(ctx, fill("GRANT SELECT ON @.about TO ")+pgx.Identifier{k.namespace.Reader}.Sanitize())
	return err
}

// Publish puts the tables in their place, in one instant. Nothing may use them meanwhile.
func (k *Export) Publish(ctx context.Context) error {
	err := pgx.BeginFunc(ctx, k.lock, func(tx pgx.Tx) error {
		if err := k.checkSchemaFree(ctx, tx); err != nil {
			return err
		}
		schema := pgx.Identifier{k.namespace.Schema}.Sanitize()
		if _, err := tx.Exec(ctx, "DROP SCHEMA IF EXISTS "+schema+" CASCADE"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "ALTER SCHEMA "+pgx.Identifier{k.options.Schema}.Sanitize()+" RENAME TO "+schema)
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot put the exported tables in their schema: %w", translate(ctx, err))
	}
	k.done = true
	return nil
}

// Close frees what k holds, and drops the tables unless they were put in their place. Closing twice is harmless.
func (k *Export) Close() error {
	var errs []error
	if k.DB != nil {
		errs = append(errs, k.DB.Close())
	}
	if k.lock != nil {
		ctx, cancel := context.WithTimeout(context.Background(), commitTimeout) //nolint:forbidigo // whoever wanted them may have gone
		defer cancel()
		if k.locked && !k.done {
			errs = append(errs, k.drop(ctx))
		}
		errs = append(errs, k.lock.Close(ctx))
		k.lock = nil
	}
	return errors.Join(errs...)
}
