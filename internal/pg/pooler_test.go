package pg_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/internal/pg"
)

// A pooler that pools transactions is recognised whichever session of the server it takes next; one that pools sessions, which
// has names of its own for them too, is not refused.
func TestATransactionPoolerIsRecognised(t *testing.T) {
	t.Parallel()
	plain := pgtest.Start(t)
	for name, c := range map[string]struct {
		pooler *pooler
		want   error
	}{
		"sessions":                         {&pooler{}, nil},
		"transactions":                     {&pooler{transactions: true}, pg.ErrTransactionPooler},
		"transactions, in turn of session": {&pooler{transactions: true, oldest: true}, pg.ErrTransactionPooler},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := c.pooler.start(t, plain)
			if c.pooler.oldest { // another session that it may take
				c.pooler.hold(t)
			}
			if err := pg.CheckServer(t.Context(), connect(t, address)); !errors.Is(err, c.want) {
				t.Errorf("error is %v, want %v", err, c.want)
			}
		})
	}
	if err := pg.CheckServer(t.Context(), connect(t, plain)); err != nil {
		t.Errorf("without a pooler: %v", err)
	}
}

// pooler passes on what clients send to sessions of a server, as PgBouncer does.
type pooler struct {
	transactions bool // a client has a session for a transaction, not until it leaves
	oldest       bool // it takes the session that was idle longest

	server string
	mu     sync.Mutex // guards idle
	idle   []*session
}

// session is a session of the server.
type session struct {
	conn     net.Conn
	frontend *pgproto3.Frontend
	status   map[string]string // the parameters that the server reports
}

// start returns the address of p.
func (p *pooler) start(t *testing.T, server string) string {
	t.Helper()
	p.server = server
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var serving sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		serving.Wait()
		for _, s := range p.idle {
			_ = s.conn.Close()
		}
	})
	serving.Go(func() {
		for number := uint32(1); ; number++ {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(ctx, func() { _ = client.Close() })
			serving.Go(func() {
				defer stop()
				defer func() { _ = client.Close() }()
				p.serve(ctx, client, number)
			})
		}
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = listener.Addr().String()
	return u.String()
}

// hold opens one more session, which is idle.
func (p *pooler) hold(t *testing.T) {
	t.Helper()
	one, err := p.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.give(one)
}

func (p *pooler) open(ctx context.Context) (*session, error) {
	conn, err := pgconn.Connect(ctx, p.server)
	if err != nil {
		return nil, err
	}
	raw, err := conn.Hijack()
	if err != nil {
		return nil, err
	}
	return &session{raw.Conn, raw.Frontend, raw.ParameterStatuses}, nil
}

func (p *pooler) take(ctx context.Context) (*session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return p.open(ctx)
	}
	at := n - 1
	if p.oldest {
		at = 0
	}
	taken := p.idle[at]
	p.idle = append(p.idle[:at], p.idle[at+1:]...)
	return taken, nil
}

func (p *pooler) give(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, s)
}

// serve serves one client, which gets a name of its own for its session.
func (p *pooler) serve(ctx context.Context, client net.Conn, number uint32) {
	backend := pgproto3.NewBackend(client, client)
	if _, err := backend.ReceiveStartupMessage(); err != nil {
		return
	}
	s, err := p.take(ctx)
	if err != nil {
		return
	}
	defer func() {
		if s != nil {
			_ = s.conn.Close()
		}
	}()
	backend.Send(&pgproto3.AuthenticationOk{})
	for name, value := range s.status {
		backend.Send(&pgproto3.ParameterStatus{Name: name, Value: value})
	}
	backend.Send(&pgproto3.BackendKeyData{ProcessID: 1<<30 + number, SecretKey: []byte{1, 2, 3, 4}})
	backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if backend.Flush() != nil {
		return
	}
	if p.transactions {
		p.give(s)
		s = nil
	}
	for {
		message, err := backend.Receive()
		if err != nil {
			return
		}
		if s == nil {
			if s, err = p.take(ctx); err != nil {
				return
			}
		}
		s.frontend.Send(message)
		switch message.(type) {
		case *pgproto3.Query, *pgproto3.Sync:
		default:
			continue
		}
		idle, err := s.answer(backend)
		if err != nil {
			return
		}
		if idle && p.transactions {
			p.give(s)
			s = nil
		}
	}
}

// answer passes on what the server answers, until it is ready for the next query, and reports whether no transaction is open.
func (s *session) answer(backend *pgproto3.Backend) (idle bool, err error) {
	if err := s.frontend.Flush(); err != nil {
		return false, err
	}
	for {
		answer, err := s.frontend.Receive()
		if err != nil {
			return false, err
		}
		backend.Send(answer)
		if ready, ok := answer.(*pgproto3.ReadyForQuery); ok {
			return ready.TxStatus == 'I', backend.Flush()
		}
		if err := backend.Flush(); err != nil { // the next answer uses the memory of this one
			return false, err
		}
	}
}
