package gxpledger_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger"
)

// Whoever goes on with files that have no name any more writes tables that nobody reads.
func TestARunnerEndsWhenItsHomeIsDeletedOrReplaced(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(home string) error
		says   string
	}{
		"the home deleted":   {os.RemoveAll, " was deleted while it was in use"},
		"the tables deleted": {func(home string) error { return os.Remove(filepath.Join(home, "tables.db")) }, "tables.db was deleted"},
		"the log replaced": {func(home string) error {
			log := filepath.Join(home, "log.db")
			data, err := os.ReadFile(log)
			return errors.Join(err, os.WriteFile(log+".copy", data, 0o600), os.Rename(log+".copy", log))
		}, "log.db was replaced"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ledger, home := scanned(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			runner, err := ledger.Admin().Runner(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- runner.Run(ctx) }()
			if err := c.change(home); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; !errors.Is(err, gxpledger.ErrHomeReplaced) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("Run returns %v, want that %q", err, c.says)
			}
			_ = runner.Close(ctx) // of files that are gone
		})
	}
}

// Whoever follows a log that is gone would wait for ever, and never see what is recorded in its place.
func TestAFollowerEndsWhenTheLogIsDeletedOrReplaced(t *testing.T) {
	t.Parallel()
	ledger, home := scanned(t)
	var ended error
	for r, err := range ledger.Follow(t.Context(), 0) {
		if err != nil {
			ended = err
			break
		}
		if r.Position == 1 {
			if err := os.RemoveAll(home); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !errors.Is(ended, gxpledger.ErrHomeReplaced) || !strings.Contains(ended.Error(), "log.db was deleted") {
		t.Errorf("Follow ends with %v, want that the home was deleted", ended)
	}
}

// A loop that breaks is over, whatever becomes of the home.
func TestAFollowerThatBreaksIsToldNothing(t *testing.T) {
	t.Parallel()
	ledger, home := scanned(t)
	for _, err := range ledger.Follow(t.Context(), 0) {
		if err := errors.Join(err, os.RemoveAll(home)); err != nil {
			t.Fatal(err)
		}
		break
	}
}
