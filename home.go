package gxpledger

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gxpledger/gxpledger/internal/config"
)

// elsewhere is the address of a log, or of tables, that are in no file of the home.
const elsewhere = "opened:"

// WhileHome calls use, which follows or serves the log, with a context that ends with ctx, or when the file of the log in the home
// is deleted or replaced: the log that is open would get nothing any more, or get what nobody reads. The log must be there; one on a
// server has no file. It waits for use.
//
// Errors: one that wraps [ErrHomeReplaced] in that case, and else that of use.
func (l *Ledger) WhileHome(ctx context.Context, use func(context.Context) error) error {
	settings := l.settings
	settings.Tables = elsewhere
	files, err := l.homeFiles(settings)
	if err != nil {
		return fmt.Errorf("cannot follow the log: %w", err)
	}
	return whileThere(ctx, files, use)
}

// homeFiles returns the files of the home that the settings name.
func (l *Ledger) homeFiles(settings config.Settings) (config.HomeFiles, error) {
	if l.config.OpenedLog != nil {
		settings.Log = elsewhere
	}
	return settings.HomeFiles()
}

// whileThere calls use with a context that ends when one of files is deleted or replaced, and says so then.
func whileThere(ctx context.Context, files config.HomeFiles, use func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var replaced error
	var watching sync.WaitGroup
	watching.Go(func() {
		defer cancel()
		replaced = watch(ctx, files)
	})
	err := use(ctx)
	cancel()
	watching.Wait()
	if replaced == nil && err != nil {
		replaced = files.Check() // it is why whatever else failed did
	}
	if replaced != nil {
		return replaced
	}
	return err
}

// watch returns when ctx ends, or with why when one of files was deleted or replaced.
func watch(ctx context.Context, files config.HomeFiles) error {
	const every = time.Second
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := files.Check(); err != nil {
			return err
		}
	}
}
