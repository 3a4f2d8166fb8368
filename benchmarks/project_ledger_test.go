package benchmarks_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/run"
)

// ledgerTables opens tables that nothing was projected into yet, and says how to read what is shown to readers.
type ledgerTables func(b *testing.B) (projections.Database, query)

// ledgerProjectors are gxpledger: a whole Rebuild from a log, with what belongs to one: its lease, a checkpoint with each
// page, indexes, the digests of all rows, and the views in the end.
//
// "gxpledger" upserts each row, as every peer must who cannot know whether it saw an event before. "gxpledger-insert"
// inserts it, which is enough where each event is folded exactly once.
func ledgerProjectors(story *story, log projections.Log, tables ledgerTables) []*projector {
	how := func(name string, put func(*projections.Rows, string, ...any)) *projector {
		return &projector{name: name, long: true, turn: func(b *testing.B) turn {
			b.Helper()
			db, table := tables(b)
			return turn{table: table, fill: func(ctx context.Context) error {
				return rebuild(ctx, story, log, db, requirements(put))
			}}
		}}
	}
	return []*projector{how("gxpledger", (*projections.Rows).Upsert), how("gxpledger-insert", (*projections.Rows).Insert)}
}

func rebuild(ctx context.Context, story *story, log projections.Log, db projections.Database, p projections.Projection) error {
	config := run.DefaultConfig(time.Now, eventstore.Decode, "benchmark")
	runner, err := run.NewRunner(log, db, []projections.Projection{p}, config)
	if err != nil {
		return err
	}
	report, err := runner.Rebuild(ctx, p.Name, run.RebuildOptions{})
	if err != nil {
		return err
	}
	if report.Events != uint64(story.n) {
		return fmt.Errorf("rebuilt from %d events, want %d", report.Events, story.n)
	}
	return nil
}

// requirements is the projection as gxpledger takes it.
func requirements(put func(*projections.Rows, string, ...any)) projections.Projection {
	column := func(name string, t projections.ColumnType) projections.Column {
		return projections.Column{Name: name, Type: t, Doc: name}
	}
	return projections.Projection{
		Name: "requirements", Version: 1, Handles: []domain.Event{domain.ArtifactParsed{}},
		Tables: []projections.Table{{
			Name: "requirements", Doc: "Requirements.", Key: []string{"number"},
			Columns: []projections.Column{
				column("number", projections.Integer), column("repository", projections.Text), column("path", projections.Text),
				column("gxp_id", projections.Text), column("title", projections.Text), column("risk", projections.Text),
				column("status", projections.Text), column("sha256", projections.Text), column("version", projections.Integer),
				column("fields", projections.JSON), column("recorded_at", projections.Timestamp), column("moved", projections.Boolean),
			},
			Indexes: []projections.Index{{Columns: []string{"gxp_id"}}, {Columns: []string{"path"}}},
		}},
		Apply: func(page []projections.Event, rows *projections.Rows) error {
			for _, e := range page {
				a, ok := e.Event.(domain.ArtifactParsed)
				if !ok {
					return fmt.Errorf("position %d holds a %T", e.Position, e.Event)
				}
				put(rows, "requirements", int64(e.Position), string(e.Stream), a.Path, a.GxPID, a.Title, a.Risk.Normal, a.Status.Normal,
					a.Content.SHA256, a.Version, a.Fields, e.RecordedAt, a.MovedFrom != nil)
			}
			return nil
		},
	}
}

// upsertEach is the loop that is written where there is no engine: it reads and decodes one event after the other, upserts
// its row, and commits with a checkpoint after each thousand.
func upsertEach(ctx context.Context, story *story, log eventstore.Reader, begin func(context.Context) (upserting, error)) error {
	const page = 1000
	var open upserting
	defer func() {
		if open != nil {
			open.abandon()
		}
	}()
	for r, err := range log.Read(ctx, 0, eventstore.Filter{}) {
		if err != nil {
			return err
		}
		a, err := decodeArtifact(r.Type, r.Data)
		if err != nil {
			return err
		}
		if open == nil {
			if open, err = begin(ctx); err != nil {
				return err
			}
		}
		row := rowOf(int64(r.Position), string(r.Stream), r.RecordedAt, a)
		if err := open.upsert(ctx, row); err != nil {
			return fmt.Errorf("upsert row %d: %w", r.Position, err)
		}
		if r.Position%page != 0 && int(r.Position) != story.n {
			continue
		}
		if err := open.commit(ctx, r.Position); err != nil {
			return err
		}
		open = nil
	}
	return nil
}

// upserting is one transaction of upsertEach.
type upserting interface {
	upsert(ctx context.Context, r row) error
	// commit moves the checkpoint and commits.
	commit(ctx context.Context, at eventstore.Position) error
	// abandon rolls back, if there is something to roll back.
	abandon()
}
