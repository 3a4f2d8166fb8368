package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/query"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	tablesqlite "github.com/gxpledger/gxpledger/projections/sqlite"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// asOfFlag is the flag --as-of: the point in time at which a command looks. The zero value is now.
type asOfFlag struct{ point query.Point }

var _ pflag.Value = (*asOfFlag)(nil)

func (f *asOfFlag) add(cmd *cobra.Command) {
	cmd.Flags().Var(f, "as-of", "what was so at this point in time: `WHEN` is a date, a time, pos:N, scan:N or commit:SHA (default: now)")
}

// Set reads a point in time.
func (f *asOfFlag) Set(text string) (err error) {
	f.point, err = query.ParsePoint(text)
	if wrong, ok := errors.AsType[*query.PointError](err); ok {
		return wrongValue("%s", wrong.Want)
	}
	return err
}

// String returns the point as it was given.
func (f *asOfFlag) String() string { return f.point.String() }

// Type names the value in the help.
func (*asOfFlag) Type() string { return "WHEN" }

// pastDocument is what every document of a reading command begins with: which past it shows, or nothing for the present.
type pastDocument struct {
	AsOf *query.Shown `json:"as_of,omitempty"`
}

// looking is what a command looks at.
type looking struct {
	asOf       asOfFlag
	repository repositoryFlag // whose scans a point in time counts
	needs      []string       // the projections whose tables are shown
}

// The projections that commands show.
const (
	artifactTables = "artifacts"
	auditTables    = "audit"
	historyTables  = "history"
)

// lookAt opens what scans have made, now or at a point in time, for the time of one call of use. Tables that it does not
// need may be as they are.
func (a *app) lookAt(ctx context.Context, l looking, use func(*view) error) (err error) {
	v, err := a.openViewAt(ctx, l)
	if err != nil {
		return asked(err)
	}
	defer func() { err = errors.Join(err, v.close()) }()
	return v.asked(use(v))
}

// openViewAt opens what scans had made at a point in time: tables of their own, folded from the log by the code that folds
// the present ones, which are neither needed nor touched but to look up a scan or commit. They are gone when the view is
// closed.
func (a *app) openViewAt(ctx context.Context, l looking) (_ *view, err error) {
	at, repository := l.asOf.point, l.repository.name
	if at.IsNow() {
		return a.openView(ctx, l.needs)
	}
	v := &view{needs: l.needs, dialect: query.SQLite}
	defer func() {
		if err != nil {
			err = errors.Join(err, v.close())
		}
	}()
	if v.log, err = a.openLogToRead(ctx); err != nil {
		return nil, err
	}
	place, err := a.find(ctx, v.log, at, repository)
	if err != nil {
		return nil, err
	}
	if v.tables, err = tablesqlite.OpenScratch(ctx, "", tablesqlite.Options{Now: a.system.Now}); err != nil {
		return nil, err
	}
	if v.runner, err = a.replay(ctx, v.log, past{place, l.needs}, v.tables); err != nil {
		return nil, err
	}
	if err := v.begin(ctx); err != nil {
		return nil, err
	}
	past, err := v.query.Shown(ctx, place, repository)
	if err != nil {
		return nil, err
	}
	v.past = &past
	return v, nil
}

// find finds a point in time in the log. Numbers and commits of scans are looked up in the present tables.
func (a *app) find(ctx context.Context, log eventstore.Log, at query.Point, repository string) (_ query.Place, err error) {
	var present *view
	defer func() {
		if present != nil {
			err = errors.Join(err, present.close())
		}
	}()
	finder := query.Finder{Log: log, Now: a.system.Now, Scans: func(ctx context.Context) (_ *query.Reader, err error) {
		if present, err = a.openStill(ctx, func(context.Context) (eventstore.Log, error) { return lent{log}, nil }); err != nil {
			return nil, err
		}
		if err := a.bring(ctx, present.runner, 0, []string{artifactTables}); err != nil {
			return nil, err
		}
		if err := present.begin(ctx); err != nil {
			return nil, err
		}
		return present.query, nil
	}}
	return finder.Find(ctx, at, repository)
}

