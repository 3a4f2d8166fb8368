package gxpledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/config"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/query"
	"github.com/gxpledger/gxpledger/projections/run"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// The names of the projections.
const (
	Artifacts = "artifacts"
	Audit     = "audit"
	History   = "history"
)

// ViewOptions say what to look at. The zero value is everything, now.
type ViewOptions struct {
	// AsOf is a point in time, as [query.ParsePoint] reads it. "" is now.
	AsOf string
	// Repository limits the view to one repository, by name, address or id, whose scans a point in time counts.
	Repository string
	// Projections are those whose tables are needed: [Artifacts], [Audit], [History]. Nil for all. The tables of others may
	// be missing or behind.
	Projections []string
	// Progress is told how far the replay is, from several goroutines. It must not block. Nil for nobody.
	Progress func(at, of eventstore.Position)
}

// AsOf returns the options of a view of everything at a point in time, as [query.ParsePoint] reads it.
func AsOf(when string) ViewOptions { return ViewOptions{AsOf: when} }

// View is one state of the record: what the tables showed at one position of the log. All its methods see the same state,
// whatever is recorded meanwhile. It ends with the context that it was opened with. Close it, before the ledger. One goroutine
// at a time may use it.
type View struct {
	*query.Reader

	// Shown says which state it is: position, time, and for each repository the scan, the commit and whether later scans
	// failed (I16).
	Shown   query.Shown
	ledger  *Ledger
	options ViewOptions
	log     eventstore.Log
	tables  config.TablesDB
	asOf    bool
	runner  *run.Runner
	tx      *sql.Tx
}

// View opens a view. For one of the present it catches up the tables first, if this process may write them, and waits
// while another one does that. For one as of an earlier point it builds tables of its own in a temporary file, up to the
// position of that point in time; the present ones are only asked about numbers and commits of scans.
//
// Errors: [ErrNoLog], [ErrLogLost], a *[query.PointError] for AsOf, a *[query.UnknownError] or *[query.AmbiguousError] for a
// repository, scan or commit, [query.ErrEmpty] where nothing was recorded, and those of package projections for tables that
// cannot catch up.
func (l *Ledger) View(ctx context.Context, options ViewOptions) (*View, error) {
	point, err := query.ParsePoint(options.AsOf)
	if options.AsOf != "" && err != nil {
		return nil, err
	}
	for _, name := range options.Projections {
		if !slices.ContainsFunc(tables.All(), func(p projections.Projection) bool { return p.Name == name }) {
			return nil, fmt.Errorf("view: %w: there is no projection %q", ErrInvalid, name)
		}
	}
	v := &View{ledger: l, options: options, asOf: options.AsOf != ""}
	if v.log, err = l.openLog(ctx, config.ToRead); err != nil {
		return nil, err
	}
	if v.asOf {
		err = v.openAsOf(ctx, point)
	} else if err = v.openPresent(ctx); err == nil {
		err = v.reach(ctx, 0)
	}
	if err != nil {
		return nil, errors.Join(err, v.Close())
	}
	return v, nil
}

// openPresent opens the tables of the ledger as they are.
func (v *View) openPresent(ctx context.Context) (err error) {
	if v.tables, err = v.ledger.openTables(ctx); err != nil {
		return err
	}
	v.runner, err = v.ledger.newRunner(v.log, v.tables, nil, nil)
	return err
}

// openAsOf builds tables as they were at a point in time.
func (v *View) openAsOf(ctx context.Context, point query.Point) error {
	resolved, err := v.ledger.Locate(ctx, point, v.options.Repository)
	if err != nil {
		return err
	}
	if v.tables, err = config.OpenScratchTables(ctx, v.ledger.config.Now); err != nil {
		return err
	}
	if err := v.ledger.replay(ctx, resolved, v.tables, v.options); err != nil {
		return err
	}
	if err := v.begin(ctx, query.SQLite); err != nil {
		return err
	}
	v.Shown, err = v.Reader.Shown(ctx, resolved, v.options.Repository)
	return err
}

