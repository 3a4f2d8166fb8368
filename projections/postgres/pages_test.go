package postgres_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
)

// crowd has a table with a key of two columns, and one with a unique index beside its key.
func crowd() projections.Projection {
	return projections.Projection{
		Name: "crowd", Version: 1, Handles: []domain.Event{domain.AdminActed{}}, Apply: func([]projections.Event, *projections.Rows) error { return nil },
		Tables: []projections.Table{
			{
				Name: "pairs", Key: []string{"a", "b"}, Columns: []projections.Column{
					{Name: "a", Type: projections.Integer},
					{Name: "b", Type: projections.Text},
					{Name: "x", Type: projections.Timestamp},
					{Name: "y", Type: projections.JSON, Null: true},
					{Name: "z", Type: projections.Boolean},
				},
			},
			{
				Name: "seats", Key: []string{"seat"}, Indexes: []projections.Index{{Columns: []string{"guest"}, Unique: true}},
				Columns: []projections.Column{{Name: "seat", Type: projections.Integer}, {Name: "guest", Type: projections.Text, Null: true}},
			},
		},
	}
}

// draw adds the operation of a kind, on few keys, so that many meet.
func draw(t *rapid.T, rows *projections.Rows, kind int) {
	a, b := rapid.IntRange(1, 3).Draw(t, "a"), rapid.SampledFrom([]string{"", "é", "Z", "z"}).Draw(t, "b")
	x := time.Unix(0, int64(rapid.IntRange(0, 5000).Draw(t, "x")))
	y := rapid.SampledFrom([]any{nil, json.RawMessage(`{"a": 1}`), json.RawMessage(`[ ]`)}).Draw(t, "y")
	foreign := rapid.SampledFrom([]any{nil, "ann", "bob", "cy"}).Draw(t, "guest")
	switch kind {
	case 0, 1:
		rows.Upsert("pairs", a, b, x, y, true)
	case 2:
		rows.Delete("pairs", a)
	case 3:
		rows.Delete("pairs", a, b)
	case 4:
		rows.Insert("pairs", a, b, x, y, false)
	case 5:
		rows.Update("pairs", []any{a, b}, []string{"z", "y"}, false, y)
	case 6:
		rows.Update("pairs", []any{a, b}, []string{"x"}, x)
	case 7:
		rows.Upsert("seats", a, foreign)
	case 8:
		rows.Update("seats", []any{a}, []string{"guest"}, foreign)
	case 9:
		rows.Delete("seats", a)
	default:
		rows.Insert("seats", a, foreign)
	}
}

// told is a build in one of the databases.
type told struct {
	db    projections.Database
	lease projections.Lease
	at    projections.Checkpoint
}

func (b *told) write(t *rapid.T, ops []projections.Op) error {
	to := projections.Checkpoint{Log: uuid.Max, Position: b.at.Position + 1, Event: uuid.Max, Version: 1}
	err := b.db.WritePage(t.Context(), projections.Page{Lease: b.lease, From: b.at, To: to, Tables: crowd().Tables, Ops: ops})
	if err == nil {
		b.at = to
	}
	return err
}

func begun(t *rapid.T, db projections.Database) *told {
	lease, err := projections.CreateBuild(t.Context(), db, crowd(), projections.LeaseRequest{Holder: "test", TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return &told{db: db, lease: lease, at: projections.Checkpoint{Version: 1}}
}

func (b *told) show(t *rapid.T) {
	err := b.db.FinishBuild(t.Context(), b.lease, crowd())
	if err == nil {
		err = projections.ActivateBuild(t.Context(), b.db, b.lease, projections.Activation{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (b *told) rows(t *rapid.T) string {
	var out strings.Builder
	err := b.db.Inspect(t.Context(), b.lease.Ref, func(s projections.Snapshot) error {
		for _, table := range crowd().Tables {
			for row, err := range s.Rows(t.Context(), table) {
				if err != nil {
					return err
				}
				fmt.Fprintf(&out, "%s %q\n", table.Name, row)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// refusal says which operation was refused.
func refusal(t *rapid.T, err error) string {
	var op *projections.OpError
	switch {
	case err == nil:
		return "written"
	case !errors.Is(err, projections.ErrRefused) || !errors.As(err, &op):
		t.Fatalf("error is %v", err)
	}
	return fmt.Sprintf("refused operation %d", op.Index)
}

// Whatever a page holds, both databases do the same with it: the same rows, or the same refusal.
func TestPagesComeToTheSameAsInSQLite(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	const enough = 6
	done := 0
	rapid.Check(t, func(rt *rapid.T) {
		if done++; done > enough && !rt.Failed() {
			return
		}
		server, err := adapter(url).Open(t.Context(), within(t, url), time.Now)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = server.Close() }()
		two := []*told{begun(rt, server), begun(rt, projectionstest.Open(t))}
		for page := range 24 {
			kinds := 3 // that no table refuses: a build that is being filled finds out some mistakes only when it is finished
			if page == 8 {
				for _, b := range two {
					b.show(rt)
				}
			}
			if page >= 8 {
				kinds = 10
			}
			var rows projections.Rows
			for range rapid.IntRange(0, 8).Draw(rt, "size") {
				draw(rt, &rows, rapid.IntRange(0, kinds).Draw(rt, "operation"))
			}
			got, want := refusal(rt, two[0].write(rt, rows.Ops())), refusal(rt, two[1].write(rt, rows.Ops()))
			if got != want {
				rt.Fatalf("page %d was %s; in SQLite it was %s: %+v", page, got, want, rows.Ops())
			}
			if got, want := two[0].rows(rt), two[1].rows(rt); got != want {
				rt.Fatalf("after page %d\n%s\nin SQLite\n%s", page, got, want)
			}
		}
	})
}
