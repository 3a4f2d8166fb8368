package cli

import (
	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
)

// relaysDocument is the output of relay status --json.
type relaysDocument struct {
	Relays []gxpledger.RelayStatus `json:"relays"`
}

func newRelayStatus(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show how far each relay has come, and what is parked",
		Long: "Show of each relay its state, its position and how far that is behind the log, the last error of its target, and what is parked.\n" +
			"The exit code is 3 when one is parked, failing, ended or lost, else 0.",
		Example: "  gxpledger relay status\n  gxpledger relay status --json",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := a.ledger.Admin().Relays(cmd.Context())
			if err != nil {
				return err
			}
			if all == nil {
				all = []gxpledger.RelayStatus{}
			}
			if err := a.answer(relaysDocument{all}, func(screen *render.Screen) { showRelays(screen, all) }); err != nil {
				return err
			}
			for i := range all {
				if all[i].NeedsAttention() {
					return found()
				}
			}
			return nil
		},
	}
}

func showRelays(screen *render.Screen, all []gxpledger.RelayStatus) {
	if len(all) == 0 {
		screen.Line("There is no relay: gxpledger relay add NAME --to URL records one.")
		return
	}
	t := render.NewList("Name", "State", "Position", "Lag", "Sent", "Parked", "Skipped", "Saved", "Target", "Why")
	for i := range all {
		s := &all[i]
		state := render.Good.Of(string(s.State))
		if s.NeedsAttention() {
			state = render.Bad.Of(string(s.State))
		}
		t.Add(s.Name, state, uint64(s.Position), lagText(s), s.Sent, s.Waiting, s.Skipped, s.SavedAt, relayTarget(s), s.Why)
	}
	screen.List(t)
	parked := render.NewList("Relay", "Parked", "Position", "Event", "Events", "Since", "Reason")
	some := false
	for i := range all {
		for _, p := range all[i].Parked {
			some = true
			parked.Add(all[i].Name, string(p.Stream), uint64(p.Position), p.EventID, p.Count, p.Since, p.Reason)
		}
	}
	if some {
		screen.List(parked)
	}
}
