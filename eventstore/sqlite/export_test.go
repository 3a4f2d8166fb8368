package sqlite

import (
	"context"
	"fmt"
)

// LimitPages lets the file of l grow to pages, as a full disk would.
func (l *Log) LimitPages(ctx context.Context, pages int) error {
	_, err := l.writer.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", pages))
	return err
}
