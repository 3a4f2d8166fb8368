package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/internal/drivertest"
	"github.com/gxpledger/gxpledger/projections/databasetest"
	"github.com/gxpledger/gxpledger/projections/postgres"
)

func TestEveryQueryMayBeCancelled(t *testing.T) {
	t.Parallel()
	url := made(t)
	traced := func(o *postgres.Options) { *o = postgres.WithTracer(*o, drivertest.Tracer{}) }
	options := postgres.WithTracer(postgres.Options{Now: time.Now}, drivertest.Tracer{})
	opening := func(open func(context.Context, string, postgres.Options) (*postgres.DB, error)) func(context.Context) error {
		return func(ctx context.Context) error {
			db, err := open(ctx, url, options)
			if err == nil {
				err = db.Close()
			}
			return err
		}
	}
	databasetest.CancelEveryCall(t, open(t, url, traced), open(t, url), map[string]func(context.Context) error{
		"Open":           opening(postgres.Open),
		"OpenUnwritable": opening(postgres.OpenUnwritable),
	})
}
