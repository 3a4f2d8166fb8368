package sqlite_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore/feed"
	"github.com/gxpledger/gxpledger/eventstore/feed/feedtest"
	"github.com/gxpledger/gxpledger/eventstore/feed/sqlite"
	logsqlite "github.com/gxpledger/gxpledger/eventstore/sqlite"
	"github.com/gxpledger/gxpledger/migrations"
)

func create(tb testing.TB, path string) *sqlite.Cursors {
	tb.Helper()
	store, err := sqlite.Create(tb.Context(), path)
	if err != nil {
		tb.Fatal(err)
	}
	return store
}

func TestCursors(t *testing.T) {
	t.Parallel()
	feedtest.TestCursors(t, func(tb testing.TB) func() feed.Cursors {
		tb.Helper()
		path := filepath.Join(tb.TempDir(), sqlite.FileName)
		return func() feed.Cursors { return create(tb, path) }
	})
}

func TestOpenMakesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), sqlite.FileName)
	if _, err := sqlite.Open(t.Context(), path); !errors.Is(err, feed.ErrNoStore) {
		t.Errorf("no file: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file was made: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), path); !errors.Is(err, feed.ErrNoStore) {
		t.Errorf("an empty file: %v", err)
	}
}

func TestAStoreOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), sqlite.FileName)
	first := create(t, path)
	if err := first.Create(t.Context(), feed.Cursor{Name: "a", LogID: uuid.New()}); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Close() }()
	if list, err := second.List(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("list is %v, %v", list, err)
	}
}

func TestAnotherDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	log, err := logsqlite.Open(t.Context(), path, logsqlite.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	var foreign *migrations.ForeignError
	if _, err := sqlite.Open(t.Context(), path); !errors.As(err, &foreign) {
		t.Errorf("error is %v, want a *ForeignError", err)
	}
	if _, err := sqlite.Create(t.Context(), path); !errors.As(err, &foreign) {
		t.Errorf("error is %v, want a *ForeignError", err)
	}
}

func TestAFileThatVanishedOrWasReplacedIsAnError(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(testing.TB, string){
		"vanished": func(tb testing.TB, path string) {
			tb.Helper()
			if err := os.Remove(path); err != nil {
				tb.Fatal(err)
			}
		},
		"replaced": func(tb testing.TB, path string) {
			tb.Helper()
			if err := os.Rename(path, path+".old"); err != nil {
				tb.Fatal(err)
			}
			if err := create(tb, path).Close(); err != nil {
				tb.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), sqlite.FileName)
			store := create(t, path)
			defer func() { _ = store.Close() }()
			cursor := feed.Cursor{Name: "a", LogID: uuid.New()}
			if err := store.Create(t.Context(), cursor); err != nil {
				t.Fatal(err)
			}
			lease, _, err := store.Acquire(t.Context(), "a", "h", time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			change(t, path)
			if err := store.Save(t.Context(), lease, cursor); !errors.Is(err, feed.ErrNoStore) {
				t.Errorf("save: %v", err)
			}
			if _, err := store.List(t.Context()); !errors.Is(err, feed.ErrNoStore) {
				t.Errorf("list: %v", err)
			}
		})
	}
}
