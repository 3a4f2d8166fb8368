package sqlite

import (
	"context"
	"database/sql"
	"sync"
)

// prepared are queries of a database, each prepared once for each of its connections: to prepare one takes longer than to run it. It is
// safe for concurrent use. The statements end with the database.
type prepared struct {
	db *sql.DB

	mu      sync.Mutex // guards byQuery
	byQuery map[string]*sql.Stmt
}

func newPrepared(db *sql.DB) *prepared { return &prepared{db: db, byQuery: map[string]*sql.Stmt{}} }

// QueryContext is that of the database. A query is never dropped: there must be few.
func (p *prepared) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	statement, err := p.prepare(ctx, query) //nolint:sqlclosecheck // closing the database does
	if err != nil {
		return nil, err
	}
	return statement.QueryContext(ctx, args...)
}

func (p *prepared) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if statement, ok := p.byQuery[query]; ok {
		return statement, nil
	}
	statement, err := p.db.PrepareContext(ctx, query) //nolint:sqlclosecheck // closing the database does
	if err == nil {
		p.byQuery[query] = statement
	}
	return statement, err
}
