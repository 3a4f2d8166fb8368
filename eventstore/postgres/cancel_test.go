package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/postgres"
	"github.com/gxpledger/gxpledger/internal/drivertest"
)

func TestEveryQueryMayBeCancelled(t *testing.T) {
	t.Parallel()
	url := made(t)
	options := postgres.WithTracer(postgres.Options{Now: time.Now}, drivertest.Tracer{})
	log, err := postgres.Open(t.Context(), url, options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}()
	eventstoretest.CancelEveryCall(t, log, open(t, url), map[string]func(context.Context) error{
		"Time": func(ctx context.Context) error {
			_, err := log.Time(ctx)
			return err
		},
		"Open": func(ctx context.Context) error {
			again, err := postgres.Open(ctx, url, options)
			if err == nil {
				err = again.Close()
			}
			return err
		},
	})
}
