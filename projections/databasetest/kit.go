package databasetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/run"
)

func catchUp(t *testing.T, r *run.Runner) {
	t.Helper()
	must(t, r.CatchUp(t.Context(), 0))
}

// equalToLog fails the test unless the tables are what a replay of the whole log gives.
func equalToLog(t *testing.T, db projections.Database, log *Counted) {
	t.Helper()
	into := projectionstest.Open(t)
	_, err := projectionstest.Runner(t, log, into, Inventory(), Counting).AsOf(t.Context(), log.head, into)
	must(t, err)
	got, want := projectionstest.Dump(t.Context(), t, db, Inventory()), projectionstest.Dump(t.Context(), t, into, Inventory())
	if got != want || got == "" {
		t.Fatalf("tables are not what the log says\n got: %s\nwant: %s", got, want)
	}
}

// Spy is a database that sees every page, and fails on cue.
type Spy struct {
	projections.Database
	mu sync.Mutex
	// Pages are those that were written, or tried.
	Pages []projections.Page
	// Before and After may fail a write that was not, or was, done. They get the number of the write, from 1.
	Before, After func(int) error
}

// WritePage remembers the page, and fails on cue.
func (s *Spy) WritePage(ctx context.Context, page projections.Page) error {
	s.mu.Lock()
	s.Pages = append(s.Pages, page)
	n := len(s.Pages)
	s.mu.Unlock()
	if s.Before != nil {
		if err := s.Before(n); err != nil {
			return err
		}
	}
	if err := s.Database.WritePage(ctx, page); err != nil {
		return err
	}
	if s.After != nil {
		return s.After(n)
	}
	return nil
}

// eventually waits for a condition that another goroutine or process fulfils.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: did not happen", what)
		case <-tick.C:
		}
	}
}
