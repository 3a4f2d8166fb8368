package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger"
)

const relaySecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// hook is a webhook that refuses some types of events.
type hook struct {
	*httptest.Server

	mu       sync.Mutex
	refuses  string   // the type that it refuses, "" for none
	received []string // types
}

func newHook(t *testing.T) *hook {
	t.Helper()
	h := &hook{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		var event struct {
			Type string `json:"type"`
		}
		body, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(body, &event); err != nil || r.Header.Get("Webhook-Signature") == "" {
			t.Errorf("not a signed event: %v, %s", err, body)
		}
		if event.Type == h.refuses {
			http.Error(w, "no such thing here", http.StatusUnprocessableEntity)
			return
		}
		h.received = append(h.received, event.Type)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) refuse(typ string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refuses = typ
}

func (h *hook) types() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.received)
}

// relaying is a home with a log, and a process that runs its relays.
type relaying struct {
	*fixture

	done chan result
	stop context.CancelFunc
}

func (d *relaying) start(args ...string) {
	d.t.Helper()
	ctx, cancel := context.WithCancel(d.t.Context())
	other := *d.fixture
	other.now, d.stop, d.done = time.Now, cancel, make(chan result, 1)
	go func() {
		d.done <- other.bare(ctx, append(append([]string{"relay", "run", "--home", d.home}, args...), "--json")...)
	}()
}

func (d *relaying) end() result {
	d.stop()
	return <-d.done
}

// status waits until the status of a relay is as wanted.
func (d *relaying) status(what string, is func(gxpledger.RelayStatus) bool) gxpledger.RelayStatus {
	d.t.Helper()
	limit, again := time.NewTimer(30*time.Second), time.NewTicker(20*time.Millisecond)
	defer limit.Stop()
	defer again.Stop()
	for {
		got := d.run("relay", "status", "--json")
		var document struct {
			Relays []gxpledger.RelayStatus `json:"relays"`
		}
		if err := json.Unmarshal([]byte(got.stdout), &document); err != nil || len(document.Relays) > 1 {
			d.t.Fatalf("%v: %s%s", err, got.stdout, got.stderr)
		}
		s := gxpledger.RelayStatus{}
		if len(document.Relays) == 1 {
			s = document.Relays[0]
		} else {
			s.State = gxpledger.RelayStopped // it is not begun yet
		}
		if want := map[bool]int{false: 0, true: 3}[s.NeedsAttention()]; got.code != want {
			d.t.Fatalf("exit code %d, want %d: %+v", got.code, want, s)
		}
		if is(s) {
			return s
		}
		select {
		case <-again.C:
		case <-limit.C:
			d.t.Fatalf("the relay did not get so far: %s; its status is %+v", what, s)
		}
	}
}

func newRelaying(t *testing.T) *relaying {
	t.Helper()
	f, _ := recorded(t)
	f.env["HOOK_SECRET"] = relaySecret
	return &relaying{fixture: f}
}

func caughtUp(s gxpledger.RelayStatus) bool { return s.Lag != nil && *s.Lag == 0 && s.Failure == nil }

func TestARelayIsAddedRunRetriedSkippedAndRemoved(t *testing.T) {
	t.Parallel()
	d, h := newRelaying(t), newHook(t)
	d.run("relay", "status").wantCode(0).has("There is no relay")
	d.run("relay", "run").wantCode(1).says("there is none")
	d.run("relay", "add", "lims", "--to", h.URL, "--secret-env", "HOOK_SECRET", "--allow-private", "--from", "beginning", "--reason", "change request 18", "--actor", "ada").
		wantCode(0).has("lims, added")
	d.run("relay", "add", "lims", "--to", h.URL, "--secret-env", "HOOK_SECRET", "--reason", "again").wantCode(1)
	d.run("relay", "retry", "lims", "--reason", "x").wantCode(1).says("has nothing to retry", "nothing was recorded")
	d.run("relay", "skip", "lims", "1", "--reason", "x").wantCode(1).says("does not wait at position 1")

	const completed = "io.gxpledger.scan.completed.v2"
	h.refuse(completed)
	d.start()
	s := d.status("parked", func(s gxpledger.RelayStatus) bool { return s.State == gxpledger.RelayParked && caughtUp(s) })
	if len(s.Parked) != 1 || s.Waiting < 1 || !strings.Contains(s.Why, "HTTP 422") || slices.Contains(h.types(), completed) {
		t.Errorf("the status is %+v", s)
	}
	d.run("relay", "status").wantCode(3).has("HTTP 422")
	d.run("relay", "skip", "lims", "x", "--reason", "x").wantCode(2)
	h.refuse("")
	d.run("relay", "retry", "lims", "--reason", "it accepts scans now").wantCode(0).has("lims, retry")
	d.status("all sent", func(s gxpledger.RelayStatus) bool {
		return s.State == gxpledger.RelayRunning && caughtUp(s) && s.Waiting == 0
	})
	if types := h.types(); !slices.Contains(types, completed) || !slices.Contains(types, "io.gxpledger.relay.added.v1") {
		t.Errorf("received %v", types)
	}
	sent := len(h.types())
	d.run("relay", "redeliver", "lims", "--from", "beginning", "--dry-run").wantCode(0).has("nothing was recorded")
	d.run("relay", "redeliver", "lims", "--from", "yesterday", "--dry-run").wantCode(1).says("want a date")
	h.refuse(completed)
	d.run("relay", "redeliver", "lims", "--from", "pos:1", "--reason", "it was restored").wantCode(0).has("after position 0")
	s = d.status("parked again", func(s gxpledger.RelayStatus) bool { return s.State == gxpledger.RelayParked && caughtUp(s) })
	if len(h.types()) <= sent {
		t.Error("nothing was sent again")
	}
	for _, p := range s.Parked {
		d.run("relay", "skip", "lims", fmt.Sprint(uint64(p.Position)), "--reason", "entered by hand").wantCode(0).has("lims, skip")
	}
	d.run("relay", "remove", "lims", "--reason", "replaced").wantCode(0).has("lims, removed")
	if ended := <-d.done; ended.code != 1 || !strings.Contains(ended.stdout, "relay was removed") {
		t.Errorf("the process ended with %d: %s%s", ended.code, ended.stdout, ended.stderr)
	}
	d.run("relay", "status").wantCode(0).has("There is no relay")
	for _, action := range []string{"relay_added", "admin_relay_retry", "admin_relay_skip", "admin_relay_redeliver", "relay_removed"} {
		d.run("audit", "--action", action).wantCode(0).has("lims")
	}
	d.verify(0)
}

