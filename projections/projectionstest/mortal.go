package projectionstest

import (
	"context"
	"errors"
	"sync"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/builds"
)

var errKilled = errors.New("the process was killed")

// dying returns a database of a process that dies within its next few calls: from then on none of them does anything.
func (m *simulation) dying(t *rapid.T) projections.Database {
	return &mortal{Database: m.open(), left: rapid.IntRange(0, 12).Draw(t, "calls to live")}
}

type mortal struct {
	projections.Database
	mu   sync.Mutex // guards left
	left int
}

// live counts a call that writes, and reports whether the process still lives.
func (d *mortal) live() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left--; d.left < 0 {
		return errKilled
	}
	return nil
}

func (d *mortal) ChangeBuilds(
	ctx context.Context, projection string, decide func(builds.State) (projections.Decision, error),
) ([]projections.Build, error) {
	if err := d.live(); err != nil {
		return nil, err
	}
	return d.Database.ChangeBuilds(ctx, projection, decide)
}

func (d *mortal) FinishBuild(ctx context.Context, l projections.Lease, p projections.Projection) error {
	return errors.Join(d.live(), d.alive(func() error { return d.Database.FinishBuild(ctx, l, p) }))
}

func (d *mortal) WritePage(ctx context.Context, page projections.Page) error {
	return errors.Join(d.live(), d.alive(func() error { return d.Database.WritePage(ctx, page) }))
}

// alive calls do unless the process is dead.
func (d *mortal) alive(do func() error) error {
	d.mu.Lock()
	dead := d.left < 0
	d.mu.Unlock()
	if dead {
		return nil
	}
	return do()
}
