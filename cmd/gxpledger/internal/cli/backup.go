package cli

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/config"
)

func newBackup(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Back up, verify and restore the log in the home",
		Long: "Back up the log in the home, verify a backup, and make a home from one. A log on a server is backed up by the server's own\n" +
			"means: docs/operations.md has the commands for PostgreSQL, KurrentDB and EventStoreDB.",
		Example: "  gxpledger backup create /backup\n  gxpledger backup verify /backup/gxpledger-20260301T120000Z-5b0c6a52",
		RunE:    chooseCommand,
	}
	cmd.AddCommand(newBackupCreate(a), newBackupVerify(a), newBackupRestore(a))
	return cmd
}

// backupCommand is a command that takes one folder.
func backupCommand(use, short, long, example string, run func(ctx context.Context, folder string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: long, Example: example,
		Args: func(cmd *cobra.Command, args []string) error { return takes(cmd, args, 1, 1, "a folder") },
		RunE: func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), args[0]) },
	}
}

func newBackupCreate(a *app) *cobra.Command {
	return backupCommand("create FOLDER", "Make a backup of the log in the home while scans run",
		"Make a backup of the log in the home, at FOLDER, or in it under a name of its own where it exists. Scans may run meanwhile. The\n"+
			"backup holds the log as it was at one position, verified as a copy, the failures in the spool, gxpledger.yaml, and a manifest\n"+
			"with the SHA-256 of each file. It is there whole or not at all, and nothing is overwritten. Tables are not in it: they\n"+
			"are made again from the log.",
		"  gxpledger backup create /backup\n  gxpledger backup create /backup/before-upgrade",
		func(ctx context.Context, folder string) error {
			progress := a.progress()
			progress.Say("copying and verifying the log")
			made, err := a.ledger.CreateBackup(ctx, folder)
			progress.Done()
			if err != nil {
				return explainBackup(err, folder)
			}
			return a.answer(made, func(screen *render.Screen) {
				screen.Line("Backed up log %s up to position %d to %s, and verified it.", made.Log.ID, made.Log.Head, made.Folder)
				showFiles(screen, made)
			})
		})
}

func newBackupVerify(a *app) *cobra.Command {
	return backupCommand("verify FOLDER", "Verify a backup",
		"Compare every file of a backup with its manifest, and verify the log in it as gxpledger verify does. Nothing is changed. Each\n"+
			"fault of the log is listed, and the exit code is 3 then.",
		"  gxpledger backup verify /backup/before-upgrade",
		func(ctx context.Context, folder string) error {
			result, err := gxpledger.VerifyBackup(ctx, folder, a.system.Now)
			if err != nil {
				return explainBackup(err, folder)
			}
			err = a.answer(result, func(screen *render.Screen) {
				screen.Line("Log %s up to position %d, backed up at %s", result.Log.ID, result.Log.Head, result.CreatedAt)
				showFiles(screen, result)
				for _, f := range result.Faults[:min(len(result.Faults), render.MostListed)] {
					screen.Line("%s %s: %s", render.Bad.Of(string(f.Code)), f.Where, f.Text)
				}
				render.More(screen, len(result.Faults))
				if result.Intact {
					screen.Line("%s", render.Good.Of("No faults found."))
				}
			})
			if err == nil && !result.Intact {
				return found()
			}
			return err
		})
}

func newBackupRestore(a *app) *cobra.Command {
	return backupCommand("restore FOLDER", "Make a new home from a backup",
		"Verify a backup, and make the home from it that --home names. The home must not exist: move an old one away. Nothing is left of\n"+
			"a restore that failed. The next command that reads tables makes them from the log. Tables on a server that show more than\n"+
			"the log holds now are refused: look there first for what was lost, then scan again and rebuild them with --adopt-log.",
		"  gxpledger backup restore /backup/before-upgrade --home /srv/gxp",
		func(ctx context.Context, folder string) error {
			restored, err := a.ledger.RestoreBackup(ctx, folder)
			if err != nil {
				return explainBackup(err, folder)
			}
			return a.answer(restored, func(screen *render.Screen) {
				screen.Line("Restored log %s up to position %d to %s.", restored.Log.ID, restored.Log.Head, a.settings.HomeFolder())
				showFiles(screen, restored)
				if slices.ContainsFunc(restored.Files, func(f gxpledger.BackedUpFile) bool { return f.Path == config.FileName }) {
					screen.Line("The settings of the former home are in %s and not in force: rename it to %s where this home takes its place.",
						filepath.Join(a.settings.HomeFolder(), gxpledger.RestoredConfig), config.FileName)
				}
				screen.Line("The next command that reads tables makes them from this log. Tables on a server that show more than it holds are refused:")
				screen.Line("scan what is missing again, then run gxpledger projections rebuild --all --adopt-log --reason TEXT.")
			})
		})
}

func showFiles(screen *render.Screen, b gxpledger.Backup) {
	for _, f := range b.Files {
		screen.Line("    %s  %d  %s", f.SHA256, f.Size, f.Path)
	}
}

// explainBackup is the sentence on a backup that could not be made, verified or restored.
func explainBackup(err error, folder string) error {
	switch {
	case errors.Is(err, gxpledger.ErrNotEmbedded):
		return usage("the log is on a server: back it up and restore it by the server's own means, such as pg_dump --format=custom --schema=gxp_log " +
			"(see Backup and restore in docs/operations.md)")
	case errors.Is(err, fs.ErrExist):
		return failed(err, "%s: nothing was changed; choose another place, or move away what is there", oneLine(err.Error()))
	case errors.Is(err, gxpledger.ErrBackupInvalid):
		return failed(err, "%s: use another backup than %s", oneLine(err.Error()), folder)
	case errors.Is(err, eventstore.ErrCorrupt):
		return failed(err, "%s: nothing was kept; gxpledger verify names every fault", oneLine(err.Error()))
	}
	return err
}
