package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
	"github.com/gxpledger/gxpledger/eventstore/feed/feedtest"
	"github.com/gxpledger/gxpledger/eventstore/feed/postgres"
	"github.com/gxpledger/gxpledger/eventstore/pgtest"
)

func open(tb testing.TB, url string) *postgres.Cursors {
	tb.Helper()
	store, err := postgres.Open(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	return store
}

func TestCursors(t *testing.T) {
	t.Parallel()
	feedtest.TestCursors(t, func(tb testing.TB) func() feed.Cursors {
		tb.Helper()
		url := pgtest.With(pgtest.Start(tb), "schema=some-cursors")
		if err := postgres.Up(tb.Context(), url); err != nil {
			tb.Fatal(err)
		}
		return func() feed.Cursors { return open(tb, url) }
	})
}

func TestOpenMakesNothing(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	if _, err := postgres.Open(t.Context(), url); !errors.Is(err, feed.ErrNoStore) {
		t.Errorf("error is %v, want %v", err, feed.ErrNoStore)
	}
	if status, err := postgres.Status(t.Context(), url); err != nil || len(status.Applied) != 0 || len(status.Missing) == 0 {
		t.Errorf("status is %+v, %v", status, err)
	}
	if _, err := postgres.Open(t.Context(), "file:///x"); !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("another address: %v", err)
	}
}

func TestASchemaThatVanishedIsAnError(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	if err := postgres.Up(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	if plan, err := postgres.Plan(t.Context(), url); err != nil || plan != "" {
		t.Errorf("after Up there is left to do: %q, %v", plan, err)
	}
	store := open(t, url)
	defer func() { _ = store.Close() }()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.Exec(t.Context(), "DROP SCHEMA "+postgres.DefaultSchema+" CASCADE"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.List(t.Context()); !errors.Is(err, feed.ErrNoStore) {
		t.Errorf("error is %v, want %v", err, feed.ErrNoStore)
	}
}
