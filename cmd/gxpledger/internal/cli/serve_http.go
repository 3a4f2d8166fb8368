package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/api"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections/query"
)

// Limits on HTTP clients. An answer may take a minute; a client that follows events has deadlines of its own.
const (
	httpHeaderWait = 5 * time.Second
	httpReadWait   = 30 * time.Second
	httpAnswerWait = 90 * time.Second
	httpIdleWait   = 2 * time.Minute
	httpHeaderSize = 16 << 10
	httpGrace      = 10 * time.Second
)

// httpService answers under /v1.
type httpService struct {
	app    *app
	log    eventstore.Log
	tls    *tls.Config
	events *api.Events
	failed func(operation string, err error)

	scanEvery      time.Duration // 0 for never
	pushSecretFile string        // "" for no webhooks
}

func (o *serveOptions) newHTTPService(log eventstore.Log, config *tls.Config) *httpService {
	s := &httpService{app: o.app, log: log, tls: config, scanEvery: o.scanEvery, pushSecretFile: o.pushSecretFile}
	s.failed = func(operation string, err error) {
		o.warn("a request failed", map[string]any{"operation": operation, "error": o.app.redact(oneLine(err.Error()))})
	}
	s.events = api.NewEvents(log, s.streamOf, func(err error) { s.failed("events", err) })
	return s
}

// serve answers at a listener until ctx ends. Scans that run then are recorded whole or not at all.
func (s *httpService) serve(ctx context.Context, listener net.Listener) error {
	scans := api.NewScans(ctx, s.app.system.Now, s.scan)
	handler := api.New(api.Options{Operations: s.operations(scans), Failed: s.failed})
	server := &http.Server{
		Handler: localOnly(handler), ReadHeaderTimeout: httpHeaderWait, ReadTimeout: httpReadWait, WriteTimeout: httpAnswerWait, IdleTimeout: httpIdleWait,
		MaxHeaderBytes: httpHeaderSize, BaseContext: func(net.Listener) context.Context { return ctx }, TLSConfig: s.tls,
	}
	var following sync.WaitGroup
	tailing, stopTail := context.WithCancel(context.WithoutCancel(ctx)) // clients are told of what is recorded until they are closed
	following.Go(func() { s.events.Run(tailing) })
	if s.scanEvery > 0 {
		following.Go(func() { s.schedule(ctx, scans) })
	}
	defer following.Wait()
	defer stopTail()
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		s.events.Stop()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), httpGrace)
		defer cancel()
		err := server.Shutdown(grace)
		stopped <- errors.Join(err, server.Close())
	})
	var err error
	if s.tls != nil {
		err = server.ServeTLS(listener, "", "")
	} else {
		err = server.Serve(listener)
	}
	if !stop() {
		err = <-stopped
	}
	scans.Stop()
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, context.DeadlineExceeded) {
		return nil // clients that did not go away in time were cut off
	}
	return err
}

// operations is the table of all that is answered.
func (s *httpService) operations(scans *api.Scans) []api.Operation {
	return slices.Concat(
		s.app.operations(), []api.Operation{api.ReadinessOperation(s.app.ledger, s.app.problem), api.BytesOperation(s.app.ledger, s.app.problem), s.events.Operation()},
		scans.Operations(s.scannable, func(*http.Request) api.ScanRequest { return api.ScanRequest{Actor: gxpledger.DefaultActor()} }),
		[]api.Operation{scans.PushOperation(s.pushSecret, s.pushed)}, api.ContractOperations(contractDocuments()),
	)
}

// pushSecret reads the secret of webhooks each time, so that it can be changed while the server runs.
func (s *httpService) pushSecret() ([]byte, error) {
	if s.pushSecretFile == "" {
		return nil, nil // which no signature is valid by
	}
	secret, err := readSmall(s.pushSecretFile)
	if err != nil {
		return nil, fmt.Errorf("cannot read the secret of webhooks: %w", err)
	}
	if secret = bytes.TrimRight(secret, "\r\n"); len(secret) < shortestSecret {
		return nil, fmt.Errorf("the secret of webhooks in %s has fewer than %d bytes", s.pushSecretFile, shortestSecret)
	}
	return secret, nil
}

// shortestSecret is the number of bytes that the secret of webhooks has at least.
const shortestSecret = 16

// pushed returns the repository with one of some addresses.
func (s *httpService) pushed(ctx context.Context, addresses []string) (api.Pushed, bool, error) {
	all, err := s.scannedHere(ctx)
	for _, r := range all {
		known := append(r.Settings().Addresses, domain.CanonicalAddress(r.URL))
		if slices.ContainsFunc(known, func(address string) bool { return slices.Contains(addresses, address) }) {
			return api.Pushed{Repository: r.Name, MainLine: r.Settings().MainLine}, true, err
		}
	}
	return api.Pushed{}, false, err
}

