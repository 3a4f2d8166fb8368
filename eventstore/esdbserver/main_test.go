package esdbserver_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"go.uber.org/goleak"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbserver"
	"github.com/gxpledger/gxpledger/eventstore/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what a test waits for. It is reached only by a server that hangs.
const patience = 30 * time.Second

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// options are those of most tests: clients may write everywhere but where the engine does.
func options() esdbserver.Options {
	return esdbserver.Options{Now: time.Now, Writable: []string{""}, StopTimeout: time.Second}
}

// served serves log on a free port of this machine until the test ends, and returns its address.
func served(t *testing.T, log eventstore.Log, o esdbserver.Options) string {
	t.Helper()
	server, err := esdbserver.New(log, o)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// newLog returns an empty log in memory.
func newLog(t *testing.T) *memory.Log {
	t.Helper()
	log := memory.New(time.Now)
	t.Cleanup(func() { _ = log.Close() })
	return log
}

// dial returns the official Go client, connected to address.
func dial(t *testing.T, address string) *esdb.Client {
	t.Helper()
	return dialURL(t, fmt.Sprintf("esdb://%s?tls=false", address))
}

func dialURL(t *testing.T, url string) *esdb.Client {
	t.Helper()
	config, err := esdb.ParseConnectionString(url)
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}
