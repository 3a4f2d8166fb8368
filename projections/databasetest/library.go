package databasetest

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
)

func claim() projections.LeaseRequest {
	return projections.LeaseRequest{Holder: "test", TTL: time.Minute}
}

// library has a table with each type of column and a unique index, a child, and a list that only grows.
func library() projections.Projection {
	first := int64(1)
	return projections.Projection{
		Name: "library", Version: 1, Handles: []domain.Event{domain.AdminActed{}},
		Apply: func([]projections.Event, *projections.Rows) error { return nil },
		Tables: []projections.Table{
			{
				Name: "books", Doc: "Books.", Key: []string{"shelf", "number"}, Indexes: []projections.Index{{Columns: []string{"order"}, Unique: true}},
				Columns: []projections.Column{
					{Name: "shelf", Type: projections.Text, Doc: "Where."},
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
					{Name: "id", Type: projections.Integer}, {Name: "shelf", Type: projections.Text, Null: true}, {Name: "number", Type: projections.Integer, Null: true},
				},
				Foreign: []projections.ForeignKey{{Columns: []string{"shelf", "number"}, Table: "books", Targets: []string{"shelf", "number"}}},
			},
			{
				Name: "log_lines", Doc: "Lines.", Key: []string{"day", "line"}, AppendOnly: true,
				Columns: []projections.Column{{Name: "day", Type: projections.Text}, {Name: "line", Type: projections.Integer}, {Name: "said", Type: projections.Text}},
			},
			{
				Name: "members", Doc: "Members.", Key: []string{"id"}, Indexes: []projections.Index{{Columns: []string{"name", "card.note"}, Words: true}},
				Columns: []projections.Column{
					{Name: "id", Type: projections.Integer, AtLeast: &first},
					{Name: "state", Type: projections.Text, OneOf: []string{"in", "out"}},
					{Name: "name", Type: projections.Text, Null: true},
					{Name: "card", Type: projections.JSON, Null: true},
				},
			},
		},
	}
}

// building is a build that is being written.
type building struct {
	t     *testing.T
	db    Database
	lease projections.Lease
	at    projections.Checkpoint
}

func begin(t *testing.T, db Database) *building {
	t.Helper()
	lease, err := projections.CreateBuild(t.Context(), db, library(), claim())
	must(t, err)
	return &building{t: t, db: db, lease: lease, at: projections.Checkpoint{Version: 1}}
}

func (b *building) write(add func(*projections.Rows)) error {
	b.t.Helper()
	var rows projections.Rows
	add(&rows)
	to := projections.Checkpoint{Log: uuid.Max, Position: b.at.Position + 1, Event: uuid.Max, Version: 1}
	err := b.db.WritePage(b.t.Context(), projections.Page{Lease: b.lease, From: b.at, To: to, Tables: library().Tables, Ops: rows.Ops()})
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
