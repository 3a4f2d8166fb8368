package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gxpledger/gxpledger/eventstore"
)

var _ eventstore.IntegrityChecker = (*Log)(nil)

// CheckIntegrity implements [eventstore.IntegrityChecker]: the schema is what the migrations made, triggers and indexes included; whoever
// may append may do nothing else to the log, and nobody else may write to it; and the counter row is where the events end.
//
// Whose rights are checked: every role that was given a right, all their members, and the user that is connected, but for
// a superuser, who looks after the server and may do anything. Let the user that records run it.
func (l *Log) CheckIntegrity(ctx context.Context, report func(eventstore.Fault)) error {
	var found []eventstore.Fault
	err := l.call(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		found = nil
		options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly} // one state, whoever appends
		return pgx.BeginTxFunc(ctx, conn, options, func(tx pgx.Tx) error {
			e := integrityCheck{schema: l.options.Schema, report: func(f eventstore.Fault) { found = append(found, f) }}
			return e.run(ctx, tx)
		})
	})
	if err != nil {
		return fmt.Errorf("cannot check log: %w", err)
	}
	for _, f := range found {
		report(f)
	}
	return nil
}

// integrityCheck is one run of CheckIntegrity.
type integrityCheck struct {
	schema string
	report func(eventstore.Fault)
}

func (e *integrityCheck) run(ctx context.Context, tx pgx.Tx) error {
	// So that the server leaves the schema out of what it says of the parts of it.
	if _, err := tx.Exec(ctx, "SELECT pg_catalog.set_config('search_path', pg_catalog.quote_ident($1) || ', pg_temp', true)", e.schema); err != nil {
		return err
	}
	for _, part := range []func(context.Context, pgx.Tx) error{e.checkForm, e.checkGrants, e.checkRoles, e.checkHead} {
		err := translate(ctx, pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { return part(ctx, tx) }))
		if errors.Is(err, eventstore.ErrCorrupt) { // also that a table is not there
			e.report(eventstore.Fault{Code: eventstore.FaultFile, Where: "schema " + e.schema, Text: err.Error()})
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// guard reports what is wrong with what keeps the log append-only.
func (e *integrityCheck) guard(where, text string) {
	e.report(eventstore.Fault{
		Code: eventstore.FaultGuard, Where: where, Text: text,
		Remedy: "find out who changed it and what was done meanwhile, keep the database as it is for an inquiry, and restore the last backup that verifies",
	})
}

// counter is what the counter row says of the log, or what its rows say.
type counter struct {
	position   int64
	recordedAt time.Time
	streams    int64
}

// checkHead compares the counter row with the rows that it counts: an append takes its word for where they end.
func (e *integrityCheck) checkHead(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `SELECT position, recorded_at, streams FROM head`)
	if err != nil {
		return err
	}
	heads, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (counter, error) {
		var c counter
		return c, row.Scan(&c.position, &c.recordedAt, &c.streams)
	})
	if err != nil {
		return err
	}
	var last counter
	err = tx.QueryRow(ctx, `SELECT coalesce((SELECT position FROM events ORDER BY position DESC LIMIT 1), 0),
		coalesce((SELECT recorded_at FROM batches ORDER BY first DESC LIMIT 1), to_timestamp(0)), coalesce((SELECT max(id) FROM streams), 0)`).
		Scan(&last.position, &last.recordedAt, &last.streams)
	if err != nil {
		return err
	}
	fault := func(text string, args ...any) {
		e.report(eventstore.Fault{Code: eventstore.FaultFile, Where: "table head", Text: fmt.Sprintf(text, args...)})
	}
	if len(heads) != 1 {
		fault("it has %d rows, want one: nothing can be appended", len(heads))
		return nil
	}
	head := heads[0]
	if head.position != last.position {
		fault("it says that the log ends at position %d, and the last event is at %d", head.position, last.position)
	}
	if !head.recordedAt.Equal(last.recordedAt) {
		fault("it says that the last batch was recorded at %s, and that was at %s",
			head.recordedAt.UTC().Format(time.RFC3339Nano), last.recordedAt.UTC().Format(time.RFC3339Nano))
	}
	if head.streams != last.streams {
		fault("it says that the last stream is number %d, and that is number %d", head.streams, last.streams)
	}
	return nil
}
