package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/contents"
)

// encodeNew encodes those of blobs that the log does not hold, as they are asked for. Another append may add one of them
// meanwhile; the insert then passes over it.
func (l *Log) encodeNew(ctx context.Context, blobs []eventstore.Blob) (iter.Seq2[contents.Stored, error], error) {
	held, err := l.holds(ctx, blobs)
	if err != nil {
		return nil, err
	}
	return func(yield func(contents.Stored, error) bool) {
		added := make(map[string]bool, len(blobs)-min(len(held), len(blobs)))
		for _, b := range blobs {
			if held[b.SHA256] || added[b.SHA256] {
				continue
			}
			added[b.SHA256] = true
			var c contents.Stored
			var err error
			if b.Bytes, err = b.Read(); err == nil {
				c, err = l.codec.Encode(b)
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}, nil
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

// Content implements [eventstore.ContentStore].
func (l *Log) Content(ctx context.Context, hash string) ([]byte, error) {
	data, err := l.content(ctx, hash)
	if err != nil {
		return nil, fmt.Errorf("cannot read content %s: %w", hash, l.fault(err))
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
	c := contents.Stored{Hash: hash}
	err = l.readers.QueryRowContext(ctx, "SELECT size, encoding, bytes FROM contents WHERE sha256 = ?", hash).
		Scan(&c.Size, &c.Encoding, &c.Bytes)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, eventstore.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	data, err := l.codec.Decode(c)
	if errors.Is(err, eventstore.ErrClosed) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", eventstore.ErrCorrupt, err)
	}
	return data, nil
}

// ContentHashes implements [eventstore.ContentStore].
func (l *Log) ContentHashes(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for after := int64(0); ; {
			hashes, last, err := l.hashPage(ctx, after)
			if err != nil {
				yield("", fmt.Errorf("cannot list contents: %w", l.fault(err)))
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
		"SELECT rowid, lower(hex(sha256)) FROM contents WHERE rowid > ? ORDER BY rowid LIMIT ?", after, l.sizes.hashes)
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
