package gxpledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/config"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/query"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// ExportRequest says which state of the tables to export, and where to.
type ExportRequest struct {
	// AsOf is a point in time, as [query.ParsePoint] reads it. Required.
	AsOf string
	// Repository, by name or id, is whose scans the point in time counts. "" for the only one.
	Repository string
	// Into is the path of a SQLite file, or postgres://USER@HOST/DATABASE?schema=NAME.
	Into string
	// Replace replaces an earlier export at Into. Nothing else is ever replaced.
	Replace bool
	// MadeBy names the program that exports, for whoever finds the tables. Defaults to gxpledger.
	MadeBy string
	// Progress is told how far the replay of the log is, from several goroutines. It must not block. Nil for nobody.
	Progress func(at, of eventstore.Position)
}

// Exported is what was exported. The JSON names are stable.
type Exported struct {
	Shown  query.Shown      `json:"as_of"`
	Into   string           `json:"into"` // without passwords
	LogID  uuid.UUID        `json:"log_id"`
	MadeAt time.Time        `json:"made_at"`
	MadeBy string           `json:"made_by"`
	Tables []ExportedTables `json:"tables"`
}

// ExportedTables are the exported tables of one projection.
type ExportedTables struct {
	Projection string        `json:"projection"`
	Version    int           `json:"version"`
	Tables     []TableDigest `json:"tables"`
}

// ErrExportExists says that something exists where an export was to be. A *[ConfigError] wraps it.
var ErrExportExists = config.ErrExportExists

// Export writes all tables as of a point in time to a SQLite file or a schema of their own, for any SQL tool: the same tables
// and columns as the present ones, a view catalogue that explains each column, and a table about that says what they are. They
// are there whole or not at all. It waits until the log is replayed up to that point.
//
// Errors: those of [Ledger.View], and a *[ConfigError] for Into, which may wrap [ErrExportExists].
func (l *Ledger) Export(ctx context.Context, r ExportRequest) (exported Exported, err error) {
	if r.Into == "" {
		return exported, fmt.Errorf("cannot export: %w: Into is required", ErrInvalid)
	}
	point, err := query.ParsePoint(r.AsOf)
	if err != nil {
		return exported, err
	}
	log, err := l.openLog(ctx, config.ToRead)
	if err != nil {
		return exported, err
	}
	place, err := l.Locate(ctx, point, r.Repository)
	if err != nil {
		return exported, err
	}
	export, err := l.createExport(ctx, r)
	if err != nil {
		return exported, err
	}
	defer func() { err = errors.Join(err, export.Close()) }()
	if err := l.replay(ctx, place, export, ViewOptions{Progress: r.Progress}); err != nil {
		return exported, err
	}
	exported = Exported{
		Into: config.ExportName(r.Into), LogID: log.ID(), MadeAt: l.config.Now().UTC(), MadeBy: cmp.Or(r.MadeBy, "gxpledger"),
	}
	if exported.Tables, err = digestTables(ctx, export); err != nil {
		return exported, err
	}
	if exported.Shown, err = query.NewReader(export.Query(), config.ExportDialect(r.Into)).Shown(ctx, place, ""); err != nil {
		return exported, err
	}
	if err := export.WriteOrigin(ctx, projections.Origin{
		Log: exported.LogID, Position: place.Position, RecordedAt: place.RecordedAt, Head: place.Head, Given: place.Given,
		MadeAt: exported.MadeAt, MadeBy: exported.MadeBy,
	}); err != nil {
		return exported, err
	}
	return exported, export.Publish(ctx)
}

func (l *Ledger) createExport(ctx context.Context, r ExportRequest) (config.Export, error) {
	if config.IsAddress(r.Into) {
		defer l.await("the server at " + config.ExportName(r.Into))()
	}
	return config.CreateExport(ctx, r.Into, config.ExportOptions{Now: l.config.Now, Replace: r.Replace, RolePrefix: l.config.RolePrefix})
}

// digestTables returns the digest of every table that readers of db see.
func digestTables(ctx context.Context, db projections.Database) ([]ExportedTables, error) {
	var all []ExportedTables
	for _, p := range tables.All() {
		builds, err := db.Builds(ctx, p.Name)
		if err != nil {
			return nil, err
		}
		of := ExportedTables{Projection: p.Name, Version: p.Version}
		for _, b := range builds {
			if b.State != projections.BuildActive {
				continue
			}
			err := db.Inspect(ctx, b.Ref, func(s projections.Snapshot) error {
				digests, err := projections.DigestTables(ctx, s, p.Tables)
				for _, d := range digests {
					of.Tables = append(of.Tables, TableDigest(d))
				}
				return err
			})
			if err != nil {
				return nil, fmt.Errorf("digest of %s: %w", p.Name, err)
			}
		}
		all = append(all, of)
	}
	return all, nil
}
