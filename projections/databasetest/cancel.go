package databasetest

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/internal/drivertest"
	"github.com/gxpledger/gxpledger/projections"
)

// CancelEveryCall cancels each method of db that takes a context at each call of the driver, and then uses db: it can still
// write and reads what it wrote, and so can other, another handle of the same tables. Both are over tables that are new. More
// are methods that not every database has. The driver of db is that of package drivertest.
func CancelEveryCall(t *testing.T, db, other Database, more map[string]func(ctx context.Context) error) {
	t.Helper()
	c := newCancelling(t, db)
	for name, use := range c.all(more) {
		drivertest.Sweep(t, use, func(t *testing.T, at int) {
			t.Helper()
			c.check(fmt.Sprintf("%s: after call %d was cancelled", name, at), other)
		})
	}
}

// all returns a call of each method of the database.
func (c *cancelling) all(more map[string]func(ctx context.Context) error) map[string]func(ctx context.Context) error {
	c.t.Helper()
	calls := c.calls()
	maps.Copy(calls, more)
	for _, name := range drivertest.Methods(c.db) {
		if calls[name] == nil {
			c.t.Errorf("method %s takes a context and is not called", name)
		}
	}
	return calls
}

// cancelling has a build that readers see, of the projection lasting, and others of the projection passing that come and go.
type cancelling struct {
	t    *testing.T
	db   Database
	live projections.Lease
	at   projections.Checkpoint
	n    int64
}

func newCancelling(t *testing.T, db Database) *cancelling {
	t.Helper()
	c := &cancelling{t: t, db: db}
	c.live = c.active("lasting")
	c.at = projections.Checkpoint{Version: 1}
	return c
}

// fleeting is a claim that has run out as soon as it is made. Its token counts until another is given.
func fleeting() projections.LeaseRequest {
	return projections.LeaseRequest{Holder: "test", TTL: time.Microsecond}
}

func oneTable(name string) projections.Projection {
	return projections.Projection{
		Name: name, Version: 1, Handles: []domain.Event{domain.AdminActed{}},
		Apply: func([]projections.Event, *projections.Rows) error { return nil },
		Tables: []projections.Table{{Name: name + "_rows", Doc: "Rows.", Key: []string{"id"}, Columns: []projections.Column{
			{Name: "id", Type: projections.Integer}, {Name: "value", Type: projections.Integer},
		}}},
	}
}

func doneAction(action string) domain.AdminActed {
	return domain.AdminActed{ID: uuid.NewSHA1(uuid.Nil, []byte(action)).String(), Action: action, Actor: "tester"}
}

func (c *cancelling) filling(projection string) projections.Lease {
	lease, err := projections.CreateBuild(c.t.Context(), c.db, oneTable(projection), fleeting())
	must(c.t, err)
	return lease
}

func (c *cancelling) ready(projection string) projections.Lease {
	lease := c.filling(projection)
	must(c.t, c.db.FinishBuild(c.t.Context(), lease, oneTable(projection)))
	return lease
}

func (c *cancelling) active(projection string) projections.Lease {
	lease := c.ready(projection)
	digests := []projections.Digest{{Table: projection + "_rows", SHA256: strings.Repeat("0", 64)}}
	must(c.t, projections.ActivateBuild(c.t.Context(), c.db, lease, projections.Activation{Digests: digests}))
	return lease
}

// retired returns the only retired build of passing.
func (c *cancelling) retired() projections.Ref {
	_, err := projections.PruneBuilds(c.t.Context(), c.db, "passing", 0, doneAction("prune"))
	must(c.t, err)
	old := c.active("passing")
	c.active("passing")
	_, err = projections.PruneBuilds(c.t.Context(), c.db, "passing", 1, doneAction("prune"))
	must(c.t, err)
	return old.Ref
}

// write changes the one row of lasting.
func (c *cancelling) write(ctx context.Context) error {
	c.n++
	var rows projections.Rows
	rows.Upsert("lasting_rows", 1, c.n)
	to := projections.Checkpoint{Log: uuid.Max, Position: c.at.Position + 1, Event: uuid.Max, Version: 1}
	err := c.db.WritePage(ctx, projections.Page{Lease: c.live, From: c.at, To: to, Tables: oneTable("lasting").Tables, Ops: rows.Ops()})
	if err == nil {
		c.at = to
	}
	return err
}

// fill adds a row to a build that is being filled.
func (c *cancelling) fill(ctx context.Context) error {
	var rows projections.Rows
	rows.Insert("passing_rows", 1, 1)
	return c.db.WritePage(ctx, projections.Page{
		Lease: c.filling("passing"), From: projections.Checkpoint{Version: 1},
		To:     projections.Checkpoint{Log: uuid.Max, Position: 1, Event: uuid.Max, Version: 1},
		Tables: oneTable("passing").Tables, Ops: rows.Ops(),
	})
}

// read returns the one row of lasting.
func (c *cancelling) read(ctx context.Context, db Database) (value any, err error) {
	err = db.Inspect(ctx, c.live.Ref, func(s projections.Snapshot) error {
		for row, err := range s.Rows(ctx, oneTable("lasting").Tables[0]) {
			if err != nil {
				return err
			}
			value = row[1]
		}
		return nil
	})
	return value, err
}

