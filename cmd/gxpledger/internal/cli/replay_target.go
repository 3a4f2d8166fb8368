package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/gxpledger/gxpledger/internal/config"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/query"
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
	if !strings.Contains(into, "://") {
		return a.openReplayFile(ctx, into, force)
	}
	at := config.Address(into)
	defer a.waitFor("the server at " + at.String())()
	export, err := config.CreateExport(ctx, at, config.ExportOptions{Now: a.system.Now, Replace: force})
	wrong, ok := errors.AsType[*config.Error](err)
	switch {
	case ok && errors.Is(err, config.ErrInvalid):
		return nil, usage("--into: %s: %s; or name a file, such as --into audit.db", wrong.Problem, wrong.Remedy)
	case ok && errors.Is(err, config.ErrExportExists):
		return nil, failed(err, "%s: %s, or, when gxpledger replay made it, replace it with --force", wrong.Problem, wrong.Remedy)
	case err != nil:
		return nil, err
	}
	return &replayTarget{
		name: at.String(), db: export, query: query.NewReader(export.Query(), config.DialectOf(at)), describe: export.WriteOrigin,
		finish: func() error { return export.Publish(ctx) }, free: export.Close,
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
	db, err := config.CreateExportFile(ctx, whole.temporary, a.system.Now)
	if err != nil {
		return nil, errors.Join(err, whole.discard())
	}
	return &replayTarget{
		name: path, db: db, query: query.NewReader(db.Query(), query.SQLite), describe: db.WriteOrigin,
		finish: func() error {
			err := db.Publish(ctx)
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
	}
	if err := plainOrAbsent("into", path); err != nil {
		return err
	}
	if !isDatabase(path) {
		return nil
	}
	if kept, err := config.IsExportFile(ctx, path); err != nil || !kept {
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
