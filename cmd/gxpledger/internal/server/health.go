package server

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gxpledger/gxpledger/projections/inspect"
)

// health is the answer of /readyz and /healthz/projections.
type health struct {
	Ready       bool              `json:"ready"`
	Projections []projectionState `json:"projections"`
	Error       string            `json:"error,omitempty"` // why it could not be found out
}

type projectionState struct {
	Name       string        `json:"name"`
	State      inspect.State `json:"state"`
	Position   uint64        `json:"position"`
	Head       uint64        `json:"head"`
	Lag        uint64        `json:"lag"`
	LagSeconds float64       `json:"lag_seconds"`
}

// Handler returns what is served:
//
//	/metrics             for Prometheus
//	/livez               204 as long as the process answers
//	/readyz              200 while the log and the tables can be read and no projection is stalled, faulted, mismatched
//	                     or absent, else 503; a projection that catches up, is paused or is being rebuilt is ready
//	/healthz/projections the same as a document, always 200
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		h := m.health(r.Context())
		code := http.StatusOK
		if !h.Ready {
			code = http.StatusServiceUnavailable
		}
		write(w, code, h)
	})
	mux.HandleFunc("GET /healthz/projections", func(w http.ResponseWriter, r *http.Request) { write(w, http.StatusOK, m.health(r.Context())) })
	return mux
}

func (m *Metrics) health(ctx context.Context) health {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	h := health{Ready: true, Projections: []projectionState{}}
	all, err := m.statuses(ctx)
	if err != nil {
		// The cause may name addresses, and whoever asks need not know them.
		return health{Projections: h.Projections, Error: "the log or the tables cannot be read"}
	}
	for _, s := range all {
		state := projectionState{Name: s.Name, State: s.State, Position: s.Position, Head: s.Head, Lag: s.Lag, LagSeconds: s.LagSeconds}
		h.Projections = append(h.Projections, state)
		h.Ready = h.Ready && !s.NeedsAttention() && s.State != inspect.StateAbsent
	}
	return h
}

func write(w http.ResponseWriter, code int, document health) {
	body, err := json.Marshal(document)
	if err != nil {
		http.Error(w, "the state of the projections cannot be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n')) // a client that went away needs no answer
}

// Limits on clients. A collection answers within patience.
const (
	headerWait = 5 * time.Second
	answerWait = 2 * patience
	idleWait   = time.Minute
	headerSize = 16 << 10
)

// Serve answers at listener until ctx ends, and closes it.
func (m *Metrics) Serve(ctx context.Context, listener net.Listener) error {
	return serveHTTP(ctx, listener, m.Handler())
}

// serveHTTP serves at a listener until ctx ends, and closes the listener.
func serveHTTP(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: headerWait, ReadTimeout: headerWait, WriteTimeout: answerWait, IdleTimeout: idleWait,
		MaxHeaderBytes: headerSize, BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		stopped <- server.Shutdown(grace)
	})
	err := server.Serve(listener)
	if !stop() {
		return <-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
