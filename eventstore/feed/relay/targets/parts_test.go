//go:build unix

package targets_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
	cursorsqlite "github.com/gxpledger/gxpledger/eventstore/feed/sqlite"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

const (
	strikes  = 12 // how often a process is killed or stopped
	patience = 60 * time.Second
)

// process is one that is killed and started again.
type process struct {
	tb      testing.TB
	command func() *exec.Cmd
	running *exec.Cmd
	output  bytes.Buffer
}

func (p *process) start() {
	p.tb.Helper()
	p.running = p.command()
	p.running.Stderr = &p.output
	if err := p.running.Start(); err != nil {
		p.tb.Fatal(err)
	}
}

func (p *process) kill() {
	if p.running != nil {
		_ = p.running.Process.Kill()
		_ = p.running.Wait()
		p.running = nil
	}
}

// hang stops the process for a while, so that what was sent to it is answered late or never.
func (p *process) hang(d time.Duration) {
	_ = p.running.Process.Signal(syscall.SIGSTOP)
	pause(d)
	_ = p.running.Process.Signal(syscall.SIGCONT)
}

// pause lets the processes run for a while: how far they come is random, which is the point.
func pause(d time.Duration) { <-time.After(d) }

// self is the command of a part of the tests.
func self(tb testing.TB, p part) func() *exec.Cmd {
	tb.Helper()
	text, err := json.Marshal(p)
	if err != nil {
		tb.Fatal(err)
	}
	return func() *exec.Cmd {
		command := exec.CommandContext(context.WithoutCancel(tb.Context()), os.Args[0])
		command.Env = append(os.Environ(), "GXPLEDGER_TEST_PART="+string(text))
		return command
	}
}

// scene is a log that grows, and a relay to a target, both of which are killed.
type scene struct {
	testing.TB
	log           *sqlite.Log
	path, cursors string
	relay, target *process
	received      func() ([][]byte, error) // the CloudEvents that the target keeps, in its order
	n             int
}

func newScene(tb testing.TB) *scene {
	tb.Helper()
	s := &scene{TB: tb, path: filepath.Join(tb.TempDir(), "log.db")}
	s.cursors = filepath.Join(filepath.Dir(s.path), "cursor")
	var err error
	if s.log, err = sqlite.Open(tb.Context(), s.path, sqlite.Options{Now: time.Now}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.log.Close() })
	cursors, err := cursorsqlite.Create(tb.Context(), s.cursors)
	if err != nil {
		tb.Fatal(err)
	}
	if err := errors.Join(cursors.Create(tb.Context(), feed.Cursor{Name: "relay/part", LogID: s.log.ID()}), cursors.Close()); err != nil {
		tb.Fatal(err)
	}
	return s
}

// grow appends batches to some streams.
func (s *scene) grow(batches int) {
	s.Helper()
	for range batches {
		stream := eventstore.RepositoryStream(domain.RepositoryID(uuid.NewSHA1(uuid.Nil, []byte{byte(rand.N(4))}).String()))
		expected := eventstore.NoStream()
		for r, err := range s.log.ReadStreamBackwards(s.Context(), stream) {
			if err != nil {
				s.Fatal(err)
			}
			expected = eventstore.AtRevision(r.Revision)
			break
		}
		id := uuid.Must(uuid.NewV7())
		batch := eventstore.Batch{Stream: stream, Expected: expected, Meta: eventstore.Meta{Actor: "tester", Scan: id.String(), Attempt: 1}}
		for i := range 3 {
			s.n++
			batch.Events = append(batch.Events, eventstore.NewEvent{ID: eventstore.DeriveEventID(id, i), Type: "demo.happened.v1", Data: fmt.Appendf(nil, `{"n":%d}`, s.n)})
		}
		if _, err := s.log.Append(s.Context(), batch); err != nil {
			s.Fatal(err)
		}
	}
}

// play lets the log grow while the relay and its target are killed and stopped at random, and judges what the target received.
func (s *scene) play() {
	s.Helper()
	s.target.start()
	s.relay.start()
	defer s.target.kill()
	defer s.relay.kill()
	for range strikes {
		s.grow(4)
		pause(time.Duration(rand.N(150)) * time.Millisecond)
		switch rand.N(4) {
		case 0, 1:
			s.relay.kill()
			s.relay.start()
		case 2:
			s.target.kill()
			s.target.start()
		case 3:
			s.target.hang(700 * time.Millisecond) // longer than the relay waits
		}
	}
	s.judge()
}

// judge waits until the target has every event, and compares what it has with the log, which is all that it knows.
func (s *scene) judge() {
	s.Helper()
	type key struct{ id, stream string }
	var want []key
	data := map[string]string{}
	for r, err := range s.log.Read(s.Context(), 0, eventstore.Filter{}) {
		if err != nil {
			s.Fatal(err)
		}
		want = append(want, key{r.ID.String(), string(r.Stream)})
		data[r.ID.String()] = string(r.Data)
	}
	limit, again := time.NewTimer(patience), time.NewTicker(50*time.Millisecond)
	defer limit.Stop()
	defer again.Stop()
	for {
		received, err := s.received()
		first, bodies, double := map[string]int{}, map[string]string{}, 0
		for i, body := range received {
			var event struct {
				ID   string          `json:"id"`
				Data json.RawMessage `json:"data"`
			}
			if err := json.Unmarshal(body, &event); err != nil {
				s.Fatalf("event %d is not JSON: %v: %s", i, err, body)
			}
			if data[event.ID] != string(event.Data) {
				s.Fatalf("event %d has the id %s and the data %s, which the log has not", i, event.ID, event.Data)
			}
			if before, again := bodies[event.ID]; again {
				double++
				if before != string(body) {
					s.Fatalf("event %s was received twice, as %s and as %s", event.ID, before, body)
				}
				continue
			}
			bodies[event.ID], first[event.ID] = string(body), i
		}
		if err == nil && len(first) == len(want) {
			last := map[string]int{}
			for _, k := range want {
				if first[k.id] < last[k.stream] {
					s.Fatalf("event %s of %s was received before one that precedes it", k.id, k.stream)
				}
				last[k.stream] = first[k.id]
			}
			s.Logf("%d events, %d of them received again", len(want), double)
			return
		}
		select {
		case <-again.C:
		case <-limit.C:
			s.Fatalf("%d of %d events were received (%v); the relay says: %s; the target says: %.2000s", len(first), len(want), err, s.relay.output.String(), s.target.output.String())
		}
	}
}