// scannedHere are the repositories that a server can scan: known, not retired, with an address.
func (s *httpService) scannedHere(ctx context.Context) (_ []query.Repository, err error) {
	view, err := s.app.ledger.View(ctx, gxpledger.ViewOptions{Projections: []string{gxpledger.Artifacts}})
	if err != nil {
		return nil, s.app.problem(ctx, err)
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	all, err := view.Repositories(ctx)
	return slices.DeleteFunc(all, func(r query.Repository) bool { return !r.RetiredAt.IsZero() || dialAddress(&r) == "" }), err
}

// schedule starts scans of all repositories with a main line, now and each time that the interval has passed, until ctx ends.
func (s *httpService) schedule(ctx context.Context, scans *api.Scans) {
	every := time.NewTicker(s.scanEvery)
	defer every.Stop()
	for {
		all, err := s.scannedHere(ctx)
		if err != nil && ctx.Err() == nil {
			s.failed("schedule", err)
		}
		for _, r := range all {
			if line := r.Settings().MainLine; line != "" {
				_, err := scans.Start(api.ScanRequest{Repository: r.Name, Reason: "scheduled scan of " + line, Actor: gxpledger.DefaultActor()})
				if err != nil && !errors.As(err, new(*api.RunningError)) && !errors.Is(err, api.ErrStopping) {
					s.failed("schedule", err)
				}
			}
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
	}
}

// localOnly refuses requests that a page of another site makes a browser send: by a name of its own that leads here, or from its origin.
func localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = strings.Trim(r.Host, "[]")
		}
		ip := net.ParseIP(host)
		origin := r.Header.Get("Origin")
		if host != "localhost" && (ip == nil || !ip.IsLoopback()) || origin != "" && origin != "http://"+r.Host && origin != "https://"+r.Host {
			api.NewProblem(http.StatusForbidden, "forbidden", "requests from pages of other sites, and under other names than localhost, are refused").Write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// repository finds a repository by name or id.
func (s *httpService) repository(ctx context.Context, name string) (_ query.Repository, err error) {
	view, err := s.app.ledger.View(ctx, gxpledger.ViewOptions{Projections: []string{gxpledger.Artifacts}})
	if err != nil {
		return query.Repository{}, s.app.problem(ctx, err)
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	found, err := view.Find(ctx, name)
	if err != nil {
		return query.Repository{}, s.app.problem(ctx, err)
	}
	return found, nil
}

// streamOf returns the stream of a repository.
func (s *httpService) streamOf(ctx context.Context, name string) (eventstore.StreamID, error) {
	found, err := s.repository(ctx, name)
	return eventstore.RepositoryStream(domain.RepositoryID(found.ID)), err
}

// scannable returns the name of a repository that may be scanned.
func (s *httpService) scannable(ctx context.Context, name string) (string, error) {
	found, err := s.repository(ctx, name)
	switch {
	case err != nil:
		return "", err
	case !found.RetiredAt.IsZero():
		return "", api.NewProblem(http.StatusConflict, api.CodeConflict, fmt.Sprintf("the repository %q is retired", found.Name))
	case dialAddress(&found) == "":
		return "", api.NewProblem(http.StatusConflict, api.CodeConflict,
			fmt.Sprintf("no address is recorded for the repository %q: gxpledger repository set with --address records one", found.Name))
	}
	return found.Name, nil
}

// dialAddress is where a repository is read from: the address of its first scan as it was written, or the first of its settings, over https
// where that is a host and path; "" for none.
func dialAddress(r *query.Repository) string {
	address := r.URL
	if settings := r.Settings().Addresses; len(settings) > 0 && !slices.Contains(settings, domain.CanonicalAddress(address)) {
		address = settings[0]
	}
	if address == "" || domain.IsAddress(address) {
		return address
	}
	return "https://" + address
}

// scan records a scan that a client asked for.
func (s *httpService) scan(ctx context.Context, asked api.ScanRequest, progress func(step string, done, total int)) (*api.ScanOutcome, error) {
	found, err := s.repository(ctx, asked.Repository)
	if err != nil {
		return nil, err
	}
	request := gxpledger.ScanRequest{
		Repository: dialAddress(&found), Name: found.Name, Ref: found.Settings().MainLine, Actor: asked.Actor, Reason: asked.Reason,
		TraceParent: asked.TraceParent, TraceState: asked.TraceState, AllowFileURL: true,
		Progress: func(p gxpledger.ScanProgress) { progress(string(p.Step), p.Done, p.Total) },
	}
	if asked.Authenticated {
		request.ActorFrom = domain.ActorAuthenticated
	}
	result, err := s.app.ledger.Scan(ctx, request)
	var outcome *api.ScanOutcome
	if result.Position > 0 {
		outcome = &api.ScanOutcome{Scan: result.Scan.String(), Number: result.Head().Number, Position: uint64(result.Position)}
	}
	if err != nil {
		_, text := s.app.explain(ctx, err)
		s.failed("scan", err)
		return outcome, errors.New(cmp.Or(s.app.redact(text), "the scan failed"))
	}
	return outcome, nil
}
