package acceptance_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/cli"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

// client runs commands on one home.
type client struct{ home string }

func newClient(tb testing.TB) client {
	tb.Helper()
	return client{home: filepath.Join(tb.TempDir(), "home")}
}

// result is what a command left on its screen.
type result struct {
	args           []string
	code           int
	stdout, stderr string
}

func (c client) run(tb testing.TB, args ...string) result {
	tb.Helper()
	var stdout, stderr bytes.Buffer
	args = append(args, "--home", c.home)
	code := cli.Run(tb.Context(), args, strings.NewReader(""), &stdout, &stderr)
	return result{args: args, code: code, stdout: stdout.String(), stderr: stderr.String()}
}

func (r result) wantCode(tb testing.TB, want int) result {
	tb.Helper()
	if r.code != want {
		tb.Fatalf("gxpledger %s: exit code %d, want %d\n%s%s", strings.Join(r.args, " "), r.code, want, r.stdout, r.stderr)
	}
	return r
}

// openLog opens the log of a home beside the commands that use it.
func openLog(tb testing.TB, home string) eventstore.Log {
	tb.Helper()
	log, err := sqlite.Open(tb.Context(), filepath.Join(home, "log.db"), sqlite.Options{Now: time.Now})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = log.Close() })
	return log
}

// events returns the types of all events of the log, in order.
func (c client) events(tb testing.TB) []string {
	tb.Helper()
	var out []string
	for r, err := range openLog(tb, c.home).Read(tb.Context(), 0, eventstore.Filter{}) {
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, r.Type)
	}
	return out
}
