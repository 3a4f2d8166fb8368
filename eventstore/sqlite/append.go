package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	_ "modernc.org/sqlite"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/contents"
	"github.com/gxpledger/gxpledger/internal/sqlitefault"
	"github.com/gxpledger/gxpledger/internal/sqlitetx"
)

// Append implements [eventstore.Appender].
func (l *Log) Append(ctx context.Context, batch eventstore.Batch) (eventstore.Appended, error) {
	return l.Enqueue(ctx, batch)()
}

// Enqueue implements [eventstore.OrderedAppender].
func (l *Log) Enqueue(ctx context.Context, batch eventstore.Batch) (wait func() (eventstore.Appended, error)) {
	if err := batch.Validate(); err != nil {
		return func() (eventstore.Appended, error) {
			return eventstore.Appended{}, fmt.Errorf("cannot append: %w", err)
		}
	}
	r, err := l.enqueue(ctx, batch)
	return func() (appended eventstore.Appended, _ error) {
		err := eventstore.NotWritten(err)
		if err == nil {
			appended, err = l.await(r)
		}
		if err != nil {
			return eventstore.Appended{}, fmt.Errorf("cannot append to stream %q: %w", batch.Stream, l.fault(err))
		}
		return appended, nil
	}
}

// enqueue gives batch its place behind those that wait.
func (l *Log) enqueue(ctx context.Context, batch eventstore.Batch) (*request, error) {
	if err := l.writable(ctx); err != nil {
		return nil, err
	}
	ready, err := l.makeReady(ctx, batch)
	if err != nil {
		return nil, err
	}
	r := &request{readyBatch: ready, ctx: ctx, done: make(chan struct{})}
	l.queue.add(r)
	return r, nil
}

// writable is usable for what writes.
func (l *Log) writable(ctx context.Context) error {
	if l.writer == nil {
		return fmt.Errorf("%w: %w", eventstore.ErrInvalid, ErrReadOnly)
	}
	return l.usable(ctx)
}

// readyBatch is a batch with all that can be computed before the write lock is held. Of a batch that is not in memory, chunks
// and contents are made as they are written.
type readyBatch struct {
	eventstore.Batch
	inMemory bool
	size     int64 // bytes of what is made already
	chunks   iter.Seq2[chunk, error]
	ids      []byte // sorted, so that they enter their tree in its order
	meta     []byte
	contents iter.Seq2[contents.Stored, error]
	written  int64 // bytes of chunks and contents
}

func (l *Log) makeReady(ctx context.Context, batch eventstore.Batch) (ready readyBatch, err error) {
	ready.Batch, ready.inMemory = batch, !batch.Streamed()
	ready.chunks = split(batch.Events, l.sizes.chunkEvents)
	if ready.meta, err = json.Marshal(storedMeta{Meta: batch.Meta}); err != nil {
		return readyBatch{}, err
	}
	if ready.contents, err = l.encodeNew(ctx, batch.Contents); err != nil {
		return readyBatch{}, err
	}
	if ready.inMemory {
		if ready.chunks, err = made(ready.chunks, func(c chunk) { ready.size += c.bytes() }); err != nil {
			return readyBatch{}, err
		}
		if ready.contents, err = made(ready.contents, func(c contents.Stored) { ready.size += int64(len(c.Bytes)) }); err != nil {
			return readyBatch{}, err
		}
	}
	ready.ids = sortedIDs(batch.Events)
	return ready, nil
}

// sortedIDs are the ids of events, one after the other.
func sortedIDs(events []eventstore.NewEvent) []byte {
	ids := make([]eventstore.EventID, len(events))
	for i, e := range events {
		ids[i] = e.ID
	}
	slices.SortFunc(ids, func(a, b eventstore.EventID) int { return bytes.Compare(a[:], b[:]) })
	sorted := make([]byte, 0, 16*len(ids))
	for _, id := range ids {
		sorted = append(sorted, id[:]...)
	}
	return sorted
}

// made makes all that seq yields now, and shows each to look.
func made[T any](seq iter.Seq2[T, error], look func(T)) (iter.Seq2[T, error], error) {
	var all []T
	for each, err := range seq {
		if err != nil {
			return nil, err
		}
		look(each)
		all = append(all, each)
	}
	return func(yield func(T, error) bool) {
		for _, each := range all {
			if !yield(each, nil) {
				return
			}
		}
	}, nil
}

// bytes is about what ready has added to the write-ahead log, without the pages of trees that its group touches.
func (r *readyBatch) bytes() int64 { return 2*int64(len(r.ids)) + r.written }

