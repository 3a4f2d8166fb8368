package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gxpledger/gxpledger/internal/durable"
	"github.com/gxpledger/gxpledger/internal/sqlitefault"
)

// Copy writes the log at path to a new file, in one read transaction and flushed to disk: the copy is the log as it was at one position.
// Processes may append meanwhile. The tables, indexes, triggers and the id are those of the log; the copy needs no other file.
//
// VACUUM INTO reads every row and makes every index again, so that free and damaged pages are not copied on without a word, as
// SQLite's backup interface does; and that one would begin again whenever another process writes.
//
// Errors: one that wraps [os.ErrExist] where there is a file, of which nothing is changed, and those of [OpenReadOnly].
func Copy(ctx context.Context, path, into string) error {
	file, err := durable.Create(into, nil)
	if err != nil {
		return fmt.Errorf("cannot copy log %s: %w", path, err)
	}
	err = errors.Join(file.Close(), vacuumInto(ctx, path, into))
	if err == nil {
		err = flush(into)
	}
	if err != nil {
		return fmt.Errorf("cannot copy log %s: %w", path, errors.Join(translate(sqlitefault.Explain(err, path, false)), os.Remove(into)))
	}
	return nil
}

func vacuumInto(ctx context.Context, path, into string) (err error) {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	path, into, err = absolute(path, into)
	if err != nil {
		return err
	}
	db, err := connect(path, Options{}.withDefaults(), "mode=ro") // query_only would refuse to write the copy
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", into)
	return errors.Join(err, db.Close())
}

func absolute(path, into string) (fullPath, fullInto string, err error) {
	fullPath, err = filepath.Abs(path)
	if err == nil {
		fullInto, err = filepath.Abs(into)
	}
	return fullPath, fullInto, err
}

func flush(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // it was just made
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
