package sqlite

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"iter"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
)

// A chunk ends with the batch, with its 64th event, or with the event with which its data reaches 64 KiB: large enough to
// make rows cheap, small enough to read one for the sake of a single event.
const chunkBytes = 64 << 10

// chunk is a row of the table chunks: what can be made of it before its place is known, and its place.
type chunk struct {
	size       int
	ids        []byte // 16 bytes for each event
	types      []byte // JSON array of texts
	lengths    []byte // JSON array of numbers
	data       []byte // JSON array
	contentSum [sha256.Size]byte

	chunkInfo
	checksum []byte
}

// chunkInfo is where a chunk is and what it shares with its batch.
type chunkInfo struct {
	last         int64 // position
	lastRevision int64
	batchFirst   int64 // position
	batchSize    int
	recordedAt   int64 // microseconds since 1970
	stream       string
	meta         []byte // JSON
}

// storedMeta leaves out what the columns of a chunk say.
type storedMeta struct {
	eventstore.Meta
	Index *int `json:"index,omitempty"`
	Size  *int `json:"size,omitempty"`
}

// split packs the events of a batch into chunks of up to most events, which have no place yet.
func split(events []eventstore.NewEvent, most int) iter.Seq2[chunk, error] {
	return func(yield func(chunk, error) bool) {
		for len(events) > 0 {
			n, size := 0, 0
			var loaded []eventstore.NewEvent
			for n < len(events) && n < most && size < chunkBytes {
				e := events[n]
				var err error
				if e.Data, err = e.Read(); err != nil {
					yield(chunk{}, err)
					return
				}
				loaded = append(loaded, e)
				size += len(e.Data)
				n++
			}
			c, err := pack(loaded, size)
			if !yield(c, err) || err != nil {
				return
			}
			events = events[n:]
		}
	}
}

// bytes is about what c takes in its table.
func (c *chunk) bytes() int64 { return int64(len(c.data) + len(c.types) + len(c.meta)) }

// pack makes one chunk of events whose data has size bytes.
func pack(events []eventstore.NewEvent, size int) (chunk, error) {
	c := chunk{
		size: len(events),
		ids:  make([]byte, 0, 16*len(events)),
		data: make([]byte, 0, size+len(events)+1),
	}
	types := make([]string, len(events))
	lengths := make([]int, len(events))
	for i, e := range events {
		c.ids = append(c.ids, e.ID[:]...)
		c.data = append(append(c.data, separator(i)), e.Data...)
		types[i], lengths[i] = e.Type, len(e.Data)
	}
	c.data = append(c.data, ']')
	var err error
	if c.types, err = json.Marshal(types); err != nil {
		return chunk{}, err
	}
	if c.lengths, err = json.Marshal(lengths); err != nil {
		return chunk{}, err
	}
	c.contentSum = c.sumContent()
	return c, nil
}

// separator is what is before the i-th event in the data of a chunk.
func separator(i int) byte {
	if i == 0 {
		return '['
	}
	return ','
}

func (c *chunk) sumContent() [sha256.Size]byte {
	return sum(c.ids, c.types, c.lengths, c.data)
}

// sumAll covers everything that a reader gets of the chunk, the name of its stream included. Part of the stored form:
// it must not be changed.
func (c *chunk) sumAll() []byte {
	numbers := make([]byte, 0, 6*8)
	for _, n := range []int64{c.last, int64(c.size), c.lastRevision, c.batchFirst, int64(c.batchSize), c.recordedAt} {
		numbers = binary.BigEndian.AppendUint64(numbers, uint64(n)) //nolint:gosec // the bits matter, not the sign
	}
	all := sum(c.contentSum[:], numbers, []byte(c.stream), c.meta)
	return all[:]
}

// sum is SHA-256 over parts, each with its length before it, so that bytes cannot move from one to the next unseen.
func sum(parts ...[]byte) [sha256.Size]byte {
	h := sha256.New()
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		h.Write(p)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// first is the position of the first event.
func (c *chunk) first() int64 { return c.last - int64(c.size) + 1 }

var (
	errChecksum = errors.New("what is stored does not have its checksum")
	errShape    = errors.New("parts of the chunk do not fit each other")
)

func (c *chunk) unpack() ([]eventstore.Record, error) {
	if c.contentSum = c.sumContent(); !bytes.Equal(c.sumAll(), c.checksum) {
		return nil, errChecksum
	}
	var types []string
	var lengths []int
	var meta storedMeta
	if err := errors.Join(
		json.Unmarshal(c.types, &types), json.Unmarshal(c.lengths, &lengths), json.Unmarshal(c.meta, &meta),
	); err != nil {
		return nil, err
	}
	if len(types) != c.size || len(lengths) != c.size || len(c.ids) != 16*c.size {
		return nil, errShape
	}
	records := make([]eventstore.Record, c.size)
	at := 0
	for i := range records {
		from := at + 1 // after the separator
		at = from + lengths[i]
		if lengths[i] < 0 || at >= len(c.data) {
			return nil, errShape
		}
		records[i] = c.record(i, types[i], c.data[from:at], meta.Meta)
	}
	return records, nil
}

func (c *chunk) record(i int, typ string, data []byte, meta eventstore.Meta) eventstore.Record {
	position := c.first() + int64(i)
	meta.Index, meta.Size = int(position-c.batchFirst), c.batchSize
	return eventstore.Record{
		Position:   eventstore.Position(position),                                      //nolint:gosec // positive
		Revision:   eventstore.Revision(c.lastRevision - int64(c.size) + 1 + int64(i)), //nolint:gosec // not negative
		Stream:     eventstore.StreamID(c.stream),
		ID:         eventstore.EventID(c.ids[16*i : 16*i+16]),
		Type:       typ,
		RecordedAt: time.UnixMicro(c.recordedAt).UTC(),
		Meta:       meta,
		Data:       bytes.Clone(data),
	}
}
