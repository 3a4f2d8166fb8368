package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/run"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// rebuildDocument is the output of projections rebuild --json.
type rebuildDocument struct {
	Rebuilt []rebuilt `json:"rebuilt"`
	// Left are the projections that --from-version passed over: their tables are of this binary's version already.
	Left []string `json:"left,omitempty"`
}

type rebuilt struct {
	Projection string        `json:"projection"`
	Build      int           `json:"build"`
	Replaced   int           `json:"replaced_build,omitempty"`
	From       uint64        `json:"from_position,omitempty"` // where it went on with what was there already
	Events     uint64        `json:"events"`
	DurationMS int64         `json:"duration_ms"`
	Rate       float64       `json:"events_per_second"`
	Position   uint64        `json:"position"`
	Compared   bool          `json:"compared"`           // the tables before, with the new ones
	Differed   []string      `json:"differed,omitempty"` // tables that were not what the log says
	Unreadable string        `json:"unreadable,omitempty"`
	Tables     []tableDigest `json:"tables"`
}

// tableDigest is the fingerprint of a table: two that are equal hold the same rows.
type tableDigest struct {
	Table  string `json:"table"`
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"`
}

type rebuildOptions struct {
	acting
	adoptLog, fresh, fromVersion bool
}

func newProjectionsRebuild(a *app) *cobra.Command {
	o := &rebuildOptions{acting: acting{app: a}}
	cmd := &cobra.Command{
		Use:   "rebuild [NAME] --reason TEXT",
		Short: "Make the tables of a projection anew from the log",
		Long: "Makes the tables of a projection, or with --all of every one, anew from the log, beside the ones that readers see, compares\n" +
			"the two, and puts the new ones in their place in one instant. Readers and scans go on meanwhile. If it fails, the old\n" +
			"tables stay. If it is stopped, with Ctrl-C or by a crash, the next rebuild goes on where it was; projections cancel drops\n" +
			"what is there. The old tables are kept until projections prune. Who did it, why and what came of it is recorded in the log,\n" +
			"and so in the audit trail. At a terminal the progress is shown, with --json a line of it is written to standard error\n" +
			"every second.",
		Example: "  gxpledger projections rebuild artifacts --reason \"after an upgrade\"\n" +
			"  gxpledger projections rebuild --all --from-version --reason \"change request 17\"\n" +
			"  gxpledger projections rebuild --all --reason \"restored from a backup\" --adopt-log",
		Args: func(cmd *cobra.Command, args []string) error { return atMostOne(cmd, "projection", args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.which(args); err != nil {
				return err
			}
			if err := o.why(); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	o.addAll(flags)
	o.addWhy(flags)
	flags.BoolVar(&o.adoptLog, "adopt-log", false, "also replace tables that were made from another log, or from more of this one than there is now")
	flags.BoolVar(&o.fresh, "fresh", false, "begin anew where a rebuild that was stopped could be gone on with")
	flags.BoolVar(&o.fromVersion, "from-version", false, "only tables that were made by another version of their projection than this binary's")
	return cmd
}

func projectionNames() []string {
	var names []string
	for _, p := range tables.All() {
		names = append(names, p.Name)
	}
	return names
}

func (o *rebuildOptions) run(ctx context.Context) error {
	document := rebuildDocument{Rebuilt: []rebuilt{}}
	return o.app.steer(ctx, func(s steering) error {
		for _, name := range o.names {
			if o.fromVersion {
				current, err := isCurrent(ctx, s.runner, name)
				if err != nil {
					return err
				}
				if current {
					document.Left = append(document.Left, name)
					continue
				}
			}
			report, err := o.rebuild(ctx, s, name)
			if err != nil {
				return err
			}
			document.Rebuilt = append(document.Rebuilt, rebuiltOf(name, report))
		}
		if err := s.showActs(ctx, o.app); err != nil {
			return err
		}
		if o.app.json {
			return o.app.document(document)
		}
		screen := o.app.screen()
		showRebuilt(screen, document)
		return screen.Err()
	})
}

// isCurrent reports whether the tables that readers see are of this binary's version.
func isCurrent(ctx context.Context, runner *run.Runner, name string) (bool, error) {
	p, err := runner.Projection(name)
	if err != nil {
		return false, err
	}
	active, err := runner.Active(ctx, name)
	return active != nil && active.Checkpoint.Version == p.Version, err
}

// rebuild makes one projection anew.
func (o *rebuildOptions) rebuild(ctx context.Context, s steering, name string) (run.Report, error) {
	act, err := o.act(actRebuild, name)
	if err != nil {
		return run.Report{}, err
	}
	for flag, set := range map[string]bool{"adopt_log": o.adoptLog, "fresh": o.fresh, "from_version": o.fromVersion} {
		if set {
			if act.Arguments == nil {
				act.Arguments = map[string]string{}
			}
			act.Arguments[flag] = "true"
		}
	}
	runner, done, err := o.app.watchedRunner(ctx, s.opened, "rebuilding "+name)
	if err != nil {
		return run.Report{}, err
	}
	defer done()
	report, cause := s.outwait(ctx, o.app, &act, func() (run.Report, error) {
		return runner.Rebuild(ctx, name, run.RebuildOptions{AdoptLog: o.adoptLog, Fresh: o.fresh, Action: &act})
	})
	return report, unfinished(ctx, name, cause)
}

// unfinished says what a rebuild that did not come to its end left.
func unfinished(ctx context.Context, name string, cause error) error {
	switch {
	case cause == nil:
		return nil
	case ctx.Err() != nil:
		return failed(cause, "the rebuild of %s was stopped, which was recorded; the tables are as they were: run it again to go on, "+
			"or gxpledger projections cancel %s --reason TEXT to drop what was made", name, name)
	case errors.Is(cause, projections.ErrLogMismatch):
		return failed(cause, "%s; nothing was changed: if this is the right log, add --adopt-log", oneLine(cause.Error()))
	case errors.Is(cause, projections.ErrCancelled):
		return failed(cause, "the rebuild of %s was cancelled by another administrator (%s); the tables are as they were", name, oneLine(cause.Error()))
	default:
		_, text := explain(ctx, cause)
		return failed(cause, "%s; the tables are as they were", text)
	}
}

// watchedRunner is the runner of a view that also tells how far the work called what is. done ends that.
func (a *app) watchedRunner(ctx context.Context, v *opened, what string) (runner *run.Runner, done func(), err error) {
	head, err := v.log.Head(ctx)
	if err != nil {
		return nil, nil, err
	}
	watch := newWatch(a, what, head)
	config := a.runnerConfig()
	config.Observe = watch.observe
	runner, err = run.NewRunner(v.log, v.tables, tables.All(), config)
	return runner, watch.done, err
}

func rebuiltOf(name string, r run.Report) rebuilt {
	out := rebuilt{
		Projection: name, Build: r.Number, From: uint64(r.From), Events: r.Events, DurationMS: r.Duration.Milliseconds(),
		Position: uint64(r.Checkpoint.Position), Compared: r.Compared, Differed: r.Differs, Unreadable: r.Unreadable,
	}
	if r.Before != nil {
		out.Replaced = r.Before.Number
	}
	if seconds := r.Duration.Seconds(); seconds > 0 {
		out.Rate = float64(r.Events) / seconds
	}
	for _, d := range r.Digests {
		out.Tables = append(out.Tables, tableDigest(d))
	}
	return out
}

func showRebuilt(screen *render.Screen, d rebuildDocument) {
	t := columns("Projection", "Build>", "Replaced>", "Events>", "Duration>", "Events/s>", "Rows>", "Position>", "Tables before")
	for _, r := range d.Rebuilt {
		replaced := any(nil)
		if r.Replaced > 0 {
			replaced = r.Replaced
		}
		var rows int64
		for _, table := range r.Tables {
			rows += table.Rows
		}
		t.Add(r.Projection, r.Build, replaced, r.Events, time.Duration(r.DurationMS)*time.Millisecond, int64(r.Rate), rows, r.Position, before(r))
	}
	if len(d.Rebuilt) > 0 {
		t.show(screen)
	}
	for _, name := range d.Left {
		screen.Line("%s was left: its tables are of this version.", name)
	}
	for _, r := range d.Rebuilt {
		if len(r.Differed) > 0 {
			screen.Line("%s", render.Bad.Of(fmt.Sprintf("Tables of %s were not what the log says: %s. Find out who or what wrote them.", r.Projection, strings.Join(r.Differed, ", "))))
		}
	}
}

// before says in a word what the tables before were.
func before(r rebuilt) any {
	switch {
	case len(r.Differed) > 0:
		return render.Bad.Of("differed")
	case r.Unreadable != "":
		return render.Bad.Of("unreadable")
	case r.Compared:
		return render.Good.Of("equal")
	case r.Replaced > 0:
		return "not compared"
	default:
		return nil
	}
}
