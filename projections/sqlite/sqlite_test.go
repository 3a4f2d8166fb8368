package sqlite_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/sqlite"
)

func TestValuesComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	b := begin(t, open(t))
	bought := time.Date(2026, 5, 4, 3, 2, 1, 123456789, time.FixedZone("", 3600))
	must(t, b.write(func(r *projections.Rows) {
		r.Insert("books", "é\x00'; --", 7, "", true, bought, json.RawMessage(`{"a": 1.0}`))
		r.Insert("books", "a", int64(-1)<<63, nil, nil, nil, nil)
	}))
	b.show()
	got := b.rows(0)
	want := [][]any{
		{"a", int64(-1) << 63, nil, nil, nil, nil},
		{"é\x00'; --", int64(7), "", true, "2026-05-04T02:02:01.123456Z", json.RawMessage(`{"a": 1.0}`)},
	}
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
	for i := range want {
		x, err := projections.AppendRow(nil, got[i])
		must(t, err)
		y, err := projections.AppendRow(nil, want[i])
		must(t, err)
		if string(x) != string(y) {
			t.Errorf("row %d is %v, want %v", i, got[i], want[i])
		}
	}
}

func TestOperationsThatDoNotFitAreRefused(t *testing.T) {
	t.Parallel()
	for _, live := range []bool{false, true} {
		for name, add := range map[string]func(*projections.Rows){
			"no such table":          func(r *projections.Rows) { r.Insert("nothing", 1) },
			"too few values":         func(r *projections.Rows) { r.Insert("loans", 1) },
			"text for a number":      func(r *projections.Rows) { r.Insert("loans", "1", nil, nil) },
			"a number for a text":    func(r *projections.Rows) { r.Insert("log_lines", 1, 1, "x") },
			"text for JSON":          func(r *projections.Rows) { r.Insert("books", "z", 1, nil, nil, nil, "{}") },
			"text that is not UTF-8": func(r *projections.Rows) { r.Insert("log_lines", "\xff", 1, "x") },
			"NULL where none may be": func(r *projections.Rows) { r.Insert("log_lines", "day", 1, nil) },
			"a year that has no text": func(r *projections.Rows) {
				r.Insert("books", "z", 1, nil, nil, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), nil)
			},
			"an upsert of what only grows": func(r *projections.Rows) {
				r.Upsert("log_lines", "day", 1, "x")
			},
			"an update of what only grows": func(r *projections.Rows) { r.Update("log_lines", []any{"day", 1}, []string{"said"}, "x") },
			"a delete of what only grows":  func(r *projections.Rows) { r.Delete("log_lines", "day") },
			"an update of no row":          func(r *projections.Rows) { r.Update("books", []any{"none", 1}, []string{"order"}, "x") },
			"an update of the key":         func(r *projections.Rows) { r.Update("books", []any{"a", 1}, []string{"number"}, 2) },
			"an update by half a key":      func(r *projections.Rows) { r.Update("books", []any{"a"}, []string{"order"}, "x") },
			"an update of nothing":         func(r *projections.Rows) { r.Update("books", []any{"a", 1}, nil) },
			"a delete of everything":       func(r *projections.Rows) { r.Delete("books") },
			"a delete by too long a key":   func(r *projections.Rows) { r.Delete("books", "a", 1, 2) },
		} {
			t.Run(name+map[bool]string{true: ", live", false: ", filling"}[live], func(t *testing.T) {
				t.Parallel()
				b := begin(t, open(t))
				must(t, b.write(func(r *projections.Rows) { r.Insert("books", "a", 1, nil, nil, nil, nil) }))
				if live {
					b.show()
				}
				err := b.write(func(r *projections.Rows) {
					r.Insert("books", "b", 2, nil, nil, nil, nil)
					add(r)
				})
				var op *projections.OpError
				if !errors.Is(err, projections.ErrRefused) || !errors.As(err, &op) || op.Index != 1 {
					t.Errorf("error is %v, want a refusal of operation 1", err)
				}
				if got := len(b.rows(0)); got != 1 {
					t.Errorf("%d books, want 1: the page was taken back", got)
				}
			})
		}
	}
}

