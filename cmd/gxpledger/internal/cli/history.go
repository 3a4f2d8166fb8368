package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/projections/query"
)

// historyDocument is the output of history --json.
type historyDocument struct {
	headDocument
	query.History
}

type historyOptions struct {
	readOptions
	id string
}

func newHistory(a *app) *cobra.Command {
	o := &historyOptions{readOptions{app: a}, ""}
	cmd := &cobra.Command{
		Use:   "history ID|PATH",
		Short: "Show every version of an artifact, and what changed between them",
		Long: "Show the history of a gxp_id, a path, or path#number for an entry of a risk log: each version with the scan that\n" +
			"recorded it and its differences from the version before, field by field; moves, removals, and scans that changed where\n" +
			"its links lead. What gxpledger recorded (who, when) is shown apart from what git claims.",
		Example: "  gxpledger history REQ-001\n" +
			"  gxpledger history .gxp/specs/SPEC-001-001.md\n" +
			"  gxpledger history REQ-001 --as-of scan:3 --json",
		Args: func(cmd *cobra.Command, args []string) error { return takes(cmd, args, 1, 1, "one ID or path") },
		RunE: func(cmd *cobra.Command, args []string) error {
			o.id = args[0]
			return o.run(cmd.Context())
		},
	}
	o.add(cmd)
	return cmd
}

func (o *historyOptions) run(ctx context.Context) error {
	return o.read(ctx, withHistory, func(v *view) error {
		history, err := v.History(ctx, v.repositoryID, o.id)
		if err != nil {
			return err
		}
		v.Shown.Only(history.RepositoryID)
		return v.answer(historyDocument{v.head(), history}, func(screen *render.Screen) {
			for i, l := range history.Artifacts {
				if i > 0 {
					screen.Blank()
				}
				render.Lineage(screen, history.Repository, l)
			}
		})
	})
}
