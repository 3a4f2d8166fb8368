package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/pg"
)

// transaction is one append of a group, while the lock of the counter row is held.
type transaction struct {
	log  *Log
	conn *pgxpool.Conn

	head       int64     // last position
	recordedAt time.Time // of the last batch, those that are written now included
	now        time.Time
	streams    int64 // last stream id
	ends       map[eventstore.StreamID]end
	writes     []write
}

// end is where a stream ends.
type end struct {
	stream int64  // its id
	next   uint64 // the revision that its next event gets
}

// write is one batch that is written.
type write struct {
	*request

	stream int64
	fresh  bool // the stream begins
	first  int64
	at     time.Time // of recording
}

// commitOnce tries once to write group, and calls moved whenever bytes move to or from the server. Its answers are those
// of the requests, in order; an error is that of all.
func (l *Log) commitOnce(ctx context.Context, group []*request, moved func()) ([]answer, error) {
	answers := make([]answer, len(group))
	err := l.once(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		defer pg.OnProgress(conn.Conn(), moved)()
		t := &transaction{log: l, conn: conn, ends: make(map[eventstore.StreamID]end, len(group))}
		defer t.rollback(ctx)
		if err := t.begin(ctx, group); err != nil {
			return err
		}
		for i, r := range group {
			var err error
			if answers[i], err = t.judge(ctx, r); err != nil {
				return err
			}
		}
		if len(t.writes) == 0 {
			return nil
		}
		return t.commit(ctx)
	})
	return answers, err
}

// begin locks the counter row and finds where the streams of group end, in one round trip. The lock comes first: what is
// read after it is all that was ever committed.
func (t *transaction) begin(ctx context.Context, group []*request) error {
	names := make([]string, len(group))
	for i, r := range group {
		names[i] = string(r.batch.Stream)
	}
	var batch pgx.Batch
	batch.Queue("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
	batch.Queue(t.log.sql.lock).QueryRow(func(row pgx.Row) error { return row.Scan(&t.head, &t.recordedAt, &t.streams) })
	batch.Queue(t.log.sql.ends, names).Query(func(rows pgx.Rows) error {
		var name string
		var id, next int64
		_, err := pgx.ForEachRow(rows, []any{&name, &id, &next}, func() error {
			t.ends[eventstore.StreamID(name)] = end{stream: id, next: uint64(next)} //nolint:gosec // the table allows none below 0
			return nil
		})
		return err
	})
	if err := t.conn.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("cannot lock the counter row: %w", err)
	}
	t.now = t.log.options.Now()
	return nil
}

// judge finds out what becomes of r. A batch that expects the end of its stream is written without looking for its ids
// first: the unique index refuses it when it is wrong, and then it comes again as a suspect.
func (t *transaction) judge(ctx context.Context, r *request) (answer, error) {
	at, exists := t.ends[r.batch.Stream]
	expected := uint64(r.batch.Expected.Next())
	if expected != at.next || r.suspect {
		refusal, err := t.compare(ctx, r)
		if err != nil || refusal != (answer{}) {
			return refusal, err
		}
	}
	if expected != at.next {
		return answer{err: fmt.Errorf("%w: expected %s, it has %d events", eventstore.ErrConflict, r.batch.Expected, at.next)}, nil
	}
	recordedAt, err := r.batch.TimeAfter(t.recordedAt, t.now)
	if err != nil {
		return answer{err: err}, nil //nolint:nilerr // it is that of this batch alone
	}
	t.recordedAt = recordedAt
	if !exists {
		t.streams++
		at.stream = t.streams
	}
	w := write{request: r, stream: at.stream, fresh: !exists, first: t.head + 1, at: recordedAt}
	t.writes = append(t.writes, w)
	t.head += int64(len(r.batch.Events))
	return answer{appended: eventstore.Appended{
		First: eventstore.Position(w.first), Last: eventstore.Position(t.head), //nolint:gosec // positions are above 0
		LastRevision: eventstore.Revision(expected + uint64(len(r.batch.Events)) - 1),
	}}, nil
}