// replay builds tables in an empty database, as they were at a position of the log, by the code that builds the present ones.
func (l *Ledger) replay(ctx context.Context, point query.ResolvedPoint, into projections.Database, options ViewOptions) error {
	log, err := l.openLog(ctx, config.ToRead)
	if err != nil {
		return err
	}
	needed := slices.DeleteFunc(tables.All(), func(p projections.Projection) bool {
		return options.Projections != nil && !slices.Contains(options.Projections, p.Name)
	})
	runner, err := l.newRunner(log, into, needed, func(p run.Progress) {
		if options.Progress != nil {
			options.Progress(p.Position, point.Position)
		}
	})
	if err != nil {
		return err
	}
	_, err = runner.AsOf(ctx, point.Position, into)
	return err
}

// begin makes all queries of the view see the same state.
func (v *View) begin(ctx context.Context, dialect query.Dialect) (err error) {
	if v.tx, err = v.tables.Query().BeginTx(ctx, &sql.TxOptions{ReadOnly: true}); err != nil {
		return err
	}
	v.Reader = query.NewReader(v.tx, dialect)
	return nil
}

// end frees what begin took.
func (v *View) end() error {
	if v.tx == nil {
		return nil
	}
	err := v.tx.Rollback()
	v.tx = nil
	if errors.Is(err, sql.ErrTxDone) { // done when the context ended
		return nil
	}
	return err
}

// Close ends the view.
func (v *View) Close() error {
	err := v.end()
	if v.tables != nil {
		err = errors.Join(err, v.tables.Close())
		v.tables = nil
	}
	return err
}

// IsAsOf reports whether the view is as of a point in time, and not of the present.
func (v *View) IsAsOf() bool { return v.asOf }

// Reach makes a view of the present show the position at, which may have been recorded since it was opened, and whatever else
// was recorded meanwhile; 0 stands for the head of the log. It waits until the tables have reached that position, whichever
// process writes them, but for those of a paused projection, see [Ledger.CatchUp]. After an error the view can only be closed.
//
// Errors: those of [Ledger.View], and one for a view as of a point in time, which never changes.
func (v *View) Reach(ctx context.Context, at eventstore.Position) error {
	if v.asOf {
		return errors.New("cannot update a view as of a point in time: open another one")
	}
	if err := v.end(); err != nil {
		return err
	}
	return v.reach(ctx, at)
}

func (v *View) reach(ctx context.Context, at eventstore.Position) error {
	if err := v.ledger.catchUp(ctx, v.runner, at, v.options.Projections); err != nil {
		return err
	}
	if err := v.begin(ctx, v.ledger.settings.Dialect()); err != nil {
		return err
	}
	point, err := v.Present(ctx)
	if err != nil {
		return err
	}
	head, err := v.log.Head(ctx)
	if err != nil {
		return err
	}
	point.Head = max(head, point.Position)
	v.Shown, err = v.Reader.Shown(ctx, point, v.options.Repository)
	return err
}

// Locate finds a point in time in the record that a view of the present shows. It waits for the log. Errors: those of
// [Ledger.View].
func (v *View) Locate(ctx context.Context, point query.Point, repository string) (query.ResolvedPoint, error) {
	present := func(context.Context) (*query.Reader, error) { return v.Reader, nil }
	finder := query.Finder{Log: v.log, Now: v.ledger.config.Now, Scans: present, Known: present}
	return finder.Find(ctx, point, repository)
}

// Locate finds a point in time in the log. Numbers and commits of scans are looked up in the tables: for these it waits until
// the tables have caught up, for other points only for the log. Errors: those of [Ledger.View].
func (l *Ledger) Locate(ctx context.Context, point query.Point, repository string) (_ query.ResolvedPoint, err error) {
	finder, free, err := l.finder(ctx)
	if err != nil {
		return query.ResolvedPoint{}, err
	}
	defer func() { err = errors.Join(err, free()) }()
	return finder.Find(ctx, point, repository)
}

