package postgres

import (
	"context"

	"github.com/gxpledger/gxpledger/projections"
)

var _ projections.Examiner = (*DB)(nil)

// Examine implements [projections.Examiner].
func (db *DB) Examine(ctx context.Context, ref projections.Ref, p projections.Projection) ([]string, error) {
	return nil, nil
}
