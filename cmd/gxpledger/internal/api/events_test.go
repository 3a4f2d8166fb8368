package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/tmaxmax/go-sse"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/api"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// eventLog is a log with a server of its events.
type eventLog struct {
	t      *testing.T
	log    *memory.Log
	events *api.Events
	server *httptest.Server
	failed []string
	mu     sync.Mutex
}

func newEventLog(t *testing.T, change func(*api.Events)) *eventLog {
	t.Helper()
	l := &eventLog{t: t, log: memory.New(time.Now)}
	l.events = api.NewEvents(l.log, func(_ context.Context, name string) (eventstore.StreamID, error) {
		if name == "nobody" {
			return "", api.NewProblem(http.StatusNotFound, api.CodeNotFound, "there is no repository nobody")
		}
		return eventstore.RepositoryStream(domain.RepositoryID(name)), nil
	}, func(err error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.failed = append(l.failed, err.Error())
	})
	if change != nil {
		change(l.events)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { l.events.Run(ctx) })
	l.server = httptest.NewServer(api.New(api.Options{Operations: []api.Operation{l.events.Operation()}}))
	t.Cleanup(func() {
		l.events.Stop()
		l.server.Close()
		cancel()
		running.Wait()
		_ = l.log.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return l
}

const (
	one = "6b1f3a52-0c3e-4a63-9a5b-0d9f6a0c1e11"
	two = "7c1f3a52-0c3e-4a63-9a5b-0d9f6a0c1e22"
)

// append records a batch of so many events in the stream of a repository.
func (l *eventLog) append(repository string, events int) {
	l.t.Helper()
	stream := eventstore.RepositoryStream(domain.RepositoryID(repository))
	expected := eventstore.NoStream()
	for r, err := range l.log.ReadStreamBackwards(l.t.Context(), stream) {
		if err != nil {
			l.t.Fatal(err)
		}
		expected = eventstore.AtRevision(r.Revision)
		break
	}
	id := uuid.Must(uuid.NewV7())
	batch := eventstore.Batch{Stream: stream, Expected: expected, Meta: eventstore.Meta{Actor: "ada", Scan: id.String(), Attempt: 1}}
	for i := range events {
		event := domain.Event(domain.RejectionCleared{Path: ".gxp/specs/\u2028line\r\nid: 7\n\ndata: x.md"})
		if i == events-1 {
			event = domain.AdminActed{ID: id.String(), Action: "x", Actor: "ada", Reason: "data: y\n\n", Outcome: "succeeded"}
		}
		typ, data, err := eventstore.Encode(event)
		if err != nil {
			l.t.Fatal(err)
		}
		batch.Events = append(batch.Events, eventstore.NewEvent{ID: eventstore.DeriveEventID(id, i), Type: typ, Data: data})
	}
	if _, err := l.log.Append(l.t.Context(), batch); err != nil {
		l.t.Fatal(err)
	}
}

// want are the positions of the events that match, after one.
func (l *eventLog) want(after int, match func(eventstore.Record) bool) []string {
	ids := []string{}
	for r, err := range l.log.Read(l.t.Context(), eventstore.Position(after), eventstore.Filter{}) {
		if err != nil {
			l.t.Fatal(err)
		}
		if match(r) {
			ids = append(ids, strconv.Itoa(int(r.Position)))
		}
	}
	return ids
}

// follow reads n events with a reader that nobody here wrote, and returns their ids.
func (l *eventLog) follow(query, last string, n int) []string {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
	defer cancel()
	answer := l.open(ctx, query, last)
	defer func() { _ = answer.Body.Close() }()
	ids := []string{}
	if n == 0 {
		return ids
	}
	for event, err := range sse.Read(answer.Body, nil) {
		if err != nil {
			l.t.Fatalf("after %d of %d events: %v", len(ids), n, err)
		}
		var sent struct {
			Type        string `json:"type"`
			SpecVersion string `json:"specversion"`
			Sequence    string `json:"sequence"`
		}
		if err := json.Unmarshal([]byte(event.Data), &sent); err != nil || sent.Type != event.Type || sent.SpecVersion != "1.0" || strings.TrimLeft(sent.Sequence, "0") != event.LastEventID {
			l.t.Fatalf("%+v: %v", event, err)
		}
		if ids = append(ids, event.LastEventID); len(ids) == n {
			break
		}
	}
	return ids
}

func (l *eventLog) open(ctx context.Context, query, last string) *http.Response {
	l.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, l.server.URL+"/v1/events"+query, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		l.t.Fatal(err)
	}
	return answer
}

// TestEveryEventIsSentOnceInOrder cuts clients with random filters at random places; they resume where they were.
func TestEveryEventIsSentOnceInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		small := rapid.SampledFrom([]int{1, 2000, 1 << 20}).Draw(rt, "bytes of the tail")
		l := newEventLog(t, func(e *api.Events) { e.KeepInTail(small) })
		query, match := "?after=0", func(eventstore.Record) bool { return true }
		switch rapid.IntRange(0, 3).Draw(rt, "filter") {
		case 1:
			query += "&repository=" + one
			match = func(r eventstore.Record) bool { return strings.HasSuffix(string(r.Stream), one) }
		case 2:
			query += "&types=rejection.cleared"
			match = func(r eventstore.Record) bool { return r.Type == eventstore.TypeRejectionCleared }
		case 3:
			query += "&types=admin.acted.v1,scan.failed&repository=" + two
			match = func(r eventstore.Record) bool {
				return strings.HasSuffix(string(r.Stream), two) && r.Type == eventstore.TypeAdminActed
			}
		}
		got, last := []string{}, ""
		for range rapid.IntRange(1, 6).Draw(rt, "connections") {
			for range rapid.IntRange(0, 3).Draw(rt, "batches before") {
				l.append(rapid.SampledFrom([]string{one, two}).Draw(rt, "repository"), rapid.IntRange(1, 4).Draw(rt, "events"))
			}
			pending := l.want(position(last), match)
			var appending sync.WaitGroup
			more := rapid.IntRange(0, 2).Draw(rt, "batches meanwhile")
			appending.Go(func() {
				for range more {
					l.append(one, 2)
				}
			})
			n := rapid.IntRange(0, len(pending)).Draw(rt, "read")
			ids := l.follow(query, last, n)
			appending.Wait()
			if got = append(got, ids...); len(ids) > 0 {
				last = ids[len(ids)-1]
			}
		}
		rest := l.want(position(last), match)
		got = append(got, l.follow(query, last, len(rest))...)
		if want := l.want(0, match); !slices.Equal(got, want) {
			rt.Fatalf("got %v, want %v", got, want)
		}
		l.events.Stop()
	})
}

