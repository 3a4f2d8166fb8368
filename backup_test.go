package gxpledger_test

import (
	"bytes"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
	"github.com/gxpledger/gxpledger/internal/backup"
	"github.com/gxpledger/gxpledger/internal/config"
)

// TestCursorsAreInABackup: a restored consumer resumes where it was.
func TestCursorsAreInABackup(t *testing.T) {
	t.Parallel()
	ledger, home := scanned(t)
	log, err := ledger.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	last, err := log.At(t.Context(), head)
	if err != nil {
		t.Fatal(err)
	}
	cursors, err := (config.Settings{Home: home}).CreateCursors(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := feed.Cursor{Name: "relay:mail", LogID: log.ID(), Position: head, EventID: last.ID, State: []byte(`{"x":1}`)}
	if err := errors.Join(cursors.Create(t.Context(), want), cursors.Close()); err != nil {
		t.Fatal(err)
	}
	made, err := ledger.CreateBackup(t.Context(), filepath.Join(t.TempDir(), "backup"))
	if err != nil {
		t.Fatal(err)
	}
	into := filepath.Join(t.TempDir(), "home")
	restored, err := gxpledger.Open(t.Context(), gxpledger.Config{Home: into})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := restored.RestoreBackup(t.Context(), made.Folder); err != nil {
		t.Fatal(err)
	}
	cursors, err = (config.Settings{Home: into}).OpenCursors(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list, err := cursors.List(t.Context())
	if err != nil || len(list) != 1 || list[0].Name != want.Name || list[0].Position != head || list[0].EventID != last.ID || !bytes.Equal(list[0].State, want.State) {
		t.Errorf("%+v, %v", list, err)
	}
	if err := errors.Join(cursors.Close(), restored.Close()); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(home, config.CursorsFileName), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.CreateBackup(t.Context(), filepath.Join(t.TempDir(), "backup")); err == nil {
		t.Error("a backup was made of cursors that cannot be read")
	}
}

// TestADamagedLogIsNeitherBackedUpNorRestored: and nothing is left of the try.
func TestADamagedLogIsNeitherBackedUpNorRestored(t *testing.T) {
	t.Parallel()
	ledger, home := scanned(t)
	dir := t.TempDir()
	forge := func(name string, more func(folder string) error) string {
		place, _, err := backup.Create(filepath.Join(dir, name), time.Now(), func(folder string) (backup.Log, error) {
			if err := errors.Join((config.Settings{Home: home}).CopyHome(t.Context(), folder), more(folder)); err != nil {
				return backup.Log{}, err
			}
			good, err := ledger.CreateBackup(t.Context(), filepath.Join(dir, name+".good"))
			return good.Log, err
		})
		if err != nil {
			t.Fatal(err)
		}
		return place
	}
	breakLog := func(folder string) error {
		db, err := sql.Open("sqlite", filepath.Join(folder, "log.db"))
		if err != nil {
			return err
		}
		_, err = db.ExecContext(t.Context(), "DROP TRIGGER chunks_no_delete")
		return errors.Join(err, db.Close())
	}
	strange := forge("strange", func(folder string) error { return os.WriteFile(filepath.Join(folder, "tables.db"), nil, 0o600) })
	damaged := forge("damaged", breakLog)
	for place, want := range map[string]error{strange: gxpledger.ErrBackupInvalid, damaged: eventstore.ErrCorrupt} {
		into := filepath.Join(dir, "home")
		other, err := gxpledger.Open(t.Context(), gxpledger.Config{Home: into})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.RestoreBackup(t.Context(), place); !errors.Is(err, want) {
			t.Errorf("%s: error is %v, want %v", place, err, want)
		}
		if _, err := os.Lstat(into); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a home was made (%v)", place, err)
		}
	}
	if err := breakLog(home); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.CreateBackup(t.Context(), filepath.Join(dir, "none")); !errors.Is(err, eventstore.ErrCorrupt) {
		t.Errorf("error is %v, want that the log is damaged", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a backup of a damaged log was kept (%v)", err)
	}
}
