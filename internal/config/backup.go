package config

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gxpledger/gxpledger/eventstore/feed"
	cursorssqlite "github.com/gxpledger/gxpledger/eventstore/feed/sqlite"
	logsqlite "github.com/gxpledger/gxpledger/eventstore/sqlite"
	"github.com/gxpledger/gxpledger/internal/backup"
)

// LogFileName is the name of the log in a home.
const LogFileName = logFile

// CursorsFileName is the name of the store of cursors in a home.
const CursorsFileName = cursorssqlite.FileName

// CopyHome copies what a backup of a home holds into a folder: the log, the cursors, the failures in the spool, which no log has yet, and the
// configuration file. The rest is made again from the log (the tables, what processes note for each other) or is temporary.
func (s Settings) CopyHome(ctx context.Context, folder string) error {
	// The spool first: a failure that is recorded meanwhile is then in both, and recorded once (I2).
	entries, err := os.ReadDir(s.SpoolFolder())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		if name := entry.Name(); entry.Type().IsRegular() && strings.HasSuffix(name, ".json") {
			if err := backup.Add(folder, spoolDir+"/"+name, filepath.Join(s.SpoolFolder(), name)); err != nil {
				return err
			}
		}
	}
	if file, err := filepath.EvalSymlinks(filepath.Join(s.HomeFolder(), FileName)); err == nil { // of a named home it may be a link
		if err := backup.Add(folder, FileName, file); err != nil {
			return err
		}
	}
	if err := s.copyCursors(ctx, folder); err != nil {
		return err
	}
	return logsqlite.Copy(ctx, s.LogFile(), filepath.Join(folder, logFile))
}

// copyCursors copies the store of cursors where there is one. Before the log: no cursor of a backup is beyond the end of the log in it (I14).
func (s Settings) copyCursors(ctx context.Context, folder string) (err error) {
	cursors, err := cursorssqlite.Open(ctx, s.cursorsFile())
	if errors.Is(err, feed.ErrNoStore) && !exists(s.cursorsFile()) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cursors.Close()) }()
	return cursors.Copy(ctx, filepath.Join(folder, CursorsFileName))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
