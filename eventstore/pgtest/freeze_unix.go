//go:build unix

package pgtest

import (
	"context"
	"os"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Freeze stops every process of c, as a machine that hangs does: connections stay, and nothing is answered. They go on when
// tb ends, before the server is stopped.
func (c *Cluster) Freeze(tb testing.TB) {
	tb.Helper()
	pids, err := c.processes()
	if err != nil {
		tb.Fatalf("list the processes of the server: %v", err)
	}
	signal := func(s os.Signal) {
		for _, pid := range pids {
			if process, err := os.FindProcess(pid); err == nil {
				_ = process.Signal(s) // it may have ended
			}
		}
	}
	tb.Cleanup(func() { signal(syscall.SIGCONT) })
	signal(syscall.SIGSTOP)
}

// processes returns the numbers of the postmaster and its processes.
func (c *Cluster) processes() ([]int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.URL("postgres"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(ctx) }() // all was answered
	rows, err := conn.Query(ctx, "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
	if err != nil {
		return nil, err
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	return append([]int{c.server.Process.Pid}, pids...), err
}
