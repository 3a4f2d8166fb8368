package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/projections/inspect"
)

func newProjections(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "projections",
		Short: "Look at the tables, and make them anew from the log",
		Long: "The tables are made from the log by projections, each of which writes tables that no other writes. Their state can be\n" +
			"looked at, and they can be built anew while readers go on reading.",
		Example: "  gxpledger projections status\n" +
			"  gxpledger projections rebuild artifacts --reason \"after an upgrade\"",
		Args: cobra.ArbitraryArgs,
		RunE: chooseCommand,
	}
	cmd.AddCommand(newProjectionsStatus(a), newProjectionsBuilds(a), newProjectionsRun(a), newProjectionsRebuild(a), newProjectionsCancel(a),
		newProjectionsPause(a), newProjectionsResume(a), newProjectionsSkip(a), newProjectionsPrune(a))
	return cmd
}

// statusDocument is the output of projections status --json.
type statusDocument struct {
	Projections []projectionStatus `json:"projections"`
}

type projectionStatus struct {
	Name       string           `json:"name"`
	Version    int              `json:"version"` // that this binary knows
	State      inspect.State    `json:"state"`
	Build      int              `json:"build,omitempty"` // what readers see; absent when there is none
	BuiltBy    int              `json:"build_version,omitempty"`
	Next       *buildProgress   `json:"next,omitempty"`          // the build that is to replace it
	Retired    int              `json:"former_builds,omitempty"` // how many there are
	Rate       float64          `json:"events_per_second,omitempty"`
	Paused     *pausedBy        `json:"paused,omitempty"`
	Position   uint64           `json:"position"`
	Head       uint64           `json:"head"`
	Lag        uint64           `json:"lag"`
	LagSeconds float64          `json:"lag_seconds"`
	UpdatedAt  time.Time        `json:"updated_at,omitzero"`
	Error      *projectionFault `json:"error,omitempty"`
	Mismatch   string           `json:"mismatch,omitempty"` // why the log is not the one that the tables were made from
}

// buildProgress is how far a build is that nobody reads yet.
type buildProgress struct {
	Build       int       `json:"build"`
	State       string    `json:"state"` // filling or ready
	Position    uint64    `json:"position"`
	Rate        float64   `json:"events_per_second"`
	SecondsLeft float64   `json:"seconds_left"`
	Holder      string    `json:"holder"`
	HeldUntil   time.Time `json:"held_until"` // in the past when its process is gone: the next rebuild goes on with it
	CancelledBy string    `json:"cancelled_by,omitempty"`
}

type pausedBy struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

type projectionFault struct {
	Position uint64    `json:"position"`
	Event    string    `json:"event_id"`
	Type     string    `json:"type"`
	Text     string    `json:"text"`
	At       time.Time `json:"at"`
}

func newProjectionsStatus(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show how far each projection is",
		Long: "Shows of each projection the build that readers see and how far it is: live at the head of the log, catching-up, paused,\n" +
			"stalled (the head moved, the position did not), faulted (stopped at an event), mismatched (made from another log) or\n" +
			"absent; and the build that is being made to replace it. Nothing is brought up to date. The exit code is 3 when one is\n" +
			"stalled, faulted or mismatched.",
		Example: "  gxpledger projections status\n  gxpledger projections status --json",
		Args:    none,
		RunE:    func(cmd *cobra.Command, _ []string) error { return showStatus(cmd.Context(), a) },
	}
}

func showStatus(ctx context.Context, a *app) (err error) {
	v, err := a.openStill(ctx, a.openLogToRead)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	all, err := v.statuses(ctx)
	if err != nil {
		return err
	}
	if a.json {
		document := statusDocument{Projections: make([]projectionStatus, len(all))}
		for i, s := range all {
			document.Projections[i] = statusOf(s)
		}
		err = a.document(document)
	} else {
		err = a.showStatus(all)
	}
	if err == nil && slices.ContainsFunc(all, inspect.Status.Troubled) {
		return found()
	}
	return err
}

// statuses says how every projection is.
func (v *opened) statuses(ctx context.Context) ([]inspect.Status, error) {
	return inspect.Statuses(ctx, v.runner.Pipeline, inspect.StatusOptions{})
}

