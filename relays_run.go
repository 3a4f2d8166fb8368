package gxpledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/feed"
	"github.com/gxpledger/gxpledger/eventstore/feed/relay"
	"github.com/gxpledger/gxpledger/eventstore/feed/relay/targets"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
	"github.com/gxpledger/gxpledger/internal/config"
)

// RunRelaysRequest says which relays to run.
type RunRelaysRequest struct {
	// Names are those of recorded relays; nil for all.
	Names []string
	// Unrecorded is a relay that is not recorded; nil for none. Then Names are not used. Repositories are ids.
	Unrecorded *domain.RelayDefinition
	// From is where Unrecorded begins if it has no cursor yet: see [Admin.Redeliver]. "" refuses to begin.
	From string
	// Env looks up the environment variables that relays name for their secrets. Defaults to [os.LookupEnv].
	Env func(name string) (string, bool)
	// SendTimeout is how long one attempt to send may take. Defaults to 30 seconds.
	SendTimeout time.Duration
	// Observe is told of each step of a relay, from one goroutine at a time for each relay. It must not block. Nil for nobody.
	Observe func(relay.Progress)
	// Ended is told of each relay that ends, with its error. It must not block. Nil for nobody.
	Ended func(name string, err error)
}

// RunRelays sends the events of the log until ctx ends or every relay has ended. A relay that ends does so alone: the others continue. One
// that another process runs stands by.
//
// It waits for the log, the store of cursors and the targets.
//
// Errors: that of ctx, [ErrNoLog], [ErrInvalid] where there is no relay to run, a *[domain.RelayNotChangedError] for a name that is none, and of
// relays that ended: [feed.ErrNoCursor], [feed.ErrOtherLog], [relay.ErrRemoved], [relay.ErrTooManyParked], a *[relay.GoneError], [targets.ErrSecret].
func (a Admin) RunRelays(ctx context.Context, request RunRelaysRequest) error {
	use := existingStore
	if request.Unrecorded != nil && request.From != "" {
		use = newStore
	}
	s, err := a.openRelays(ctx, config.ToRead, use)
	if err != nil {
		return err
	}
	defer s.close()
	definitions, err := s.toRun(ctx, request)
	if err != nil {
		return err
	}
	errs := make([]error, len(definitions))
	var all sync.WaitGroup
	for i, d := range definitions {
		all.Go(func() {
			err := s.run(ctx, d, request)
			if ctx.Err() == nil {
				errs[i] = fmt.Errorf("relay %q ended: %w", d.Name, err)
			}
			if request.Ended != nil {
				request.Ended(d.Name, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errors.Join(errs...), context.Cause(ctx))
}

// toRun returns the definitions of the relays to run.
func (s *relays) toRun(ctx context.Context, request RunRelaysRequest) ([]domain.RelayDefinition, error) {
	if d := request.Unrecorded; d != nil {
		if err := d.Check(); err != nil {
			return nil, fmt.Errorf("cannot run relay: %w: %w", ErrInvalid, err)
		}
		return []domain.RelayDefinition{*d}, s.begin(ctx, d, request.From)
	}
	at, err := recorder.LoadRelays(ctx, s.log)
	if err != nil {
		return nil, err
	}
	var out []domain.RelayDefinition
	for _, added := range at.Relays {
		if len(request.Names) == 0 || slices.Contains(request.Names, added.Name) {
			out = append(out, added.RelayDefinition)
		}
	}
	for _, name := range request.Names {
		if at.Relays.Find(name) == nil {
			return nil, &domain.RelayNotChangedError{Name: name, Why: "does not exist"}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("cannot run relays: %w: there is none", ErrInvalid)
	}
	return out, nil
}

// begin creates the cursor of a relay that is not recorded, if it has none.
func (s *relays) begin(ctx context.Context, d *domain.RelayDefinition, from string) error {
	at, err := recorder.LoadRelays(ctx, s.log)
	if err != nil {
		return err
	}
	if at.Relays.Find(d.Name) != nil {
		return fmt.Errorf("cannot run relay: %w: a relay named %q is recorded, and is run by its name", ErrInvalid, d.Name)
	}
	held, err := s.cursor(ctx, d.Name)
	if err != nil || held != nil {
		return err
	}
	if from == "" {
		return fmt.Errorf("cannot run relay %q: %w: where it begins must be given", d.Name, feed.ErrNoCursor)
	}
	start, err := s.locate(ctx, from, nil)
	if err != nil {
		return err
	}
	if err := s.create(ctx, d.Name, start, at.Next); err != nil && !errors.Is(err, feed.ErrCursorExists) {
		return err
	}
	return nil
}

// run runs one relay, again after its lease was lost or the log did not answer, until it ends for another reason.
func (s *relays) run(ctx context.Context, d domain.RelayDefinition, request RunRelaysRequest) error {
	env := request.Env
	if env == nil {
		env = os.LookupEnv
	}
	secret, err := readSecret(d, env)
	if err != nil {
		return err
	}
	now := s.admin.ledger.config.Now
	target, err := targets.Open(targets.Options{To: d.To, Secret: secret, AllowPrivate: d.AllowPrivate, Now: now})
	if err != nil {
		return err
	}
	defer func() { _ = target.Close() }() // what it acknowledged is saved
	backoff := relay.DefaultBackoff()
	for attempt := 1; ; attempt++ {
		err := relay.Run(ctx, relay.Config{
			Name: d.Name, Holder: processName(), Log: s.log, Cursors: s.cursors, Encoder: relay.NewEncoder(s.log), Target: target,
			Filter: filterOf(&d), SendTimeout: request.SendTimeout, LeaseTTL: s.admin.ledger.config.Lease, Now: now, Random: rand.Float64, Observe: func(p relay.Progress) {
				if p.Step == relay.StepSent {
					attempt = 1
				}
				if request.Observe != nil {
					request.Observe(p)
				}
			},
		})
		if ctx.Err() != nil || !errors.Is(err, feed.ErrLeaseLost) && !errors.Is(err, eventstore.ErrTransient) {
			return err
		}
		wait := time.NewTimer(backoff.After(attempt, 0, rand.Float64())) //nolint:gosec // no secret
		select {
		case <-ctx.Done():
			wait.Stop()
			return context.Cause(ctx)
		case <-wait.C:
		}
	}
}

// maxSecret is the largest file of secrets that is read, in bytes.
const maxSecret = 64 << 10

// readSecret reads the secret of a relay from where its definition says.
func readSecret(d domain.RelayDefinition, env func(string) (string, bool)) (string, error) {
	switch {
	case d.SecretVariable != "":
		secret, ok := env(d.SecretVariable)
		if !ok || secret == "" {
			return "", fmt.Errorf("%w: the environment variable %s is not set", targets.ErrSecret, d.SecretVariable)
		}
		return secret, nil
	case d.SecretFile != "":
		file, err := os.Open(d.SecretFile)
		if err != nil {
			return "", fmt.Errorf("%w: %w", targets.ErrSecret, err)
		}
		defer func() { _ = file.Close() }() // it was read
		data, err := io.ReadAll(io.LimitReader(file, maxSecret+1))
		if err == nil && len(data) > maxSecret {
			err = fmt.Errorf("the file %s has more than %d bytes", d.SecretFile, maxSecret)
		}
		if err != nil {
			return "", fmt.Errorf("%w: %w", targets.ErrSecret, err)
		}
		return string(data), nil
	}
	return "", nil
}
