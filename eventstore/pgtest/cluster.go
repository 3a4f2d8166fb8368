package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// patience bounds every wait for the server. It is generous: a loaded machine is slow, a broken server is not there.
const patience = 60 * time.Second

// Cluster is a PostgreSQL server with its data, for one test or one test binary. Its methods are for one goroutine at a
// time.
type Cluster struct {
	bin      string // folder with the server's programs
	dir      string // holds data, log and password
	port     int
	password string
	account  *account
	settings []string // more settings, as name=value
	server   *exec.Cmd
	end      io.Closer // closing it makes the janitor stop the server and remove dir
	janitor  *exec.Cmd
}

// NewCluster starts a server of its own for tb, and stops and removes it when tb ends. Settings, such as "fsync=off",
// go to the server as they are.
func NewCluster(tb testing.TB, settings ...string) *Cluster {
	tb.Helper()
	c, err := newCluster(settings)
	if err != nil {
		tb.Fatalf("start PostgreSQL: %v", err)
	}
	tb.Cleanup(func() {
		if err := c.remove(); err != nil {
			tb.Errorf("stop PostgreSQL: %v", err)
		}
	})
	return c
}

// newCluster makes and starts a cluster that is removed at the end of the process at the latest.
func newCluster(settings []string) (*Cluster, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	c := &Cluster{bin: bin, password: rand.Text(), settings: settings}
	if c.account, err = serverAccount(); err != nil {
		return nil, err
	}
	if c.dir, err = c.account.tempDir(); err != nil {
		return nil, fmt.Errorf("make a folder for the cluster: %w", err)
	}
	if err := c.watch(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(c.dir))
	}
	if err := c.initialize(); err != nil {
		return nil, errors.Join(err, c.remove())
	}
	if err := c.start(); err != nil {
		return nil, errors.Join(err, c.remove())
	}
	return c, nil
}

// janitor waits for the end of its input, which comes when the tests end, be it by a panic or SIGKILL. Then it stops the
// server and removes all that is there.
const janitor = `
read -r _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ] && kill -INT "$pid" 2>/dev/null; then
	n=0
	while kill -0 "$pid" 2>/dev/null && [ "$n" -lt 100 ]; do sleep 0.05; n=$((n+1)); done
	kill -KILL "$pid" 2>/dev/null
fi
rm -rf "$1"
`

func (c *Cluster) watch() error {
	c.janitor = exec.CommandContext(context.Background(), "/bin/sh", "-c", janitor, "janitor", c.dir)
	c.janitor.Dir = "/"
	c.account.run(c.janitor)
	end, err := c.janitor.StdinPipe()
	if err != nil {
		return fmt.Errorf("start the janitor: %w", err)
	}
	c.end = end
	if err := c.janitor.Start(); err != nil {
		return fmt.Errorf("start the janitor: %w", err)
	}
	return nil
}

// initialize makes the data folder.
func (c *Cluster) initialize() error {
	secret := filepath.Join(c.dir, "password")
	if err := os.WriteFile(secret, []byte(c.password), 0o644); err != nil { // the folder is closed to others
		return fmt.Errorf("write the password: %w", err)
	}
	cmd := c.command("initdb", "--pgdata", c.data(), "--username=postgres", "--pwfile", secret, "--auth=scram-sha-256",
		"--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// command returns a program of the server, to be run as the server's user.
func (c *Cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), filepath.Join(c.bin, name), args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	c.account.run(cmd)
	return cmd
}

// start starts a new server at a free port and waits until it answers.
func (c *Cluster) start() error {
	const tries = 5 // somebody else may take the port between our look and the server's
	var err error
	for range tries {
		var port int
		if port, err = freePort(); err != nil {
			return err
		}
		if err = c.launch(port); err == nil {
			c.port = port
			return nil
		}
	}
	return err
}

// restart starts a killed server again. It refuses to start for as long as a process of the killed one is there, which is
// a moment: each of them looks for its postmaster.
func (c *Cluster) restart() error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		err := c.launch(c.port)
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // ends at once
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = l.Close() }() // the port is all that is wanted
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return strconv.Atoi(port)
}

func (c *Cluster) launch(port int) error {
	args := []string{
		"-D", c.data(), "-p", strconv.Itoa(port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "max_connections=200", "-c", "shared_buffers=64MB", "-c", "max_wal_size=512MB", "-c", "log_line_prefix=%m [%p] %a ",
	}
	for _, setting := range c.settings {
		args = append(args, "-c", setting)
	}
	log, err := os.OpenFile(c.logFile(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the server's log: %w", err)
	}
	defer func() { _ = log.Close() }() // the server has its own handle
	cmd := c.command("postgres", args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	c.server = cmd
	if err := c.ready(port); err != nil {
		c.kill()
		text, _ := os.ReadFile(c.logFile()) // what is missing of the log is not worth another error
		return fmt.Errorf("%w; the server's log ends with:\n%s", err, tail(string(text)))
	}
	return nil
}

func (c *Cluster) logFile() string { return filepath.Join(c.dir, "log") }

func tail(text string) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// ready waits until postmaster.pid says that the server takes connections.
func (c *Cluster) ready(port int) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("server did not start within %s", patience)
		case <-tick.C:
		}
		state, _ := os.ReadFile(filepath.Join(c.data(), "postmaster.pid")) // not there yet
		lines := strings.Split(string(state), "\n")
		if len(lines) > 7 && lines[0] == strconv.Itoa(c.server.Process.Pid) {
			if state := strings.TrimSpace(lines[7]); state == "ready" || state == "standby" {
				return c.ping(ctx, port)
			}
		}
		if ended(c.server) {
			return errors.New("server ended at its start")
		}
	}
}

func (c *Cluster) ping(ctx context.Context, port int) error {
	conn, err := pgx.Connect(ctx, c.address("postgres", port))
	if err != nil {
		return fmt.Errorf("connect to the new server: %w", err)
	}
	return conn.Close(ctx)
}

// URL returns the address of a database of c, for its superuser.
func (c *Cluster) URL(database string) string { return c.address(database, c.port) }

func (c *Cluster) address(database string, port int) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword("postgres", c.password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Address returns host and port of c.
func (c *Cluster) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port)) }

// Database makes a database for tb and returns its URL. It is dropped when tb ends.
func (c *Cluster) Database(tb testing.TB) string {
	tb.Helper()
	return database(tb, c.URL("postgres"))
}

// Tool returns one of the server's programs, such as pg_dump, to be run as the server's user, with the password set.
func (c *Cluster) Tool(name string, args ...string) *exec.Cmd {
	cmd := c.command(name, args...)
	cmd.Env = append(cmd.Env, "PGPASSWORD="+c.password)
	return cmd
}
