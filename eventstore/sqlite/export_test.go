package sqlite

import (
	"context"

	"github.com/gxpledger/gxpledger/internal/sqlitetx"
	"github.com/gxpledger/gxpledger/migrations"
)

// StatusWith is Status with a driver of package database/sql.
func StatusWith(ctx context.Context, path, driver string) (migrations.Status, error) {
	return status(ctx, path, WithDriver(Options{}.withDefaults(), driver))
}

// SetSizes makes l store up to n events in a chunk, and read up to n chunks or hashes at once.
func (l *Log) SetSizes(n int) { l.sizes = sizes{chunkEvents: n, pageChunks: n, hashes: n} }

// WithDriver makes Open use a driver of package database/sql.
func WithDriver(o Options, name string) Options {
	o.driver = name
	return o
}

// Translate gives errors the meaning that package eventstore defines.
func Translate(err error) error { return translate(err) }

// Incomplete says what a file is that lacks n of all migrations.
func Incomplete(n, all int) error { return incomplete(n, all) }

// HoldWriter keeps appends waiting until release is called.
func (l *Log) HoldWriter() (release func()) {
	l.writer.turn <- struct{}{}
	return func() { <-l.writer.turn }
}

// Waiting is how many appends wait for the writer.
func (l *Log) Waiting() int { return len(l.queue.all()) }

// FailCommits makes every COMMIT of l fail until restore is called.
func FailCommits(ctx context.Context, l *Log) (restore func() error, err error) {
	failing, err := l.writer.conn.PrepareContext(ctx, "INSERT INTO log (one, id, created_at) VALUES (2, '', 0)")
	if err != nil {
		return nil, err
	}
	commit := l.writer.statements[sqlitetx.Commit]
	l.writer.statements[sqlitetx.Commit] = failing
	return func() error {
		l.writer.statements[sqlitetx.Commit] = commit
		return failing.Close()
	}, nil
}
