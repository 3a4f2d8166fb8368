package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/projections"
)

type rebuildOptions struct {
	app                          *app
	who                          whoFlags
	which                        projectionArgs
	adoptLog, fresh, fromVersion bool
}

func newProjectionsRebuild(a *app) *cobra.Command {
	o := &rebuildOptions{app: a}
	cmd := &cobra.Command{
		Use:   "rebuild [NAME] --reason TEXT",
		Short: "Rebuild a projection from the log",
		Long: "Rebuild the tables of a projection, or with --all of every one, from the log. The new build is filled beside the active\n" +
			"one, compared with it, and activated in one instant; readers and scans continue meanwhile. If the rebuild fails, the\n" +
			"active build stays. If it is interrupted, by Ctrl-C or a crash, the next rebuild resumes it; projections cancel discards\n" +
			"it. The replaced build is kept until projections prune. The rebuild is recorded in the log with actor, reason and\n" +
			"outcome. At a terminal its progress is shown; with --json, a line of progress is written to standard error each second.",
		Example: "  gxpledger projections rebuild artifacts --reason \"after an upgrade\"\n" +
			"  gxpledger projections rebuild --all --from-version --reason \"change request 17\"\n" +
			"  gxpledger projections rebuild --all --reason \"restored from a backup\" --adopt-log",
		Args: func(cmd *cobra.Command, args []string) error { return atMostOne(cmd, "projection", args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.which.check(args); err != nil {
				return err
			}
			if err := o.who.check(); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	o.which.add(cmd)
	o.who.add(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&o.adoptLog, "adopt-log", false, "also replace tables that were built from another log, or from more events than this log holds")
	flags.BoolVar(&o.fresh, "fresh", false, "start over instead of resuming an interrupted rebuild")
	flags.BoolVar(&o.fromVersion, "from-version", false, "only tables that another version of their projection built")
	return cmd
}

func (o *rebuildOptions) run(ctx context.Context) error {
	shown := newRebuildScreen(o.app)
	result, err := o.app.ledger.Admin().Rebuild(ctx, gxpledger.RebuildRequest{
		Projections: o.which.names, Outdated: o.fromVersion, AdoptLog: o.adoptLog, Fresh: o.fresh, Actor: o.who.actor, Reason: o.who.reason,
		Progress: shown.show,
		Waiting: func(held *projections.LeaseHeldError) {
			o.app.notes().Line("%s: waiting until then, in case that process has died", held.Error())
		},
	})
	shown.progress.Done()
	if err != nil {
		return o.failed(ctx, err)
	}
	o.app.noteNotProjected(result.NotProjected)
	return o.app.answer(result, func(screen *render.Screen) { showRebuilt(screen, result) })
}

// failed says what a rebuild that did not complete left.
func (o *rebuildOptions) failed(ctx context.Context, cause error) error {
	switch {
	case errors.As(cause, new(*gxpledger.ConfigError)), errors.As(cause, new(*gxpledger.UnrecordedError)),
		ctx.Err() != nil && !o.app.records.Load():
		return cause
	case ctx.Err() != nil:
		which := "--all"
		if o.which.names != nil {
			which = o.which.names[0]
		}
		return failed(cause, "the rebuild was interrupted, which is recorded; the active tables are unchanged: run it again to resume it, "+
			"or gxpledger projections cancel %s --reason TEXT to discard it", which)
	case errors.Is(cause, projections.ErrLogMismatch):
		return failed(cause, "%s; nothing was changed: if this is the right log, add --adopt-log", oneLine(cause.Error()))
	case errors.Is(cause, projections.ErrCancelled):
		return failed(cause, "the rebuild was cancelled by another administrator (%s); the active tables are unchanged", oneLine(cause.Error()))
	}
	_, text := explain(ctx, cause)
	return failed(cause, "%s; the active tables are unchanged", text)
}

func showRebuilt(screen *render.Screen, d gxpledger.RebuildResult) {
	t := render.NewList("Projection", "Build>", "Replaced>", "Events>", "Duration>", "Events/s>", "Rows>", "Position>", "Comparison")
	for _, r := range d.Rebuilt {
		t.Add(r.Projection, r.Build, unlessZero(r.Replaced), r.Events, time.Duration(r.DurationMS)*time.Millisecond, int64(r.Rate), rowsOf(r.Tables),
			r.Position, comparison(r))
	}
	if len(d.Rebuilt) > 0 {
		screen.List(t)
	}
	for _, name := range d.Current {
		screen.Line("%s was not rebuilt: its tables are of this version.", name)
	}
	for _, r := range d.Rebuilt {
		if len(r.Differing) > 0 {
			screen.Line("%s", render.Bad.Of(fmt.Sprintf("The replaced tables of %s differed from the log: %s. Find out who or what wrote to them.",
				r.Projection, strings.Join(r.Differing, ", "))))
		}
	}
}

// comparison says how the replaced tables compared with the new ones.
func comparison(r gxpledger.Rebuilt) any {
	switch {
	case len(r.Differing) > 0:
		return render.Bad.Of("differs")
	case r.Unreadable != "":
		return render.Bad.Of("unreadable")
	case r.Compared:
		return render.Good.Of("equal")
	case r.Replaced > 0:
		return "not compared"
	}
	return nil
}

// How often progress is written outside of a terminal.
const (
	everyJSON = time.Second
	everyLine = 10 * time.Second
)

// rebuildScreen shows the progress of a rebuild: in one line at a terminal, in lines of JSON with --json, and otherwise in a
// plain line now and then. It is safe for concurrent use.
type rebuildScreen struct {
	app      *app
	progress *render.Progress
	live     bool
	mu       sync.Mutex // guards last
	last     time.Time
}

func newRebuildScreen(a *app) *rebuildScreen {
	return &rebuildScreen{
		app: a, progress: a.progress(), last: a.system.Now(), live: render.Detect(a.system.Stderr, a.colour, a.system.Env).Live,
	}
}

func (s *rebuildScreen) show(p gxpledger.RebuildProgress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.app.system.Now()
	switch since := now.Sub(s.last); {
	case s.live && !s.app.json:
		s.progress.Say(rebuildLine(p))
	case s.app.json && since >= everyJSON:
		_ = render.Line(s.app.system.Stderr, p) // progress that cannot be written is no failure
		s.last = now
	case !s.app.json && since >= everyLine:
		s.app.notes().Line("%s", rebuildLine(p))
		s.last = now
	}
}

func rebuildLine(p gxpledger.RebuildProgress) string {
	text := fmt.Sprintf("rebuilding %s: position %d of %d, %.0f events/s", p.Projection, p.Position, p.Head, p.Rate)
	if left := seconds(p.SecondsLeft); left > 0 {
		text += ", " + render.Duration(left.Round(time.Second)) + " left"
	}
	return text
}
