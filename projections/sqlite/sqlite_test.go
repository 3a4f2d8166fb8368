package sqlite_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/sqlite"
)

func TestReadOnlyMeansIt(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "none.db")
	if _, err := sqlite.OpenReadOnly(t.Context(), missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v, want that the file does not exist", err)
	}
	if _, err := os.Stat(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a file was made")
	}
	b := begin(t, open(t))
	b.show()
	db, err := sqlite.OpenReadOnly(t.Context(), b.db.Path())
	must(t, err)
	defer func() { must(t, db.Close()) }()
	for _, statement := range []string{"DELETE FROM books__b1", "CREATE TABLE x (y)", "DROP VIEW books", "PRAGMA journal_mode = DELETE"} {
		if _, err := db.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("%s: was not refused", statement)
		}
	}
}

func TestABusyFileIsTransient(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tables.db")
	db, err := sqlite.Open(t.Context(), path, sqlite.Options{Now: time.Now, BusyTries: 1})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	other, err := direct(t, path).Conn(t.Context())
	must(t, err)
	defer func() { must(t, other.Close()) }()
	_, err = other.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	must(t, err)
	if _, err := projections.CreateBuild(t.Context(), db, library(), claim()); !errors.Is(err, projections.ErrTransient) {
		t.Errorf("error is %v, want ErrTransient", err)
	}
	_, err = other.ExecContext(t.Context(), "ROLLBACK")
	must(t, err)
	_, err = projections.CreateBuild(t.Context(), db, library(), claim())
	must(t, err)
}

func TestADamagedFileIsNamedAsSuch(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(file []byte) []byte{
		"no database":   func([]byte) []byte { return []byte("this was a database once, and somebody wrote over its first page") },
		"cut in half":   func(file []byte) []byte { return file[:len(file)/2] },
		"another start": func(file []byte) []byte { return append([]byte("garbage!"), file[8:]...) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "tables.db")
			db, err := sqlite.Open(t.Context(), path, sqlite.Options{Now: time.Now})
			must(t, err)
			must(t, db.Close())
			file, err := os.ReadFile(path)
			must(t, err)
			must(t, os.WriteFile(path, damage(file), 0o600))
			if db, err = sqlite.Open(t.Context(), path, sqlite.Options{Now: time.Now}); !errors.Is(err, projections.ErrDamaged) || !strings.Contains(err.Error(), path) {
				t.Errorf("error is %v, want ErrDamaged and the path", err)
			}
			if err == nil {
				must(t, db.Close())
			}
		})
	}
}

// Whoever sets them in an order that SQLite does not heed gets pages of 4 KiB, without a word.
func TestNewTablesHaveLargePages(t *testing.T) {
	t.Parallel()
	durable, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "tables.db"), sqlite.Options{Now: time.Now})
	must(t, err)
	scratch, err := sqlite.OpenScratch(t.Context(), t.TempDir(), sqlite.Options{Now: time.Now})
	must(t, err)
	for db, wantJournal := range map[*sqlite.DB]string{durable: "wal", scratch: "delete"} { // a reader knows no other than WAL
		var size int
		var journal string
		must(t, db.Query().QueryRowContext(t.Context(), "SELECT page_size, journal_mode FROM pragma_page_size, pragma_journal_mode").Scan(&size, &journal))
		if size != 16<<10 || journal != wantJournal {
			t.Errorf("pages of %d bytes and the journal mode %s, want 16 KiB and %s", size, journal, wantJournal)
		}
		must(t, db.Close())
	}
}

// Somebody who copies the one file when nobody uses it has everything.
func TestAClosedDatabaseIsOneFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := sqlite.Open(t.Context(), filepath.Join(dir, "tables.db"), sqlite.Options{Now: time.Now})
	must(t, err)
	_, err = projections.CreateBuild(t.Context(), db, library(), claim())
	must(t, err)
	if _, err := db.Builds(t.Context(), "library"); err != nil { // so that somebody read too
		t.Fatal(err)
	}
	must(t, db.Close())
	left, err := os.ReadDir(dir)
	must(t, err)
	if len(left) != 1 || left[0].Name() != "tables.db" {
		t.Errorf("left behind: %v, want tables.db alone", left)
	}
}

func TestUnwritableTablesAreReadAndNotWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tables.db")
	db, err := sqlite.Open(t.Context(), path, sqlite.Options{Now: time.Now})
	must(t, err)
	lease, err := projections.CreateBuild(t.Context(), db, library(), claim())
	must(t, err)
	must(t, db.Close())
	before, err := os.ReadFile(path)
	must(t, err)

	db, err = sqlite.OpenUnwritable(t.Context(), path, sqlite.Options{Now: time.Now})
	must(t, err)
	if found, err := db.Builds(t.Context(), "library"); err != nil || len(found) != 1 {
		t.Errorf("builds are %v, %v; want the one", found, err)
	}
	if _, err := projections.CreateBuild(t.Context(), db, library(), claim()); !errors.Is(err, projections.ErrReadOnly) {
		t.Errorf("creating a build: %v, want ErrReadOnly", err)
	}
	if err := projections.DropBuild(t.Context(), db, lease); !errors.Is(err, projections.ErrReadOnly) {
		t.Errorf("dropping a build: %v, want ErrReadOnly", err)
	}
	must(t, db.Close())
	after, err := os.ReadFile(path)
	must(t, err)
	if string(after) != string(before) {
		t.Error("the file was changed")
	}
}

func TestScratchTablesLeaveNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := sqlite.OpenScratch(t.Context(), dir, sqlite.Options{Now: time.Now})
	must(t, err)
	b := &building{t: t, db: db, at: projections.Checkpoint{Version: 1}}
	b.lease, err = projections.CreateBuild(t.Context(), db, library(), claim())
	must(t, err)
	if err := b.write(func(r *projections.Rows) { r.Insert("books", "a", 1, nil, nil, nil, nil); r.Insert("nothing") }); err == nil {
		t.Error("a bad page was written")
	}
	must(t, b.write(func(r *projections.Rows) { r.Insert("books", "b", 1, nil, nil, nil, nil) }))
	b.show()
	if got := b.rows(0); len(got) != 1 || got[0][0] != "b" {
		t.Errorf("rows are %v, want the second page alone", got)
	}
	must(t, db.Close())
	must(t, db.Close())
	left, err := os.ReadDir(dir)
	must(t, err)
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	_, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "x.db"), sqlite.Options{BusyTries: -1})
	if !errors.Is(err, projections.ErrInvalid) || !strings.Contains(err.Error(), "Now") || !strings.Contains(err.Error(), "BusyTries") {
		t.Errorf("error is %v, want both fields named", err)
	}
}
