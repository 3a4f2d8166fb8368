package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/sqlitetx"
	"github.com/gxpledger/gxpledger/migrations"
)

var _ eventstore.IntegrityChecker = (*Log)(nil)

// CheckIntegrity implements [eventstore.IntegrityChecker]: the file is intact, its tables, indexes and triggers are the ones that the
// migrations make, and the table of ids holds exactly the ids of the events.
func (l *Log) CheckIntegrity(ctx context.Context, report func(eventstore.Fault)) error {
	if err := l.usable(ctx); err != nil {
		return err
	}
	if err := l.checkIntegrity(ctx, report); err != nil {
		return fmt.Errorf("cannot check log %s: %w", l.path, l.fault(err))
	}
	return nil
}

func (l *Log) checkIntegrity(ctx context.Context, report func(eventstore.Fault)) (err error) {
	conn, err := l.readers.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return sqlitetx.On(conn).Read(ctx, func(ctx context.Context) error { // one state of the log, whoever appends
		return checkAll(ctx, conn, report)
	})
}

func checkAll(ctx context.Context, tx queryer, report func(eventstore.Fault)) error {
	for _, part := range []func(context.Context, queryer, func(eventstore.Fault)) error{checkFile, checkSchema, checkIDs} {
		err := part(ctx, tx, report)
		if errors.Is(translate(err), eventstore.ErrCorrupt) {
			report(eventstore.Fault{Code: eventstore.FaultFile, Where: "the file of the log", Text: err.Error()})
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkFile lets SQLite look for pages and indexes that do not fit together.
func checkFile(ctx context.Context, tx queryer, report func(eventstore.Fault)) error {
	found, err := texts(ctx, tx, "PRAGMA integrity_check")
	if err != nil {
		return err
	}
	for _, text := range found {
		if text != "ok" {
			report(eventstore.Fault{Code: eventstore.FaultFile, Where: "the file of the log", Text: strings.ReplaceAll(text, "\n", " ")})
		}
	}
	return nil
}

// checkSchema compares what the file is made of with a new one: a log without its triggers would let go of events.
func checkSchema(ctx context.Context, tx queryer, report func(eventstore.Fault)) error {
	want, err := pristine(ctx)
	if err != nil {
		return fmt.Errorf("cannot create a log to compare with: %w", err)
	}
	held, err := schema(ctx, tx)
	if err != nil {
		return err
	}
	fault := func(name, text string) {
		report(eventstore.Fault{
			Code: eventstore.FaultGuard, Where: name, Text: text,
			Remedy: "find out who changed it and what was done meanwhile, keep the file as it is for an inquiry, and restore the last backup that verifies",
		})
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		switch text, there := held[name]; {
		case !there:
			fault(name, "it is gone from the file of the log")
		case text != want[name]:
			fault(name, "it is not what gxpledger made: "+strings.Join(strings.Fields(text), " "))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(held)) {
		if _, known := want[name]; !known {
			fault(name, "gxpledger did not make it")
		}
	}
	return nil
}

// pristine returns the schema of a new log.
func pristine(ctx context.Context) (_ map[string]string, err error) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1) // each connection would be a database of its own
	set, err := migrations.SQLiteLog()
	if err != nil {
		return nil, err
	}
	if err := set.Up(ctx, db, func() time.Time { return time.Time{} }); err != nil {
		return nil, err
	}
	return schema(ctx, db)
}

// schema maps each thing in a file, such as "trigger log_no_update", to the statement that made it.
func schema(ctx context.Context, q queryer) (map[string]string, error) {
	rows, err := q.QueryContext(ctx, "SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // a fault of it shows in rows.Err
	found := map[string]string{}
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			return nil, err
		}
		found[name] = text
	}
	return found, rows.Err()
}

// queryer is a *sql.DB or *sql.Conn.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// checkIDs finds events whose id the table of ids lacks, so that it could be given twice (I4), and ids of no event, so
// that a batch would be taken for one that was appended.
func checkIDs(ctx context.Context, tx queryer, report func(eventstore.Fault)) error {
	rows, err := tx.QueryContext(ctx, `
SELECT c.last, c.size, (SELECT count(*) FROM event_ids AS e WHERE e.batch = c.batch_first AND e.id IN (
    WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < c.size)
    SELECT substr(c.ids, 16 * i + 1, 16) FROM n))
FROM chunks AS c ORDER BY c.last`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // a fault of it shows in rows.Err
	var events, missing, first int64
	for rows.Next() {
		var last, size, known int64
		if err := rows.Scan(&last, &size, &known); err != nil {
			return err
		}
		events += size
		if missing += size - known; first == 0 && missing > 0 {
			first = last - size + 1
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	var ids int64
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM event_ids").Scan(&ids); err != nil {
		return err
	}
	fault := func(text string, args ...any) {
		report(eventstore.Fault{Code: eventstore.FaultEventID, Where: "table event_ids", Text: fmt.Sprintf(text, args...)})
	}
	if missing > 0 {
		fault("it lacks the ids of %d events, the first at or shortly after position %d: they could be appended once more", missing, first)
	}
	if stray := ids - (events - missing); stray > 0 {
		fault("it holds %d ids of no event: an append of those would be taken for a repeated one", stray)
	}
	return nil
}

func texts(ctx context.Context, q queryer, query string) ([]string, error) {
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // a fault of it shows in rows.Err
	var found []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		found = append(found, text)
	}
	return found, rows.Err()
}
