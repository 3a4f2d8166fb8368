package query

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gxpledger/gxpledger/projections"
)

// optional lets NULL leave the zero value in dst.
func optional[T any](dst *T) any { return orZero[T]{dst} }

type orZero[T any] struct{ dst *T }

// Scan takes a value of the database.
func (o orZero[T]) Scan(src any) error {
	var value sql.Null[T]
	if err := value.Scan(src); err != nil {
		return err
	}
	*o.dst = value.V
	return nil
}

// pointer lets NULL leave nil in dst.
func pointer[T any](dst **T) any { return orNil[T]{dst} }

type orNil[T any] struct{ dst **T }

// Scan takes a value of the database.
func (o orNil[T]) Scan(src any) error {
	var value sql.Null[T]
	if err := value.Scan(src); err != nil {
		return err
	}
	if value.Valid {
		*o.dst = &value.V
	}
	return nil
}

// instant takes a time, whether the database has it as a time or as text; NULL leaves the zero time.
func instant(dst *time.Time) any { return moment{dst} }

type moment struct{ dst *time.Time }

// Scan takes a value of the database.
func (m moment) Scan(src any) error {
	var err error
	switch src := src.(type) {
	case nil:
	case time.Time:
		*m.dst = src.UTC()
	case string:
		*m.dst, err = time.Parse(projections.TimestampLayout, src)
	case []byte:
		*m.dst, err = time.Parse(projections.TimestampLayout, string(src))
	default:
		err = fmt.Errorf("a time cannot be %T", src)
	}
	return err
}

// document takes JSON into any value; NULL leaves it as it is.
func document(dst any) any { return decoded{dst} }

type decoded struct{ dst any }

// Scan takes a value of the database.
func (d decoded) Scan(src any) error {
	switch src := src.(type) {
	case nil:
		return nil
	case string:
		return json.Unmarshal([]byte(src), d.dst)
	case []byte:
		return json.Unmarshal(src, d.dst)
	default:
		return fmt.Errorf("JSON cannot be %T", src)
	}
}
