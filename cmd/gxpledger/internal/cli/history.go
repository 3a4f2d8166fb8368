package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/projections/query"
)

// historyDocument is the output of history --json.
type historyDocument struct {
	headDocument
	query.History
	TextDiffs []render.TextDiff `json:"text_diffs"` // each pair of contents once
}

type historyOptions struct {
	readOptions
	documentOptions
	id string
}

func newHistory(a *app) *cobra.Command {
	o := &historyOptions{readOptions: readOptions{app: a}}
	cmd := &cobra.Command{
		Use:   "history ID|PATH",
		Short: "Show every version of an artifact, and what changed between them",
		Long: "Show the history of a gxp_id, a path, or path#number for an entry of a risk log: each version with the scan that\n" +
			"recorded it and its differences from the version before, field by field and line by line; moves, removals, and scans\n" +
			"that changed where its links lead. What gxpledger recorded (who, when) is shown apart from what git claims.",
		Example: "  gxpledger history REQ-001\n" +
			"  gxpledger history .gxp/specs/SPEC-001-001.md\n" +
			"  gxpledger history REQ-001 --as-of scan:3 --json\n" +
			"  gxpledger history REQ-001 --output history.html",
		Args: func(cmd *cobra.Command, args []string) error { return takes(cmd, args, 1, 1, "one ID or path") },
		RunE: func(cmd *cobra.Command, args []string) error {
			o.id = args[0]
			if err := o.chooseFormat(a, cmd); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	o.add(cmd)
	o.addDocument(cmd, formatCSV, formatHTML)
	return cmd
}

func (o *historyOptions) run(ctx context.Context) error {
	return o.read(ctx, withHistory, func(v *view) error {
		history, err := v.History(ctx, v.repositoryID, o.id)
		if err != nil {
			return err
		}
		v.Shown.Only(history.RepositoryID)
		var changes [][]trace.Change
		for _, l := range history.Artifacts {
			for _, e := range l.Entries {
				changes = append(changes, e.Changes)
			}
		}
		texts, list, err := v.textDiffs(ctx, changes...)
		if err != nil {
			return err
		}
		filters := given(render.Filter{Name: "ID", Value: o.id}, render.Filter{Name: "repository", Value: o.repository})
		return o.deliver(v, reportDocument(historyDocument{v.head(), history, list}, func(screen *render.Screen) {
			for i, l := range history.Artifacts {
				if i > 0 {
					screen.Blank()
				}
				render.Lineage(screen, history.Repository, l, texts)
			}
		}, func() render.Report { return render.HistoryReport(v.source(filters), history, texts) }))
	})
}
