package query_test

import (
	"context"
	"database/sql"
	"errors"
)

var errSpy = errors.New("only looking")

// spy is a database that remembers what it was asked and answers nothing.
type spy struct {
	query string
	args  []any
}

func (s *spy) QueryContext(_ context.Context, query string, args ...any) (*sql.Rows, error) {
	s.query, s.args = query, args
	return nil, errSpy
}
