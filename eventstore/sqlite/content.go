package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/klauspost/compress/zstd"

	"github.com/gxpledger/gxpledger/eventstore"
)

// maxContentBytes is the size of the largest content. It bounds what a forged row can make a reader allocate.
const maxContentBytes = 512 << 20

// How the bytes of a content are stored. Part of the stored form: append only.
const (
	encodingNone = 0
	encodingZstd = 1
)

// content is a row of the table contents.
type content struct {
	hash     []byte // SHA-256 of what it was before encoding
	size     int    // of that
	encoding int
	bytes    []byte
}

// encodeNew encodes those of blobs that the log does not hold. Another append may add one of them meanwhile; the insert
// then passes over it.
func (l *Log) encodeNew(ctx context.Context, blobs []eventstore.Blob) ([]content, error) {
	held, err := l.holds(ctx, blobs)
	if err != nil {
		return nil, err
	}
	var contents []content
	for _, b := range blobs {
		if held[b.SHA256] {
			continue
		}
		held[b.SHA256] = true
		c, err := l.encode(b)
		if err != nil {
			return nil, err
		}
		contents = append(contents, c)
	}
	return contents, nil
}

// holds finds out with one query which of blobs the log holds.
func (l *Log) holds(ctx context.Context, blobs []eventstore.Blob) (held map[string]bool, err error) {
	held = make(map[string]bool, len(blobs))
	if len(blobs) == 0 {
		return held, nil
	}
	hashes := make([]string, len(blobs))
	for i, b := range blobs {
		hashes[i] = b.SHA256
	}
	list, err := json.Marshal(hashes)
	if err != nil {
		return nil, err
	}
	rows, err := l.readers.QueryContext(ctx,
		"SELECT lower(hex(sha256)) FROM contents WHERE sha256 IN (SELECT unhex(value) FROM json_each(?))", string(list))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var hash string
		if err := rows.Scan(&hash); err != nil {
			return nil, err
		}
		held[hash] = true
	}
	return held, rows.Err()
}

func (l *Log) encode(b eventstore.Blob) (content, error) {
	if len(b.Bytes) > maxContentBytes {
		return content{}, fmt.Errorf("%w: content of %d bytes, the limit is %d", eventstore.ErrTooLarge, len(b.Bytes), maxContentBytes)
	}
	hash, err := hex.DecodeString(b.SHA256)
	if err != nil {
		return content{}, err
	}
	c := content{hash: hash, size: len(b.Bytes), encoding: encodingNone, bytes: b.Bytes}
	if packed := l.encoder.EncodeAll(b.Bytes, nil); len(packed) < len(b.Bytes) {
		c.encoding, c.bytes = encodingZstd, packed
	}
	if c.bytes == nil {
		c.bytes = []byte{} // an empty file is no NULL
	}
	return c, nil
}

// Content implements [eventstore.ContentStore].
func (l *Log) Content(ctx context.Context, hash string) ([]byte, error) {
	data, err := l.content(ctx, hash)
	if err != nil {
		return nil, fmt.Errorf("read content %s: %w", hash, l.fault(err))
	}
	return data, nil
}

func (l *Log) content(ctx context.Context, name string) ([]byte, error) {
	if err := l.usable(ctx); err != nil {
		return nil, err
	}
	hash, err := hex.DecodeString(name)
	if err != nil || hex.EncodeToString(hash) != name {
		return nil, eventstore.ErrNotFound // nothing is held under such a name
	}
	c := content{hash: hash}
	err = l.readers.QueryRowContext(ctx, "SELECT size, encoding, bytes FROM contents WHERE sha256 = ?", hash).
		Scan(&c.size, &c.encoding, &c.bytes)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, eventstore.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	data, err := l.decode(c)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", eventstore.ErrCorrupt, err)
	}
	return data, nil
}

var (
	errContentSize = errors.New("size does not fit the bytes")
	errContentHash = errors.New("bytes have another hash")
	errEncoding    = errors.New("unknown encoding")
)

// decode returns the original bytes of c, checked.
func (l *Log) decode(c content) ([]byte, error) {
	data := c.bytes
	switch c.encoding {
	case encodingNone:
		if data == nil {
			data = []byte{} // an empty file is no missing one
		}
	case encodingZstd:
		var err error
		if data, err = l.unpack(c); err != nil {
			return nil, err
		}
	default:
		return nil, errEncoding
	}
	if len(data) != c.size {
		return nil, errContentSize
	}
	if sum := sha256.Sum256(data); !bytes.Equal(sum[:], c.hash) {
		return nil, errContentHash
	}
	return data, nil
}

// unpack never allocates more than the row says that the content has, and that only within the limit. The frame of a
// content of less than 256 bytes does not say its size, so that the decoder's own limit must hold.
func (l *Log) unpack(c content) ([]byte, error) {
	var header zstd.Header
	if err := header.Decode(c.bytes); err != nil {
		return nil, err
	}
	if c.size < 0 || c.size > maxContentBytes || header.HasFCS && header.FrameContentSize != uint64(c.size) {
		return nil, errContentSize
	}
	data, err := l.decoder.DecodeAll(c.bytes, make([]byte, 0, c.size))
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return nil, errContentSize
	}
	return data, err
}

// ContentHashes implements [eventstore.ContentStore].
func (l *Log) ContentHashes(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for after := int64(0); ; {
			hashes, last, err := l.hashPage(ctx, after)
			if err != nil {
				yield("", fmt.Errorf("list contents: %w", l.fault(err)))
				return
			}
			for _, hash := range hashes {
				if !yield(hash, nil) {
					return
				}
			}
			if len(hashes) == 0 {
				return
			}
			after = last
		}
	}
}

func (l *Log) hashPage(ctx context.Context, after int64) (hashes []string, last int64, err error) {
	if err := l.usable(ctx); err != nil {
		return nil, 0, err
	}
	rows, err := l.readers.QueryContext(ctx,
		"SELECT rowid, lower(hex(sha256)) FROM contents WHERE rowid > ? ORDER BY rowid LIMIT 1000", after)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var hash string
		if err := rows.Scan(&last, &hash); err != nil {
			return nil, 0, err
		}
		hashes = append(hashes, hash)
	}
	return hashes, last, rows.Err()
}
