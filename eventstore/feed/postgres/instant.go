package postgres

import (
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// instant is a time that may be long ago.
type instant struct{ at *time.Time }

var _ pgtype.TimestamptzScanner = (*instant)(nil)

// ScanTimestamptz implements [pgtype.TimestamptzScanner].
func (i *instant) ScanTimestamptz(v pgtype.Timestamptz) error {
	i.at = nil
	if v.Valid && v.InfinityModifier == pgtype.Finite {
		at := v.Time.UTC()
		i.at = &at
	}
	return nil
}
