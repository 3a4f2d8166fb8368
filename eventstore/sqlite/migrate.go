package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gxpledger/gxpledger/migrations"
)

// Status reads how far the log at path is, and changes nothing. When there is no file, [Open] would apply all migrations.
func Status(ctx context.Context, path string) (migrations.Status, error) {
	return status(ctx, path, Options{}.withDefaults())
}

func status(ctx context.Context, path string, options Options) (status migrations.Status, err error) {
	set, err := migrations.SQLiteLog()
	if err != nil {
		return status, err
	}
	all := set.Migrations()
	full, err := filepath.Abs(path)
	if err != nil {
		return status, err
	}
	if _, err := os.Stat(full); errors.Is(err, fs.ErrNotExist) {
		return migrations.Status{Missing: all}, nil
	}
	db, err := connect(full, options, "mode=ro")
	if err != nil {
		return status, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	missing, err := set.Missing(ctx, db)
	if err != nil {
		return status, fmt.Errorf("cannot read the migrations of %s: %w", path, translate(err))
	}
	return migrations.Status{Applied: all[:len(all)-len(missing)], Missing: missing}, nil
}
