package postgres

import (
	"time"

	"github.com/jackc/pgx/v5"
)

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
