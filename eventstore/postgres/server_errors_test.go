package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/postgres"
)

// What a server says when somebody else is in the way, or it goes down, is worth another try with the same batch; what
// says that something is wrong is not.
func TestServerErrorsAreClassified(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]error{
		"40001": eventstore.ErrTransient, // serialization failure
		"40P01": eventstore.ErrTransient, // deadlock
		"40003": eventstore.ErrTransient, // statement completion unknown
		"57P01": eventstore.ErrTransient, // admin shutdown
		"57P02": eventstore.ErrTransient, // crash shutdown
		"57P03": eventstore.ErrTransient, // cannot connect now
		"57P05": eventstore.ErrTransient, // idle session timeout
		"25006": eventstore.ErrTransient, // read-only: demoted
		"08006": eventstore.ErrTransient, // connection failure
		"53100": eventstore.ErrDiskFull,
		"53300": eventstore.ErrTooManyConnections,
		"55P03": eventstore.ErrTransient, // lock not available
		"XX001": eventstore.ErrCorrupt,   // data corrupted
		"42P01": eventstore.ErrCorrupt,   // undefined table
		"54000": eventstore.ErrTooLarge,  // program limit exceeded
		"22P05": eventstore.ErrInvalid,   // untranslatable character
	} {
		err := postgres.Translate(t.Context(), fmt.Errorf("commit: %w", &pgconn.PgError{Code: code}))
		if !errors.Is(err, want) {
			t.Errorf("%s is translated as %v, want %v", code, err, want)
		}
	}
	for code, says := range map[string]string{"53100": "disk full", "53300": "too many connections"} {
		err := postgres.Translate(t.Context(), &pgconn.PgError{Code: code})
		if !errors.Is(err, eventstore.ErrTransient) || !strings.HasPrefix(err.Error(), says) {
			t.Errorf("%s is translated as %v, want %q and that it is worth another try", code, err, says)
		}
	}
	refused := postgres.Translate(t.Context(), &pgconn.PgError{Code: "42501"}) // insufficient privilege
	if errors.Is(refused, eventstore.ErrTransient) || errors.Is(refused, eventstore.ErrCorrupt) {
		t.Errorf("a missing right is translated as %v", refused)
	}
}

// An administrator ends the connections of the log (57P01) while it appends: each call is answered all the same, in time.
func TestAppendsSurviveEndedConnections(t *testing.T) {
	t.Parallel()
	const writers, times = 4, 5
	where := made(t)
	admin := connect(t, where)
	log := open(t, where)
	reported := &promised{kept: make(chan struct{})}
	ctx, stop := context.WithCancel(within(t))
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() { writeUntil(ctx, t, log, fmt.Sprint(w), reported) })
	}
	heard := follow(ctx, t, log)
	ended := 0
	for range times {
		reported.await(ctx, t, 2*writers)
		var n int
		err := admin.QueryRow(ctx, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'gxpledger'`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		ended += n
	}
	reported.await(ctx, t, 2*writers)
	heard.await(ctx, t, len(readAll(t, log)))
	stop()
	running.Wait()
	if n := reported.check(t, log); n < times || ended < times {
		t.Errorf("%d batches were acknowledged, %d connections ended", n, ended)
	}
	heard.check(t)
}
