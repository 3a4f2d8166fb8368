package gxpledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
	"github.com/gxpledger/gxpledger/internal/config"
)

// RetireRequest says which repository to retire, and why.
type RetireRequest struct {
	// Repository is its name, address or id.
	Repository string
	// Actor is who retires it, and Reason why. Actor defaults to that of the [Config]. Reason is required.
	Actor, Reason string
}

// Retirement is what was recorded of a repository that was retired. The JSON names are stable.
type Retirement struct {
	RepositoryID string              `json:"repository_id"`
	Repository   string              `json:"repository"`
	Actor        string              `json:"actor"`
	Reason       string              `json:"reason"`
	RetiredAt    time.Time           `json:"retired_at"`
	Position     eventstore.Position `json:"position"`
}

// Retire records that a repository is scanned no more: every further scan of it fails. All that was recorded of it stays.
//
// It waits until the tables have caught up, to find the repository, and then for the log. It does not wait for the tables to
// show the retirement.
//
// Errors: [ErrInvalid] without a reason, a *[domain.NotChangedError] where it is not known by a completed scan or was retired, those of
// [Ledger.View] where there is no such repository, and
// [eventstore.ErrOutcomeUnknown]: call it again, nothing is recorded twice.
func (a Admin) Retire(ctx context.Context, request RetireRequest) (_ Retirement, err error) {
	l := a.ledger
	switch {
	case request.Reason == "":
		return Retirement{}, fmt.Errorf("cannot retire: %w: a reason is required", ErrInvalid)
	case max(len(request.Actor), len(request.Reason)) > longestText:
		return Retirement{}, fmt.Errorf("cannot retire: %w: Actor and Reason have at most %d bytes", ErrInvalid, longestText)
	}
	view, err := l.View(ctx, ViewOptions{Projections: []string{Artifacts}})
	if err != nil {
		return Retirement{}, err
	}
	found, err := view.Find(ctx, request.Repository)
	if err = errors.Join(err, view.Close()); err != nil {
		return Retirement{}, err
	}
	if !found.RetiredAt.IsZero() {
		return Retirement{}, &domain.NotChangedError{
			Repository: found.Name, Why: fmt.Sprintf("was retired at %s by %s already", found.RetiredAt.Format(time.RFC3339), found.RetiredBy),
		}
	}
	log, err := l.openLog(ctx, config.ToAppend)
	if err != nil {
		return Retirement{}, err
	}
	records, err := l.newRecorder(log)
	if err != nil {
		return Retirement{}, err
	}
	action, err := uuid.NewV7()
	if err != nil {
		return Retirement{}, fmt.Errorf("cannot create an id: %w", err)
	}
	done := Retirement{
		RepositoryID: found.ID, Repository: found.Name, Actor: cmp.Or(request.Actor, l.config.Actor), Reason: request.Reason,
		RetiredAt: l.config.Now().UTC(),
	}
	done.Position, err = records.Change(ctx, recorder.Change{
		ID: action, Repository: domain.RepositoryID(found.ID), Actor: done.Actor, Reason: done.Reason,
		Decide: func(s domain.State) ([]domain.Event, error) {
			return domain.RetireRepository(s, domain.RepositoryRetired{
				Repository: domain.Repository{ID: domain.RepositoryID(found.ID), Name: found.Name, URL: found.URL},
				Actor:      done.Actor, Reason: done.Reason, RetiredAt: done.RetiredAt,
			})
		},
	})
	return done, err
}
