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
	// Repository is its name, a former one, its id or an address of it. For [Admin.AddRepository] it is a name, or an address, whose canonical form is
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
	address, url := domain.CanonicalAddress(request.Repository), ""
	if domain.IsAddress(request.Repository) {
		if err := gitrepo.CheckAddress(request.Repository); err != nil {
			return RepositoryChange{}, fmt.Errorf("cannot add repository: %w", err)
		}
		given := request.Settings
		request.Repository, url = address, address
		request.Settings = func(now domain.RepositorySettings) domain.RepositorySettings {
			now.Addresses = append(now.Addresses, address)
			if given != nil {
				now = given(now)
			}
			return now
		}
	}
	if err := request.check(); err != nil {
		return RepositoryChange{}, fmt.Errorf("cannot add repository: %w", err)
	}
	if strings.HasPrefix(address, ".") {
		return RepositoryChange{}, fmt.Errorf("cannot add repository: %w: %q is not a name or an absolute path", ErrInvalid, address)
	}
	if err := a.ledger.settings.CreateHome(); err != nil {
		return RepositoryChange{}, err
	}
	name := cmp.Or(request.Name, address)
	return a.change(ctx, request, func(s domain.State) error {
		if s.Registered {
			return &domain.NotChangedError{Repository: name, Why: fmt.Sprintf("is known already, and called %q", s.Repository.Name)}
		}
		return nil
	}, func(all []knownRepository) (domain.Repository, error) {
		if known := named(all, name); known != nil {
			return domain.Repository{}, &domain.NotChangedError{Repository: name, Why: "is known already"}
		}
		return domain.Repository{ID: RepositoryID(name), Name: name, URL: url}, nil
	})
}

// ChangeRepository records other settings, or another name, of a repository. Its id stays, and so does its history; scans under a
// former name go to it too.
//
// It waits until the tables have caught up, to find the repository, and then for the log. It does not wait for the tables to show
// the change.
//
// Errors: [ErrNoLog], [ErrInvalid] without a reason or with settings that cannot be used, a *[query.UnknownError], a *[domain.NotChangedError] where
// nothing would change, the repository was retired, or another has the name or an address, and [eventstore.ErrOutcomeUnknown]: look
// whether it was recorded.
func (a Admin) ChangeRepository(ctx context.Context, request RepositoryRequest) (RepositoryChange, error) {
	if a.ledger.config.OpenedLog == nil {
		if err := a.ledger.settings.RequireLog(); err != nil {
			return RepositoryChange{}, err
		}
	}
	given := request.Repository // by which it is only looked for
	if domain.IsAddress(given) {
		request.Repository = domain.CanonicalAddress(given)
	}
	return a.change(ctx, request, func(domain.State) error { return nil }, func(all []knownRepository) (domain.Repository, error) {
		found := findRepository(all, given)
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
				if request.Name == "" { // it may have been renamed meanwhile
					of.Name, done.Repository = s.Repository.Name, s.Repository.Name
				}
			}
			done.Settings = s.Settings
			if request.Settings != nil {
				done.Settings = request.Settings(s.Settings)
			}
			var err error
			if done.Settings, err = settle(all, of, s.Settings, done.Settings); err != nil {
				return nil, err
			}
			return domain.ChangeRepository(s, domain.RepositoryChanged{
				Repository: of, Settings: done.Settings, Actor: done.Actor, Reason: done.Reason, ChangedAt: done.ChangedAt,
			})
		},
	})
	return done, err
}

