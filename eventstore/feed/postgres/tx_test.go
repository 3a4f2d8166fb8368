package postgres_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
	"github.com/gxpledger/gxpledger/eventstore/feed/postgres"
	"github.com/gxpledger/gxpledger/eventstore/pgtest"
)

// TestAnOwnCursorMovesInATransactionOfPgx: with the rows of the consumer, or not at all.
func TestAnOwnCursorMovesInATransactionOfPgx(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, pgtest.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	own := feed.OwnCursor{Table: "public.cursors", Name: "mail"}
	schema, err := own.Schema()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, schema+"; CREATE TABLE made (position bigint PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	log := uuid.New()
	at := feed.Cursor{Name: own.Name, LogID: log, UpdatedAt: time.Date(2026, 12, 1, 8, 0, 0, 1000, time.UTC)}
	fails := errors.New("the consumer fails")
	for _, c := range []struct {
		want error
		work func(pgx.Tx) error
	}{
		{feed.ErrNoCursor, func(tx pgx.Tx) error { _, err := own.Load(ctx, postgres.Tx(tx)); return err }},
		{nil, func(tx pgx.Tx) error { return own.Create(ctx, postgres.Tx(tx), at) }},
		{feed.ErrCursorExists, func(tx pgx.Tx) error { return own.Create(ctx, postgres.Tx(tx), at) }},
		{fails, func(tx pgx.Tx) error {
			_, err := own.Move(ctx, postgres.Tx(tx), at, eventstore.Record{Position: 1, ID: uuid.New()}, time.Now())
			return errors.Join(err, fails)
		}},
		{nil, func(tx pgx.Tx) error { // nothing of the one before is there
			if _, err := tx.Exec(ctx, "INSERT INTO made VALUES (1)"); err != nil {
				return err
			}
			_, err := own.Move(ctx, postgres.Tx(tx), at, eventstore.Record{Position: 1, ID: log}, time.Now())
			return err
		}},
		{feed.ErrMoved, func(tx pgx.Tx) error {
			_, err := own.Move(ctx, postgres.Tx(tx), at, eventstore.Record{Position: 1, ID: log}, time.Now())
			return err
		}},
		{nil, func(tx pgx.Tx) error {
			now, err := own.Load(ctx, postgres.Tx(tx))
			if now.LogID != log || now.Position != 1 || now.EventID != log {
				t.Errorf("the cursor is at %+v", now)
			}
			return err
		}},
	} {
		if err := pgx.BeginFunc(ctx, conn, c.work); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("error is %v, want %v", err, c.want)
		}
	}
}
