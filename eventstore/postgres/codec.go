package postgres

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/gxpledger/gxpledger/eventstore"
)

// How the bytes of a content are stored. Part of the stored form: append only.
const (
	encodingNone = 0
	encodingZstd = 1
)

// codec turns contents into what is stored and back. It is safe for concurrent use.
type codec struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

func newCodec() (*codec, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithSingleSegment(true)) // so that every frame says how large its content is
	if err != nil {
		return nil, fmt.Errorf("make an encoder: %w", err)
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxContentBytes))
	if err != nil {
		return nil, fmt.Errorf("make a decoder: %w", err)
	}
	return &codec{encoder: encoder, decoder: decoder}, nil
}

// content is a row of the table contents.
type content struct {
	hash     []byte // SHA-256 of what it was before encoding
	size     int64  // of that
	encoding int16
	bytes    []byte
}

// encode returns b as it is stored, sharing nothing with it.
func (c *codec) encode(b eventstore.Blob) (content, error) {
	hash, err := hex.DecodeString(b.SHA256)
	if err != nil {
		return content{}, fmt.Errorf("%w: hash %q", eventstore.ErrInvalid, b.SHA256)
	}
	out := content{hash: hash, size: int64(len(b.Bytes)), encoding: encodingZstd, bytes: c.encoder.EncodeAll(b.Bytes, nil)}
	if len(out.bytes) >= len(b.Bytes) {
		out.encoding, out.bytes = encodingNone, append([]byte{}, b.Bytes...)
	}
	if len(b.Bytes) > maxContentBytes {
		return content{}, fmt.Errorf("%w: content %s has %d bytes, a log on PostgreSQL takes %d",
			eventstore.ErrTooLarge, b.SHA256, len(b.Bytes), maxContentBytes)
	}
	return out, nil
}

var (
	errContentSize = errors.New("size does not fit the bytes")
	errContentHash = errors.New("bytes have another hash")
)

// decode returns the original bytes of s, checked.
func (c *codec) decode(s content) ([]byte, error) {
	data := s.bytes
	switch s.encoding {
	case encodingNone:
	case encodingZstd:
		var err error
		if data, err = c.unpack(s); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("unknown encoding %d", s.encoding)
	}
	if int64(len(data)) != s.size {
		return nil, errContentSize
	}
	if sum := sha256.Sum256(data); !bytes.Equal(sum[:], s.hash) {
		return nil, errContentHash
	}
	return data, nil
}

// unpack never allocates more than the row says that the content has, and that only within the limit.
func (c *codec) unpack(s content) ([]byte, error) {
	var header zstd.Header
	if err := header.Decode(s.bytes); err != nil {
		return nil, err
	}
	if !header.HasFCS || s.size < 0 || s.size > maxContentBytes || header.FrameContentSize != uint64(s.size) {
		return nil, errContentSize
	}
	return c.decoder.DecodeAll(s.bytes, make([]byte, 0, s.size))
}

// storedMeta is the metadata of a batch as it is stored: index and size follow from the row.
type storedMeta struct {
	eventstore.Meta

	Index int `json:"index,omitempty"`
	Size  int `json:"size,omitempty"`
}

func encodeMeta(meta eventstore.Meta) (string, error) {
	text, err := json.Marshal(storedMeta{Meta: meta})
	if err != nil {
		return "", fmt.Errorf("encode metadata: %w", err)
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

// place is where an event stands in its stream and its batch.
type place struct {
	stream   eventstore.StreamID
	revision uint64
	index    int
	size     int
	meta     string // as stored
}

func newDigest(at place, id eventstore.EventID, kind string, data []byte) digest {
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
