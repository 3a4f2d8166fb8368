package sqlite

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/gxpledger/gxpledger/projections"
)

// bind turns a value of column c into what SQLite stores. A value that does not fit the column is refused: SQLite's own
// checks would let some of them through in another form.
func bind(c projections.Column, value any) (driver.Value, error) {
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
			return v, nil
		}
	case projections.Integer:
		switch v := value.(type) {
		case int64:
			return v, nil
		case int:
			return int64(v), nil
		}
	case projections.Boolean:
		if v, ok := value.(bool); ok {
			return bit(v), nil
		}
	case projections.Timestamp:
		if v, ok := value.(time.Time); ok {
			return timestamp(c, v)
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

func timestamp(c projections.Column, t time.Time) (driver.Value, error) {
	t = t.UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		return nil, fmt.Errorf("%w: column %s: year %d does not fit", projections.ErrRefused, c.Name, y)
	}
	return t.Format(projections.TimestampLayout), nil
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
