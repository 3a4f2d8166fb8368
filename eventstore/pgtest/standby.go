package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Standby starts a server that follows c by streaming, and makes c wait for it: what c answers is on the disks of both. It
// is stopped and removed when tb ends.
func (c *Cluster) Standby(tb testing.TB) *Cluster {
	tb.Helper()
	s, err := c.standby()
	if err != nil {
		tb.Fatalf("start a standby: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.remove(); err != nil {
			tb.Errorf("stop the standby: %v", err)
		}
	})
	err = c.administerUntil("", "SELECT count(*) = 1 FROM pg_stat_replication WHERE state = 'streaming'")
	if err == nil {
		err = c.administerUntil("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'")
	}
	if err != nil {
		tb.Fatalf("follow the primary: %v", err)
	}
	return s
}

// standby copies the data of c and starts a server on it.
func (c *Cluster) standby() (*Cluster, error) {
	s := &Cluster{bin: c.bin, password: c.password, account: c.account, settings: c.settings}
	var err error
	if s.dir, err = s.account.tempDir(); err != nil {
		return nil, fmt.Errorf("make a folder for the standby: %w", err)
	}
	if err := s.watch(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	backup := s.Tool("pg_basebackup", "--pgdata", s.data(), "--host=127.0.0.1", "--port", strconv.Itoa(c.port), "--username=postgres",
		"--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--no-password")
	if out, err := backup.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("pg_basebackup: %w\n%s", err, out), s.remove())
	}
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

// administerUntil runs a statement, unless it is empty, has the server read its settings again, and waits until a query says true.
func (c *Cluster) administerUntil(statement, until string) error {
	if statement != "" {
		if err := administer(c.URL("postgres"), statement); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.URL("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // all was answered
	if _, err := conn.Exec(ctx, "SELECT pg_reload_conf()"); err != nil {
		return err
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		done := false
		if err := conn.QueryRow(ctx, until).Scan(&done); err != nil || done {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waited for %s: %w", until, ctx.Err())
		}
	}
}

// Promote makes a standby take writes, and returns when it does. Kill its primary first.
func (c *Cluster) Promote(tb testing.TB) {
	tb.Helper()
	if err := c.administerUntil("SELECT pg_promote()", "SELECT NOT pg_is_in_recovery()"); err != nil {
		tb.Fatalf("promote the standby: %v", err)
	}
}

// URLOf returns an address of a database on several clusters, of which one is the primary: whoever connects gets that one.
func URLOf(database string, clusters ...*Cluster) string {
	hosts := make([]string, len(clusters))
	for i, c := range clusters {
		hosts[i] = net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port))
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword("postgres", clusters[0].password), Host: strings.Join(hosts, ","),
		Path: "/" + database, RawQuery: "sslmode=disable&target_session_attrs=read-write",
	}
	return u.String()
}