func position(id string) int {
	n, _ := strconv.Atoi(id)
	return n
}

func TestAnIdThatTheLogDidNotGiveIsRefused(t *testing.T) {
	t.Parallel()
	l := newEventLog(t, nil)
	l.append(one, 3)
	for _, id := range []string{"4", "-1", "1.0", "01", "+1", " 1", "x", "18446744073709551616", "0x1"} {
		for _, way := range [][2]string{{"?after=" + strings.NewReplacer("+", "%2B", " ", "%20").Replace(id), ""}, {"", id}} {
			if way[1] != "" && strings.TrimSpace(id) != id {
				continue // a header has no blanks around it
			}
			answer := l.open(t.Context(), way[0], way[1])
			body, _ := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), `"code":"unknown_event"`) || !strings.Contains(string(body), `"head":"3"`) {
				t.Errorf("%q: %d %s", id, answer.StatusCode, body)
			}
		}
	}
	for query, code := range map[string]int{
		"?types=nothing": http.StatusBadRequest, "?types=": http.StatusBadRequest, "?types=scan": http.StatusBadRequest, "?repository=nobody": http.StatusNotFound, "?colour=red": http.StatusBadRequest,
	} {
		answer := l.open(t.Context(), query, "")
		_ = answer.Body.Close()
		if answer.StatusCode != code {
			t.Errorf("%s: %d, want %d", query, answer.StatusCode, code)
		}
	}
}

func TestWithoutAPositionNewEventsAloneAreSent(t *testing.T) {
	t.Parallel()
	l := newEventLog(t, func(e *api.Events) { e.Beat(10 * time.Millisecond) })
	l.append(one, 3)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	answer := l.open(ctx, "", "")
	defer func() { _ = answer.Body.Close() }()
	lines := bufio.NewScanner(answer.Body)
	for _, want := range []string{"retry: 3000", ": follows after 3", "", ": alive"} {
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("line %q, want %q", lines.Text(), want)
		}
	}
	l.append(two, 1)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "id: ") {
	}
	if lines.Text() != "id: 4" {
		t.Errorf("line %q, want the new event", lines.Text())
	}
}

// TestASlowClientIsDroppedAndKeepsNobodyBack opens a connection that is never read.
func TestASlowClientIsDroppedAndKeepsNobodyBack(t *testing.T) {
	t.Parallel()
	l := newEventLog(t, func(e *api.Events) { e.SendWithin(50 * time.Millisecond) })
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(l.server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("GET /v1/events?after=0 HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	for range 200 { // more than the buffers of a connection take
		l.append(one, 100)
	}
	if got := l.follow("?after=19990", "", 10); len(got) != 10 {
		t.Errorf("another client got %v", got)
	}
	deadline := time.Now().Add(time.Minute)
	for l.events.Open() > 0 {
		if time.Now().After(deadline) {
			t.Fatal("the slow client is not dropped")
		}
		<-time.After(time.Millisecond)
	}
}

func TestClientsAreClosedWhenTheServerEnds(t *testing.T) {
	t.Parallel()
	l := newEventLog(t, nil)
	answer := l.open(t.Context(), "", "")
	defer func() { _ = answer.Body.Close() }()
	l.events.Stop()
	if _, err := io.ReadAll(answer.Body); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

// FuzzFrame: no part of an event breaks the frames of others.
func FuzzFrame(f *testing.F) {
	f.Add(uint64(7), "a.v1", `{"x":"1"}`)
	f.Add(uint64(1), "a", "{\r\n\"x\":\n\n1}")
	f.Fuzz(func(t *testing.T, at uint64, typ, document string) {
		if eventstore.CheckName(typ) != nil || strings.HasPrefix(typ, " ") || !json.Valid([]byte(document)) {
			t.Skip()
		}
		n := 0
		for event, err := range sse.Read(strings.NewReader(string(api.EventFrame(eventstore.Position(at), typ, []byte(document)))), nil) {
			if err != nil || event.LastEventID != strconv.FormatUint(at, 10) || event.Type != typ || !json.Valid([]byte(event.Data)) {
				t.Errorf("%+v, %v", event, err)
			}
			n++
		}
		if n != 1 {
			t.Errorf("%d events", n)
		}
	})
}