func TestARelayThatIsNotRecordedContinuesUnderItsName(t *testing.T) {
	t.Parallel()
	d, h := newRelaying(t), newHook(t)
	args := []string{"--to", h.URL, "--secret-env", "HOOK_SECRET", "--allow-private", "--types", "scan.completed", "--name", "try"}
	d.run(append([]string{"relay", "run"}, args...)...).wantCode(1).says("where it begins must be given")
	d.start(append(args, "--from", "beginning", "--metrics", "127.0.0.1:0")...)
	d.status("all sent", caughtUp)
	if ended := d.end(); ended.code != 0 {
		t.Errorf("it ended with %d: %s", ended.code, ended.stderr)
	}
	n := len(h.types())
	d.start(args...)
	d.status("all sent", func(s gxpledger.RelayStatus) bool { return caughtUp(s) && s.State == gxpledger.RelayRunning })
	_ = d.end()
	if types := h.types(); n == 0 || len(types) != n || slices.ContainsFunc(types, func(s string) bool { return !strings.Contains(s, "scan.completed") }) {
		t.Errorf("received %v, and %d of them before", types, n)
	}
	d.run("relay", "remove", "try", "--reason", "it was a trial").wantCode(0)
	d.run("relay", "status").wantCode(0).has("There is no relay")
}

func TestARelayThatCannotBeUsedIsRecordedNowhere(t *testing.T) {
	t.Parallel()
	d := newRelaying(t)
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"add", "lims", "--reason", "x"}, 2, "--to is required"},
		{[]string{"add", "lims", "--to", "https://h.example.com"}, 2, "--reason is required"},
		{[]string{"add", "a b", "--to", "https://h.example.com", "--reason", "x"}, 2, "cannot be used"},
		{[]string{"add", "lims", "--to", "https://user:pw@h.example.com", "--reason", "x"}, 2, "has a user or password"},
		{[]string{"add", "lims", "--to", "ftp://h.example.com", "--reason", "x"}, 2, "want https"},
		{[]string{"add", "lims", "--to", "nats://h.example.com", "--reason", "x"}, 2, "names no subject"},
		{[]string{"add", "lims", "--to", "https://h.example.com", "--kinds", "poem", "--reason", "x"}, 2, "unknown"},
		{[]string{"add", "lims", "--to", "https://h.example.com", "--repositories", "nobody", "--reason", "x"}, 1, "nobody"},
		{[]string{"add", "lims", "--to", "https://h.example.com", "--from", "then", "--reason", "x"}, 1, "want a date"},
		{[]string{"remove", "lims", "--reason", "x"}, 1, "does not exist"},
		{[]string{"redeliver", "lims", "--from", "beginning", "--reason", "x"}, 1, "does not exist"},
		{[]string{"run", "lims"}, 1, "does not exist"},
		{[]string{"run", "--name", "x"}, 2, "--to too"},
		{[]string{"run", "--to", "https://h.example.com"}, 2, "--name is required"},
	} {
		d.run(append([]string{"relay"}, c.args...)...).wantCode(c.code).says(c.says)
	}
	d.run("relay", "status").wantCode(0).has("There is no relay")
	d.run("audit", "--action", "relay_added").lacks("lims")
}
