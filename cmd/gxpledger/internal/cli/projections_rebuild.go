package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// actRebuild is the name of the act in the log. It is stored and never changes.
const actRebuild = "projection.rebuild"

// rebuildDocument is the output of projections rebuild --json.
type rebuildDocument struct {
	Rebuilt []rebuilt `json:"rebuilt"`
}

type rebuilt struct {
	Projection string        `json:"projection"`
	Build      int           `json:"build"`
	Replaced   int           `json:"replaced_build,omitempty"`
	Events     uint64        `json:"events"`
	DurationMS int64         `json:"duration_ms"`
	Rate       float64       `json:"events_per_second"`
	Position   uint64        `json:"position"`
	Tables     []tableDigest `json:"tables"`
}

// tableDigest is the fingerprint of a table: two that are equal hold the same rows.
type tableDigest struct {
	Table  string `json:"table"`
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"`
}

type rebuildOptions struct {
	app           *app
	names         []string
	all, adoptLog bool
	actor, reason string
}

func newProjectionsRebuild(a *app) *cobra.Command {
	o := &rebuildOptions{app: a}
	cmd := &cobra.Command{
		Use:   "rebuild [NAME] --reason TEXT",
		Short: "Make the tables of a projection anew from the log",
		Long: "Makes the tables of a projection, or with --all of every one, anew from the log, beside the ones that readers see, and\n" +
			"puts them in their place in one instant. If that fails or is stopped, the old tables stay. Who did it, why and what\n" +
			"came of it is recorded in the log, and so in the audit trail.",
		Example: "  gxpledger projections rebuild artifacts --reason \"after an upgrade\"\n" +
			"  gxpledger projections rebuild --all --reason \"restored from a backup\" --adopt-log",
		Args: func(cmd *cobra.Command, args []string) error { return atMostOne(cmd, "projection", args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validate(args); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.all, "all", false, "every projection")
	flags.StringVar(&o.reason, "reason", "", "`WHY` it is done; required")
	flags.StringVar(&o.actor, "actor", "", "`WHO` does it (default: the user of the operating system)")
	flags.BoolVar(&o.adoptLog, "adopt-log", false, "also replace tables that were made from another log, or from more of this one than there is now")
	return cmd
}

func projectionNames() []string {
	var names []string
	for _, p := range tables.All() {
		names = append(names, p.Name)
	}
	return names
}

func (o *rebuildOptions) validate(args []string) error {
	known := projectionNames()
	switch {
	case len(args) == 1 && o.all:
		return usage("%s and --all exclude each other: give one of them", args[0])
	case o.all:
		o.names = known
	case len(args) == 0:
		return usage("no projection is named: give one of %s, or --all", strings.Join(known, ", "))
	case !slices.Contains(known, args[0]):
		return usage("there is no projection %q: %s", args[0], didYouMean(args[0], known, "want one of "+strings.Join(known, ", ")))
	default:
		o.names = args
	}
	if o.reason == "" {
		return usage("the flag --reason is required: say why the tables are made anew; it is recorded")
	}
	if o.actor == "" {
		o.actor = defaultActor()
	}
	return nil
}

func (o *rebuildOptions) run(ctx context.Context) (err error) {
	v, err := o.app.openStill(ctx, o.app.openLog)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	recorder, err := o.app.newRecorder(v.log)
	if err != nil {
		return err
	}
	document := rebuildDocument{Rebuilt: []rebuilt{}}
	for _, name := range o.names {
		report, err := o.rebuild(ctx, v, recorder, name)
		if err != nil {
			return err
		}
		document.Rebuilt = append(document.Rebuilt, rebuiltOf(name, report))
	}
	// The acts were recorded after the tables were made. A fault of another projection is not one of this work.
	if err := v.runner.CatchUp(ctx, 0); err != nil {
		o.app.notes().Line("the tables do not show the act yet (%s): see gxpledger projections status", oneLine(err.Error()))
	}
	if o.app.json {
		return o.app.document(document)
	}
	screen := o.app.screen()
	showRebuilt(screen, document.Rebuilt)
	return screen.Err()
}

// rebuild makes one projection anew and records what came of it.
func (o *rebuildOptions) rebuild(ctx context.Context, v *view, recorder *eventstore.Recorder, name string) (projections.Report, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return projections.Report{}, fmt.Errorf("make an id: %w", err)
	}
	head, err := v.log.Head(ctx)
	if err != nil {
		return projections.Report{}, err
	}
	progress := o.app.progress()
	defer progress.Done()
	runner, err := o.app.watchedRunner(v, func(p projections.Progress) {
		progress.Say(fmt.Sprintf("rebuilding %s: position %d of %d", name, p.Position, head))
	})
	if err != nil {
		return projections.Report{}, err
	}
	report, cause := runner.Rebuild(ctx, name, projections.RebuildOptions{AdoptLog: o.adoptLog})
	act := domain.AdminActed{
		ID: id.String(), Action: actRebuild, Target: name, Actor: o.actor, Reason: o.reason, At: o.app.system.Now(),
		Outcome: "succeeded", Detail: fmt.Sprintf("build %d from %d events", report.Number, report.Events),
	}
	if o.adoptLog {
		act.Arguments = map[string]string{"adopt_log": "true"}
	}
	if cause != nil {
		act.Outcome, act.Detail = "failed", cause.Error()
		if ctx.Err() != nil {
			act.Outcome = "cancelled"
		}
	}
	return report, errors.Join(o.explain(ctx, name, cause), record(ctx, recorder, act))
}

// record records an act, also when the context has ended meanwhile: that somebody stopped it is a fact too.
func record(ctx context.Context, recorder *eventstore.Recorder, act domain.AdminActed) error {
	const grace = 10 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if _, err := recorder.Act(ctx, act); err != nil {
		return fmt.Errorf("the act could not be recorded: %w", err)
	}
	return nil
}

// explain says what a rebuild that failed left.
func (o *rebuildOptions) explain(ctx context.Context, name string, cause error) error {
	switch {
	case cause == nil:
		return nil
	case ctx.Err() != nil:
		return failed(cause, "the rebuild of %s was stopped, which was recorded; the tables are as they were", name)
	case errors.Is(cause, projections.ErrLogMismatch):
		return failed(cause, "%s; nothing was changed: if this is the right log, add --adopt-log", oneLine(cause.Error()))
	default:
		_, text := explain(ctx, cause)
		return failed(cause, "%s; the tables are as they were", text)
	}
}

// watchedRunner is the runner of a view that also tells watch of each page.
func (a *app) watchedRunner(v *view, watch func(projections.Progress)) (*projections.Runner, error) {
	config := projections.DefaultConfig(a.system.Now, eventstore.Decode, processName())
	config.Observe = watch
	return projections.NewRunner(v.log, v.tables, tables.All(), config)
}

func rebuiltOf(name string, r projections.Report) rebuilt {
	out := rebuilt{
		Projection: name, Build: r.Number, Events: r.Events, DurationMS: r.Duration.Milliseconds(), Position: uint64(r.Checkpoint.Position),
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

func showRebuilt(screen *render.Screen, all []rebuilt) {
	t := columns("Projection", "Build>", "Replaced>", "Events>", "Duration>", "Events/s>", "Rows>", "Position>")
	for _, r := range all {
		replaced := any(nil)
		if r.Replaced > 0 {
			replaced = r.Replaced
		}
		var rows int64
		for _, table := range r.Tables {
			rows += table.Rows
		}
		t.Add(r.Projection, r.Build, replaced, r.Events, time.Duration(r.DurationMS)*time.Millisecond, int64(r.Rate), rows, r.Position)
	}
	t.show(screen)
}
