package postgres

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/gxpledger/gxpledger/projections"
)

// bind turns a value of column c into what is sent to the server: nil, string, int64, bool, time.Time in UTC or []byte for
// JSON. A value that does not fit the column is refused.
func bind(c projections.Column, value any) (any, error) {
	if err := c.Check(value); err != nil {
		return nil, err
	}
	switch v := value.(type) {
	case int:
		return int64(v), nil
	case time.Time:
		return v.UTC().Truncate(time.Microsecond), nil
	case json.RawMessage:
		return []byte(v), nil
	default:
		return value, nil
	}
}

// bindAll binds values to the columns that they are of, into a slice of its own.
func bindAll(columns []projections.Column, values []any) ([]any, error) {
	bound := make([]any, len(values))
	for i, value := range values {
		var err error
		if bound[i], err = bind(columns[i], value); err != nil {
			return nil, err
		}
	}
	return bound, nil
}

// keyText writes bound values of a key so that two are the same text only if they are equal, and that the text of a prefix
// is a prefix of the text. ends holds where the text of each prefix ends.
func keyText(values []any) (text string, ends []int) {
	b := make([]byte, 0, 64)
	ends = make([]int, len(values))
	for i, value := range values {
		switch v := value.(type) {
		case string:
			b = binary.AppendUvarint(append(b, 's'), uint64(len(v)))
			b = append(b, v...)
		case int64:
			b = binary.BigEndian.AppendUint64(append(b, 'i'), uint64(v)) //nolint:gosec // bits
		case bool:
			b = fmt.Appendf(b, "b%t", v)
		case time.Time:
			b = binary.BigEndian.AppendUint64(append(b, 't'), uint64(v.UnixMicro()))
		}
		ends[i] = len(b)
	}
	return string(b), ends
}

// array is one column of rows, as the server takes it: the rows are not copied.
type array struct {
	rows [][]any
	at   int
	kind projections.ColumnType
}

var _ pgtype.ArrayGetter = array{}

// Dimensions implements [pgtype.ArrayGetter].
func (a array) Dimensions() []pgtype.ArrayDimension {
	return []pgtype.ArrayDimension{{Length: int32(len(a.rows)), LowerBound: 1}} //nolint:gosec // a statement has few rows
}

// Index implements [pgtype.ArrayGetter].
func (a array) Index(i int) any { return a.rows[i][a.at] }

// IndexType implements [pgtype.ArrayGetter].
func (a array) IndexType() any {
	switch a.kind {
	case projections.Integer:
		return int64(0)
	case projections.Boolean:
		return false
	case projections.Timestamp:
		return time.Time{}
	case projections.JSON:
		return []byte(nil)
	case projections.Text:
	}
	return ""
}
