package cli_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

// toldError is an error as it is written with --json.
type toldError struct {
	Error string `json:"error"`
	Hint  string `json:"hint"`
	Code  string `json:"code"`
}

// deafLog refuses what is appended to the stream of the engine.
type deafLog struct{ eventstore.Log }

func (l deafLog) Append(ctx context.Context, b eventstore.Batch) (eventstore.Appended, error) {
	if b.Stream == eventstore.EngineStream {
		return eventstore.Appended{}, eventstore.ErrClosed
	}
	return l.Log.Append(ctx, b)
}

// deafen makes the log refuse the actions of administrators.
func (d *fixture) deafen() {
	d.t.Helper()
	log, err := sqlite.Open(d.t.Context(), filepath.Join(d.home, "log.db"), sqlite.Options{Now: time.Now})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = log.Close() })
	d.log = deafLog{log}
}

// outbox counts the actions that wait in the tables for the log.
func (d *fixture) outbox() (n int) {
	d.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(d.home, "tables.db"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.QueryRowContext(d.t.Context(), "SELECT count(*) FROM kept_acts").Scan(&n); err != nil {
		d.t.Fatal(err)
	}
	return n
}

// Whenever a rebuild is interrupted while the log is away, it says that nothing was recorded only where nothing waits for that.
func TestAnInterruptedRebuildWithoutALogSaysWhatIsKept(t *testing.T) {
	t.Parallel()
	kept := 0
	for at := 1; at < 24; at += 3 {
		d, _ := recorded(t)
		d.deafen()
		now, calls := d.now, 0
		ctx, cancel := context.WithCancel(t.Context())
		d.now = func() time.Time {
			if calls++; calls == at {
				cancel()
			}
			return now()
		}
		got := d.bare(ctx, "projections", "rebuild", "audit", "--reason", "to see", "--actor", "admin", "--home", d.home)
		cancel()
		d.now = now
		if d.outbox() == 0 {
			continue
		}
		kept++
		if got.code != 1 || strings.Contains(got.stderr, "nothing was recorded") || !strings.Contains(got.stderr, "is not in the audit log yet (") {
			t.Errorf("interrupted at call %d: code %d, it says %q, and the tables keep an action for the log", at, got.code, got.stderr)
		}
	}
	if kept == 0 {
		t.Error("no rebuild was interrupted after it began")
	}
}

func TestAnUnrecordedActionSaysInJSONThatItIsRecordedLater(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	d.deafen()
	got := d.run("projections", "pause", "audit", "--reason", "x", "--json").wantCode(1)
	var told toldError
	if err := json.Unmarshal([]byte(got.stderr), &told); err != nil {
		t.Fatalf("%v: %q", err, got.stderr)
	}
	const hint = "the next gxpledger projections command records it"
	if told.Hint != hint || !strings.HasSuffix(told.Error, ": "+hint) || !strings.HasPrefix(told.Error, "the action succeeded but is not in the audit log yet") {
		t.Errorf("it says %+v, want that the action is recorded later", told)
	}
}

// busyLog does not answer.
type busyLog struct{ eventstore.Log }

func (busyLog) Head(context.Context) (eventstore.Position, error) { return 0, eventstore.ErrTransient }

// The hint is the part of the sentence that says what to do, also where the command says more behind it.
func TestTheHintOfAFailedRebuildIsThatOfItsCause(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	d.deafen()
	d.log = busyLog{d.log}
	got := d.run("projections", "rebuild", "audit", "--reason", "x", "--json").wantCode(1)
	var told toldError
	if err := json.Unmarshal([]byte(got.stderr), &told); err != nil {
		t.Fatalf("%v: %q", err, got.stderr)
	}
	if told.Code != "log_busy" || told.Hint == "" || !strings.Contains(told.Error, told.Hint) || !strings.Contains(told.Error, "the active tables are unchanged") {
		t.Errorf("it says %+v, want a hint that the sentence has", told)
	}
}