// append places ready, inside the transaction. What is refused leaves nothing in it; after an err, which may be a lateRefusalError, the
// transaction cannot be used.
func (w *writer) append(ctx context.Context, ready *readyBatch, now time.Time) (appended eventstore.Appended, refusal, err error) {
	stream, err := w.findStream(ctx, string(ready.Stream))
	if err != nil {
		return eventstore.Appended{}, nil, err
	}
	if expected := int64(ready.Expected.Next()); expected != stream.next { //nolint:gosec // Validate bounds it
		return w.resolveAppend(ctx, ready, stream)
	}
	end, err := w.findEnd(ctx)
	if err != nil {
		return eventstore.Appended{}, nil, err
	}
	recordedAt, refusal := ready.TimeAfter(end.time(), now)
	if refusal != nil {
		return eventstore.Appended{}, refusal, nil
	}
	// The ids come first: it is here that a batch is refused whose stream is where it expects it.
	if err := w.addIDs(ctx, ready.ids, end.last+1); isConstraint(err) { // an id is held, or a defect: find out which
		refusal, fault := w.findReused(ctx, ready, end.last+1)
		switch {
		case refusal != nil:
			return eventstore.Appended{}, nil, &lateRefusalError{refusal}
		case fault == nil:
			fault = err
		}
		return eventstore.Appended{}, nil, fault
	} else if err != nil {
		return eventstore.Appended{}, nil, err
	}
	appended, err = w.write(ctx, ready, stream, logEnd{last: end.last, recordedAt: recordedAt.UnixMicro()})
	return appended, nil, err
}

// resolveAppend answers a batch whose stream is not where it expects it.
func (w *writer) resolveAppend(ctx context.Context, ready *readyBatch, stream streamEnd) (at eventstore.Appended, refusal, err error) {
	at, repeated, err := ready.Repeated(w.held(ctx, ready, stream))
	if err != nil || repeated {
		return at, nil, err
	}
	if refusal, err = w.findReused(ctx, ready, 0); refusal == nil && err == nil {
		refusal = fmt.Errorf("%w: expected %s, it has %d events", eventstore.ErrConflict, ready.Expected, stream.next)
	}
	return eventstore.Appended{}, refusal, err
}

// held yields the records that are where ready wants to be.
func (w *writer) held(ctx context.Context, ready *readyBatch, stream streamEnd) iter.Seq2[eventstore.Record, error] {
	expected := int64(ready.Expected.Next()) //nolint:gosec // Validate bounds it
	size := int64(len(ready.Events))
	scan := alongStream(ready.Stream, expected, min(expected+size, stream.next)-1)
	return scan.records(ctx, w.conn, defaultSizes().pageChunks)
}

// lateRefusalError says that a batch is refused, of which a part of the ids was added already.
type lateRefusalError struct{ refusal error }

func (r *lateRefusalError) Error() string { return r.refusal.Error() }

// findReused refuses ready with ErrIDReused if the log holds one of its ids, but for those that were added for the batch at own.
func (w *writer) findReused(ctx context.Context, ready *readyBatch, own int64) (refusal, err error) {
	for _, e := range ready.Events {
		var batch int64
		found, err := w.find(ctx, sqlFindID, []any{e.ID[:]}, &batch)
		if err != nil {
			return nil, err
		}
		if found && batch != own {
			return fmt.Errorf("%w: %s is in the batch from position %d", eventstore.ErrIDReused, e.ID, batch), nil
		}
	}
	return nil, nil
}

// write adds ready, but for its ids, behind the end of the log, at the time that end has, and at that of its stream.
func (w *writer) write(ctx context.Context, ready *readyBatch, stream streamEnd, end logEnd) (appended eventstore.Appended, err error) {
	if stream.id == 0 {
		if stream.id, err = w.addStream(ctx, string(ready.Stream)); err != nil {
			return eventstore.Appended{}, err
		}
	}
	first, size := end.last+1, len(ready.Events)
	ready.written = 0
	at := chunkInfo{
		last: end.last, lastRevision: stream.next - 1, batchFirst: first, batchSize: size,
		recordedAt: end.recordedAt, stream: string(ready.Stream), meta: ready.meta,
	}
	for c, err := range ready.chunks {
		if err != nil {
			return eventstore.Appended{}, err
		}
		ready.written += c.bytes()
		at.last += int64(c.size)
		at.lastRevision += int64(c.size)
		c.chunkInfo = at
		if err := w.addChunk(ctx, c, stream.id); err != nil {
			return eventstore.Appended{}, err
		}
	}
	for c, err := range ready.contents {
		if err == nil {
			ready.written += int64(len(c.Bytes)) + pageSize
			err = w.addContent(ctx, c)
		}
		if err != nil {
			return eventstore.Appended{}, err
		}
	}
	return eventstore.Appended{
		First: eventstore.Position(first), Last: eventstore.Position(at.last), //nolint:gosec // positive
		LastRevision: eventstore.Revision(at.lastRevision), //nolint:gosec // not negative
	}, nil
}

