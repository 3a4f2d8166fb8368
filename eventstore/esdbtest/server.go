package esdbtest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbserver"
)

// Server is a server of package esdbserver, at an address of its own, that can be killed and started again. It is safe for
// concurrent use.
type Server struct {
	tb      testing.TB
	log     eventstore.Log
	options esdbserver.Options
	address string // does not change once the server has run

	mu   sync.Mutex // guards stop
	stop func()     // nil while it is down
}

// Start serves log, with the engine's streams open, until tb ends, and closes log then. Each of set may change the
// options of the server.
func Start(tb testing.TB, log eventstore.Log, set ...func(*esdbserver.Options)) *Server {
	tb.Helper()
	tb.Cleanup(func() { _ = log.Close() }) // what it says matters to the test of that log
	options := esdbserver.Options{
		Now:                time.Now,
		AllowEngineStreams: true, StopTimeout: time.Millisecond,
	}
	for _, change := range set {
		change(&options)
	}
	s := &Server{tb: tb, log: log, options: options, address: "127.0.0.1:0"}
	s.Restart()
	tb.Cleanup(s.Kill)
	return s
}

// Address returns host and port.
func (s *Server) Address() string { return s.address }

// URL returns the connection string for package kurrent.
func (s *Server) URL() string {
	if s.options.TLS != nil {
		return "esdb://" + s.address
	}
	return "esdb://" + s.address + "?tls=false"
}

// Restart lets clients connect again after Kill.
func (s *Server) Restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	served, err := esdbserver.New(s.log, s.options)
	if err != nil {
		s.tb.Fatal(err)
	}
	listener, err := listen(s.tb, s.address)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.address = listener.Addr().String()
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.tb.Context()))
	done := make(chan error, 1)
	go func() { done <- served.Serve(ctx, listener) }()
	s.stop = func() {
		cancel()
		if err := <-done; err != nil {
			s.tb.Error(err)
		}
	}
}

// Kill cuts every connection and lets nobody connect.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}
