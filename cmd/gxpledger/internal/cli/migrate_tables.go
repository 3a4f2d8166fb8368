package cli

import (
	"context"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	tablespostgres "github.com/gxpledger/gxpledger/projections/postgres"
)

// tablesDocument tells of tables on a server in the output of migrate status --json and migrate up --json.
type tablesDocument struct {
	Address string          `json:"address"` // without passwords
	Schema  string          `json:"schema"`
	Applied []migrationStep `json:"applied"` // what the schema holds
	Missing []migrationStep `json:"missing"` // what migrate up would add
	Owner   string          `json:"owner,omitempty"`
	// WriterReady and ReaderReady tell whether the roles are there and have their rights.
	WriterReady bool            `json:"writer_ready"`
	ReaderReady bool            `json:"reader_ready"`
	Done        []migrationStep `json:"done,omitempty"` // what this migrate up added
}

// tablesMigrator looks after the schema of tables on PostgreSQL.
type tablesMigrator struct{ app *app }

func (m tablesMigrator) status(ctx context.Context) (*tablesDocument, error) {
	url, place := m.app.db.place()
	found, err := tablespostgres.Status(ctx, url, place)
	if err != nil {
		return nil, m.app.unopenedTables(ctx, err)
	}
	return &tablesDocument{
		Address: m.app.db.String(), Schema: m.app.db.schema(), Applied: stepsOf(found.Applied), Missing: stepsOf(found.Missing),
		Owner: found.Owner, WriterReady: found.Granted, ReaderReady: found.ReaderGranted,
	}, nil
}

func (m tablesMigrator) plan(ctx context.Context) (string, error) {
	url, place := m.app.db.place()
	plan, err := tablespostgres.Plan(ctx, url, place)
	if err != nil {
		return "", m.app.unopenedTables(ctx, err)
	}
	return plan, nil
}

func (m tablesMigrator) up(ctx context.Context) error {
	url, place := m.app.db.place()
	if err := tablespostgres.Up(ctx, url, place); err != nil {
		return m.app.unopenedTables(ctx, err)
	}
	return nil
}

func (d *tablesDocument) show(screen *render.Screen) {
	field(screen, "Tables", "%s", d.Address)
	field(screen, "Schema", "%s", d.Schema)
	if d.Owner != "" {
		field(screen, "Owner", "%s", d.Owner)
	}
	field(screen, "Writer", "%s", roleState(tablespostgres.DefaultWriter, d.WriterReady, "the user that runs gxpledger"))
	field(screen, "Reader", "%s", roleState(tablespostgres.DefaultReader, d.ReaderReady, "people and tools that query"))
	screen.Blank()
	showSteps(screen, d.Applied, d.Missing, d.Done)
}