// writer is the one connection of a handle that appends, and its statements. Whoever put a token into turn may use it.
type writer struct {
	turn       chan struct{}
	db         *sql.DB
	conn       *sql.Conn // nil when it was dropped
	statements map[string]*sql.Stmt
}

const (
	sqlStream    = "SELECT id, coalesce((SELECT max(last_revision) FROM chunks WHERE stream = streams.id), -1) FROM streams WHERE name = ?"
	sqlAddStream = "INSERT INTO streams (name) VALUES (?)"
	sqlEnd       = "SELECT last, recorded_at FROM chunks ORDER BY last DESC LIMIT 1"
	sqlAddChunk  = `INSERT INTO chunks (last, size, stream, last_revision, batch_first, batch_size, recorded_at,
		meta, ids, types, lengths, data, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	sqlFindID     = "SELECT batch FROM event_ids WHERE id = ?"
	sqlAddContent = `INSERT INTO contents (sha256, size, encoding, bytes)
		SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (SELECT 1 FROM contents WHERE sha256 = ?1)`
)

// idsAtOnce is how many ids one statement adds: a statement for each would cost more than all the rest of the append.
const idsAtOnce = 64

// sqlAddIDs adds the ids that are not NULL. Once it has failed, a part of them is there: SQLite keeps a copy of each page that a statement
// changes which it may have to take back, whole or by a function in it, and the ids of foreign clients are all over the tree.
func sqlAddIDs() string {
	return "INSERT OR FAIL INTO event_ids (id, batch) SELECT column1, ?1 FROM (VALUES (?2)" + strings.Repeat(", (?)", idsAtOnce-1) +
		") WHERE column1 IS NOT NULL"
}

func newWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	w := &writer{turn: make(chan struct{}, 1), db: db, statements: map[string]*sql.Stmt{}}
	return w, w.connect(ctx)
}

// connect connects unless there is a connection.
func (w *writer) connect(ctx context.Context) (err error) {
	if w.conn != nil {
		return nil
	}
	if w.conn, err = w.db.Conn(ctx); err != nil {
		w.conn = nil
		return err
	}
	for _, query := range []string{
		sqlitetx.BeginWrite, sqlitetx.Commit, sqlitetx.Rollback, sqlStream, sqlAddStream, sqlEnd, sqlAddChunk, sqlAddIDs(), sqlFindID, sqlAddContent,
	} {
		statement, err := w.conn.PrepareContext(ctx, query) //nolint:sqlclosecheck // forget does
		if err != nil {
			return errors.Join(err, w.close())
		}
		w.statements[query] = statement
	}
	return nil
}

// drop closes the connection, of which the next transaction makes a new one.
func (w *writer) drop() {
	_ = w.forget()
	sqlitetx.Drop(w.conn)
	w.conn = nil
}

func (w *writer) close() error {
	err := w.forget()
	if w.conn != nil {
		err = errors.Join(err, w.conn.Close())
	}
	w.conn = nil
	return err
}

// forget closes every prepared statement.
func (w *writer) forget() error {
	var faults []error
	for _, s := range w.statements {
		faults = append(faults, s.Close())
	}
	clear(w.statements)
	return errors.Join(faults...)
}

// transact runs work in one immediate transaction and commits it unless work fails. ctx can end the waiting for the lock; once the
// transaction has started it runs to a definite end. committing reports whether it came to the COMMIT: before it, nothing was written.
func (w *writer) transact(ctx context.Context, work func(ctx context.Context) error) (committing bool, err error) {
	if err := w.connect(ctx); err != nil {
		return false, err
	}
	err = sqlitetx.Transaction{Drop: w.drop, Exec: func(ctx context.Context, statement string) error {
		committing = committing || statement == sqlitetx.Commit
		_, err := w.exec(ctx, statement)
		return err
	}}.WriteAll(ctx, work)
	return committing, err
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

// addIDs adds ids. After an error a part of them is there.
func (w *writer) addIDs(ctx context.Context, ids []byte, batch int64) error {
	query := sqlAddIDs()
	for group := range slices.Chunk(ids, 16*idsAtOnce) {
		args := make([]any, 1+idsAtOnce)
		args[0] = batch
		for i := range len(group) / 16 {
			args[1+i] = group[16*i : 16*i+16]
		}
		if _, err := w.exec(ctx, query, args...); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) addContent(ctx context.Context, c contents.Stored) error {
	_, err := w.exec(ctx, sqlAddContent, c.Hash, c.Size, c.Encoding, c.Bytes)
	return err
}

func isConstraint(err error) bool { return sqlitefault.ClassOf(err) == sqlitefault.Constraint }

// announce wakes the subscriptions of this handle.
func (l *Log) announce() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
}
