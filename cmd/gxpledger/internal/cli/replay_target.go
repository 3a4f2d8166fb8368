package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/query"
	"github.com/gxpledger/gxpledger/projections"
	tablespostgres "github.com/gxpledger/gxpledger/projections/postgres"
	tablesqlite "github.com/gxpledger/gxpledger/projections/sqlite"
)

// replayTarget is where tables are made that somebody keeps: any database of projections.
type replayTarget struct {
	name  string // for people, without passwords
	db    projections.Database
	query *query.Reader // of the tables, once they are made
	// describe adds what the tables are.
	describe func(context.Context, projections.Origin) error
	// finish puts the tables in their place, whole. Nothing is there before.
	finish func() error
	// free frees what the target holds, and removes what was not put in its place.
	free func() error
}

// openReplayTarget opens the place that --into names. A kind of database that tables can be kept in is a case here.
func (a *app) openReplayTarget(ctx context.Context, into string, force bool) (*replayTarget, error) { //revive:disable-line:flag-parameter // what the user said
	scheme, _, isURL := strings.Cut(into, "://")
	switch {
	case !isURL:
		return a.openReplayFile(ctx, into, force)
	case scheme == "postgres" || scheme == "postgresql":
		return a.openReplaySchema(ctx, into, force)
	default:
		return nil, usage("--into cannot make tables at %s addresses: name a file, such as --into audit.db, or %s", scheme, tablesAddress)
	}
}

// openReplaySchema makes a schema of a PostgreSQL database, which is beside its place until it is finished.
func (a *app) openReplaySchema(ctx context.Context, into string, force bool) (*replayTarget, error) { //revive:disable-line:flag-parameter // what the user said
	at := tablesURL{logURL{text: into}}
	if err := at.check(); err != nil {
		return nil, usage("%s", strings.ReplaceAll(err.Error(), "--db", "--into"))
	}
	url, place := at.place()
	if place.Schema == "" {
		return nil, usage("--into names no schema: want %s, with the name of a schema that is not there yet", tablesAddress)
	}
	defer a.waitFor("the server at " + at.String())()
	kept, err := tablespostgres.MakeKept(ctx, url, tablespostgres.Options{Now: a.system.Now, Place: place}, force)
	switch {
	case errors.Is(err, tablespostgres.ErrSchemaExists):
		return nil, failed(err, "the schema %s at %s exists already: name another, or, when gxpledger replay made it, replace it with --force", place.Schema, at.String())
	case err != nil && ctx.Err() == nil:
		return nil, failed(at.hideIn(err), "no tables can be made at %s: %s", at.String(), at.hide(oneLine(err.Error())))
	case err != nil:
		return nil, err
	}
	return &replayTarget{
		name: at.String(), db: kept, query: query.NewReader(kept.Query(), query.Postgres), describe: kept.WriteOrigin,
		finish: func() error { return kept.Keep(ctx) }, free: kept.Close,
	}, nil
}

// openReplayFile makes a SQLite file, which is beside its place until it is finished.
func (a *app) openReplayFile(ctx context.Context, path string, force bool) (_ *replayTarget, err error) { //revive:disable-line:flag-parameter // what the user said
	if err := replaceable(ctx, path, force); err != nil {
		return nil, err
	}
	whole, err := newWholeFile(path)
	if err != nil {
		return nil, err
	}
	db, err := tablesqlite.OpenKept(ctx, whole.temporary, tablesqlite.Options{Now: a.system.Now})
	if err != nil {
		return nil, errors.Join(err, whole.discard())
	}
	return &replayTarget{
		name: path, db: db, query: query.NewReader(db.Query(), query.SQLite), describe: db.WriteOrigin,
		finish: func() error {
			err := db.Close()
			if err == nil {
				err = whole.keep(force)
			}
			if errors.Is(err, fs.ErrExist) {
				return exists(path)
			}
			return err
		},
		free: func() error { return errors.Join(db.Close(), whole.discard()) },
	}, nil
}

// replaceable refuses a place where something is, unless force is set and it is nothing that would be missed: a database
// that replay did not make may be a log, which is the record itself.
func replaceable(ctx context.Context, path string, force bool) error { //revive:disable-line:flag-parameter // what the user said
	for _, beside := range []string{"-wal", "-shm", "-journal"} {
		if _, err := os.Lstat(path + beside); err == nil {
			return failed(nil, "%s is there, so that a database at %s is in use or was not closed: name another file", path+beside, path)
		}
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return failed(err, "the file %s cannot be made (%v): name another", path, err)
	case info.IsDir():
		return usage("--into names the folder %s: name a file in it, such as %s", path, path+string(os.PathSeparator)+"audit.db")
	case !force:
		return exists(path)
	case !isDatabase(path):
		return nil
	}
	if kept, err := tablesqlite.IsKept(ctx, path); err != nil || !kept {
		return failed(err, "%s is a database that gxpledger replay did not make, and is not replaced: name another file", path)
	}
	return nil
}

func exists(path string) error {
	return failed(fs.ErrExist, "%s exists already: name another file, or replace it with --force", path)
}

// madeBy names this program and its version.
func madeBy() string {
	info := buildInfo()
	text := fmt.Sprintf("gxpledger %s", info.Version)
	if info.Commit != "" {
		text += ", commit " + info.Commit
	}
	return text
}
