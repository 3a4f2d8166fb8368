package postgres

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
)

// storedMeta is the metadata of a batch as it is stored: index and size follow from the row.
type storedMeta struct {
	eventstore.Meta

	Index int `json:"index,omitempty"`
	Size  int `json:"size,omitempty"`
}

func encodeMeta(meta eventstore.Meta) (string, error) {
	text, err := json.Marshal(storedMeta{Meta: meta})
	if err != nil {
		return "", fmt.Errorf("cannot encode metadata: %w", err)
	}
	return string(text), nil
}

func decodeMeta(text string) (eventstore.Meta, error) {
	var meta storedMeta
	err := json.Unmarshal([]byte(text), &meta)
	return meta.Meta, err
}

// digest covers all of an event but its position and time, which are known only under the lock. Stored form: append only.
//
//	id (16) | revision (8) | index (8) | size (8) | stream | type | metadata as stored | data
//
// Numbers are big-endian; each of the last four is preceded by its length (8).
type digest [sha256.Size]byte

// eventPlace is where an event is in its stream and its batch.
type eventPlace struct {
	stream   eventstore.StreamID
	revision uint64
	index    int
	size     int
	meta     string // as stored
}

func newDigest(at eventPlace, id eventstore.EventID, kind string, data []byte) digest {
	h := sha256.New()
	var buffer [512]byte
	b := append(buffer[:0], id[:]...)
	b = binary.BigEndian.AppendUint64(b, at.revision)
	b = appendInt(b, at.index)
	b = appendInt(b, at.size)
	for _, text := range [...]string{string(at.stream), kind, at.meta} {
		b = append(appendInt(b, len(text)), text...)
	}
	b = appendInt(b, len(data))
	h.Write(b)
	h.Write(data)
	return digest(h.Sum(nil))
}

func appendInt(b []byte, n int) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(n)) //nolint:gosec // an index or a length is not negative
}

// seal returns the checksum that is stored: SHA-256 over position (8), time in microseconds since 1970 (8) and d.
func (d digest) seal(position int64, at time.Time) []byte {
	var b [16 + sha256.Size]byte
	binary.BigEndian.PutUint64(b[:], uint64(position)) //nolint:gosec // bits
	binary.BigEndian.PutUint64(b[8:], uint64(at.UTC().UnixMicro()))
	copy(b[16:], d[:])
	sum := sha256.Sum256(b[:])
	return sum[:]
}
