package gxpledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
	"github.com/gxpledger/gxpledger/internal/config"
	"github.com/gxpledger/gxpledger/internal/gitrepo"
	"github.com/gxpledger/gxpledger/projections/query"
)

// RepositoryRequest says what a repository is called and how it is scanned from now on, and why.
type RepositoryRequest struct {
	// Repository is its name, a former one, or its id. For [Admin.AddRepository] it is a name, or an address, whose canonical form is
	// the name then.
	Repository string
	// Name is what it is called from now on; "" for its present name.
	Name string
	// Settings returns how it is scanned from now on, given how it is scanned now. It is called again when somebody else changed
	// the settings. Nil changes nothing.
	Settings func(now domain.RepositorySettings) domain.RepositorySettings
	// Actor and Reason are recorded. Actor defaults to that of the [Config]. Reason is required.
	Actor, Reason string
}

// RepositoryChange is what was recorded of a repository. The JSON names are stable.
type RepositoryChange struct {
	RepositoryID string                    `json:"repository_id"`
	Repository   string                    `json:"repository"` // its name from now on
	Settings     domain.RepositorySettings `json:"settings"`   // all of them
	Actor        string                    `json:"actor"`
	Reason       string                    `json:"reason"`
	ChangedAt    time.Time                 `json:"changed_at"`
	Position     eventstore.Position       `json:"position"`
}

// AddRepository registers a repository before its first scan, with its settings.
//
// It waits until the tables have caught up, to find out whether the name or an address is one that another repository has, and
// then for the log. It does not wait for the tables to show it.
//
// Errors: [ErrInvalid] without a reason or with settings that cannot be used, a *[domain.NotChangedError] where the repository is known or
// another has the name or an address, and [eventstore.ErrOutcomeUnknown]: look whether it was recorded.
func (a Admin) AddRepository(ctx context.Context, request RepositoryRequest) (RepositoryChange, error) {
	if err := a.ledger.settings.CreateHome(); err != nil {
		return RepositoryChange{}, err
	}
	address := domain.CanonicalAddress(request.Repository)
	name := cmp.Or(request.Name, address)
	if domain.IsAddress(request.Repository) {
		if err := gitrepo.CheckAddress(request.Repository); err != nil {
			return RepositoryChange{}, fmt.Errorf("cannot add repository: %w", err)
		}
		given := request.Settings
		request.Repository = address
		request.Settings = func(now domain.RepositorySettings) domain.RepositorySettings {
			now.Addresses = append(now.Addresses, address)
			if given != nil {
				now = given(now)
			}
			return now
		}
	}
	return a.change(ctx, request, func(s domain.State) error {
		if s.Registered {
			return &domain.NotChangedError{Repository: name, Why: fmt.Sprintf("is known already, and called %q", s.Repository.Name)}
		}
		return nil
	}, func(all []knownRepository) (domain.Repository, error) {
		if known := named(all, name); known != nil {
			return domain.Repository{}, &domain.NotChangedError{Repository: name, Why: "is known already"}
		}
		return domain.Repository{ID: RepositoryID(name), Name: name, URL: address}, nil
	})
}

// ChangeRepository records other settings, or another name, of a repository. Its id stays, and so does its history; scans under a
// former name go to it too.
//
// It waits until the tables have caught up, to find the repository, and then for the log. It does not wait for the tables to show
// the change.
//
// Errors: [ErrInvalid] without a reason or with settings that cannot be used, a *[query.UnknownError], a *[domain.NotChangedError] where
// nothing would change, the repository was retired, or another has the name or an address, and [eventstore.ErrOutcomeUnknown]: look
// whether it was recorded.
func (a Admin) ChangeRepository(ctx context.Context, request RepositoryRequest) (RepositoryChange, error) {
	return a.change(ctx, request, func(domain.State) error { return nil }, func(all []knownRepository) (domain.Repository, error) {
		found := named(all, request.Repository)
		if found == nil {
			return domain.Repository{}, &query.UnknownError{What: "repository", Given: request.Repository}
		}
		return domain.Repository{ID: found.ID, Name: cmp.Or(request.Name, found.Name), URL: found.URL}, nil
	})
}