func (c *cancelling) calls() map[string]func(ctx context.Context) error {
	t, db := c.t, c.db
	onlyErr := func(_ any, err error) error { return err }
	return map[string]func(ctx context.Context) error{
		"ChangeBuilds": func(ctx context.Context) error {
			return onlyErr(projections.CreateBuild(ctx, db, oneTable("passing"), fleeting()))
		},
		"FinishBuild": func(ctx context.Context) error {
			return db.FinishBuild(ctx, c.filling("passing"), oneTable("passing"))
		},
		"ActivateBuild": func(ctx context.Context) error {
			done := doneAction("activate")
			return projections.ActivateBuild(ctx, db, c.ready("passing"), projections.Activation{
				Action: &done, Digests: []projections.Digest{{Table: "passing_rows", SHA256: strings.Repeat("0", 64)}},
			})
		},
		"DropBuild": func(ctx context.Context) error { return projections.DropBuild(ctx, db, c.filling("passing")) },
		"PruneBuilds": func(ctx context.Context) error {
			c.retired()
			return onlyErr(projections.PruneBuilds(ctx, db, "passing", 0, doneAction("prune")))
		},
		"CancelBuild": func(ctx context.Context) error {
			c.filling("passing")
			return onlyErr(projections.CancelBuild(ctx, db, "passing", "ann", doneAction("cancel")))
		},
		"CancelBuild of a holder": func(ctx context.Context) error {
			lease, err := projections.CreateBuild(t.Context(), db, oneTable("passing"), claim())
			must(t, err)
			defer func() { must(t, projections.DropBuild(t.Context(), db, lease)) }()
			return onlyErr(projections.CancelBuild(ctx, db, "passing", "ann", doneAction("cancel")))
		},
		"Acquire": func(ctx context.Context) error {
			return onlyErr(projections.Acquire(ctx, db, c.filling("passing").Ref, fleeting()))
		},
		"Renew":   func(ctx context.Context) error { return onlyErr(projections.Renew(ctx, db, c.filling("passing"))) },
		"Release": func(ctx context.Context) error { return projections.Release(ctx, db, c.filling("passing")) },
		"SaveFault": func(ctx context.Context) error {
			return db.SaveFault(ctx, c.filling("passing"), projections.Fault{Position: 1, Event: uuid.Max, Type: "t", Text: "x", At: time.Unix(1, 0)})
		},
		"WritePage":            c.write,
		"WritePage that fills": c.fill,
		"Inspect":              func(ctx context.Context) error { return onlyErr(c.read(ctx, db)) },
		"Builds":               func(ctx context.Context) error { return onlyErr(db.Builds(ctx, "lasting")) },
		"Digests":              func(ctx context.Context) error { return onlyErr(db.Digests(ctx, c.live.Ref)) },
		"CheckSchema":          func(ctx context.Context) error { return onlyErr(db.CheckSchema(ctx, c.live.Ref, oneTable("lasting"))) },
		"Paused":               func(ctx context.Context) error { return onlyErr(db.Paused(ctx, "lasting")) },
		"SaveOutboxEntry": func(ctx context.Context) error {
			return projections.SaveOutboxEntry(ctx, db, projections.OutboxEntry{Action: doneAction("keep")})
		},
		"Outbox":            func(ctx context.Context) error { return onlyErr(db.Outbox(ctx)) },
		"RemoveOutboxEntry": func(ctx context.Context) error { return db.RemoveOutboxEntry(ctx, doneAction("keep").ID) },
		"Pause":             c.pause,
		"Resume": func(ctx context.Context) error {
			must(t, c.pause(t.Context()))
			return projections.ResumeProjection(ctx, db, "passing", doneAction("resume"))
		},
	}
}

func (c *cancelling) pause(ctx context.Context) error {
	return projections.PauseProjection(ctx, c.db, "passing", projections.Pause{By: "ann", Reason: "why", At: time.Unix(1, 0)}, doneAction("pause"))
}

// check uses the handle after a call of a method was cancelled or failed.
func (c *cancelling) check(after string, other Database) {
	c.t.Helper()
	ctx := c.t.Context()
	fatal := func(text string, what any) {
		c.t.Helper()
		c.t.Fatalf("%s, %s: %v", after, text, what)
	}
	builds, err := other.Builds(ctx, "lasting")
	if err != nil {
		fatal("another handle cannot read", err)
	}
	c.at = builds[0].Checkpoint // what was cancelled may have been written
	if err := c.write(ctx); err != nil {
		fatal("the handle cannot write", err)
	}
	for who, db := range map[string]Database{"the handle": c.db, "another handle": other} {
		if value, err := c.read(ctx, db); err != nil || value != c.n {
			fatal(who+" does not read what was written", []any{value, err})
		}
	}
	if err := projections.SaveOutboxEntry(ctx, other, projections.OutboxEntry{Action: doneAction("keep")}); err != nil {
		fatal("another handle cannot write", err)
	}
	if pause, err := c.db.Paused(ctx, "passing"); err != nil {
		fatal("the handle cannot read", err)
	} else if pause != nil {
		if err := projections.ResumeProjection(ctx, c.db, "passing", doneAction("resume")); err != nil {
			fatal("the handle cannot resume", err)
		}
	}
	if _, err := projections.PruneBuilds(ctx, c.db, "passing", 2, doneAction("prune")); err != nil {
		fatal("the handle cannot prune", err)
	}
}
