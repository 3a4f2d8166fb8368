package config

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/gxpledger/gxpledger/eventstore/feed"
	cursorspostgres "github.com/gxpledger/gxpledger/eventstore/feed/postgres"
	cursorssqlite "github.com/gxpledger/gxpledger/eventstore/feed/sqlite"
)

// OpenCursors opens the store of cursors: on the server of a log on PostgreSQL, and a file in the home else. Errors: [feed.ErrNoStore]
// when there is none, and those of the store.
func (s Settings) OpenCursors(ctx context.Context) (feed.Cursors, error) {
	if s.cursorsOnServer() {
		return cursorspostgres.Open(ctx, string(s.Log))
	}
	return cursorssqlite.Open(ctx, s.cursorsFile())
}

// CreateCursors opens the store of cursors, and makes it when there is none. Errors are those of the store.
func (s Settings) CreateCursors(ctx context.Context) (feed.Cursors, error) {
	if !s.cursorsOnServer() {
		return cursorssqlite.Create(ctx, s.cursorsFile())
	}
	if err := cursorspostgres.Up(ctx, string(s.Log)); err != nil {
		return nil, err
	}
	return cursorspostgres.Open(ctx, string(s.Log))
}

func (s Settings) cursorsFile() string { return filepath.Join(s.HomeFolder(), cursorssqlite.FileName) }

func (s Settings) cursorsOnServer() bool {
	return strings.HasPrefix(string(s.Log), "postgres://") || strings.HasPrefix(string(s.Log), "postgresql://")
}