// change records what find says of a repository, unless allow refuses it, given what is recorded of it.
func (a Admin) change(
	ctx context.Context, request RepositoryRequest, allow func(domain.State) error, find func([]knownRepository) (domain.Repository, error),
) (RepositoryChange, error) {
	l := a.ledger
	if err := request.check(); err != nil {
		return RepositoryChange{}, fmt.Errorf("cannot change repository: %w", err)
	}
	log, err := l.openLog(ctx, config.ToAppend)
	if err != nil {
		return RepositoryChange{}, err
	}
	all, err := l.repositories(ctx, log)
	if err != nil {
		return RepositoryChange{}, err
	}
	repository, err := find(all)
	if err != nil {
		return RepositoryChange{}, err
	}
	records, err := l.newRecorder(log)
	if err != nil {
		return RepositoryChange{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return RepositoryChange{}, fmt.Errorf("cannot create an id: %w", err)
	}
	done := RepositoryChange{
		RepositoryID: string(repository.ID), Repository: repository.Name, Actor: cmp.Or(request.Actor, l.config.Actor), Reason: request.Reason,
		ChangedAt: l.config.Now().UTC(),
	}
	done.Position, err = records.Change(ctx, recorder.Change{
		ID: id, Repository: repository.ID, Actor: done.Actor, Reason: done.Reason,
		Decide: func(s domain.State) ([]domain.Event, error) {
			of := repository
			if err := allow(s); err != nil {
				return nil, err
			}
			if s.Registered {
				of.URL = s.Repository.URL
			}
			done.Settings = s.Settings
			if request.Settings != nil {
				done.Settings = request.Settings(s.Settings)
			}
			slices.Sort(done.Settings.Addresses)
			done.Settings.Addresses = slices.Compact(done.Settings.Addresses)
			if _, err := rosie.LimitsOf(done.Settings.Limits); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
			}
			added := slices.DeleteFunc(slices.Clone(done.Settings.Addresses), func(a string) bool { return slices.Contains(s.Settings.Addresses, a) })
			if err := unshared(all, of, added); err != nil {
				return nil, err
			}
			return domain.ChangeRepository(s, domain.RepositoryChanged{
				Repository: of, Settings: done.Settings, Actor: done.Actor, Reason: done.Reason, ChangedAt: done.ChangedAt,
			})
		},
	})
	return done, err
}

func (r RepositoryRequest) check() error {
	switch {
	case r.Reason == "":
		return fmt.Errorf("%w: a reason is required", ErrInvalid)
	case max(len(r.Repository), len(r.Name), len(r.Actor), len(r.Reason)) > longestText:
		return fmt.Errorf("%w: Repository, Name, Actor and Reason have at most %d bytes", ErrInvalid, longestText)
	case holdsSecret(r.Repository), holdsSecret(r.Name):
		return fmt.Errorf("%w: the name or address may hold a password", ErrSecret)
	}
	return nil
}

// holdsSecret reports whether a name or address may hold a password, and so must not be stored.
func holdsSecret(text string) bool {
	return strings.ContainsAny(text, "@?#%") && gitrepo.HidesAddress(text) || len(rosie.FindSecrets([]byte(text), 1)) > 0
}

// knownRepository is a repository that the log knows.
type knownRepository struct {
	domain.Repository

	former    []string // names
	addresses []string
	retired   bool
}

// named finds the repository with that name or id, or with that former name; nil for none.
func named(all []knownRepository, name string) *knownRepository {
	for _, matches := range []func(*knownRepository) bool{
		func(r *knownRepository) bool { return r.Name == name || string(r.ID) == name },
		func(r *knownRepository) bool { return slices.Contains(r.former, name) },
	} {
		for i := range all {
			if matches(&all[i]) {
				return &all[i]
			}
		}
	}
	return nil
}

// unshared refuses a name or a new address that another repository has: what is found by it must be one.
func unshared(all []knownRepository, of domain.Repository, addresses []string) error {
	for i := range all {
		other := &all[i]
		if other.ID == of.ID {
			continue
		}
		if other.Name == of.Name || slices.Contains(other.former, of.Name) {
			return &domain.NotChangedError{Repository: of.Name, Why: fmt.Sprintf("cannot have the name of repository %s", other.ID)}
		}
		for _, address := range addresses {
			if !other.retired && slices.Contains(other.addresses, address) {
				return &domain.NotChangedError{Repository: of.Name, Why: fmt.Sprintf("cannot be read from %s, which is an address of repository %q", address, other.Name)}
			}
		}
	}
	return nil
}

