package sqlite_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
	"github.com/gxpledger/gxpledger/internal/drivertest"
)

func TestEveryCallOfTheDriverMayBeCancelled(t *testing.T) {
	t.Parallel()
	options := sqlite.WithDriver(sqlite.Options{Now: time.Now, BusyTimeout: time.Millisecond}, drivertest.Name)
	path := filepath.Join(t.TempDir(), "log.db")
	log, err := sqlite.Open(t.Context(), path, options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}()
	opening := func(open func(context.Context, string, sqlite.Options) (*sqlite.Log, error)) func(context.Context) error {
		return func(ctx context.Context) error {
			again, err := open(ctx, path, options)
			if err == nil {
				err = again.Close()
			}
			return err
		}
	}
	eventstoretest.CancelEveryCall(t, log, open(t, path), map[string]func(context.Context) error{
		"CheckGuards": func(ctx context.Context) error {
			return log.CheckGuards(ctx, func(found eventstore.Fault) { t.Errorf("a fault was found: %+v", found) })
		},
		"Open":         opening(sqlite.Open),
		"OpenReadOnly": opening(sqlite.OpenReadOnly),
	})
}
