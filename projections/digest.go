package projections

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
)

// TimestampLayout is how a time is written where it is text: UTC, to the microsecond. Texts of it sort by time.
const TimestampLayout = "2006-01-02T15:04:05.000000Z"

// Digest is the fingerprint of one table of a build.
type Digest struct {
	Table  string
	Rows   int64
	SHA256 string // over the canonical form of every row in the order of the key; 64 lower-case hexadecimal digits
}

// AppendRow appends the canonical form of a row to dst: for each value a byte for its kind and, where the kind does not
// say it all, its length as a varint and its text. Two rows have the same form only if they are equal, whatever database
// they are from.
func AppendRow(dst []byte, row []any) ([]byte, error) {
	for i, value := range row {
		var err error
		if dst, err = appendValue(dst, value); err != nil {
			return dst, fmt.Errorf("value %d: %w", i, err)
		}
	}
	return append(dst, '\n'), nil
}

func appendValue(dst []byte, value any) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return append(dst, '0'), nil
	case string:
		dst = binary.AppendUvarint(append(dst, 's'), uint64(len(v)))
		return append(dst, v...), nil
	case json.RawMessage:
		dst = binary.AppendUvarint(append(dst, 'j'), uint64(len(v)))
		return append(dst, v...), nil
	case int64:
		return binary.AppendVarint(append(dst, 'i'), v), nil
	case bool:
		if v {
			return append(dst, 't'), nil
		}
		return append(dst, 'f'), nil
	default:
		return dst, fmt.Errorf("type %T has no canonical form", value)
	}
}

// Digester makes the Digest of a table from its rows, in the order of the key.
type Digester struct {
	table string
	hash  hash.Hash
	rows  int64
	form  []byte // reused
}

// NewDigester returns a Digester for a table of that name.
func NewDigester(table string) *Digester { return &Digester{table: table, hash: sha256.New()} }

// Add adds the next row.
func (d *Digester) Add(row []any) error {
	var err error
	if d.form, err = AppendRow(d.form[:0], row); err != nil {
		return fmt.Errorf("digest of table %s: row %d: %w", d.table, d.rows+1, err)
	}
	d.hash.Write(d.form)
	d.rows++
	return nil
}

// Digest returns the digest of the rows so far.
func (d *Digester) Digest() Digest {
	return Digest{Table: d.table, Rows: d.rows, SHA256: hex.EncodeToString(d.hash.Sum(nil))}
}

// DigestTables returns the digest of each table in s.
func DigestTables(ctx context.Context, s Snapshot, tables []Table) ([]Digest, error) {
	digests := make([]Digest, 0, len(tables))
	for _, table := range tables {
		d := NewDigester(table.Name)
		for row, err := range s.Rows(ctx, table) {
			if err != nil {
				return nil, fmt.Errorf("digest of table %s: %w", table.Name, err)
			}
			if err := d.Add(row); err != nil {
				return nil, err
			}
		}
		digests = append(digests, d.Digest())
	}
	return digests, nil
}