func TestRulesOfLiveTables(t *testing.T) {
	t.Parallel()
	for name, add := range map[string]func(*projections.Rows){
		"a key that is there":     func(r *projections.Rows) { r.Insert("books", "a", 1, nil, nil, nil, nil) },
		"a unique value again":    func(r *projections.Rows) { r.Insert("books", "a", 2, "first", nil, nil, nil) },
		"a child without parent":  func(r *projections.Rows) { r.Insert("loans", 1, "none", 1) },
		"a parent with children":  func(r *projections.Rows) { r.Insert("loans", 2, "a", 1); r.Delete("books", "a", 1) },
		"a line that was written": func(r *projections.Rows) { r.Insert("log_lines", "day", 1, "other") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := begin(t, open(t))
			first := func(r *projections.Rows) {
				r.Insert("books", "a", 1, "first", nil, nil, nil)
				r.Insert("log_lines", "day", 1, "said")
			}
			must(t, b.write(first))
			b.show()
			if err := b.write(add); !errors.Is(err, projections.ErrRefused) {
				t.Errorf("live: error is %v, want ErrRefused", err)
			}

			filling := begin(t, b.db) // without rules for the moment, but not without rules
			must(t, filling.write(first))
			err := filling.write(add)
			if err == nil {
				err = filling.db.FinishBuild(t.Context(), filling.lease, library())
			}
			if !errors.Is(err, projections.ErrRefused) {
				t.Errorf("filling: error is %v, want ErrRefused at the latest when it is finished", err)
			}
			if err := filling.db.ActivateBuild(t.Context(), filling.lease, projections.Activation{}); !errors.Is(err, projections.ErrInvalid) {
				t.Errorf("an unfinished build was activated: %v", err)
			}
		})
	}
}

func TestAPageMayBreakAReferenceForTheMoment(t *testing.T) {
	t.Parallel()
	b := begin(t, open(t))
	b.show()
	must(t, b.write(func(r *projections.Rows) {
		r.Insert("loans", 1, "a", 1)
		r.Insert("books", "a", 1, nil, nil, nil, nil)
	}))
}

func TestAppendOnlyTablesRefuseOthersToo(t *testing.T) { // I10
	t.Parallel()
	b := begin(t, open(t))
	must(t, b.write(func(r *projections.Rows) { r.Insert("log_lines", "day", 1, "said") }))
	b.show()
	handle := direct(t, b.db.Path())
	for _, statement := range []string{
		"UPDATE log_lines__b1 SET said = 'x'", "DELETE FROM log_lines__b1", "INSERT OR REPLACE INTO log_lines__b1 VALUES ('day', 1, 'x')",
		"REPLACE INTO log_lines__b1 VALUES ('day', 1, 'x')", "UPDATE projection_counters SET builds = 0", "DELETE FROM projection_counters",
	} {
		if _, err := handle.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("%s: was not refused", statement)
		}
	}
}

func TestBuildsComeAndGo(t *testing.T) {
	t.Parallel()
	db := open(t)
	b := begin(t, db)
	must(t, b.write(func(r *projections.Rows) { r.Insert("books", "a", 1, nil, nil, nil, nil) }))
	b.show()
	if err := db.DropBuild(t.Context(), b.lease); !errors.Is(err, projections.ErrBuildActive) {
		t.Errorf("dropping what readers see answers %v", err)
	}
	ruin := begin(t, db)
	must(t, ruin.write(func(r *projections.Rows) { r.Insert("books", "b", 2, nil, nil, nil, nil) }))
	if _, err := db.CreateBuild(t.Context(), library(), claim()); !errors.Is(err, projections.ErrLeaseHeld) {
		t.Errorf("a second build beside one at work answers %v", err)
	}
	must(t, db.Release(t.Context(), ruin.lease)) // as if its process had died long ago
	next := begin(t, db)
	if next.lease.Number != 3 || next.lease.Token <= ruin.lease.Token {
		t.Errorf("lease is %+v, want build 3: numbers are not given twice", next.lease)
	}
	if n := count(t, db, "SELECT count(*) FROM sqlite_master WHERE name LIKE '%\\_\\_b2%' ESCAPE '\\'"); n != 0 {
		t.Errorf("%d objects of the ruin are left", n)
	}
	if err := ruin.write(func(*projections.Rows) {}); !errors.Is(err, projections.ErrLeaseLost) {
		t.Errorf("writing a ruin that was dropped answers %v, want ErrLeaseLost", err)
	}
	must(t, db.FinishBuild(t.Context(), next.lease, library()))
	if err := db.ActivateBuild(t.Context(), next.lease, projections.Activation{}); !errors.Is(err, projections.ErrBehind) {
		t.Errorf("going back in time answers %v, want ErrBehind", err)
	}
	must(t, next.write(func(r *projections.Rows) { r.Upsert("books", "c", 3, nil, nil, nil, nil) }))
	must(t, db.ActivateBuild(t.Context(), next.lease, projections.Activation{}))
	if n := count(t, db, "SELECT number FROM books"); n != 3 {
		t.Errorf("the view shows book %d, want 3", n)
	}
	pruned, err := db.PruneBuilds(t.Context(), "library", 0, domain.AdminActed{ID: "a"})
	must(t, err)
	if len(pruned) != 1 || pruned[0].Number != 1 {
		t.Errorf("pruned %v, want build 1", pruned)
	}
	if n := count(t, db, "SELECT count(*) FROM books"); n != 1 {
		t.Errorf("pruning changed the view: %d rows", n)
	}
}

