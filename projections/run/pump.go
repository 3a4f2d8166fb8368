package run

import (
	"context"
	"fmt"
	"iter"
	"maps"

	"github.com/gxpledger/gxpledger/eventstore"
)

// job is one page in progress: read, made ready by a worker, written in order.
type job struct {
	ready chan struct{} // closed when pages holds one for each target
	pages []prepared
	err   error // of reading; the last job
}

// pump is the one way in which events become rows: live, catching up, rebuilding, as-of and verifying.
//
//  1. One goroutine reads pages of whole batches, once for all targets.
//  2. Workers decode and apply them, several pages at a time: that is pure, so that order does not matter.
//  3. The caller's goroutine writes them, in order, each target in a transaction of its own.
//
// What stops a target is left in its err, and the others go on. pump returns what stops all of them: an error of the log
// or of ctx; or nil when s has ended or no target is left.
func (r *Runner) pump(ctx context.Context, s source, targets []*target) error {
	ctx, cancel := context.WithCancel(ctx)
	jobs := make(chan *job, r.config.Workers) // how far reading may run ahead
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		defer close(jobs)
		r.read(ctx, s, targets, jobs)
	}()
	defer func() {
		cancel()
		for j := range jobs { // let the reader and the workers end
			<-j.ready
		}
		<-finished
	}()
	for j := range jobs {
		<-j.ready
		if j.err != nil {
			return j.err
		}
		alive := false
		for i, t := range targets {
			r.write(ctx, t, j.pages[i])
			alive = alive || t.err == nil
		}
		if !alive {
			return ctx.Err()
		}
	}
	return ctx.Err()
}

// read sends the pages of s to jobs and sets workers on them.
func (r *Runner) read(ctx context.Context, s source, targets []*target, jobs chan<- *job) {
	wanted := handled{}
	from := make([]start, len(targets)) // only the writer may look at a target once it runs
	for i, t := range targets {
		from[i] = start{t.checkpoint.Position, t.skips}
		maps.Copy(wanted, t.handles)
	}
	workers := make(chan struct{}, r.config.Workers)
	c := cutter{
		maxEvents: r.config.PageEvents, maxBytes: r.config.PageBytes, heldEvents: r.config.HeldEvents, heldBytes: r.config.HeldBytes,
	}
	for pg, err := range c.cut(ctx, s) {
		j := &job{ready: make(chan struct{}), err: err}
		if err != nil {
			j.err = fmt.Errorf("cannot read log: %w", err)
			close(j.ready)
		} else {
			workers <- struct{}{} // workers always end: they wait for nothing
			go func() {
				defer func() { <-workers }()
				defer close(j.ready)
				j.pages = r.prepareAll(pg, targets, from, wanted)
			}()
		}
		select {
		case jobs <- j:
		case <-ctx.Done():
			<-j.ready
			return
		}
	}
}

// start is where a target stood when reading began.
type start struct {
	position eventstore.Position
	skips    skips
}

func (r *Runner) prepareAll(pg page, targets []*target, from []start, wanted handled) []prepared {
	pages := make([]prepared, len(targets))
	if pg.large > 0 { // it is read again as it is written
		for i := range pages {
			pages[i].decoded.page = pg
		}
		return pages
	}
	d := r.prepare.decodePage(pg, wanted)
	for i, t := range targets {
		if pg.last().Position <= from[i].position {
			pages[i] = prepared{decoded: d} // seen: write will pass over it
			continue
		}
		pages[i] = prepare(d, t, from[i])
	}
	return pages
}

// between returns the part of the log behind after that reaches until, with the whole batch that until belongs to.
func (r *Runner) between(after, until eventstore.Position) source {
	return source{until: until, head: r.Log.Head, open: func(ctx context.Context) iter.Seq2[eventstore.Record, error] {
		return r.Log.Read(ctx, after, eventstore.Filter{})
	}}
}

// catchUpTo pumps what targets lack up to until. It fails when the log ends before.
func (r *Runner) catchUpTo(ctx context.Context, targets []*target, until eventstore.Position) error {
	after := until
	for _, t := range targets {
		if t.err == nil {
			after = min(after, t.checkpoint.Position)
		}
	}
	if after >= until {
		return nil
	}
	if err := r.pump(ctx, r.between(after, until), targets); err != nil {
		return err
	}
	for _, t := range targets {
		if t.err == nil && t.checkpoint.Position < until {
			return fmt.Errorf("%w: it ends at position %d, expected events up to %d", eventstore.ErrCorrupt, t.checkpoint.Position, until)
		}
	}
	return nil
}