// PositionBefore returns the position of the last recorded event at or before a number that a person typed, 0 before the
// first one, to [Ledger.Follow] or read from: a position of some logs is not a count (I19). It waits for the log, and not
// for the tables. Errors: [ErrNoLog], [ErrLogLost], [ErrClosed], and those of package eventstore.
func (l *Ledger) PositionBefore(ctx context.Context, number uint64) (_ eventstore.Position, err error) {
	finder, free, err := l.finder(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, free()) }()
	return finder.LastAtOrBefore(ctx, number)
}

// finder finds points in time in the log, with the help of the present tables, which it opens when they are needed.
func (l *Ledger) finder(ctx context.Context) (_ query.Finder, free func() error, err error) {
	log, err := l.openLog(ctx, config.ToRead)
	if err != nil {
		return query.Finder{}, nil, err
	}
	var opened []func() error
	look := func(ctx context.Context, ready func(*run.Runner) error) (*query.Reader, error) {
		present := &View{ledger: l, log: log}
		if err := present.openPresent(ctx); err != nil {
			return nil, errors.Join(err, present.Close())
		}
		opened = append(opened, present.Close)
		if err := ready(present.runner); err != nil {
			return nil, err
		}
		if err := present.begin(ctx, l.settings.Dialect()); err != nil {
			return nil, err
		}
		return present.Reader, nil
	}
	const knownTimeout = 3 * time.Second // the log knows all that the tables know
	finder := query.Finder{
		Log: log, Now: l.config.Now,
		Scans: func(ctx context.Context) (*query.Reader, error) {
			return look(ctx, func(r *run.Runner) error {
				return l.catchUp(ctx, r, 0, []string{Artifacts})
			})
		},
		Known: func(ctx context.Context) (*query.Reader, error) {
			if err := l.settings.FindTables(); err != nil {
				return nil, err // opening would create them
			}
			ctx, cancel := context.WithTimeout(ctx, knownTimeout)
			opened = append(opened, func() error { cancel(); return nil })
			return look(ctx, func(r *run.Runner) error { return inspect.Check(ctx, r.Pipeline) })
		},
	}
	return finder, func() error {
		var errs []error
		for _, end := range slices.Backward(opened) {
			errs = append(errs, end())
		}
		return errors.Join(errs...)
	}, nil
}

// CatchUp applies the events up to position to, 0 for the head of the log, to the tables of the projections named, or of all,
// and waits while another process does that. Tables that stay behind because an administrator paused their projection are no
// failure: [Config.Lagging] is told. Errors: those of package projections.
func (l *Ledger) CatchUp(ctx context.Context, to eventstore.Position, needed ...string) error {
	log, err := l.openLog(ctx, config.ToRead)
	if err != nil {
		return err
	}
	v := &View{ledger: l, log: log}
	if err = v.openPresent(ctx); err == nil {
		err = l.catchUp(ctx, v.runner, to, needed)
	}
	return errors.Join(err, v.Close())
}

// catchUp catches up the tables. Those that stay behind because an administrator paused them are no failure, and those of a
// projection that stopped at an event, or that another process writes for longer than Config.Wait, are one only where they are
// among needed, the projections whose tables are shown; none needs all. Both are told as behind, except paused ones that are not needed.
func (l *Ledger) catchUp(ctx context.Context, runner *run.Runner, to eventstore.Position, needed []string) error {
	late, rest := projections.SplitErrors(runner.CatchUp(ctx, to))
	errs := []error{rest}
	tell := func(err error) {
		if l.config.Lagging != nil {
			l.config.Lagging(err)
		}
	}
	for _, b := range late {
		shown := len(needed) == 0 || slices.Contains(needed, b.Projection)
		paused, held := errors.AsType[*projections.PausedError](b)
		stopped, failed := errors.AsType[*projections.EventError](b)
		switch {
		case held && shown:
			tell(paused)
		case held:
		case failed && !shown:
			tell(stopped)
		case errors.Is(b, projections.ErrLeaseHeld) && !shown:
			tell(b)
		default:
			errs = append(errs, b)
		}
	}
	return errors.Join(errs...)
}
