package postgres

import (
	"time"

	"github.com/jackc/pgx/v5"
)

// pieceBytes is about how much is sent before the server has to answer, unless a single row is larger. The driver and
// the server hold it in memory, and what the network still holds of it looks as if it had arrived.
const pieceBytes = 512 << 10

// pieces are statements in the order in which they run. Each piece is answered before the next one is sent.
type pieces struct {
	sent []*pgx.Batch
	size int // bytes in the last piece
}

// queue adds a statement of about size bytes.
func (p *pieces) queue(size int, sql string, args ...any) {
	if len(p.sent) == 0 || p.size > 0 && p.size+size > pieceBytes {
		p.sent, p.size = append(p.sent, &pgx.Batch{}), 0
		if size > pieceBytes {
			// To the server, a session in a transaction is idle until the first statement of a piece has arrived, and one that
			// is idle for long is ended.
			p.sent[len(p.sent)-1].Queue("SELECT")
		}
	}
	p.sent[len(p.sent)-1].Queue(sql, args...)
	p.size += size
}

// inserts queues all rows of the transaction, as arrays.
func (t *transaction) inserts() []*pgx.Batch {
	p := &pieces{}
	t.insertContents(p)
	t.insertStreams(p)
	t.insertBatches(p)
	t.insertEvents(p)
	return p.sent
}

func (t *transaction) insertContents(p *pieces) {
	var hashes, bytes [][]byte
	var sizes []int64
	var encodings []int16
	pending := 0
	flush := func() {
		if len(hashes) > 0 {
			p.queue(pending, t.log.sql.addContents, hashes, sizes, encodings, bytes)
		}
		hashes, sizes, encodings, bytes, pending = nil, nil, nil, nil, 0
	}
	for _, w := range t.writes {
		for _, c := range w.contents {
			if pending+len(c.Bytes) > pieceBytes {
				flush()
			}
			hashes, sizes = append(hashes, c.Hash), append(sizes, c.Size)
			encodings, bytes = append(encodings, c.Encoding), append(bytes, c.Bytes)
			pending += len(c.Bytes) + len(c.Hash)
		}
	}
	flush()
}

func (t *transaction) insertStreams(p *pieces) {
	var ids []int64
	var names []string
	size := 0
	for _, w := range t.writes {
		if w.fresh {
			size += len(w.batch.Stream)
			ids, names = append(ids, w.stream), append(names, string(w.batch.Stream))
		}
	}
	if len(ids) > 0 {
		p.queue(size, t.log.sql.addStreams, ids, names)
	}
}

func (t *transaction) insertBatches(p *pieces) {
	n, size := len(t.writes), 0
	firsts, streams, revisions := make([]int64, n), make([]int64, n), make([]int64, n)
	sizes, metas, times := make([]int32, n), make([]string, n), make([]time.Time, n)
	for i, w := range t.writes {
		firsts[i], streams[i], metas[i], times[i] = w.first, w.stream, w.meta, w.at
		size += len(w.meta)
		sizes[i] = int32(len(w.batch.Events))         //nolint:gosec // maxBatchBytes allows less
		revisions[i] = int64(w.batch.Expected.Next()) //nolint:gosec // it is where the stream ends
	}
	p.queue(size, t.log.sql.addBatches, firsts, sizes, streams, revisions, times, metas)
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

func (t *transaction) insertEvents(p *pieces) {
	rows := &eventRows{}
	flush := func() {
		if len(rows.ids) > 0 {
			p.queue(rows.size, t.log.sql.addEvents, rows.positions, rows.ids, rows.types, rows.data, rows.checksums)
		}
		rows = &eventRows{}
	}
	for _, w := range t.writes {
		for i, e := range w.batch.Events {
			if rows.size+len(e.Data) > pieceBytes {
				flush()
			}
			position := w.first + int64(i)
			rows.positions, rows.ids = append(rows.positions, position), append(rows.ids, e.ID)
			rows.types, rows.data = append(rows.types, e.Type), append(rows.data, e.Data)
			rows.checksums = append(rows.checksums, w.digests[i].seal(position, w.at))
			rows.size += len(e.Data) + len(e.Type) + perEvent
		}
	}
	flush()
}
