package sqlite_test

import (
	"context"
	"database/sql"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/sqlite"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "a%20 file?.db"), sqlite.Options{Now: time.Now})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return db
}

func claim() projections.LeaseRequest {
	return projections.LeaseRequest{Holder: "test", TTL: time.Minute}
}

// library has a table with each type of column, a child, and a list that only grows.
func library() projections.Projection {
	return projections.Projection{
		Name: "library", Version: 1, Handles: []domain.Event{domain.AdminActed{}},
		Apply: func([]projections.Event, *projections.Rows) error { return nil },
		Tables: []projections.Table{
			{
				Name: "books", Doc: "Books.", Key: []string{"inventory", "number"}, Indexes: []projections.Index{{Columns: []string{"order"}, Unique: true}},
				Columns: []projections.Column{
					{Name: "inventory", Type: projections.Text, Doc: "Where."},
					{Name: "number", Type: projections.Integer, Doc: "Which."},
					{Name: "order", Type: projections.Text, Null: true, Doc: "A word of SQL."},
					{Name: "lent", Type: projections.Boolean, Null: true, Doc: "Whether."},
					{Name: "bought", Type: projections.Timestamp, Null: true, Doc: "When."},
					{Name: "meta", Type: projections.JSON, Null: true, Doc: "More."},
				},
			},
			{
				Name: "loans", Doc: "Loans.", Key: []string{"id"},
				Columns: []projections.Column{
					{Name: "id", Type: projections.Integer}, {Name: "inventory", Type: projections.Text, Null: true}, {Name: "number", Type: projections.Integer, Null: true},
				},
				Foreign: []projections.ForeignKey{{Columns: []string{"inventory", "number"}, Table: "books", Targets: []string{"inventory", "number"}}},
			},
			{
				Name: "log_lines", Doc: "Lines.", Key: []string{"day", "line"}, AppendOnly: true,
				Columns: []projections.Column{{Name: "day", Type: projections.Text}, {Name: "line", Type: projections.Integer}, {Name: "said", Type: projections.Text}},
			},
		},
	}
}

// building is a build that is being written.
type building struct {
	t     *testing.T
	db    *sqlite.DB
	lease projections.Lease
	at    projections.Checkpoint
}

func begin(t *testing.T, db *sqlite.DB) *building {
	t.Helper()
	lease, err := projections.CreateBuild(t.Context(), db, library(), claim())
	must(t, err)
	return &building{t: t, db: db, lease: lease, at: projections.Checkpoint{Version: 1}}
}

func (b *building) write(add func(*projections.Rows)) error {
	b.t.Helper()
	return b.writeWith(b.t.Context(), add)
}

func (b *building) writeWith(ctx context.Context, add func(*projections.Rows)) error {
	b.t.Helper()
	var rows projections.Rows
	add(&rows)
	to := projections.Checkpoint{Log: uuid.Max, Position: b.at.Position + 1, Event: uuid.Max, Version: 1}
	err := b.db.WritePage(ctx, projections.Page{Lease: b.lease, From: b.at, To: to, Tables: library().Tables, Ops: rows.Ops()})
	if err == nil {
		b.at = to
	}
	return err
}

func (b *building) show() {
	b.t.Helper()
	must(b.t, b.db.FinishBuild(b.t.Context(), b.lease, library()))
	must(b.t, projections.ActivateBuild(b.t.Context(), b.db, b.lease, projections.Activation{}))
}

func (b *building) rows(table int) [][]any {
	b.t.Helper()
	var found [][]any
	must(b.t, b.db.Inspect(b.t.Context(), b.lease.Ref, func(s projections.Snapshot) error {
		for row, err := range s.Rows(b.t.Context(), library().Tables[table]) {
			if err != nil {
				return err
			}
			found = append(found, append([]any(nil), row...))
		}
		return nil
	}))
	return found
}

// direct opens a file as an admin with a SQLite tool would.
func direct(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?_pragma=busy_timeout(10000)")
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return db
}