// settle returns settings in the form in which they are recorded, without defaults, and refuses those that cannot be.
func settle(all []knownRepository, of domain.Repository, before, settings domain.RepositorySettings) (domain.RepositorySettings, error) {
	addresses := slices.Sorted(slices.Values(settings.Addresses))
	settings.Addresses = slices.Compact(addresses)
	limits, err := rosie.LimitsOf(settings.Limits)
	if err != nil {
		return settings, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	settings.Limits = limits.Set()
	added := slices.DeleteFunc(slices.Clone(settings.Addresses), func(a string) bool { return slices.Contains(before.Addresses, a) })
	if slices.ContainsFunc(added, holdsSecret) {
		return settings, fmt.Errorf("cannot change repository: %w: an address may hold a password", ErrSecret)
	}
	return settings, unshared(all, of, added)
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

// findRepository finds the repository with that name, id, former name or address; nil for none. Of those with an address, one that was
// retired is found only if no other has it.
func findRepository(all []knownRepository, name string) *knownRepository {
	if found := named(all, name); found != nil {
		return found
	}
	address := domain.CanonicalAddress(name)
	var retired *knownRepository
	for i := range all {
		switch r := &all[i]; {
		case !slices.Contains(r.addresses, address):
		case !r.retired:
			return r
		case retired == nil:
			retired = r
		}
	}
	return retired
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
	head, err := log.Head(ctx)
	if err != nil || head == 0 {
		return nil, err
	}
	view, err := l.View(ctx, ViewOptions{Projections: []string{Artifacts}})
	if err != nil {
		return repositoriesOf(ctx, log)
	}
	found, err := view.Repositories(ctx)
	if err := errors.Join(err, view.Close()); err != nil || view.Shown.Position < head { // such as tables that are paused
		return repositoriesOf(ctx, log)
	}
	var all []knownRepository
	for i := range found {
		r := &found[i]
		if !r.RegisteredAt.IsZero() {
			known := knownRepository{
				Repository: domain.Repository{ID: domain.RepositoryID(r.ID), Name: r.Name, URL: r.URL}, former: r.FormerNames,
				addresses: r.Addresses(), retired: !r.RetiredAt.IsZero(),
			}
			all = append(all, known)
		}
	}
	return all, nil
}

// repositoriesOf finds every known repository in the log.
func repositoriesOf(ctx context.Context, log eventstore.Reader) ([]knownRepository, error) {
	states, err := statesOf(ctx, log)
	if err != nil {
		return nil, err
	}
	all := make([]knownRepository, 0, len(states))
	for _, s := range states {
		known := knownRepository{Repository: s.Repository, former: s.Names, addresses: s.Settings.Addresses, retired: s.Retired}
		if s.Claimed {
			known.addresses = domain.ClaimedAddresses(s.Repository)
		}
		all = append(all, known)
	}
	return all, nil
}

// statesOf returns the state of every known repository without its artifacts.
func statesOf(ctx context.Context, log eventstore.Reader) (map[eventstore.StreamID]domain.State, error) {
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
	return states, nil
}

// identify finds the repository that a scan is of: by the name that was given or, without one, by where it is read from.
func (l *Ledger) identify(ctx context.Context, log eventstore.Log, name string, found *gitrepo.Repository) (domain.Repository, error) {
	if name != "" {
		id := RepositoryID(name)
		known, err := registered(ctx, log, id)
		if err != nil {
			return domain.Repository{}, err
		}
		if known {
			return domain.Repository{ID: id, Name: name, URL: found.URL()}, nil // the recorder knows its present name
		}
	}
	all, err := l.repositories(ctx, log)
	if err != nil {
		return domain.Repository{}, err
	}
	if name != "" {
		of := domain.Repository{ID: RepositoryID(name), Name: name, URL: found.URL()}
		if known := named(all, name); known != nil {
			of.ID, of.Name = known.ID, known.Name
		}
		return of, nil
	}
	address := addressesOf(found)[0]
	var at []string
	var of domain.Repository
	for i := range all {
		if r := &all[i]; !r.retired && slices.Contains(r.addresses, address) {
			at, of = append(at, r.Name), domain.Repository{ID: r.ID, Name: r.Name, URL: found.URL()}
		}
	}
	switch len(at) {
	case 0:
	case 1:
		return of, nil
	default:
		return domain.Repository{}, fmt.Errorf("%w: %s is an address of several repositories: %s; give the name of one", ErrInvalid, address, strings.Join(at, ", "))
	}
	// The id of one that was found by its address is derived from what it was called, in older versions by the URL of its origin. It is
	// not among the known ones that can be scanned: it was retired, has other addresses now, or all its scans failed.
	for _, candidate := range []string{found.Name(), address} {
		for _, err := range log.ReadStream(ctx, eventstore.RepositoryStream(RepositoryID(candidate)), 0) {
			return domain.Repository{ID: RepositoryID(candidate), Name: candidate, URL: found.URL()}, err
		}
	}
	return domain.Repository{ID: RepositoryID(address), Name: address, URL: found.URL()}, nil
}

// identifySpooled finds the repository of a failure that was spooled under a name or an address, while the log could not be asked.
func (l *Ledger) identifySpooled(ctx context.Context, log eventstore.Log, spooled domain.Repository) (domain.Repository, error) {
	known, err := registered(ctx, log, spooled.ID)
	if known || err != nil {
		return spooled, err
	}
	all, err := l.repositories(ctx, log)
	if err != nil {
		return spooled, err
	}
	of := named(all, spooled.Name)
	for i := range all {
		if r := &all[i]; of == nil && !r.retired && slices.Contains(r.addresses, spooled.Name) {
			of = r
		}
	}
	if of != nil {
		spooled.ID, spooled.Name = of.ID, of.Name
	}
	return spooled, nil
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
