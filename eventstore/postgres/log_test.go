package postgres_test

import (
	"context"
	"strconv"
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
	// The proxy that cuts connections leaves a goroutine of its own behind when it cuts in the middle of a message.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"))
}

// store is how handles and processes share one log. Whoever opens it first makes it.
func store() eventstoretest.Store {
	return eventstoretest.Store{
		Create: func(t *testing.T) string {
			t.Helper()
			return pgtest.Start(t)
		},
		Open: func(ctx context.Context, url string) (eventstore.Log, error) {
			if err := postgres.Up(ctx, url, postgres.Namespace{}); err != nil {
				return nil, err
			}
			return postgres.Open(ctx, url, postgres.Options{Now: time.Now})
		},
	}
}

// made returns the URL of a database that holds an empty log.
func made(tb testing.TB) string {
	tb.Helper()
	url := pgtest.Start(tb)
	up(tb, url)
	return url
}

func up(tb testing.TB, url string) {
	tb.Helper()
	if err := postgres.Up(tb.Context(), url, postgres.Namespace{}); err != nil {
		tb.Fatal(err)
	}
}

// open opens the log at url for the test.
func open(tb testing.TB, url string, options ...func(*postgres.Options)) *postgres.Log {
	tb.Helper()
	o := postgres.Options{Now: time.Now}
	for _, set := range options {
		set(&o)
	}
	log, err := postgres.Open(tb.Context(), url, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := log.Close(); err != nil {
			tb.Error(err)
		}
	})
	return log
}

func TestLogKeepsTheContract(t *testing.T) {
	t.Parallel()
	features := eventstore.Features{
		Name: "PostgreSQL", Durable: true, DensePositions: true, SharedByProcess: true, OrderedTimes: true, UniqueIDs: true, MaxBatchBytes: 1 << 30,
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

func TestRecordedTimesOfACopyAreKept(t *testing.T) {
	t.Parallel()
	eventstoretest.KeepsRecordedTimes(t, open(t, made(t)))
}

func TestReadsAtTheSizesOfPages(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			t.Parallel()
			log := open(t, made(t))
			log.SetSizes(n)
			eventstoretest.Sizes(t, log)
		})
	}
}
