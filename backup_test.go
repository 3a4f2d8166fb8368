package gxpledger_test

import (
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/backup"
	"github.com/gxpledger/gxpledger/internal/config"
)

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
