package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// Limits on what is answered at once.
const (
	readsAtOnce  = 16
	pastsAtOnce  = 2                // answers as of an earlier point replay the log
	turnWait     = 10 * time.Second // how long a request waits for its turn
	answerWithin = time.Minute
)

// Options are what an API is made of. All but Guard and Failed are required.
type Options struct {
	Operations []Operation
	// Guard wraps the handler of an operation that needs something, so that it is only called for who may; nil for no guard.
	Guard func(o Operation, next http.Handler) http.Handler
	// Failed is told what went wrong in the server, with the operation, for its log; nil for nobody.
	Failed func(operation string, err error)
}

// API answers requests. It is an [http.Handler], and safe for concurrent use.
type API struct {
	options      Options
	mux          *http.ServeMux
	reads, pasts chan struct{}
}

// New returns an API with a table of operations. It panics for patterns that contradict each other, which are constants of the program.
func New(options Options) *API {
	if options.Guard == nil {
		options.Guard = func(_ Operation, next http.Handler) http.Handler { return next }
	}
	if options.Failed == nil {
		options.Failed = func(string, error) {}
	}
	a := &API{options: options, mux: http.NewServeMux(), reads: make(chan struct{}, readsAtOnce), pasts: make(chan struct{}, pastsAtOnce)}
	for _, o := range options.Operations {
		a.mux.Handle(o.Method+" "+o.Pattern, options.Guard(o, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := a.attempt(w, r, o); err != nil {
				a.refuse(w, r, o, err)
			}
		})))
	}
	return a
}

// ServeHTTP implements [http.Handler].
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	if _, pattern := a.mux.Handler(r); pattern != "" {
		a.mux.ServeHTTP(w, r)
		return
	}
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := a.mux.Handler(other); pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) > 0 {
		h.Set("Allow", strings.Join(allowed, ", "))
		NewProblem(http.StatusMethodNotAllowed, CodeMethod, "this path takes "+strings.Join(allowed, ", ")).Write(w)
		return
	}
	NewProblem(http.StatusNotFound, CodeNotFound, "there is no such path: GET /v1/openapi.json lists them").Write(w)
}

// attempt is answer, of which a fault of the program is an error.
func (a *API) attempt(w http.ResponseWriter, r *http.Request, o Operation) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("the program failed: %v\n%s", fault, debug.Stack())
		}
	}()
	return a.answer(w, r, o)
}

// answer carries out one request.
func (a *API) answer(w http.ResponseWriter, r *http.Request, o Operation) error {
	call, err := o.read(r)
	if err != nil {
		return err
	}
	if o.Handle != nil {
		return o.Handle(w, r, call)
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	turns := []chan struct{}{a.reads}
	if o.Replays || call["as_of"] != "" || call["as_of_commit_date"] != "" {
		turns = []chan struct{}{a.pasts, a.reads} // whoever waits for a replay keeps no turn from others
	}
	for _, turn := range turns {
		if err := take(ctx, turn); err != nil {
			return err
		}
		defer func() { <-turn }()
	}
	if o.Bytes != nil {
		file, err := o.Bytes(ctx, call)
		if err == nil {
			file.write(w, r)
		}
		return err
	}
	document, err := o.Run(ctx, call)
	if err == nil && o.List != "" {
		document, err = pageOf(document, &o, call)
	}
	if err != nil {
		return err
	}
	WriteDocument(w, r, http.StatusOK, document)
	return nil
}

// take waits for a turn.
func take(ctx context.Context, turns chan struct{}) error {
	waited := time.NewTimer(turnWait)
	defer waited.Stop()
	select {
	case turns <- struct{}{}:
		return nil
	case <-waited.C:
		busy := NewProblem(http.StatusServiceUnavailable, CodeBusy, "too many requests are being answered: ask again later")
		busy.RetryAfter = turnWait
		return busy
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refuse answers with what went wrong. Causes in the server are not sent: they may name addresses.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, o Operation, err error) {
	if r.Context().Err() != nil {
		return // the client went away, or the server ends
	}
	problem, ok := errors.AsType[*ProblemError](err)
	switch {
	case ok:
	case errors.Is(err, context.DeadlineExceeded):
		problem = NewProblem(http.StatusServiceUnavailable, CodeBusy, fmt.Sprintf("the answer took longer than %s", answerWithin))
		problem.RetryAfter, problem.Cause = turnWait, err
	default:
		problem = NewProblem(http.StatusInternalServerError, CodeInternal, "the request could not be carried out: see the log of the server")
		problem.Cause = err
	}
	if problem.Status >= http.StatusInternalServerError {
		if cause := problem.Cause; cause != nil {
			err = cause
		}
		a.options.Failed(o.ID, err)
	}
	problem.Write(w)
}

// WriteDocument answers with a JSON document and its ETag, or with 304 where the client has it.
func WriteDocument(w http.ResponseWriter, r *http.Request, status int, document []byte) {
	document = append(bytes.TrimRight(document, "\n"), '\n')
	sum := sha256.Sum256(document)
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	h := w.Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", "no-cache") // to be asked about again each time, with the ETag
	if status == http.StatusOK && hasTag(r, tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(document) // a client that went away needs no answer
}

// hasTag reports whether the client has the answer with an ETag.
func hasTag(r *http.Request, tag string) bool {
	return slices.ContainsFunc(strings.Split(r.Header.Get("If-None-Match"), ","), func(known string) bool {
		known = strings.TrimPrefix(strings.TrimSpace(known), "W/")
		return known == tag || known == "*"
	})
}
