package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/contents"
	"github.com/gxpledger/gxpledger/internal/sqlitetx"
)

// writer is the one connection of a handle that appends, and its statements. Whoever put a token into turn may use it.
type writer struct {
	turn       chan struct{}
	conn       *sql.Conn
	statements map[string]*sql.Stmt
}

const (
	sqlStream    = "SELECT id, coalesce((SELECT max(last_revision) FROM chunks WHERE stream = streams.id), -1) FROM streams WHERE name = ?"
	sqlAddStream = "INSERT INTO streams (name) VALUES (?)"
	sqlEnd       = "SELECT last, recorded_at FROM chunks ORDER BY last DESC LIMIT 1"
	sqlAddChunk  = `INSERT INTO chunks (last, size, stream, last_revision, batch_first, batch_size, recorded_at,
		meta, ids, types, lengths, data, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	// One statement for all ids of a batch: a statement for each would cost more than all the rest of the append.
	sqlAddIDs = `WITH RECURSIVE place(i) AS (SELECT 1 UNION ALL SELECT i + 16 FROM place WHERE i + 16 < length(?1))
		INSERT INTO event_ids (id, batch) SELECT substr(?1, i, 16), ?2 FROM place`
	sqlFindID     = "SELECT batch FROM event_ids WHERE id = ?"
	sqlAddContent = `INSERT INTO contents (sha256, size, encoding, bytes)
		SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (SELECT 1 FROM contents WHERE sha256 = ?1)`
)

func newWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{turn: make(chan struct{}, 1), conn: conn, statements: map[string]*sql.Stmt{}}
	for _, query := range []string{
		sqlitetx.BeginWrite, sqlitetx.Commit, sqlitetx.Rollback, sqlStream, sqlAddStream, sqlEnd, sqlAddChunk, sqlAddIDs, sqlFindID, sqlAddContent,
	} {
		statement, err := conn.PrepareContext(ctx, query) //nolint:sqlclosecheck // close does
		if err != nil {
			return nil, errors.Join(err, w.close())
		}
		w.statements[query] = statement
	}
	return w, nil
}

func (w *writer) close() error {
	var faults []error
	for _, s := range w.statements {
		faults = append(faults, s.Close())
	}
	return errors.Join(append(faults, w.conn.Close())...)
}

// transact runs work in one immediate transaction, after those that came before, and commits it unless work fails or ctx
// has ended by then. ctx can end the waiting; once the transaction has started it runs to a definite end. An error before the
// COMMIT is eventstore.ErrNotWritten.
func (w *writer) transact(ctx context.Context, work func(ctx context.Context) error) error {
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return eventstore.NotWritten(ctx.Err())
	}
	defer func() { <-w.turn }()
	committing := false
	err := sqlitetx.Transaction{Exec: func(ctx context.Context, statement string) error {
		committing = committing || statement == sqlitetx.Commit
		_, err := w.exec(ctx, statement)
		return err
	}}.Write(ctx, work)
	if !committing {
		err = eventstore.NotWritten(err)
	}
	return err
}

func (w *writer) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return w.statements[query].ExecContext(ctx, args...)
}

// find scans the one row that query gives and reports whether there is one.
func (w *writer) find(ctx context.Context, query string, args []any, into ...any) (bool, error) {
	err := w.statements[query].QueryRowContext(ctx, args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// streamEnd is where a stream goes on. Its id is 0 when there is no such stream.
type streamEnd struct {
	id   int64
	next int64 // revision
}

func (w *writer) findStream(ctx context.Context, name string) (s streamEnd, err error) {
	found, err := w.find(ctx, sqlStream, []any{name}, &s.id, &s.next)
	if found {
		s.next++
	}
	return s, err
}

func (w *writer) addStream(ctx context.Context, name string) (id int64, err error) {
	result, err := w.exec(ctx, sqlAddStream, name)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// logEnd is where the log goes on. The zero value is that of an empty log.
type logEnd struct {
	last       int64 // position
	recordedAt int64
}

func (e logEnd) time() time.Time { return time.UnixMicro(e.recordedAt) }

func (w *writer) findEnd(ctx context.Context) (e logEnd, err error) {
	_, err = w.find(ctx, sqlEnd, nil, &e.last, &e.recordedAt)
	return e, err
}

func (w *writer) addChunk(ctx context.Context, c chunk, stream int64) error {
	_, err := w.exec(ctx, sqlAddChunk, c.last, c.size, stream, c.lastRevision, c.batchFirst, c.batchSize, c.recordedAt,
		string(c.meta), c.ids, string(c.types), string(c.lengths), c.data, c.sumAll())
	return err
}

func (w *writer) addIDs(ctx context.Context, ids []byte, batch int64) error {
	_, err := w.exec(ctx, sqlAddIDs, ids, batch)
	return err
}

func (w *writer) addContent(ctx context.Context, c contents.Stored) error {
	_, err := w.exec(ctx, sqlAddContent, c.Hash, c.Size, c.Encoding, c.Bytes)
	return err
}
