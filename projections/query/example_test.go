package query_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
	"github.com/gxpledger/gxpledger/projections/query"
	"github.com/gxpledger/gxpledger/projections/run"
	"github.com/gxpledger/gxpledger/projections/sqlite"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// A reader of tables in SQLite finds the gaps of a repository.
func ExampleReader_Gaps() {
	ctx := context.Background()
	db, remove := exampleTables(ctx)
	defer remove()

	reader := query.NewReader(db.Query(), query.SQLite)
	repository, err := reader.Find(ctx, "demo")
	check(err)
	gaps, err := reader.Gaps(ctx, query.Scope{RepositoryID: repository.ID})
	check(err)
	for _, g := range gaps.Gaps {
		fmt.Println(g.Name(), "is", g.State)
	}
	// Output:
	// US-2 is orphaned
	// US-1 is missing
	// US-2 is missing
}

// exampleTables makes tables of one scan of a repository.
func exampleTables(ctx context.Context) (*sqlite.DB, func()) {
	now := func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }
	log := memory.New(now)
	rec, err := recorder.New(log, recorder.DefaultConfig(now, ""))
	check(err)
	_, err = rec.Record(ctx, recorder.Request{
		Scan: uuid.MustParse("019c0000-0000-7000-8000-000000000001"), Actor: "carol", Policy: domaintest.Flag(), StartedAt: now(),
		Repository: domain.Repository{ID: repositoryID("demo"), Name: "demo"},
	}, func(context.Context, domain.State) (recorder.Reading, error) {
		return recorder.Reading{Reader: domaintest.Stamp, Files: domaintest.Tree(
			domaintest.Requirement("REQ-1", "a"), domaintest.UserStory("US-1", "REQ-1"), domaintest.UserStory("US-2", "REQ-2"),
		)}, nil
	})
	check(err)
	dir, err := os.MkdirTemp("", "tables")
	check(err)
	db, err := sqlite.OpenScratch(ctx, dir, sqlite.Options{Now: now})
	check(err)
	runner, err := run.NewRunner(log, db, tables.All(), run.DefaultConfig(now, eventstore.Decode, "example"))
	check(err)
	check(runner.CatchUp(ctx, 0))
	return db, func() {
		check(db.Close())
		check(os.RemoveAll(dir))
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