// compare looks for r in the log. The zero answer says that none of its ids is there.
func (t *transaction) compare(ctx context.Context, r *request) (answer, error) {
	ids := make([][16]byte, len(r.batch.Events))
	for i, e := range r.batch.Events {
		ids[i] = e.ID
	}
	var id [16]byte
	var position int64
	err := t.conn.QueryRow(ctx, t.log.sql.findIDs, ids).Scan(&id, &position)
	if errors.Is(err, pgx.ErrNoRows) {
		return answer{}, nil
	}
	if err != nil {
		return answer{}, fmt.Errorf("cannot find the event ids: %w", err)
	}
	at, repeated, err := r.batch.Repeated(t.recordsInPlace(ctx, r))
	if err != nil {
		return answer{}, err
	}
	if !repeated {
		return answer{err: fmt.Errorf("%w: %s is at position %d", eventstore.ErrIDReused, eventstore.EventID(id), position)}, nil
	}
	return answer{appended: at}, nil
}

// recordsInPlace yields the records that are where r wants to be.
func (t *transaction) recordsInPlace(ctx context.Context, r *request) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		w := newStreamCursor(r.batch.Stream, r.batch.Expected.Next(), t.head)
		for n := 0; !w.done() && n < len(r.batch.Events); {
			page, err := t.log.page(ctx, t.conn, w)
			if err != nil {
				yield(eventstore.Record{}, fmt.Errorf("cannot read the records in its place: %w", err))
				return
			}
			for _, record := range page[:min(len(page), len(r.batch.Events)-n)] {
				if n++; !yield(record, nil) {
					return
				}
			}
		}
	}
}

// errPartlyStored says that an index refused a batch: the log holds one of its ids, or its rows are not what they should be.
var errPartlyStored = errors.New("log holds a part of it already")

// commit writes the batches and commits, in one round trip unless there is much to send.
func (t *transaction) commit(ctx context.Context) error {
	committed := false
	p := &pieces{send: func(piece *pgx.Batch) error { return t.conn.SendBatch(ctx, piece).Close() }}
	err := t.insert(p)
	if err == nil {
		for _, w := range t.writes {
			w.sent = true
		}
		p.piece.Queue(t.log.sql.moveHead, t.head, t.recordedAt, t.streams)
		p.piece.Queue("COMMIT").Exec(func(tag pgconn.CommandTag) error {
			committed = tag.String() == "COMMIT"
			return nil
		})
		err = p.send(p.piece)
	}
	var refused *pgconn.PgError
	var unread *loadError
	switch {
	case errors.As(err, &unread):
		return unread
	case errors.As(err, &refused) && refused.Code == "23505":
		return fmt.Errorf("%w: %w", errPartlyStored, err)
	case err != nil:
		return fmt.Errorf("cannot commit: %w", err)
	case !committed:
		return fmt.Errorf("%w: the server rolled back", eventstore.ErrTransient)
	}
	return nil
}

// rollback frees the counter row when the transaction did not end by itself. A connection on which that fails is closed,
// and the server rolls back.
func (t *transaction) rollback(ctx context.Context) {
	if t.conn.Conn().IsClosed() || t.conn.Conn().PgConn().TxStatus() == 'I' {
		return
	}
	_, _ = t.conn.Exec(ctx, "ROLLBACK") // see above
}

// pieceBytes is about how much is sent before the server has to answer, unless a single row is larger. The driver and
// the server hold it in memory, and what the network still holds of it looks as if it had arrived.
const pieceBytes = 512 << 10

// pieces are statements that are sent a piece at a time: as soon as one is full, and each is answered before the next one is
// made.
type pieces struct {
	send  func(*pgx.Batch) error
	piece *pgx.Batch // the last, not sent yet
	size  int        // bytes in it
}

