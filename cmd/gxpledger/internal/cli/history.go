package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/projections/query"
)

// historyDocument is the output of history --json.
type historyDocument struct {
	headDocument
	query.History
}

type historyOptions struct {
	app        *app
	repository repositoryFlag
	asOf       asOfFlag
	id         string
}

func newHistory(a *app) *cobra.Command {
	o := &historyOptions{app: a}
	cmd := &cobra.Command{
		Use:   "history ID|PATH",
		Short: "Show every version of an artifact, and what changed between them",
		Long: "Shows what was ever recorded under a gxp_id, a path, or path#number for an entry of a risk log: each version with\n" +
			"the scan that made it, and field by field what differs from the one before; moves, removals, and scans after which\n" +
			"its links led elsewhere. What the engine recorded (who, when) stands apart from what git claims.",
		Example: "  gxpledger history REQ-001\n" +
			"  gxpledger history .gxp/specs/SPEC-001-001.md\n" +
			"  gxpledger history REQ-001 --as-of scan:3 --json",
		Args: func(cmd *cobra.Command, args []string) error { return takes(cmd, args, 1, 1, "one ID or path") },
		RunE: func(cmd *cobra.Command, args []string) error {
			o.id = args[0]
			return o.run(cmd.Context())
		},
	}
	o.repository.add(cmd)
	o.asOf.add(cmd)
	return cmd
}

func (o *historyOptions) run(ctx context.Context) error {
	return o.app.lookAt(ctx, looking{o.asOf, o.repository, []string{gxpledger.Artifacts, gxpledger.History}}, func(v *view) error {
		id, err := o.repository.id(ctx, v)
		if err != nil {
			return err
		}
		history, err := v.History(ctx, id, o.id)
		if err != nil {
			return err
		}
		v.Shown.Only(history.RepositoryID)
		if o.app.json {
			return o.app.document(historyDocument{v.document(), history})
		}
		screen := o.app.screenOf(v)
		for i, l := range history.Artifacts {
			if i > 0 {
				screen.Blank()
			}
			showLineage(screen, history.Repository, l, v.IsAsOf())
		}
		return screen.Err()
	})
}

func showLineage(screen *render.Screen, repository string, l query.Lineage, past bool) { //revive:disable-line:flag-parameter // a fact of the view, not a switch
	there := render.Good.Of("there now")
	if past {
		there = render.Good.Of("there then")
	}
	if !l.Present {
		there = render.Bad.Of("gone")
	}
	screen.Line("%s %s of %s, %s", spaced(l.Kind), render.Strong.Of(l.Name), repository, there)
	for _, e := range l.Entries {
		screen.Blank()
		screen.Line("%s", entryTitle(e))
		field(screen, "  Recorded", "by %s at %s, position %d%s", actor(e.Actor, e.ActorFrom), e.RecordedAt, e.Position, reasonGiven(e.Reason))
		field(screen, "  Claimed", "%s", claimed(e.Claims))
		showChanges(screen, "  ", e.Changes)
	}
}

func entryTitle(e query.Entry) render.Styled {
	title := fmt.Sprintf("Scan %d: %s", e.Scan, e.What)
	switch v := e.Version; {
	case e.What == query.WhatRejected:
		title += ", the file is there and could not be parsed"
	case v == nil:
	case e.What == trace.WhatNew:
		title += " at " + v.Key()
	case e.What == trace.WhatMoved:
		title += " to " + v.Key()
	default:
		title += fmt.Sprintf(", version %d", v.Version)
	}
	if e.Evidence != "" {
		title += ", evidence " + e.Evidence
	}
	return render.Strong.Of(title)
}

// reasonGiven is the reason that somebody gave, as the end of a sentence.
func reasonGiven(reason string) string {
	if reason == "" {
		return ""
	}
	return fmt.Sprintf("; reason: %s", reason)
}

// claimed is what git says of a revision, in one line.
func claimed(c query.Claims) string {
	text := revision(c)
	if c.AuthorName != "" || c.AuthorEmail != "" {
		text += fmt.Sprintf(" by %s <%s>, %s", c.AuthorName, c.AuthorEmail, render.Time(c.AuthorAt))
	}
	if c.CommitterEmail != c.AuthorEmail || !c.CommitterAt.Equal(c.AuthorAt) {
		text += fmt.Sprintf("; committed by %s <%s>, %s", c.CommitterName, c.CommitterEmail, render.Time(c.CommitterAt))
	}
	if first := render.FirstLine(c.Message); first != "" {
		text += ": " + first
	}
	return text
}