func TestTheCatalogueTellsWhatReadersSee(t *testing.T) {
	t.Parallel()
	b := begin(t, open(t))
	if n := count(t, b.db, "SELECT count(*) FROM catalogue"); n != 0 {
		t.Errorf("%d columns before anything is shown", n)
	}
	b.show()
	if n := count(t, b.db, "SELECT count(*) FROM catalogue"); n != 12 {
		t.Errorf("%d columns, want 12", n)
	}
	var doc, table, typ string
	var key int
	must(t, b.db.Query().QueryRowContext(t.Context(),
		"SELECT column_doc, table_doc, type, key_ordinal FROM catalogue WHERE table_name = 'books' AND column_name = 'number'").Scan(&doc, &table, &typ, &key))
	if doc != "Which." || table != "Books." || typ != "integer" || key != 2 {
		t.Errorf("catalogue says %q, %q, %q, %d", doc, table, typ, key)
	}
}

func TestATableBelongsToOneProjection(t *testing.T) {
	t.Parallel()
	db := open(t)
	begin(t, db)
	thief := library()
	thief.Name = "thief"
	if _, err := db.CreateBuild(t.Context(), thief, claim()); !errors.Is(err, projections.ErrInvalid) || !strings.Contains(err.Error(), "library") {
		t.Errorf("error is %v, want one that names the owner", err)
	}
	if _, err := db.Acquire(t.Context(), projections.Ref{Projection: "none", Number: 1}, claim()); !errors.Is(err, projections.ErrNoBuild) {
		t.Errorf("leasing no build answers %v, want ErrNoBuild", err)
	}
	if _, err := db.CreateBuild(t.Context(), library(), projections.Claim{}); !errors.Is(err, projections.ErrInvalid) {
		t.Errorf("an empty claim answers %v, want ErrInvalid", err)
	}
}

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
	if _, err := db.CreateBuild(t.Context(), library(), claim()); !errors.Is(err, projections.ErrTransient) {
		t.Errorf("error is %v, want ErrTransient", err)
	}
	_, err = other.ExecContext(t.Context(), "ROLLBACK")
	must(t, err)
	_, err = db.CreateBuild(t.Context(), library(), claim())
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
	_, err = db.CreateBuild(t.Context(), library(), claim())
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
	lease, err := db.CreateBuild(t.Context(), library(), claim())
	must(t, err)
	must(t, db.Close())
	before, err := os.ReadFile(path)
	must(t, err)

	db, err = sqlite.OpenUnwritable(t.Context(), path, sqlite.Options{Now: time.Now})
	must(t, err)
	if found, err := db.Builds(t.Context(), "library"); err != nil || len(found) != 1 {
		t.Errorf("builds are %v, %v; want the one", found, err)
	}
	if _, err := db.CreateBuild(t.Context(), library(), claim()); !errors.Is(err, projections.ErrReadOnly) {
		t.Errorf("creating a build: %v, want ErrReadOnly", err)
	}
	if err := db.DropBuild(t.Context(), lease); !errors.Is(err, projections.ErrReadOnly) {
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
	b.lease, err = db.CreateBuild(t.Context(), library(), claim())
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

func TestInspectSeesOneState(t *testing.T) {
	t.Parallel()
	b := begin(t, open(t))
	b.show()
	must(t, b.db.Inspect(t.Context(), b.lease.Ref, func(s projections.Snapshot) error {
		must(t, b.write(func(r *projections.Rows) { r.Insert("books", "a", 1, nil, nil, nil, nil) }))
		for row, err := range s.Rows(t.Context(), library().Tables[0]) {
			t.Errorf("row %v, written later, is seen; %v", row, err)
		}
		if at := s.Build().Checkpoint.Position; at != eventstore.Position(0) {
			t.Errorf("position is %d", at)
		}
		return nil
	}))
	if got := len(b.rows(0)); got != 1 {
		t.Errorf("%d rows afterwards, want 1", got)
	}
}