func (a *app) showStatus(all []inspect.Status) error {
	screen := a.screen()
	t := columns("Projection", "Version>", "Build>", "State", "Position>", "Head>", "Lag>", "Waiting", "Events/s>", "Former>", "Why")
	for _, s := range all {
		build, position, rate := any(nil), uint64(0), any(nil)
		if s.Active != nil {
			build, position = s.Active.Number, uint64(s.Active.Checkpoint.Position)
			if pace := s.Active.Pace(); pace >= 1 && s.State == inspect.StateCatchingUp {
				rate = int64(pace)
			}
		}
		waiting, former := "", any(nil)
		if s.LagTime > 0 {
			waiting = render.Duration(s.LagTime)
		}
		if s.Retired > 0 {
			former = s.Retired
		}
		t.Add(s.Name, s.Version, build, stateWord(s.State), position, uint64(s.Head), s.Lag, waiting, rate, former, whyState(s))
	}
	t.show(screen)
	for _, s := range all {
		if s.Next != nil {
			screen.Line("%s", nextSentence(s))
		}
	}
	return screen.Err()
}

// stateWord paints a state: what is as hoped, what an administrator wants, and what is wrong.
func stateWord(s inspect.State) any {
	switch s {
	case inspect.StateLive:
		return render.Good.Of(string(s))
	case inspect.StateCatchingUp, inspect.StatePaused, inspect.StateAbsent:
		return string(s)
	case inspect.StateStalled, inspect.StateFaulted, inspect.StateMismatched:
	}
	return render.Bad.Of(string(s))
}

// whyState says why a projection is not live.
func whyState(s inspect.Status) string {
	switch {
	case s.Mismatch != nil:
		return s.Mismatch.Error()
	case s.Fault != nil:
		return fmt.Sprintf("position %d (%s): %s", s.Fault.Position, s.Fault.Type, s.Fault.Text)
	case s.Pause != nil:
		return fmt.Sprintf("since %s by %s: %s", s.Pause.At.UTC().Format(time.RFC3339), s.Pause.By, s.Pause.Reason)
	default:
		return ""
	}
}

// nextSentence says how far the build is that is to replace the one of s.
func nextSentence(s inspect.Status) string {
	b := s.Next
	text := fmt.Sprintf("%s: build %d, version %d, is %s at position %d of %d", s.Name, b.Number, b.Checkpoint.Version, b.State, b.Checkpoint.Position, s.Head)
	switch {
	case b.CancelledBy != "":
		return text + ", cancelled by " + b.CancelledBy
	case b.LeaseLeft == 0:
		return text + "; its process is gone, the next rebuild goes on with it"
	}
	if pace := b.Pace(); pace >= 1 {
		text += fmt.Sprintf(", %.0f events/s", pace)
	}
	if left := b.Left(s.Head); left > 0 {
		text += ", " + render.Duration(left.Round(time.Second)) + " left"
	}
	return text + ", by " + b.Lease.Holder
}

func statusOf(s inspect.Status) projectionStatus {
	out := projectionStatus{
		Name: s.Name, Version: s.Version, State: s.State, Head: uint64(s.Head), Lag: s.Lag, LagSeconds: s.LagTime.Seconds(), Retired: s.Retired,
	}
	if s.Active != nil {
		out.Build, out.BuiltBy = s.Active.Number, s.Active.Checkpoint.Version
		out.Position, out.UpdatedAt, out.Rate = uint64(s.Active.Checkpoint.Position), s.Active.UpdatedAt.UTC(), s.Active.Pace()
	}
	if b := s.Next; b != nil {
		out.Next = &buildProgress{
			Build: b.Number, State: string(b.State), Position: uint64(b.Checkpoint.Position), Rate: b.Pace(),
			SecondsLeft: b.Left(s.Head).Seconds(), Holder: b.Lease.Holder, HeldUntil: b.Lease.Expires.UTC(), CancelledBy: b.CancelledBy,
		}
	}
	if h := s.Pause; h != nil {
		out.Paused = &pausedBy{By: h.By, Reason: h.Reason, At: h.At.UTC()}
	}
	if f := s.Fault; f != nil {
		out.Error = &projectionFault{Position: uint64(f.Position), Event: f.Event.String(), Type: f.Type, Text: f.Text, At: f.At.UTC()}
	}
	if s.Mismatch != nil {
		out.Mismatch = s.Mismatch.Error()
	}
	return out
}