// freeAddress is an address that nobody listens at.
func freeAddress(tb testing.TB) string {
	tb.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// listenSilently accepts connections and says nothing.
func listenSilently(tb testing.TB) string {
	tb.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String() // the system accepts what the backlog holds
}

func TestAWebhookReceivesTheLogWhileAllIsKilled(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	address, file := freeAddress(t), filepath.Join(t.TempDir(), "received")
	s.target = &process{tb: t, command: self(t, part{Kind: "endpoint", Address: address, File: file})}
	s.relay = &process{tb: t, command: self(t, part{Kind: "relay", Log: s.path, Cursors: s.cursors, To: "http://" + address + "/hook", Secret: secret})}
	s.received = func() ([][]byte, error) { return readLines(t, file), nil }
	s.play()
}

func TestARedisStreamReceivesTheLogWhileAllIsKilled(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("NOT TESTED: redis-server is not installed here; Debian, Ubuntu: apt-get install redis-server")
	}
	s := newScene(t)
	address, folder := freeAddress(t), t.TempDir()
	_, port, _ := net.SplitHostPort(address)
	s.target = &process{tb: t, command: func() *exec.Cmd {
		return exec.CommandContext(context.WithoutCancel(t.Context()), program, "--bind", "127.0.0.1", "--port", port, "--dir", folder, "--appendonly", "yes",
			"--appendfsync", "always", "--save", "", "--logfile", filepath.Join(folder, "log"))
	}}
	s.relay = &process{tb: t, command: self(t, part{Kind: "relay", Log: s.path, Cursors: s.cursors, To: "redis://" + address + "/events"})}
	client := redis.NewClient(&redis.Options{Addr: address, MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	s.received = func() ([][]byte, error) {
		entries, err := client.XRange(t.Context(), "events", "-", "+").Result()
		var bodies [][]byte
		for _, e := range entries {
			body, _ := e.Values["event"].(string)
			bodies = append(bodies, []byte(body))
		}
		return bodies, err
	}
	s.play()
}

func TestAStreamOfNATSReceivesTheLogWhileAllIsKilled(t *testing.T) {
	t.Parallel()
	program := natsServer(t)
	s := newScene(t)
	address, folder := freeAddress(t), t.TempDir()
	configuration := filepath.Join(folder, "nats.conf")
	if err := os.WriteFile(configuration, fmt.Appendf(nil, "listen: %q\njetstream { store_dir: %q, sync_interval: always }\n", address, folder), 0o600); err != nil {
		t.Fatal(err)
	}
	s.target = &process{tb: t, command: func() *exec.Cmd {
		return exec.CommandContext(context.WithoutCancel(t.Context()), program, "-c", configuration)
	}}
	s.relay = &process{tb: t, command: self(t, part{Kind: "relay", Log: s.path, Cursors: s.cursors, To: "nats://" + address + "/gxp.events"})}
	s.received = func() ([][]byte, error) { return readStream(t.Context(), "nats://"+address) }
	s.target.start()
	createStream(t, "nats://"+address)
	s.target.kill()
	s.play()
}

// natsServer builds the server, in a module of its own.
func natsServer(tb testing.TB) string {
	tb.Helper()
	program := filepath.Join(tb.TempDir(), "nats-server")
	build := exec.CommandContext(tb.Context(), "go", "build", "-o", program, "github.com/nats-io/nats-server/v2")
	build.Dir = "natsserver"
	build.Env = append(os.Environ(), "GOFLAGS=", "CGO_ENABLED=0", "GOWORK=off")
	if output, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("cannot build the NATS server: %v\n%s", err, output)
	}
	return program
}

// createStream waits for the server, and creates the stream that holds what is published.
func createStream(tb testing.TB, url string) {
	tb.Helper()
	again, limit := time.NewTicker(20*time.Millisecond), time.NewTimer(patience)
	defer again.Stop()
	defer limit.Stop()
	for {
		err := func() error {
			conn, err := nats.Connect(url)
			if err != nil {
				return err
			}
			defer conn.Close()
			stream, err := jetstream.New(conn)
			if err != nil {
				return err
			}
			_, err = stream.CreateStream(tb.Context(), jetstream.StreamConfig{Name: "events", Subjects: []string{"gxp.events"}, Storage: jetstream.FileStorage})
			return err
		}()
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-limit.C:
			tb.Fatalf("cannot create the stream: %v", err)
		}
	}
}

// readStream returns what the stream holds.
func readStream(ctx context.Context, url string) ([][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := nats.Connect(url)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, err
	}
	stream, err := js.Stream(ctx, "events")
	if err != nil {
		return nil, err
	}
	info := stream.CachedInfo().State
	var bodies [][]byte
	for at := info.FirstSeq; at > 0 && at <= info.LastSeq; at++ {
		m, err := stream.GetMsg(ctx, at)
		if err != nil {
			return bodies, err
		}
		bodies = append(bodies, m.Data)
	}
	return bodies, nil
}
