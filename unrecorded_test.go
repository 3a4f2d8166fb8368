package gxpledger_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/run"
)

// inTables runs a statement on the tables in a home.
func inTables(t *testing.T, home, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(home, "tables.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// engineLog asks before whether to append to the stream of the engine.
type engineLog struct {
	eventstore.Log

	before func(n int64) error // n counts from 1
	n      *atomic.Int64
}

func (l engineLog) Append(ctx context.Context, b eventstore.Batch) (eventstore.Appended, error) {
	if b.Stream == eventstore.EngineStream {
		if err := l.before(l.n.Add(1)); err != nil {
			return eventstore.Appended{}, err
		}
	}
	return l.Log.Append(ctx, b)
}

func TestTheAuditTrailShowsAnActionAlthoughAnotherProjectionStopped(t *testing.T) {
	t.Parallel()
	var home string
	ledger, request := newProduct(t, func(c *gxpledger.Config) { home = c.Home })
	if _, err := ledger.Scan(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	inTables(t, home, "CREATE TRIGGER refuse BEFORE INSERT ON scans__b1 BEGIN SELECT RAISE(ABORT, 'refused'); END")
	if _, err := ledger.Scan(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	paused, err := ledger.Admin().Pause(t.Context(), gxpledger.ActionRequest{Projections: []string{gxpledger.History}, Reason: "x"})
	if err != nil || paused.NotProjected != nil {
		t.Errorf("Pause returns %+v, %v, want that the audit trail shows it", paused, err)
	}
	all, err := ledger.Admin().Status(t.Context())
	if err != nil || all[0].State != inspect.StateFaulted || all[1].Lag != 0 {
		t.Errorf("the status is %+v, %v, want that artifacts stopped and audit is live", all, err)
	}
}

// A skip is recorded in the log at once. That the log refuses an earlier action of somebody else is no failure of it.
func TestASkipIsDoneWhenAnEarlierActionCannotBeRecorded(t *testing.T) {
	t.Parallel()
	var home string
	var observed []error
	log := engineLog{Log: memory.New(time.Now), n: &atomic.Int64{}}
	log.before = func(n int64) error {
		if n > 1 {
			return eventstore.ErrClosed
		}
		inTables(t, home, `INSERT INTO kept_acts (id, projection, build, act) VALUES ('01951c2e-7a00-7000-8000-0000000000aa', 'history', 0,
			'{"id":"01951c2e-7a00-7000-8000-0000000000aa","action":"projection.pause","target":"history","actor":"other","reason":"x","outcome":"succeeded","at":"2026-03-01T12:00:00Z"}')`)
		return nil
	}
	ledger, request := newProduct(t, func(c *gxpledger.Config) {
		home, c.OpenedLog, c.Observe = c.Home, log, func(err error) { observed = append(observed, err) }
	})
	if _, err := ledger.Scan(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	inTables(t, home, "CREATE TRIGGER refuse BEFORE INSERT ON scans__b1 BEGIN SELECT RAISE(ABORT, 'refused'); END")
	if _, err := ledger.Scan(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	all, err := ledger.Admin().Status(t.Context())
	if err != nil || all[0].Fault == nil {
		t.Fatalf("the status is %+v, %v, want that artifacts stopped", all, err)
	}
	skipped, err := ledger.Admin().Skip(t.Context(), gxpledger.SkipRequest{Position: eventstore.Position(all[0].Fault.Position), Reason: "x"})
	if err != nil || skipped.NotProjected != nil || len(skipped.Actions) != 1 {
		t.Errorf("Skip returns %+v, %v, want that it is done and shown", skipped, err)
	}
	if len(observed) != 1 || !errors.Is(observed[0], eventstore.ErrClosed) {
		t.Errorf("observed %v, want that an earlier action could not be recorded", observed)
	}
}

// What is told of an interrupted rebuild is what the log and the tables have.
func TestAnInterruptedRebuildIsToldAsRecordedWhereTheLogHasIt(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]bool{"the log answers": false, "the log is away": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			var armed atomic.Bool
			log := engineLog{Log: memory.New(time.Now), n: &atomic.Int64{}, before: func(int64) error {
				if away {
					return eventstore.ErrClosed
				}
				return nil
			}}
			ledger, _ := scanned(t, func(c *gxpledger.Config) {
				c.OpenedLog = log
				c.Projected = func(run.Progress) {
					if armed.Load() {
						interrupt()
					}
				}
			})
			armed.Store(true)
			result, err := ledger.Admin().Rebuild(ctx, gxpledger.RebuildRequest{Projections: []string{gxpledger.Audit}, Reason: "x"})
			unrecorded, isUnrecorded := errors.AsType[*gxpledger.UnrecordedError](err)
			actions := recordedActions(t, ledger)
			if away {
				if !isUnrecorded || !errors.Is(unrecorded.Cause, context.Canceled) || result.Ended != nil || len(actions) != 0 {
					t.Errorf("Rebuild returns %+v, %v, the log has %+v, want an UnrecordedError of an interrupted one", result, err, actions)
				}
				return
			}
			if isUnrecorded || !errors.Is(err, context.Canceled) || result.Ended == nil || result.Ended.Outcome != run.OutcomeInterrupted {
				t.Errorf("Rebuild returns %+v, %v, want one that is recorded as interrupted", result, err)
			}
			if len(actions) != 1 || actions[0].Outcome != run.OutcomeInterrupted {
				t.Errorf("the log has %+v, want the interrupted rebuild", actions)
			}
		})
	}
}

// A rebuild that was interrupted before the tables kept anything of it is not told as recorded, or as waiting for that.
func TestARebuildThatLeftNothingIsNotToldAsRecorded(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	ledger, _ := scanned(t)
	result, err := ledger.Admin().Rebuild(ctx, gxpledger.RebuildRequest{Projections: []string{gxpledger.Audit}, Reason: "x"})
	if errors.As(err, new(*gxpledger.UnrecordedError)) || !errors.Is(err, context.Canceled) || result.Ended != nil {
		t.Errorf("Rebuild returns %+v, %v, want that it was interrupted", result, err)
	}
	if actions := recordedActions(t, ledger); len(actions) != 0 {
		t.Errorf("the log has %+v, want nothing", actions)
	}
}
