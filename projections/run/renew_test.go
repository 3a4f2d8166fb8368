package run_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/builds"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

// blocked is a database that writes a page, and renews a lease meanwhile, only once the leases of two projections are being
// renewed.
type blocked struct {
	projections.Database
	writing, both chan struct{}
	once          sync.Once

	mu      sync.Mutex // guards renewed
	renewed map[string]bool
}

func (b *blocked) WritePage(ctx context.Context, page projections.Page) error {
	b.once.Do(func() { close(b.writing) })
	if err := b.await(ctx); err != nil {
		return err
	}
	return b.Database.WritePage(ctx, page)
}

func (b *blocked) ChangeBuilds(
	ctx context.Context, projection string, decide func(builds.State) (projections.Decision, error),
) ([]projections.Build, error) {
	select {
	case <-b.writing:
		b.note(projection)
		if err := b.await(ctx); err != nil {
			return nil, err
		}
	default:
	}
	return b.Database.ChangeBuilds(ctx, projection, decide)
}

func (b *blocked) note(projection string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if before := len(b.renewed); before < 2 {
		if b.renewed[projection] = true; len(b.renewed) == 2 {
			close(b.both)
		}
	}
}

func (b *blocked) await(ctx context.Context) error {
	select {
	case <-b.both:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A renewal that takes long, as while a page is written, does not let the lease of another projection expire.
func TestLeasesAreRenewedWhileAnotherRenewalWaits(t *testing.T) {
	t.Parallel()
	db := &blocked{Database: projectionstest.Open(t), writing: make(chan struct{}), both: make(chan struct{}), renewed: map[string]bool{}}
	other := projections.Projection{
		Name: "other", Version: 1, Handles: []domain.Event{domain.AdminActed{}},
		Tables: []projections.Table{{
			Name: "positions", Doc: "Where events stand.", Key: []string{"position"},
			Columns: []projections.Column{{Name: "position", Type: projections.Integer, Doc: "Of an event."}},
		}},
		Apply: func(page []projections.Event, rows *projections.Rows) error {
			for _, e := range page {
				rows.Insert("positions", int64(e.Position))
			}
			return nil
		},
	}
	config := run.DefaultConfig(time.Now, eventstore.Decode, t.Name())
	counting(&config)
	config.LeaseTTL = 50 * time.Millisecond
	runner, err := run.NewRunner(newCounted(2*countedBatch), db, []projections.Projection{inventory(), other}, config)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	must(t, runner.CatchUp(ctx, 0))
}
