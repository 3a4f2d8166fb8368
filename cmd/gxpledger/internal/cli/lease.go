package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
)

// lease is how long a process that died keeps others from writing the tables: the environment variable GXPLEDGER_LEASE.
type lease struct{ text string }

// Bounds of a lease: a process must be able to renew it three times.
const (
	shortestLease = 100 * time.Millisecond
	longestLease  = 10 * time.Minute
)

func (l lease) check() error {
	if _, err := l.ttl(); l.text != "" && err != nil {
		return usage("GXPLEDGER_LEASE is %q: want a time from %s to %s, such as 10s", l.text, shortestLease, longestLease)
	}
	return nil
}

func (l lease) ttl() (time.Duration, error) {
	d, err := time.ParseDuration(l.text)
	if err == nil && (d < shortestLease || d > longestLease) {
		err = fmt.Errorf("%s is not from %s to %s", d, shortestLease, longestLease)
	}
	return d, err
}

// runnerConfig is the default one, with the lease of the environment.
func (a *app) runnerConfig() projections.Config {
	config := projections.DefaultConfig(a.system.Now, eventstore.Decode, processName())
	if ttl, err := a.lease.ttl(); err == nil {
		config.LeaseTTL = ttl
	}
	return config
}

// outwait does the work of act, and does it again when it was kept from it by a lease that then runs out: the process that
// held it has died. One that lives prolongs its lease, and then the act has failed.
func (s steering) outwait(ctx context.Context, a *app, act *domain.AdminActed, work func() (projections.Report, error)) (projections.Report, error) {
	report, err := work()
	held, ok := errors.AsType[*projections.HeldError](err)
	if !ok {
		return report, err
	}
	wait := held.Until.Sub(a.system.Now())
	a.notes().Line("%s: waiting until then, in case it has died", held.Error())
	timer := time.NewTimer(max(wait, 0) + time.Millisecond) // the database keeps times to the microsecond
	defer timer.Stop()
	select {
	case <-timer.C:
		report, err = work()
	case <-ctx.Done():
	}
	if !errors.Is(err, projections.ErrLeaseHeld) {
		return report, err
	}
	failure := *act
	failure.Outcome, failure.Detail = projections.OutcomeFailed, held.Error()
	kept := projections.KeptAct{Act: failure, Ref: projections.Ref{Projection: held.Projection}}
	return report, errors.Join(err, s.tables.KeepAct(context.WithoutCancel(ctx), kept))
}
