// Package contents is the form in which the SQL logs store the original bytes of scanned files: compressed where that
// makes them smaller, named by their hash, and checked whenever they are read (I12).
package contents

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/gxpledger/gxpledger/eventstore"
)

// MaxBytes is the size of the largest content. It bounds what a forged row can make a reader allocate.
const MaxBytes = 512 << 20

// How the bytes of a content are stored. Part of the stored form: append only.
const (
	EncodingNone = 0
	EncodingZstd = 1
)

// Stored is a row of the table contents.
type Stored struct {
	Hash     []byte // SHA-256 of what it was before encoding
	Size     int64  // of that
	Encoding int16
	Bytes    []byte // never nil: an empty file is no NULL
}

// Codec turns contents into what is stored and back. It is safe for concurrent use.
type Codec struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder

	use    sync.RWMutex // held by who encodes or decodes, and wholly by who closes
	closed bool
}

// NewCodec returns a codec. The caller closes it.
func NewCodec() (*Codec, error) {
	// A frame of one segment always says how large its content is.
	encoder, err := zstd.NewWriter(nil, zstd.WithSingleSegment(true), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("cannot create an encoder of contents: %w", err)
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxBytes),
		zstd.WithDecodeAllCapLimit(true)) // unpack gives the capacity
	if err != nil {
		return nil, fmt.Errorf("cannot create a decoder of contents: %w", err)
	}
	return &Codec{encoder: encoder, decoder: decoder}, nil
}

// Close waits until nobody encodes or decodes, and frees what the codec holds. From then on it answers [eventstore.ErrClosed].
func (c *Codec) Close() error {
	c.use.Lock()
	defer c.use.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	c.decoder.Close()
	return c.encoder.Close()
}

// Encode returns b as it is stored, sharing nothing with it. A content above MaxBytes is ErrTooLarge.
func (c *Codec) Encode(b eventstore.Blob) (Stored, error) {
	c.use.RLock()
	defer c.use.RUnlock()
	if c.closed {
		return Stored{}, eventstore.ErrClosed
	}
	if len(b.Bytes) > MaxBytes {
		return Stored{}, fmt.Errorf("%w: content %s has %d bytes, a log takes %d", eventstore.ErrTooLarge, b.SHA256, len(b.Bytes), MaxBytes)
	}
	hash, err := hex.DecodeString(b.SHA256)
	if err != nil {
		return Stored{}, fmt.Errorf("%w: hash %q of a content", eventstore.ErrInvalid, b.SHA256)
	}
	s := Stored{Hash: hash, Size: int64(len(b.Bytes)), Encoding: EncodingZstd, Bytes: c.encoder.EncodeAll(b.Bytes, nil)}
	if len(s.Bytes) >= len(b.Bytes) {
		s.Encoding, s.Bytes = EncodingNone, append([]byte{}, b.Bytes...)
	}
	return s, nil
}

var (
	errSize     = errors.New("size does not fit the bytes")
	errHash     = errors.New("bytes have another hash")
	errEncoding = errors.New("unknown encoding")
)

// Decode returns the original bytes of s, checked against its size and hash. Any error but [eventstore.ErrClosed] means that the row is
// corrupt.
func (c *Codec) Decode(s Stored) ([]byte, error) {
	c.use.RLock()
	defer c.use.RUnlock()
	if c.closed {
		return nil, eventstore.ErrClosed
	}
	data := s.Bytes
	switch s.Encoding {
	case EncodingNone:
		if data == nil {
			data = []byte{} // an empty file is no missing one
		}
	case EncodingZstd:
		var err error
		if data, err = c.unpack(s); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("%w: %d", errEncoding, s.Encoding)
	}
	if int64(len(data)) != s.Size {
		return nil, errSize
	}
	if sum := sha256.Sum256(data); !bytes.Equal(sum[:], s.Hash) {
		return nil, errHash
	}
	return data, nil
}

// unpack never allocates more than the row says that the content has, and that only within the limit. A frame need not
// say its size, so that the decoder's own limit must hold, too.
func (c *Codec) unpack(s Stored) ([]byte, error) {
	var header zstd.Header
	if err := header.Decode(s.Bytes); err != nil {
		return nil, err
	}
	if s.Size < 0 || s.Size > MaxBytes || header.HasFCS && header.FrameContentSize != uint64(s.Size) {
		return nil, errSize
	}
	data, err := c.decoder.DecodeAll(s.Bytes, make([]byte, 0, s.Size))
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return nil, errSize
	}
	return data, err
}
