package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/projections"
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
	cmd.AddCommand(newProjectionsStatus(a), newProjectionsRebuild(a))
	return cmd
}

// statusDocument is the output of projections status --json.
type statusDocument struct {
	Projections []projectionStatus `json:"projections"`
}

type projectionStatus struct {
	Name       string            `json:"name"`
	Version    int               `json:"version"` // that this binary knows
	State      projections.State `json:"state"`
	Build      int               `json:"build,omitempty"` // what readers see; absent when there is none
	BuiltBy    int               `json:"build_version,omitempty"`
	Next       int               `json:"next_build,omitempty"` // that is to replace it
	Position   uint64            `json:"position"`
	Head       uint64            `json:"head"`
	Lag        uint64            `json:"lag"`
	LagSeconds float64           `json:"lag_seconds"`
	UpdatedAt  time.Time         `json:"updated_at,omitzero"`
	Error      *projectionFault  `json:"error,omitempty"`
	Mismatch   string            `json:"mismatch,omitempty"` // why the log is not the one that the tables were made from
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
		Long: "Shows of each projection the build that readers see and how far it is: live at the head of the log, catching-up,\n" +
			"stalled (the head moved, the position did not), faulted (stopped at an event), mismatched (made from another log) or\n" +
			"absent. Nothing is brought up to date.",
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
	all, err := v.runner.Status(ctx, projections.StatusOptions{})
	if err != nil {
		return err
	}
	document := statusDocument{Projections: make([]projectionStatus, len(all))}
	for i, s := range all {
		document.Projections[i] = statusOf(s)
	}
	if a.json {
		return a.document(document)
	}
	screen := a.screen()
	t := columns("Projection", "Version>", "Build>", "Next>", "State", "Position>", "Head>", "Lag>", "Waiting", "Last error")
	for i, s := range document.Projections {
		fault, waiting, next := "", "", any(nil)
		if s.Error != nil {
			fault = s.Error.Text
		}
		if s.Mismatch != "" {
			fault = s.Mismatch
		}
		if all[i].LagTime > 0 {
			waiting = render.Duration(all[i].LagTime)
		}
		if s.Next > 0 {
			next = s.Next
		}
		t.Add(s.Name, s.Version, s.Build, next, good(string(s.State), string(projections.StateLive)), s.Position, s.Head, s.Lag, waiting, fault)
	}
	t.show(screen)
	return screen.Err()
}

func statusOf(s projections.Status) projectionStatus {
	out := projectionStatus{
		Name: s.Name, Version: s.Version, State: s.State, Head: uint64(s.Head), Lag: s.Lag, LagSeconds: s.LagTime.Seconds(),
	}
	if s.Active != nil {
		out.Build, out.BuiltBy = s.Active.Number, s.Active.Checkpoint.Version
		out.Position, out.UpdatedAt = uint64(s.Active.Checkpoint.Position), s.Active.UpdatedAt.UTC()
	}
	if s.Next != nil {
		out.Next = s.Next.Number
	}
	if f := s.Fault; f != nil {
		out.Error = &projectionFault{Position: uint64(f.Position), Event: f.Event.String(), Type: f.Type, Text: f.Text, At: f.At.UTC()}
	}
	if s.Mismatch != nil {
		out.Mismatch = s.Mismatch.Error()
	}
	return out
}
