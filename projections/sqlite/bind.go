package sqlite

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

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
	if value == nil {
		if !c.Null {
			return nil, fmt.Errorf("%w: column %s: NULL is not allowed", projections.ErrRefused, c.Name)
		}
		return nil, nil //nolint:nilnil // nil is the value, NULL
	}
	switch c.Type {
	case projections.Text:
		if v, ok := value.(string); ok {
			if !utf8.ValidString(v) {
				return nil, fmt.Errorf("%w: column %s: text is not UTF-8", projections.ErrRefused, c.Name)
			}
			return value, nil // without boxing the text anew
		}
	case projections.Integer:
		switch v := value.(type) {
		case int64:
			return value, nil
		case int:
			return int64(v), nil
		}
	case projections.Boolean:
		if v, ok := value.(bool); ok {
			return bit(v), nil
		}
	case projections.Timestamp:
		if v, ok := value.(time.Time); ok {
			return b.timestamp(c, v)
		}
	case projections.JSON:
		switch v := value.(type) {
		case json.RawMessage:
			return string(v), nil
		case []byte:
			return string(v), nil
		}
	}
	return nil, fmt.Errorf("%w: column %s: a %T is not a value of its type", projections.ErrRefused, c.Name, value)
}

// bit returns 1 for true, as SQLite does.
func bit(v bool) int64 { //revive:disable-line:flag-parameter // the value itself, not a switch
	if v {
		return 1
	}
	return 0
}

func (b *binder) timestamp(c projections.Column, t time.Time) (driver.Value, error) {
	if t.Equal(b.at) && b.text != nil {
		return b.text, nil
	}
	utc := t.UTC()
	if y := utc.Year(); y < 0 || y > 9999 {
		return nil, fmt.Errorf("%w: column %s: year %d does not fit", projections.ErrRefused, c.Name, y)
	}
	b.at, b.text = t, utc.Format(projections.TimestampLayout)
	return b.text, nil
}

// column turns what SQLite returned for column c back into a value of its type.
func column(c projections.Column, stored driver.Value) (any, error) {
	switch v := stored.(type) {
	case nil:
		return nil, nil //nolint:nilnil // nil is the value, NULL
	case string:
		switch c.Type {
		case projections.Text, projections.Timestamp:
			return stored, nil // without boxing the text anew
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
