package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

// TestACopyIsTheLogAtOnePosition: whoever appends meanwhile. It has the id and the guards of the log, needs no other file, and goes on
// as a log.
func TestACopyIsTheLogAtOnePosition(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "log.db")
	log := open(t, path)
	last, count := eventstore.NoStream(), 0
	add := func(events int) {
		done, err := log.Append(t.Context(), eventstoretest.NewBatch("s", last, "w", count, events))
		if err != nil {
			t.Error(err)
			return
		}
		count++
		last = eventstore.AtRevision(done.LastRevision)
	}
	add(3)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				add(7)
			}
		}
	}()
	for i := range 5 {
		into := filepath.Join(dir, "copy"+string(rune('0'+i)))
		if err := sqlite.Copy(t.Context(), path, into); err != nil {
			t.Fatal(err)
		}
		copied, err := sqlite.OpenReadOnly(t.Context(), into, sqlite.Options{Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		events := 0
		for r, err := range copied.Read(t.Context(), 0, eventstore.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			if events++; int(r.Position) != events {
				t.Fatalf("position %d follows %d", r.Position, events-1)
			}
		}
		if (events-3)%7 != 0 {
			t.Errorf("the copy holds %d events: a part of a batch", events)
		}
		if err := copied.CheckIntegrity(t.Context(), func(f eventstore.Fault) { t.Errorf("the copy: %+v", f) }); err != nil {
			t.Fatal(err)
		}
		if copied.ID() != log.ID() {
			t.Errorf("the copy is log %s, want %s", copied.ID(), log.ID())
		}
		if err := copied.Close(); err != nil {
			t.Fatal(err)
		}
		if beside, err := filepath.Glob(into + "-*"); err != nil || len(beside) > 0 {
			t.Errorf("beside the copy there is %v (%v)", beside, err)
		}
	}
	close(stop)
	<-stopped
	db, err := sql.Open("sqlite", filepath.Join(dir, "copy4"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // a test's edits
	for _, statement := range []string{"DELETE FROM chunks", "UPDATE chunks SET meta = '{}'", "DELETE FROM log"} {
		if _, err := db.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("the copy lets %s", statement)
		}
	}
	resumed := open(t, filepath.Join(dir, "copy3"))
	if _, err := resumed.Append(t.Context(), eventstoretest.NewBatch("other", eventstore.NoStream(), "x", 0, 2)); err != nil {
		t.Error(err)
	}
}

func TestACopyThatFailsLeavesNothingAndReplacesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, into := filepath.Join(dir, "log.db"), filepath.Join(dir, "copy")
	if err := sqlite.Copy(t.Context(), path, into); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v, want that there is no log", err)
	}
	log := open(t, path)
	if _, err := log.Append(t.Context(), eventstoretest.NewBatch("s", eventstore.NoStream(), "w", 0, 3)); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sqlite.Copy(ended, path, into); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want that of the context", err)
	}
	if _, err := os.Lstat(into); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a copy that failed left something: %v", err)
	}
	if err := os.WriteFile(into, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := sqlite.Copy(t.Context(), path, into); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error is %v, want that there is a file", err)
	}
	if data, err := os.ReadFile(into); string(data) != "mine" {
		t.Errorf("the file holds %q (%v)", data, err)
	}
}
