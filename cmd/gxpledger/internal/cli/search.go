package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections/query"
)

// searchDocument is the output of search --json.
type searchDocument struct {
	headDocument
	Filter []render.Filter `json:"filter,omitempty"` // in force
	gxpledger.Found
	Note string `json:"note,omitempty"` // why nothing is listed
}

type searchOptions struct {
	readOptions
	documentOptions
	text  string
	limit int
}

func newSearch(a *app) *cobra.Command {
	o := &searchOptions{readOptions: readOptions{app: a}}
	cmd := &cobra.Command{
		Use:   "search TEXT",
		Short: "Find text in the files of all artifacts",
		Long: "Find text in the whole files of the last completed scan, now or --as-of a point in time: of artifacts of every kind, in\n" +
			"evidence packages, and files that could not be parsed. TEXT is literal and on one line. Case is ignored as Unicode's\n" +
			"simple case folding has it: é finds É, and not e; ß does not find ss. Retired repositories are left out.",
		Example: "  gxpledger search 'audit trail'\n" +
			"  gxpledger search password --as-of 2026-03-01\n" +
			"  gxpledger search 21CFR11 --repository product --output found.csv",
		Args: func(cmd *cobra.Command, args []string) error { return takes(cmd, args, 1, 1, "one TEXT") },
		RunE: func(cmd *cobra.Command, args []string) error {
			o.text = args[0]
			if o.limit < 0 {
				return usage("the flag --limit does not take %d: want a number from 1, or 0 for the default", o.limit)
			}
			if err := o.chooseFormat(a, cmd); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	o.add(cmd)
	o.addRetired(cmd)
	o.addDocument(cmd, formatCSV, formatHTML)
	cmd.Flags().IntVar(&o.limit, "limit", gxpledger.SearchLimit, "maximum number `N` of matches that are listed")
	return cmd
}

func (o *searchOptions) run(ctx context.Context) error {
	return o.read(ctx, withHistory, func(v *view) error {
		without := o.leaveOutRetired(v)
		found, err := v.Search(ctx, gxpledger.SearchRequest{
			Text: o.text, Limit: o.limit, Scope: query.Scope{RepositoryID: v.repositoryID, WithoutRetired: without},
		})
		switch {
		case errors.Is(err, gxpledger.ErrInvalid):
			return usage("search does not take %q: want text on one line", o.text)
		case errors.Is(err, eventstore.ErrNotFound):
			return failed(err, "%v: run gxpledger verify", err)
		case err != nil:
			return err
		}
		note := ""
		if len(found.Matches) == 0 {
			note = noMatch("line of "+render.CountOf(found.Files, "file", "files"), givenFilter{name: "TEXT", value: o.text},
				givenFilter{name: "--repository", value: o.repository})
		}
		filters := given(render.Filter{Name: "TEXT", Value: o.text}, render.Filter{Name: "repository", Value: o.repository})
		return o.deliver(v, reportDocument(searchDocument{v.head(), filters, found, note},
			func(screen *render.Screen) { showFound(screen, v, found, note) },
			func() render.Report { return render.SearchReport(v.source(filters), found, note) }))
	})
}

func showFound(screen *render.Screen, v *view, found gxpledger.Found, note string) {
	t := render.NewList("Repository", "Location", "Kind", "ID", "Text")
	for _, m := range found.Matches {
		t.Add(v.of(m.Repository), render.Location(m.Path, m.Line, 0), render.Spaced(m.Kind), render.FileID(m.File), render.MatchText(m))
	}
	screen.List(t)
	if note != "" {
		screen.Line("%s", note)
	} else {
		screen.Blank()
		screen.Line("%s", render.Faint.Of(render.CountOf(len(found.Matches)+found.More, "match", "matches")+" in "+render.CountOf(found.Files, "file", "files")+" that were searched"))
	}
	for _, line := range render.SearchNotes(found) {
		screen.Line("%s", render.Notice.Of(line))
	}
}
