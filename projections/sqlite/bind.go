package sqlite

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gxpledger/gxpledger/projections"
)

// binder turns values into what SQLite stores.
type binder struct {
	at   time.Time // the last one, which the rows of a batch share
	text driver.Value
}

// bind returns what SQLite stores for a value of column c. A value that does not fit the column is refused: SQLite's own
// checks would let some of them through in another form.
func (b *binder) bind(c projections.Column, value any) (driver.Value, error) {
	if err := c.Check(value); err != nil {
		return nil, err
	}
	switch v := value.(type) {
	case int:
		return int64(v), nil
	case bool:
		return bit(v), nil
	case time.Time:
		return b.timestamp(v), nil
	case json.RawMessage:
		return string(v), nil
	case []byte:
		return string(v), nil
	default:
		return value, nil // without boxing the text again
	}
}

// bit returns 1 for true, as SQLite does.
func bit(v bool) int64 { //revive:disable-line:flag-parameter // the value itself, not a switch
	if v {
		return 1
	}
	return 0
}

func (b *binder) timestamp(t time.Time) driver.Value {
	if b.text == nil || !t.Equal(b.at) {
		b.at, b.text = t, stamp(t)
	}
	return b.text
}

// column turns what SQLite returned for column c back into a value of its type.
func column(c projections.Column, stored driver.Value) (any, error) {
	switch v := stored.(type) {
	case nil:
		return nil, nil //nolint:nilnil // nil is the value, NULL
	case string:
		switch c.Type {
		case projections.Text, projections.Timestamp:
			return stored, nil // without boxing the text again
		case projections.JSON:
			return json.RawMessage(v), nil
		case projections.Integer, projections.Boolean:
		}
	case int64:
		switch c.Type {
		case projections.Integer:
			return stored, nil
		case projections.Boolean:
			return v != 0, nil
		case projections.Text, projections.Timestamp, projections.JSON:
		}
	}
	return nil, fmt.Errorf("column %s: holds a %T, which is not a value of its type", c.Name, stored)
}
