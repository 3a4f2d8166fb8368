package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Kill ends the postmaster with SIGKILL, which ends every connection without a word, as a crash of the machine does.
func (c *Cluster) Kill() { c.kill() }

func (c *Cluster) kill() {
	if c.server == nil {
		return
	}
	_ = c.server.Process.Kill() // it may have ended by itself
	_ = c.server.Wait()         // says only that it was killed
	c.server = nil
}

// Restart starts the server again after Kill, at the same port, and waits until it has recovered.
func (c *Cluster) Restart(tb testing.TB) {
	tb.Helper()
	if err := c.start(); err != nil {
		tb.Fatalf("restart PostgreSQL: %v", err)
	}
}

// KillBackend ends one server process that serves a connection of application with SIGKILL, the busiest one. The server
// then breaks every other connection too and recovers by itself. It reports whether there was one.
func (c *Cluster) KillBackend(ctx context.Context, application string) (bool, error) {
	conn, err := pgx.Connect(ctx, c.URL("postgres"))
	if err != nil {
		return false, fmt.Errorf("find a backend: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }() // the server breaks it
	var pid int
	err = conn.QueryRow(ctx, `SELECT pid FROM pg_stat_activity WHERE application_name = $1
		ORDER BY state = 'active' DESC, xact_start DESC NULLS LAST, state_change DESC LIMIT 1`, application).Scan(&pid)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("find a backend: %w", err)
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return false, fmt.Errorf("find backend %d: %w", pid, err)
	}
	if err := process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return false, fmt.Errorf("kill backend %d: %w", pid, err)
	}
	return true, nil
}

// remove stops the server and lets the janitor clean up.
func (c *Cluster) remove() error {
	var err error
	if c.server != nil {
		err = c.server.Process.Signal(os.Interrupt) // fast shutdown
		_ = c.server.Wait()                         // how it ended does not matter any more
		c.server = nil
	}
	// What a killed server left behind must not make the janitor signal whoever has the number now.
	if gone := os.Remove(filepath.Join(c.data(), "postmaster.pid")); !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return errors.Join(err, c.end.Close(), c.janitor.Wait())
}
