package postgres_test

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/eventstore/postgres"
)

func TestMain(m *testing.M) {
	store().Child()
	goleak.VerifyTestMain(m)
}

// store is how handles and processes share one log. Whoever opens it first makes it.
func store() eventstoretest.Store {
	return eventstoretest.Store{
		Create: func(t *testing.T) string {
			t.Helper()
			return pgtest.Start(t)
		},
		Open: func(ctx context.Context, url string) (eventstore.Log, error) {
			if err := postgres.Up(ctx, url, postgres.Place{}); err != nil {
				return nil, err
			}
			return postgres.Open(ctx, url, postgres.Options{Now: time.Now})
		},
	}
}

// made returns the URL of a database that holds an empty log.
func made(t testing.TB) string {
	t.Helper()
	url := pgtest.Start(t)
	up(t, url)
	return url
}

func up(t testing.TB, url string) {
	t.Helper()
	if err := postgres.Up(t.Context(), url, postgres.Place{}); err != nil {
		t.Fatal(err)
	}
}

// open opens the log at url for the test.
func open(t testing.TB, url string, options ...func(*postgres.Options)) *postgres.Log {
	t.Helper()
	o := postgres.Options{Now: time.Now}
	for _, set := range options {
		set(&o)
	}
	log, err := postgres.Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return log
}

func TestLogKeepsTheContract(t *testing.T) {
	t.Parallel()
	features := eventstore.Features{
		Name: "PostgreSQL", Durable: true, DensePositions: true, SharedByProcess: true, MaxBatchBytes: 256 << 20,
	}
	eventstoretest.Run(t, features, func(t *testing.T) eventstore.Log {
		t.Helper()
		return open(t, made(t))
	})
}

func TestHandlesAndProcessesShareALog(t *testing.T) {
	t.Parallel()
	eventstoretest.RunShared(t, store())
}

func TestTimesNeverFallThoughTheClockDoes(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 123_456_789, time.UTC)
	clock := []time.Time{at, at.Add(-time.Hour), at.Add(time.Second)}
	n := 0
	log := open(t, made(t), func(o *postgres.Options) {
		o.Now = func() time.Time { n++; return clock[n-1] }
	})
	first := at.Truncate(time.Microsecond)
	eventstoretest.TimesNeverFall(t, log, []time.Time{first, first, first.Add(time.Second)})
}
