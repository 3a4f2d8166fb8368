//go:build unix

package targets_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gxpledger/gxpledger/eventstore/feed"
	"github.com/gxpledger/gxpledger/eventstore/feed/relay"
	"github.com/gxpledger/gxpledger/eventstore/feed/relay/targets"
	cursorsqlite "github.com/gxpledger/gxpledger/eventstore/feed/sqlite"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

// The test binary is also the processes that the tests kill: GXPLEDGER_TEST_PART says which.
func TestMain(m *testing.M) {
	var part part
	if text := os.Getenv("GXPLEDGER_TEST_PART"); text != "" {
		if err := json.Unmarshal([]byte(text), &part); err != nil {
			panic(err)
		}
		if err := part.run(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// part is what a process of the tests does.
type part struct {
	Kind    string `json:"kind"`    // relay or endpoint
	Log     string `json:"log"`     // file of the log
	Cursors string `json:"cursors"` // file of the cursor
	To      string `json:"to"`
	Secret  string `json:"secret"`
	Address string `json:"address"` // that the endpoint listens at
	File    string `json:"file"`    // that the endpoint writes to
}

func (p part) run() error {
	if p.Kind == "endpoint" {
		return p.endpoint()
	}
	ctx := context.Background()
	log, err := sqlite.OpenReadOnly(ctx, p.Log, sqlite.Options{Now: time.Now, Poll: 5 * time.Millisecond})
	if err != nil {
		return err
	}
	cursors, err := cursorsqlite.Open(ctx, p.Cursors)
	if err != nil {
		return err
	}
	target, err := targets.Open(targets.Options{To: p.To, Secret: p.Secret, AllowPrivate: true, Now: time.Now})
	if err != nil {
		return err
	}
	config := relay.Config{
		Name: "part", Holder: fmt.Sprint(os.Getpid()), Log: log, Cursors: cursors, Encoder: relay.NewEncoder(log), Target: target,
		Now: time.Now, Random: rand.Float64, SendTimeout: 500 * time.Millisecond, SaveEvery: 7, LeaseTTL: 300 * time.Millisecond,
		Backoff: relay.Backoff{First: 5 * time.Millisecond, Most: 50 * time.Millisecond, MostAsked: 50 * time.Millisecond},
		Observe: func(p relay.Progress) {
			if p.Step == relay.StepParked || p.Step == relay.StepSkipped {
				fmt.Fprintf(os.Stderr, "%+v\n", p)
			}
		},
	}
	for {
		// On a machine that is busy the short lease is lost now and then: a supervisor would start the relay again.
		if err := relay.Run(ctx, config); !errors.Is(err, feed.ErrLeaseLost) {
			return err
		}
	}
}

// endpoint accepts events over HTTP: it writes each to a file, flushes that, and answers; now and then it fails, before or after.
func (p part) endpoint() error {
	file, err := os.OpenFile(p.File, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	var one sync.Mutex
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", p.Address)
	if err != nil {
		return err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		one.Lock()
		defer one.Unlock()
		if rand.N(20) == 0 {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err == nil {
			_, err = file.Write(append(body, '\n'))
		}
		if err = errors.Join(err, file.Sync()); err != nil || rand.N(20) == 0 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})}
	return server.Serve(listener)
}

// readLines returns the whole lines of a file.
func readLines(tb testing.TB, path string) [][]byte {
	tb.Helper()
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var lines [][]byte
	for reader := bufio.NewReader(file); ; {
		line, err := reader.ReadBytes('\n')
		if err != nil {
			return lines // a process that was killed may have left a part of one
		}
		lines = append(lines, line[:len(line)-1])
	}
}
