package postgres

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/contents"
	"github.com/gxpledger/gxpledger/internal/pg"
)

// Content implements [eventstore.ContentStore].
func (l *Log) Content(ctx context.Context, sha256 string) ([]byte, error) {
	data, err := l.content(ctx, sha256)
	if err != nil {
		return nil, fmt.Errorf("cannot read content %s: %w", sha256, err)
	}
	return data, nil
}

func (l *Log) content(ctx context.Context, name string) ([]byte, error) {
	hash, err := hex.DecodeString(name)
	if err != nil || hex.EncodeToString(hash) != name {
		hash = nil // nothing is held under such a name
	}
	c := contents.Stored{Hash: hash}
	err = l.call(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		return conn.QueryRow(ctx, l.sql.content, hash).Scan(&c.Size, &c.Encoding, &c.Bytes)
	})
	if errors.Is(err, pgx.ErrNoRows) {
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
		after := []byte{}
		for {
			hashes, err := l.hashes(ctx, after)
			if err != nil {
				yield("", fmt.Errorf("cannot list contents: %w", err))
				return
			}
			for _, hash := range hashes {
				if !yield(hex.EncodeToString(hash), nil) {
					return
				}
				after = hash
			}
			if len(hashes) < l.sizes.hashes {
				return
			}
		}
	}
}

// hashes returns the next hashes after after, in order.
func (l *Log) hashes(ctx context.Context, after []byte) ([][]byte, error) {
	var hashes [][]byte
	err := l.call(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		rows, err := conn.Query(ctx, l.sql.contentHashes, after, l.sizes.hashes)
		if err != nil {
			return err
		}
		hashes, err = pgx.CollectRows(rows, pgx.RowTo[[]byte])
		return err
	})
	return hashes, err
}

// held returns which of blobs, which are to be appended, the log holds already, by hash.
func (l *Log) held(ctx context.Context, blobs []eventstore.Blob) (map[string]bool, error) {
	held := make(map[string]bool, len(blobs))
	if len(blobs) == 0 {
		return held, nil
	}
	hashes := make([][]byte, len(blobs))
	for i, b := range blobs {
		hash, err := hex.DecodeString(b.SHA256)
		if err != nil {
			return nil, fmt.Errorf("%w: hash %q", eventstore.ErrInvalid, b.SHA256)
		}
		hashes[i] = hash
	}
	ctx, moved, stop := l.whileDataMoves(ctx)
	defer stop()
	err := l.call(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		defer pg.OnProgress(conn.Conn(), moved)()
		rows, err := conn.Query(ctx, l.sql.heldContents, hashes)
		if err != nil {
			return err
		}
		var hash []byte
		_, err = pgx.ForEachRow(rows, []any{&hash}, func() error {
			held[hex.EncodeToString(hash)] = true
			return nil
		})
		return err
	})
	return held, err
}
