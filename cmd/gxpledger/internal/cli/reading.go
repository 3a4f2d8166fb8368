package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/config"
	"github.com/gxpledger/gxpledger/projections/query"
	"github.com/gxpledger/gxpledger/projections/run"
)

// opened is the log and the tables as they are. Nothing was brought up to date. Close it.
type opened struct {
	log    eventstore.Log
	tables config.TablesDB
	runner *run.Runner
}

// openStill opens the log for reading and the tables as they are. Nothing is brought up to date, so that it works where
// that would fail. open opens the log, for reading or appending. The caller closes it.
func (a *app) openStill(ctx context.Context, open func(context.Context) (eventstore.Log, error)) (_ *opened, err error) {
	if err := a.requireLog(); err != nil {
		return nil, err
	}
	o := &opened{}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.close())
		}
	}()
	if o.log, err = open(ctx); err != nil {
		return nil, err
	}
	if o.tables, err = a.openTables(ctx); err != nil {
		return nil, err
	}
	if o.runner, err = a.newRunner(o.log, o.tables); err != nil {
		return nil, err
	}
	return o, nil
}

func (o *opened) close() error {
	var errs []error
	if o.tables != nil {
		errs = append(errs, o.tables.Close())
	}
	if o.log != nil {
		errs = append(errs, o.log.Close())
	}
	return errors.Join(errs...)
}

// asked turns the errors of queries into the sentences that users read.
func asked(err error) error {
	if wrong, ok := errors.AsType[*query.PointError](err); ok {
		return usage("%s", wrong.Error())
	}
	if ambiguous, ok := errors.AsType[*query.AmbiguousError](err); ok {
		return usage("%s, with the flag --%s", ambiguous.Error(), ambiguous.What)
	}
	if unknown, ok := errors.AsType[*query.UnknownError](err); ok {
		return failed(err, "%s", whereToLook(unknown))
	}
	if errors.Is(err, query.ErrEmpty) {
		return failed(err, "no scan was recorded yet: record one with gxpledger scan")
	}
	return err
}

// whereToLook ends the sentence of what is unknown with what to do.
func whereToLook(unknown *query.UnknownError) string {
	text := "there is " + unknown.Error()
	if len(unknown.Near) == 0 && unknown.Hint == "" {
		text += "; nothing known is near it"
	}
	return text
}

// document writes the result of a command for programs.
func (a *app) document(v any) error { return render.Document(a.system.Stdout, v) }

// repositoryFlag is the flag --repository.
type repositoryFlag struct{ name string }

func (f *repositoryFlag) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.name, "repository", "", "only this repository, by `NAME` or id")
}

// id returns the id of the repository that was named; "" when none was.
func (f *repositoryFlag) id(ctx context.Context, v *view) (string, error) {
	if f.name == "" {
		return "", nil
	}
	found, err := v.Find(ctx, f.name)
	return found.ID, err
}

// several reports whether the log holds more than one repository and the command shows them all, so that each line must
// say which it is of.
func (f *repositoryFlag) several(ctx context.Context, v *view) (bool, error) {
	if f.name != "" {
		return false, nil
	}
	all, err := v.Repositories(ctx)
	return len(all) > 1, err
}

// table collects rows for a screen. A column that is empty in every row is left out.
type table struct{ render.Table }

// columns begins a table. A title that ends in > is of numbers.
func columns(titles ...string) *table {
	t := &table{}
	for _, title := range titles {
		column := render.Column{Title: title}
		if number, ok := strings.CutSuffix(title, ">"); ok {
			column = render.Column{Title: number, Align: render.Right}
		}
		t.Columns = append(t.Columns, column)
	}
	return t
}

// show writes the table without its empty columns.
func (t *table) show(screen *render.Screen) {
	var kept render.Table
	var at []int
	for j, column := range t.Columns {
		if t.holds(j) {
			kept.Columns, at = append(kept.Columns, column), append(at, j)
		}
	}
	for _, row := range t.Rows {
		cells := make([]any, len(at))
		for i, j := range at {
			cells[i] = row[j]
		}
		kept.Add(cells...)
	}
	screen.Table(kept)
}

func (t *table) holds(column int) bool {
	for _, row := range t.Rows {
		if cell := row[column]; cell != nil && cell != "" {
			return true
		}
	}
	return false
}

// revision names what a scan read, in a few characters.
func revision(c query.Claims) string {
	switch {
	case c.Worktree && c.Commit == "":
		return "work tree"
	case c.Worktree && c.Dirty:
		return "work tree, changed since " + render.Short(c.Commit)
	case c.Worktree:
		return "work tree at " + render.Short(c.Commit)
	case c.Commit == "":
		return c.Ref
	case c.Ref == "" || strings.HasPrefix(c.Commit, c.Ref):
		return render.Short(c.Commit)
	default:
		return c.Ref + " " + render.Short(c.Commit)
	}
}

// good paints a word that is what one hopes for, and any other as bad.
func good(word, hoped string) render.Styled {
	if word == hoped {
		return render.Good.Of(word)
	}
	return render.Bad.Of(word)
}

// takes checks the number of arguments.
func takes(cmd *cobra.Command, args []string, least, most int, names string) error {
	switch {
	case len(args) < least:
		return usage("%s needs %s: %s --help shows examples", cmd.CommandPath(), names, cmd.CommandPath())
	case len(args) > most:
		return usage("%s takes %s: leave out %q", cmd.CommandPath(), names, args[most])
	}
	return nil
}

// readingCommands are the commands that show, prove and rebuild what scans recorded.
func readingCommands(a *app) []*cobra.Command {
	return []*cobra.Command{
		newScans(a), newShow(a), newHistory(a), newDiff(a), newGaps(a), newMatrix(a), newReplay(a), newAudit(a), newContent(a), newLog(a), newProjections(a), newVerify(a),
	}
}
