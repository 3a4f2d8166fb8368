package postgres

import (
	"cmp"
	"context"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/pg"
	"github.com/gxpledger/gxpledger/migrations"
)

// Up makes the log at url, or upgrades it to the form that this binary knows, in one transaction under an advisory lock.
// Several processes may call it at once. The user needs the rights that the text of [Plan] shows: to create a schema
// and, where the roles are missing, roles.
//
// Errors: *[migrations.NewerError], *[migrations.ChangedError], *[migrations.ForeignError], ErrTransient, or an error of the
// server. On any error nothing was changed.
func Up(ctx context.Context, url string, namespace Namespace) error {
	return namespace.schemaAt(url).Up(ctx)
}

// Status reads how far the log at url is, and changes nothing. Its errors are those of Up.
func Status(ctx context.Context, url string, namespace Namespace) (migrations.Status, error) {
	return namespace.schemaAt(url).Status(ctx)
}

// Plan returns the SQL that Up would run now, for psql or a reviewer, and changes nothing. It is "" when there is nothing
// to do. Its errors are those of Up.
func Plan(ctx context.Context, url string, namespace Namespace) (string, error) {
	return namespace.schemaAt(url).Plan(ctx)
}

func (p Namespace) schemaAt(url string) pg.Schema {
	return pg.Schema{Address: url, Migrations: p.migrations, Holds: "log", Invalid: eventstore.ErrInvalid, Translate: translate}
}

func (p Namespace) migrations() (*migrations.Postgres, error) {
	return migrations.PostgresLog(migrations.PostgresTarget{
		Schema: cmp.Or(p.Schema, DefaultSchema), Owner: cmp.Or(p.Owner, DefaultOwner), Writer: cmp.Or(p.Writer, DefaultWriter),
	})
}