// find finds a point in time in the log of v, which is of the present.
func (v *view) find(ctx context.Context, a *app, at query.Point, repository query.Repository) (query.Place, error) {
	finder := query.Finder{Log: v.log, Now: a.system.Now, Scans: func(context.Context) (*query.Reader, error) { return v.query, nil }}
	return finder.Find(ctx, at, repository.ID)
}

// reach makes v, which is of the present, show a position that may have been recorded since it was opened.
func (v *view) reach(ctx context.Context, a *app, at eventstore.Position) error {
	if err := v.tx.Rollback(); err != nil {
		return err
	}
	if err := a.bring(ctx, v.runner, at, v.needs); err != nil {
		return err
	}
	return v.begin(ctx)
}

// lent is a log that whoever it was lent to does not close.
type lent struct{ eventstore.Log }

// Close does nothing.
func (lent) Close() error { return nil }

// past is what is replayed: up to where, and for which projections; nil for all.
type past struct {
	place query.Place
	needs []string
}

// projections returns the definitions that are needed.
func (p past) projections() []projections.Projection {
	return slices.DeleteFunc(tables.All(), func(each projections.Projection) bool {
		return p.needs != nil && !slices.Contains(p.needs, each.Name)
	})
}

// replay makes tables in a database that has none, as they were at a place of the log, and tells somebody who waits at a
// terminal how far it is.
func (a *app) replay(ctx context.Context, log eventstore.Log, p past, into projections.Database) (*projections.Runner, error) {
	progress := a.progress()
	defer progress.Done()
	config := a.runnerConfig()
	config.Observe = func(done projections.Progress) {
		progress.Say(fmt.Sprintf("replaying the log: position %d of %d", done.Position, p.place.Position))
	}
	runner, err := projections.NewRunner(log, into, p.projections(), config)
	if err != nil {
		return nil, err
	}
	_, err = runner.AsOf(ctx, p.place.Position, into)
	return runner, err
}

// screenOf is the screen for what v shows. It begins with which past that is, so that nobody takes it for the present.
func (a *app) screenOf(v *view) *render.Screen { return a.screenOn(a.system.Stdout, v) }

// screenOn is screenOf for another writer.
func (a *app) screenOn(w io.Writer, v *view) *render.Screen {
	screen := render.NewScreen(w, render.Detect(w, a.colour, a.system.Env))
	if v.past != nil {
		showPast(screen, *v.past)
		screen.Blank()
	}
	return screen
}

// notePast says on standard error which past is shown, where standard output is for something else.
func (a *app) notePast(v *view) error {
	if v.past == nil {
		return nil
	}
	notes := a.notes()
	showPast(notes, *v.past)
	return notes.Err()
}

// document is what the documents of v begin with.
func (v *view) document() pastDocument { return pastDocument{AsOf: v.past} }

// mostScans is how many scans a line names.
const mostScans = 3

func showPast(screen *render.Screen, p query.Shown) {
	trees := ""
	for i, s := range p.Scans {
		if i == mostScans {
			trees += fmt.Sprintf(" and %d more", len(p.Scans)-i)
			break
		}
		if i > 0 {
			trees += ","
		}
		trees += fmt.Sprintf(" scan %d of %s", s.Scan, s.Repository)
		if s.Commit != "" {
			trees += " (" + render.Short(s.Commit) + ")"
		}
	}
	if trees == "" {
		trees = " no completed scan"
	}
	screen.Line("%s position %d of %d, recorded at %s, after%s.", render.Notice.Of("As of "+p.Given+":"), uint64(p.Position), uint64(p.Head), p.RecordedAt, trees)
}

// asked turns the errors of queries into the sentences that users read. What is not in a past may be in the present.
func (v *view) asked(err error) error {
	said := asked(err)
	fault, ok := errors.AsType[*faultError](said)
	if v.past == nil || !ok || !errors.Is(err, query.ErrUnknown) && !errors.Is(err, query.ErrEmpty) {
		return said
	}
	if errors.Is(err, query.ErrEmpty) {
		return failed(err, "no scan was recorded as of %s, position %d of %s", v.past.Given, v.past.Position, render.Time(v.past.RecordedAt))
	}
	return failed(err, "%s; this is as of %s, position %d of %s", fault.text, v.past.Given, v.past.Position, render.Time(v.past.RecordedAt))
}
