package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

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
	if err := c.restart(); err != nil {
		tb.Fatalf("restart PostgreSQL: %v", err)
	}
}

// KillBackend waits for a server process that serves a connection of application and ends it, the busiest one, with
// SIGKILL. The server then breaks every other connection too and recovers by itself.
func (c *Cluster) KillBackend(ctx context.Context, application string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		pid, err := c.busiest(ctx, application)
		if err == nil {
			return signalKill(pid)
		}
		select {
		case <-tick.C: // the server is starting, or nobody has connected yet
		case <-ctx.Done():
			return fmt.Errorf("find a backend of %s: %w", application, errors.Join(ctx.Err(), err))
		}
	}
}

// busiest returns the process number of the backend of application that was busy last.
func (c *Cluster) busiest(ctx context.Context, application string) (int, error) {
	conn, err := pgx.Connect(ctx, c.URL("postgres"))
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(ctx) }() // all was answered
	var pid int
	err = conn.QueryRow(ctx, `SELECT pid FROM pg_stat_activity WHERE application_name = $1
		ORDER BY state = 'active' DESC, xact_start DESC NULLS LAST, state_change DESC LIMIT 1`, application).Scan(&pid)
	return pid, err
}

func signalKill(pid int) error {
	process, err := os.FindProcess(pid)
	if err != nil {
		return fmt.Errorf("find backend %d: %w", pid, err)
	}
	if err := process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill backend %d: %w", pid, err)
	}
	return nil
}

const shutdownPatience = 5 * time.Second

// remove stops the server and lets the janitor clean up.
func (c *Cluster) remove() error {
	var err error
	if c.server != nil {
		err = c.server.Process.Signal(os.Interrupt) // fast shutdown, unless it hangs, as one in recovery may
		late := time.AfterFunc(shutdownPatience, func() { _ = c.server.Process.Kill() })
		_ = c.server.Wait() // how it ended does not matter any more
		late.Stop()
		c.server = nil
	}
	// What a killed server left behind must not make the janitor signal whoever has the number now.
	if gone := os.Remove(filepath.Join(c.data(), "postmaster.pid")); !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return errors.Join(err, c.end.Close(), c.janitor.Wait())
}
