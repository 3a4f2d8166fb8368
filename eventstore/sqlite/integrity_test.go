package sqlite_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

// checkedLog is a closed log of 200 events, whose file a test is about to change.
func checkedLog(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "log.db")
	log := open(t, path)
	for i := range 2 {
		b := eventstoretest.NewBatch(eventstore.StreamID(fmt.Sprintf("s-%d", i)), eventstore.NoStream(), "w", i, 100)
		if _, err := log.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// faultsFound returns what CheckIntegrity finds in the log at path, opened for reading.
func faultsFound(t *testing.T, path string) []string {
	t.Helper()
	log, err := sqlite.OpenReadOnly(t.Context(), path, sqlite.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	var found []string
	err = log.CheckIntegrity(t.Context(), func(f eventstore.Fault) { found = append(found, fmt.Sprintf("%s %s: %s", f.Code, f.Where, f.Text)) })
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// What no reading of the events would show: guards that are gone or that guard nothing (I10), and a table of ids that
// would let an id be given twice (I4).
func TestCheckIntegrityFindsWhatReadingDoesNot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change []string
		want   []string // a part of each fault, in order
	}{
		"nothing": {nil, nil},
		"a trigger that was dropped": {
			[]string{"DROP TRIGGER chunks_no_update"},
			[]string{"guard trigger chunks_no_update: it is gone"},
		},
		"a trigger that guards nothing": {
			[]string{"DROP TRIGGER contents_no_delete", "CREATE TRIGGER contents_no_delete BEFORE DELETE ON contents WHEN 0 BEGIN SELECT RAISE(ABORT, 'no'); END"},
			[]string{"guard trigger contents_no_delete: it is not what gxpledger made: CREATE TRIGGER contents_no_delete BEFORE DELETE ON contents WHEN 0"},
		},
		"a trigger that acts on its own": {
			[]string{"CREATE TRIGGER sly AFTER INSERT ON snapshots BEGIN DELETE FROM snapshots; END"},
			[]string{"guard trigger sly: gxpledger did not make it"},
		},
		"an index that is gone": {
			[]string{"DROP INDEX chunks_stream"}, []string{"guard index chunks_stream: it is gone"},
		},
		"ids that were forgotten": {
			[]string{
				"DROP TRIGGER event_ids_no_delete",
				"DELETE FROM event_ids WHERE batch = 101",
			},
			[]string{"guard trigger event_ids_no_delete", "event_id table event_ids: it lacks the ids of 100 events, the first at or shortly after position 101"},
		},
		"an id of another batch": {
			[]string{"DROP TRIGGER event_ids_no_update", "UPDATE event_ids SET batch = 1 WHERE id = (SELECT max(id) FROM event_ids WHERE batch = 101)"},
			[]string{"guard trigger event_ids_no_update", "it lacks the ids of 1 events", "it holds 1 ids of no event"},
		},
		"an id of no event": {
			[]string{"INSERT INTO event_ids VALUES (x'ffffffffffffffffffffffffffffffff', 1)"},
			[]string{"event_id table event_ids: it holds 1 ids of no event"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := checkedLog(t)
			db := raw(t, path)
			db.SetMaxOpenConns(1)
			for _, change := range c.change {
				exec(t, db, change)
			}
			found := faultsFound(t, path)
			if len(found) != len(c.want) {
				t.Fatalf("found %q, want %d faults", found, len(c.want))
			}
			for i, part := range c.want {
				if !strings.Contains(found[i], part) {
					t.Errorf("found %q, want %q", found[i], part)
				}
			}
		})
	}
}

func TestCheckIntegrityFindsADamagedFile(t *testing.T) {
	t.Parallel()
	path := checkedLog(t)
	var root, size int64
	db := raw(t, path)
	if err := db.QueryRowContext(t.Context(), "SELECT rootpage, page_size FROM sqlite_schema, pragma_page_size WHERE name = 'sqlite_autoindex_streams_1'").
		Scan(&root, &size); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := file[(root-1)*size : root*size]
	at := strings.Index(string(page), "s-1")
	if at < 0 {
		t.Fatal("the index does not hold the name of the stream")
	}
	page[at+2] = '7'
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	found := faultsFound(t, path)
	if len(found) == 0 || !strings.HasPrefix(found[0], "file the file of the log: ") || !strings.Contains(found[0], "sqlite_autoindex_streams_1") {
		t.Errorf("found %q, want the index that does not agree with its table", found)
	}
}

// An archive: nothing can be made beside the file, so that not even SQLite's own files can be. The superuser can make
// them all the same, and then shares the file with writers as ever.
func TestALogInAnUnwritableFolderIsRead(t *testing.T) {
	t.Parallel()
	path := checkedLog(t)
	folder := filepath.Dir(path)
	if err := os.Chmod(folder, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(folder, 0o700) })
	if found := faultsFound(t, path); len(found) != 0 {
		t.Errorf("found %q, want a sound log", found)
	}
	log, err := sqlite.OpenReadOnly(t.Context(), path, sqlite.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if head, err := log.Head(t.Context()); err != nil || head != 200 {
		t.Errorf("head is %d, %v; want 200", head, err)
	}
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	alone := os.Geteuid() > 0
	if err := log.Close(); alone != errors.Is(err, eventstore.ErrTransient) {
		t.Errorf("closing a log that was written meanwhile: %v; want an error exactly when it was read alone (%t)", err, alone)
	}
}
