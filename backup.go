package gxpledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/verify"
	"github.com/gxpledger/gxpledger/internal/backup"
	"github.com/gxpledger/gxpledger/internal/config"
)

// Backup is a backup of a log in a home. The JSON names are stable.
type Backup struct {
	Folder    string             `json:"folder"`
	CreatedAt time.Time          `json:"created_at"`
	Log       BackedUpLog        `json:"log"`
	Files     []BackedUpFile     `json:"files"`
	Faults    []eventstore.Fault `json:"faults"` // of the log in it
	Intact    bool               `json:"intact"`
}

// BackedUpLog is what a [Backup] holds of a log.
type BackedUpLog = backup.Log

// BackedUpFile is one file of a [Backup].
type BackedUpFile = backup.File

// Errors of backups, beside those of the log.
var (
	// ErrBackupInvalid: a folder is not a backup, or not what its manifest says.
	ErrBackupInvalid = backup.ErrInvalid
	// ErrNotEmbedded: the log is on a server, which has means of its own for backups.
	ErrNotEmbedded = errors.New("log is on a server")
)

// CreateBackup makes a backup of the log in the home, while others scan: a folder at a path, or below it under a name of its own where there is a
// folder. It holds the log as it was at one position, read in one transaction and verified as a copy, the cursors, the failures in the spool, the
// configuration file, and a manifest with the SHA-256 of each. The tables are not in it, nor what processes noted in the home: they
// are made again. It waits until the whole log is copied and verified.
//
// Errors: [ErrNotEmbedded], [ErrNoLog], one that wraps [fs.ErrExist] where there is a file, that of ctx, and those of files. A copy that does not verify is
// discarded; the error wraps [eventstore.ErrCorrupt].
func (l *Ledger) CreateBackup(ctx context.Context, at string) (Backup, error) {
	made, err := l.createBackup(ctx, at)
	if err != nil {
		return Backup{}, fmt.Errorf("cannot make a backup at %s: %w", at, err)
	}
	return made, nil
}

func (l *Ledger) createBackup(ctx context.Context, at string) (Backup, error) {
	if !l.settings.Log.Local() {
		return Backup{}, ErrNotEmbedded
	}
	if err := l.settings.RequireLog(); err != nil {
		return Backup{}, err
	}
	place, manifest, err := backup.Create(at, l.config.Now(), func(folder string) (backup.Log, error) {
		if err := l.settings.CopyHome(ctx, folder); err != nil {
			return backup.Log{}, err
		}
		log, faults, err := checkCopy(ctx, folder, l.config.Now)
		if err == nil && len(faults) > 0 {
			err = fmt.Errorf("%w: the copy has %d faults, the first is %s: %s", eventstore.ErrCorrupt, len(faults), faults[0].Where, faults[0].Text)
		}
		return log, err
	})
	if err != nil {
		return Backup{}, err
	}
	return Backup{Folder: place, CreatedAt: manifest.CreatedAt, Log: manifest.Log, Files: manifest.Files, Faults: []eventstore.Fault{}, Intact: true}, nil
}

// VerifyBackup reads every file of a backup, compares it with the manifest, and verifies the log in it as [Ledger.Verify] does. It
// changes nothing, and waits until all is read.
//
// Errors: one that wraps [ErrBackupInvalid], that of ctx, and those of files. A log that contradicts itself is part of the result.
func VerifyBackup(ctx context.Context, folder string, now func() time.Time) (Backup, error) {
	manifest, err := backup.Check(folder)
	result := Backup{Folder: folder, CreatedAt: manifest.CreatedAt, Log: manifest.Log, Files: manifest.Files, Faults: []eventstore.Fault{}}
	if err == nil {
		var found backup.Log
		found, result.Faults, err = checkCopy(ctx, folder, now)
		if err == nil && found != manifest.Log {
			err = fmt.Errorf("%w: its log is not the one that its manifest describes", ErrBackupInvalid)
		}
	}
	if err != nil {
		return result, fmt.Errorf("cannot verify backup %s: %w", folder, err)
	}
	result.Intact = len(result.Faults) == 0
	return result, nil
}

// RestoredConfig is the name in a restored home of the configuration file that the backup holds.
const RestoredConfig = config.FileName + ".restored"

// RestoreBackup verifies a backup and makes the home of l from it, which must not exist. Tables are made again from the log; those that
// show more of the log than it holds now are refused until they are rebuilt (I14). The configuration file of the backup is not in force: it is
// there as [RestoredConfig], since a home that is restored for a trial would write to the tables on a server that it names. It waits until all is read and written.
//
// Errors: those of [VerifyBackup], [ErrNotEmbedded], and one that wraps [fs.ErrExist] where there is a home. Nothing is left of a restore that failed, nor of one of a
// log with faults, whose error wraps [eventstore.ErrCorrupt].
func (l *Ledger) RestoreBackup(ctx context.Context, folder string) (Backup, error) {
	if !l.settings.Log.Local() {
		return Backup{}, fmt.Errorf("cannot restore backup %s: %w", folder, ErrNotEmbedded)
	}
	home := l.settings.HomeFolder()
	if _, err := os.Lstat(home); !errors.Is(err, fs.ErrNotExist) { // before all is read
		return Backup{}, errors.Join(fmt.Errorf("cannot restore backup %s: there is something at %s: %w", folder, home, fs.ErrExist), err)
	}
	found, err := VerifyBackup(ctx, folder, l.config.Now)
	if err == nil && !found.Intact {
		err = fmt.Errorf("%w: the log in it has %d faults, the first is %s: %s", eventstore.ErrCorrupt, len(found.Faults), found.Faults[0].Where, found.Faults[0].Text)
	}
	if err == nil {
		err = checkNames(found.Files)
	}
	if err == nil {
		err = backup.Restore(ctx, folder, backup.Manifest{Files: found.Files}, home, map[string]string{config.FileName: RestoredConfig})
	}
	if err != nil {
		return found, fmt.Errorf("cannot restore backup %s: %w", folder, err)
	}
	return found, l.settings.CreateHome() // what else a home has
}

// checkNames refuses files that are not those of a backup: whoever changed one could place others in a home.
func checkNames(files []BackedUpFile) error {
	for _, f := range files {
		name, spooled := strings.CutPrefix(f.Path, "spool/")
		if f.Path != config.LogFileName && f.Path != config.CursorsFileName && f.Path != config.FileName && (!spooled || strings.Contains(name, "/") || filepath.Ext(name) != ".json") {
			return fmt.Errorf("%w: it holds %q", ErrBackupInvalid, f.Path)
		}
	}
	return nil
}

// checkCopy verifies the log in a folder.
func checkCopy(ctx context.Context, folder string, now func() time.Time) (found backup.Log, faults []eventstore.Fault, err error) {
	faults = []eventstore.Fault{}
	log, err := config.Settings{Home: folder}.OpenLog(ctx, config.ToVerify, config.Options{Now: now})
	if err != nil {
		return found, faults, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	result, err := verify.Run(ctx, log, verify.Watch{Fault: func(f eventstore.Fault) { faults = append(faults, f) }})
	if err != nil {
		return found, faults, err
	}
	found = backup.Log{ID: log.ID().String(), Head: uint64(result.Head), Events: result.Events}
	if result.Head > 0 {
		last, err := log.At(ctx, result.Head)
		if err != nil {
			return found, faults, err
		}
		found.EventID = last.ID.String()
	}
	return found, faults, nil
}
