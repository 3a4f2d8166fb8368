package esdbserver_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/metadata"

	"github.com/gxpledger/gxpledger/eventstore/esdbserver"
)

// as is the context of a call of a user with a password.
func as(t *testing.T, credentials string) context.Context {
	t.Helper()
	return metadata.AppendToOutgoingContext(within(t), "authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(credentials)))
}

// readAs reads $all as a user, and returns the answer.
func readAs(ctx context.Context, t *testing.T, client api.StreamsClient) string {
	t.Helper()
	call, err := client.Read(ctx, readRequest(func(*api.ReadReq_Options) {}))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = call.Recv()
	}
	return answered(err, nil)
}

// The operator is told of each login and append that is refused, once, without passwords, and of no conflict.
func TestRefusalsAreTold(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var told []string
	o := options()
	o.Writable = []string{"open-"}
	o.Refused = func(r esdbserver.Refusal) {
		mu.Lock()
		defer mu.Unlock()
		if !strings.HasPrefix(r.Peer, "127.0.0.1:") {
			t.Errorf("peer is %q", r.Peer)
		}
		told = append(told, fmt.Sprintf("%s %s %s: %s", r.What, r.User, r.Stream, r.Reason))
	}
	o.Authenticate = func(_ context.Context, user, _ string) error {
		switch user {
		case "ada":
			return nil
		case "bot":
			return fmt.Errorf("wrapped: %w", esdbserver.ErrTooManyLogins)
		default:
			return esdbserver.ErrNotAuthenticated
		}
	}
	o.Failed = func(err error) { t.Errorf("a failure was told: %v", err) }
	client := dialStreams(t, served(t, newLog(t), o))
	tells := func(what string, want ...string) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(told, want) {
			t.Errorf("%s: told %q, want %q", what, told, want)
		}
		told = nil
	}
	readAs(within(t), t, client)
	tells("nobody", "login  : no credentials of the form of basic authentication")
	readAs(as(t, "eve:s3cret"), t, client)
	tells("a wrong password", "login eve : unknown user or wrong password")
	if got, want := readAs(as(t, "bot:s3cret"), t, client), "Unavailable: too many passwords of this client wait to be checked: try again later"; got != want {
		t.Errorf("a client that logs in too often is answered %q, want %q", got, want)
	}
	tells("too many logins", "login bot : too many passwords of this client wait to be checked")
	appendAs := func(ctx context.Context, stream string, more ...*api.AppendReq) {
		t.Helper()
		call, err := client.Append(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range append([]*api.AppendReq{beginAny(stream)}, more...) {
			if err := call.Send(m); err != nil {
				t.Fatal(err)
			}
		}
		_, _ = call.CloseAndRecv()
	}
	appendAs(as(t, "eve:s3cret"), "open-1", proposal(propose(1, 10)))
	tells("a wrong password of an append", "login eve : unknown user or wrong password")
	closed := `append ada closed-1: stream "closed-1" is not open to clients: the operator may open a prefix of names`
	appendAs(as(t, "ada:x"), "closed-1", proposal(propose(1, 10)))
	tells("a closed stream", closed)
	call, err := client.BatchAppend(as(t, "ada:x"))
	if err != nil {
		t.Fatal(err)
	}
	failed(t, exchange(t, call, batch("closed-1", nil, propose(1, 10))))
	tells("a closed stream in a batch", closed)
	exists := &api.BatchAppendReq_Options{ExpectedStreamPosition: &api.BatchAppendReq_Options_StreamPosition{StreamPosition: 4}}
	failed(t, exchange(t, call, batch("open-1", exists, propose(1, 10))))
	tells("a conflict")
}

// Calls are counted before passwords are checked, which is slow on purpose.
func TestPasswordsAreCheckedWithinTheLimitOfCalls(t *testing.T) {
	t.Parallel()
	checking, release := make(chan struct{}), make(chan struct{})
	o := options()
	o.Streams = 1
	o.Authenticate = func(context.Context, string, string) error {
		checking <- struct{}{}
		<-release
		return nil
	}
	client := dialStreams(t, served(t, newLog(t), o))
	first := make(chan string, 1)
	ctx := as(t, "ada:x")
	go func() { first <- readAs(ctx, t, client) }()
	<-checking
	if got := readAs(as(t, "eve:x"), t, client); got != "Unavailable: too many calls are running: try again later" {
		t.Errorf("one more call: %s", got)
	}
	close(release)
	if got := <-first; got != "Unknown: EOF" && !strings.HasPrefix(got, "OK") {
		t.Errorf("the first call: %s", got)
	}
}

// A subscription to a stream of links would stay silent for ever, and a link event would never be resolved: both are refused in words.
func TestLinksAreRefusedInWords(t *testing.T) {
	t.Parallel()
	client := dialStreams(t, served(t, newLog(t), options()))
	for stream, instead := range map[string]string{
		"$ce-orders": `with a filter of the prefix "orders-" on stream names`, "$et-placed": `with a filter of the prefix "placed" on event types`,
		"$streams": "subscribe to $all", "$bc-1": "subscribe to $all", "$$orders-1": "subscribe to $all", "$ce-\xff": "on stream names",
	} {
		call, err := client.Read(within(t), ofStream(stream, live))
		if err != nil {
			t.Fatal(err)
		}
		_, err = call.Recv()
		if got := answered(err, nil); !strings.HasPrefix(got, "Unimplemented: cannot subscribe to ") || !strings.Contains(got, instead) {
			t.Errorf("%q is answered %s", stream, got)
		}
	}
	link := proposing(func(m *api.AppendReq_ProposedMessage) { m.Metadata["type"] = "$>" })
	if _, got := sendAppend(t, client, link...); !strings.HasPrefix(got, "Unimplemented: event 0: link events ($>) are not served here") {
		t.Errorf("a link is answered %s", got)
	}
}
