package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/migrations"
)

// Up makes the schema of the tables at url, or brings it to the form that this binary knows, in one transaction under an
// advisory lock. Several processes may call it at once. The user needs the rights that the text of [Plan] shows: to create
// a schema and, where the roles are missing, roles.
//
// Errors: *[migrations.NewerError], *[migrations.ChangedError], *[migrations.ForeignError], ErrTransient, or what the
// server said. On any error nothing was changed.
func Up(ctx context.Context, url string, place Place) error {
	return migrate(ctx, url, place, func(m *migrations.Postgres, conn *pgx.Conn) error { return m.Up(ctx, conn) })
}

// Status reads how far the schema at url is, and changes nothing. Its errors are those of Up.
func Status(ctx context.Context, url string, place Place) (migrations.PostgresStatus, error) {
	var status migrations.PostgresStatus
	err := migrate(ctx, url, place, func(m *migrations.Postgres, conn *pgx.Conn) error {
		var err error
		status, err = m.Status(ctx, conn)
		return err
	})
	return status, err
}

// Plan returns the SQL that Up would run now, for psql or a reviewer, and changes nothing. It is "" when there is nothing
// to do. Its errors are those of Up.
func Plan(ctx context.Context, url string, place Place) (string, error) {
	var plan string
	err := migrate(ctx, url, place, func(m *migrations.Postgres, conn *pgx.Conn) error {
		var err error
		plan, err = m.Plan(ctx, conn)
		return err
	})
	return plan, err
}

func migrate(ctx context.Context, url string, place Place, do func(*migrations.Postgres, *pgx.Conn) error) error {
	m, err := place.migrations()
	if err != nil {
		return err
	}
	config, err := parse(url)
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return fmt.Errorf("connect to the tables: %w", translate(ctx, err))
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // all was answered or rolled back
	return translate(ctx, do(m, conn))
}

// errOld says that the schema is older than the binary.
var errOld = errors.New("tables are of an older form than this binary: run gxpledger migrate up as the owner of their schema")

// checkForm refuses a schema that is not of the form that this binary knows.
func checkForm(ctx context.Context, conn *pgx.Conn, place Place) error {
	m, err := place.migrations()
	if err != nil {
		return err
	}
	status, err := m.Status(ctx, conn)
	if err != nil {
		return err
	}
	switch {
	case len(status.Applied) == 0:
		return fmt.Errorf("schema %q holds no tables of gxpledger: run gxpledger migrate up as a user who may create it", place.Schema)
	case len(status.Missing) > 0:
		return fmt.Errorf("%w: it lacks %d migrations, the first is %04d_%s", errOld,
			len(status.Missing), status.Missing[0].Version, status.Missing[0].Name)
	}
	return nil
}