// queue adds a statement of about size bytes.
func (p *pieces) queue(size int, sql string, args ...any) error {
	if p.piece != nil && p.size > 0 && p.size+size > pieceBytes {
		if err := p.send(p.piece); err != nil {
			return err
		}
		p.piece = nil
	}
	if p.piece == nil {
		p.piece, p.size = &pgx.Batch{}, 0
		if size > pieceBytes {
			// To the server, a session in a transaction is idle until the first statement of a piece has arrived, and one that
			// is idle for long is ended.
			p.piece.Queue("SELECT")
		}
	}
	p.piece.Queue(sql, args...)
	p.size += size
	return nil
}

// insert queues all rows of the transaction, as arrays.
func (t *transaction) insert(p *pieces) error {
	for _, insert := range []func(*pieces) error{t.insertContents, t.insertStreams, t.insertBatches, t.insertEvents} {
		if err := insert(p); err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) insertContents(p *pieces) error {
	var hashes, bytes [][]byte
	var sizes []int64
	var encodings []int16
	pending := 0
	flush := func() error {
		if len(hashes) == 0 {
			return nil
		}
		err := p.queue(pending, t.log.sql.addContents, hashes, sizes, encodings, bytes)
		hashes, sizes, encodings, bytes, pending = nil, nil, nil, nil, 0
		return err
	}
	for _, w := range t.writes {
		for c, err := range w.encoded(t.log.codec) {
			if err == nil && pending+len(c.Bytes) > pieceBytes {
				err = flush()
			}
			if err != nil {
				return err
			}
			hashes, sizes = append(hashes, c.Hash), append(sizes, c.Size)
			encodings, bytes = append(encodings, c.Encoding), append(bytes, c.Bytes)
			pending += len(c.Bytes) + len(c.Hash)
		}
	}
	return flush()
}

func (t *transaction) insertStreams(p *pieces) error {
	var ids []int64
	var names []string
	size := 0
	for _, w := range t.writes {
		if w.fresh {
			size += len(w.batch.Stream)
			ids, names = append(ids, w.stream), append(names, string(w.batch.Stream))
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return p.queue(size, t.log.sql.addStreams, ids, names)
}

func (t *transaction) insertBatches(p *pieces) error {
	n, size := len(t.writes), 0
	firsts, streams, revisions := make([]int64, n), make([]int64, n), make([]int64, n)
	sizes, metas, times := make([]int32, n), make([]string, n), make([]time.Time, n)
	for i, w := range t.writes {
		firsts[i], streams[i], metas[i], times[i] = w.first, w.stream, w.meta, w.at
		size += len(w.meta)
		sizes[i] = int32(len(w.batch.Events))         //nolint:gosec // maxBatchBytes allows less
		revisions[i] = int64(w.batch.Expected.Next()) //nolint:gosec // it is where the stream ends
	}
	return p.queue(size, t.log.sql.addBatches, firsts, sizes, streams, revisions, times, metas)
}

// eventRows are rows of the table events, by column.
type eventRows struct {
	positions []int64
	ids       [][16]byte
	types     []string
	data      [][]byte
	checksums [][]byte
	size      int
}

func (t *transaction) insertEvents(p *pieces) error {
	rows := &eventRows{}
	flush := func() error {
		if len(rows.ids) == 0 {
			return nil
		}
		err := p.queue(rows.size, t.log.sql.addEvents, rows.positions, rows.ids, rows.types, rows.data, rows.checksums)
		rows = &eventRows{}
		return err
	}
	for _, w := range t.writes {
		total := len(w.meta)
		for i, e := range w.batch.Events {
			data, digest, err := w.event(i)
			if total += len(data) + len(e.Type) + perEvent; err == nil && w.streamed {
				err = checkSize(total)
			}
			if err == nil && rows.size+len(data) > pieceBytes {
				err = flush()
			}
			if err != nil {
				return err
			}
			position := w.first + int64(i)
			rows.positions, rows.ids = append(rows.positions, position), append(rows.ids, e.ID)
			rows.types, rows.data = append(rows.types, e.Type), append(rows.data, data)
			rows.checksums = append(rows.checksums, digest.seal(position, w.at))
			rows.size += len(data) + len(e.Type) + perEvent
		}
	}
	return flush()
}
