package projectionstest

import (
	"context"
	"errors"
	"sync"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/projections"
)

var errKilled = errors.New("the process was killed")

// dying returns a database of a process that dies within its next few calls: from then on none of them does anything.
func (m *steered) dying(t *rapid.T) projections.Database {
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

func (d *mortal) CreateBuild(ctx context.Context, p projections.Projection, c projections.Claim) (projections.Lease, error) {
	if err := d.live(); err != nil {
		return projections.Lease{}, err
	}
	return d.Database.CreateBuild(ctx, p, c)
}

func (d *mortal) FinishBuild(ctx context.Context, l projections.Lease, p projections.Projection) error {
	return errors.Join(d.live(), d.alive(func() error { return d.Database.FinishBuild(ctx, l, p) }))
}

func (d *mortal) ActivateBuild(ctx context.Context, l projections.Lease, a projections.Activation) error {
	return errors.Join(d.live(), d.alive(func() error { return d.Database.ActivateBuild(ctx, l, a) }))
}

func (d *mortal) DropBuild(ctx context.Context, l projections.Lease) error {
	return errors.Join(d.live(), d.alive(func() error { return d.Database.DropBuild(ctx, l) }))
}

func (d *mortal) WritePage(ctx context.Context, page projections.Page) error {
	return errors.Join(d.live(), d.alive(func() error { return d.Database.WritePage(ctx, page) }))
}

func (d *mortal) Acquire(ctx context.Context, ref projections.Ref, c projections.Claim) (projections.Build, error) {
	if err := d.live(); err != nil {
		return projections.Build{}, err
	}
	return d.Database.Acquire(ctx, ref, c)
}

func (d *mortal) Release(ctx context.Context, l projections.Lease) error {
	return errors.Join(d.live(), d.alive(func() error { return d.Database.Release(ctx, l) }))
}

func (d *mortal) ReviveBuild(ctx context.Context, ref projections.Ref, c projections.Claim) (projections.Build, error) {
	if err := d.live(); err != nil {
		return projections.Build{}, err
	}
	return d.Database.ReviveBuild(ctx, ref, c)
}

func (d *mortal) KeepAct(ctx context.Context, k projections.KeptAct) error {
	return errors.Join(d.live(), d.alive(func() error { return d.Database.KeepAct(ctx, k) }))
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