// repositories returns every known repository: from the tables or, where they cannot be used, from the whole log.
func (l *Ledger) repositories(ctx context.Context, log eventstore.Reader) ([]knownRepository, error) {
	if head, err := log.Head(ctx); err != nil || head == 0 {
		return nil, err
	}
	view, err := l.View(ctx, ViewOptions{Projections: []string{Artifacts}})
	if err != nil {
		return repositoriesOf(ctx, log)
	}
	found, err := view.Repositories(ctx)
	if err := errors.Join(err, view.Close()); err != nil {
		return repositoriesOf(ctx, log)
	}
	var all []knownRepository
	for i := range found {
		r := &found[i]
		if !r.RegisteredAt.IsZero() {
			all = append(all, knownRepository{
				Repository: domain.Repository{ID: domain.RepositoryID(r.ID), Name: r.Name, URL: r.URL}, former: r.FormerNames,
				addresses: r.Settings().Addresses, retired: !r.RetiredAt.IsZero(),
			})
		}
	}
	return all, nil
}

// repositoriesOf finds every known repository in the log.
func repositoriesOf(ctx context.Context, log eventstore.Reader) ([]knownRepository, error) {
	states := map[eventstore.StreamID]domain.State{}
	for record, err := range log.Read(ctx, 0, eventstore.Filter{
		StreamPrefix: eventstore.RepositoryPrefix,
		Types:        []string{eventstore.TypeRepositoryRegistered, eventstore.TypeRepositoryChanged, eventstore.TypeRepositoryRetired},
	}) {
		if err != nil {
			return nil, fmt.Errorf("cannot find the repositories: %w", err)
		}
		event, err := eventstore.Decode(record)
		if err != nil {
			return nil, err
		}
		states[record.Stream] = domain.Evolve(states[record.Stream], event)
	}
	all := make([]knownRepository, 0, len(states))
	for _, s := range states {
		all = append(all, knownRepository{Repository: s.Repository, former: s.Names, addresses: s.Settings.Addresses, retired: s.Retired})
	}
	return all, nil
}

// identify finds the repository that a scan is of: by the name that was given or, without one, by where it is read from.
func (l *Ledger) identify(ctx context.Context, log eventstore.Log, name string, found *gitrepo.Repository) (domain.Repository, error) {
	address := addressesOf(found)[0]
	// Those that a scan found by itself have an id that is derived from what they were called then, in older versions by an URL.
	candidates := []string{address, found.Name()}
	if name != "" {
		candidates = []string{name}
	}
	for _, candidate := range candidates {
		id := RepositoryID(candidate)
		known, err := registered(ctx, log, id)
		if err != nil {
			return domain.Repository{}, err
		}
		if known {
			return domain.Repository{ID: id, Name: candidate, URL: found.URL()}, nil // the recorder knows its present name
		}
	}
	all, err := l.repositories(ctx, log)
	if err != nil {
		return domain.Repository{}, err
	}
	if name != "" {
		if known := named(all, name); known != nil {
			return domain.Repository{ID: known.ID, Name: known.Name, URL: found.URL()}, nil
		}
		return domain.Repository{ID: RepositoryID(name), Name: name, URL: found.URL()}, nil
	}
	var at []string
	var of domain.Repository
	for i := range all {
		if r := &all[i]; !r.retired && slices.Contains(r.addresses, address) {
			at, of = append(at, r.Name), domain.Repository{ID: r.ID, Name: r.Name, URL: found.URL()}
		}
	}
	switch len(at) {
	case 0:
		return domain.Repository{ID: RepositoryID(address), Name: address, URL: found.URL()}, nil
	case 1:
		return of, nil
	}
	return domain.Repository{}, fmt.Errorf("%w: %s is an address of several repositories: %s; give the name of one", ErrInvalid, address, strings.Join(at, ", "))
}

// registered reports whether the stream of a repository says that it is known. Nothing but failed scans comes before that.
func registered(ctx context.Context, log eventstore.StreamReader, id domain.RepositoryID) (bool, error) {
	for record, err := range log.ReadStream(ctx, eventstore.RepositoryStream(id), 0) {
		if err != nil {
			return false, fmt.Errorf("cannot find out whether repository %s is known: %w", id, err)
		}
		if record.Type == eventstore.TypeRepositoryRegistered {
			return true, nil
		}
	}
	return false, nil
}

// addressesOf returns where a repository is read from: see [domain.Scan].
func addressesOf(found *gitrepo.Repository) []string {
	origin, at := domain.CanonicalAddress(found.Name()), domain.CanonicalAddress(found.URL())
	if origin == at || holdsSecret(origin) { // what holds a token is not stored
		return []string{at}
	}
	return []string{origin, at}
}
