package postgres

import (
	"time"

	"github.com/jackc/pgx/v5"
)

// statementBytes is about the size of the largest statement, unless a single row is larger: the server and the driver
// hold each whole in memory.
const statementBytes = 16 << 20

// inserts queues all rows of the transaction, as arrays.
func (t *transaction) inserts() *pgx.Batch {
	batch := &pgx.Batch{}
	t.insertContents(batch)
	t.insertStreams(batch)
	t.insertBatches(batch)
	t.insertEvents(batch)
	return batch
}

func (t *transaction) insertContents(batch *pgx.Batch) {
	var hashes, bytes [][]byte
	var sizes []int64
	var encodings []int16
	pending := 0
	flush := func() {
		if len(hashes) > 0 {
			batch.Queue(t.log.sql.addContents, hashes, sizes, encodings, bytes)
		}
		hashes, sizes, encodings, bytes, pending = nil, nil, nil, nil, 0
	}
	for _, w := range t.writes {
		for _, c := range w.contents {
			if pending+len(c.Bytes) > statementBytes {
				flush()
			}
			hashes, sizes = append(hashes, c.Hash), append(sizes, c.Size)
			encodings, bytes = append(encodings, c.Encoding), append(bytes, c.Bytes)
			pending += len(c.Bytes)
		}
	}
	flush()
}

func (t *transaction) insertStreams(batch *pgx.Batch) {
	var ids []int64
	var names []string
	for _, w := range t.writes {
		if w.fresh {
			ids, names = append(ids, w.stream), append(names, string(w.batch.Stream))
		}
	}
	if len(ids) > 0 {
		batch.Queue(t.log.sql.addStreams, ids, names)
	}
}

func (t *transaction) insertBatches(batch *pgx.Batch) {
	n := len(t.writes)
	firsts, streams, revisions := make([]int64, n), make([]int64, n), make([]int64, n)
	sizes, metas, times := make([]int32, n), make([]string, n), make([]time.Time, n)
	for i, w := range t.writes {
		firsts[i], streams[i], metas[i], times[i] = w.first, w.stream, w.meta, w.at
		sizes[i] = int32(len(w.batch.Events))         //nolint:gosec // maxBatchBytes allows less
		revisions[i] = int64(w.batch.Expected.Next()) //nolint:gosec // it is where the stream ends
	}
	batch.Queue(t.log.sql.addBatches, firsts, sizes, streams, revisions, times, metas)
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

func (t *transaction) insertEvents(batch *pgx.Batch) {
	rows := &eventRows{}
	flush := func() {
		if len(rows.ids) > 0 {
			batch.Queue(t.log.sql.addEvents, rows.positions, rows.ids, rows.types, rows.data, rows.checksums)
		}
		rows = &eventRows{}
	}
	for _, w := range t.writes {
		for i, e := range w.batch.Events {
			if rows.size+len(e.Data) > statementBytes {
				flush()
			}
			position := w.first + int64(i)
			rows.positions, rows.ids = append(rows.positions, position), append(rows.ids, e.ID)
			rows.types, rows.data = append(rows.types, e.Type), append(rows.data, e.Data)
			rows.checksums = append(rows.checksums, w.digests[i].seal(position, w.at))
			rows.size += len(e.Data)
		}
	}
	flush()
}
