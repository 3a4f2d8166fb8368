package pg

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/migrations"
)

// Schema is a schema of a database, as migrations make it.
type Schema struct {
	Address string
	// Migrations returns those of the schema. Its error says what is wrong with the names of the schema or its roles.
	Migrations func() (*migrations.Postgres, error)
	// Holds names what is in the schema, such as "log".
	Holds string
	// Invalid is the error that one about the address wraps.
	Invalid error
	// Translate translates errors of the driver and the server.
	Translate func(context.Context, error) error
}

// Up creates the schema, or upgrades it to the version that this binary knows: see [migrations.Postgres.Up].
func (s Schema) Up(ctx context.Context) error {
	return s.connected(ctx, func(m *migrations.Postgres, conn *pgx.Conn) error { return m.Up(ctx, conn) })
}

// Status reads how far the schema is, and changes nothing.
func (s Schema) Status(ctx context.Context) (status migrations.Status, err error) {
	err = s.connected(ctx, func(m *migrations.Postgres, conn *pgx.Conn) (err error) {
		status, err = m.Status(ctx, conn)
		return err
	})
	return status, err
}

// Plan returns the SQL that Up would run now, "" when there is nothing to do. It changes nothing.
func (s Schema) Plan(ctx context.Context) (plan string, err error) {
	err = s.connected(ctx, func(m *migrations.Postgres, conn *pgx.Conn) (err error) {
		plan, err = m.Plan(ctx, conn)
		return err
	})
	return plan, err
}

func (s Schema) connected(ctx context.Context, do func(*migrations.Postgres, *pgx.Conn) error) error {
	m, err := s.Migrations()
	if err != nil {
		return err
	}
	config, err := Parse(s.Address)
	if err != nil {
		return fmt.Errorf("%w: %w", s.Invalid, err)
	}
	conn, err := Connect(ctx, config.ConnConfig)
	if err != nil {
		return fmt.Errorf("cannot connect to the %s: %w", s.Holds, s.Translate(ctx, err))
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // all was answered or rolled back
	return s.Translate(ctx, do(m, conn))
}

// errOutdated says that the schema is older than the binary.
var errOutdated = errors.New("schema is older than this binary: run gxpledger migrate up as its owner")

// Check refuses a schema that is not at the version that this binary knows, over a connection to its database.
func (s Schema) Check(ctx context.Context, conn *pgx.Conn) error {
	m, err := s.Migrations()
	if err != nil {
		return err
	}
	status, err := m.Version(ctx, conn)
	if err != nil {
		return err
	}
	switch {
	case len(status.Applied) == 0:
		return s.Empty(status.Schema)
	case len(status.Missing) > 0:
		return fmt.Errorf("%w: schema %q lacks %d migrations, the first is %04d_%s", errOutdated, status.Schema,
			len(status.Missing), status.Missing[0].Version, status.Missing[0].Name)
	}
	return nil
}

// Empty is the error of a schema that does not exist, or holds nothing.
func (s Schema) Empty(name string) error {
	return fmt.Errorf("schema %q holds no %s: run gxpledger migrate up as a user who may create it", name, s.Holds)
}

// Explain says which right is missing when err, which came over conn, says that the server refused something for want of one.
// Any other error, and one of a transaction that has not ended, stays what it is.
func (s Schema) Explain(ctx context.Context, conn *pgx.Conn, err error) error {
	if err == nil || classOf(err) != Forbidden || conn.IsClosed() || conn.PgConn().TxStatus() != 'I' {
		return err
	}
	m, unnamed := s.Migrations()
	if unnamed != nil {
		return err
	}
	if why := m.Explain(ctx, conn); why != nil && classOf(why) == Other {
		return fmt.Errorf("%w: %w", why, err)
	}
	return err
}
