package query

import (
	"context"
	"slices"
	"time"

	"github.com/gxpledger/gxpledger/domain"
)

// nearest is how many neighbours an error names.
const nearest = 5

// Repository is a repository that an administrator registered, or of which a scan was recorded, completed or failed.
type Repository struct {
	ID             string    `json:"repository_id"`
	Name           string    `json:"repository"`
	URL            string    `json:"url,omitempty"`
	RegisteredAt   time.Time `json:"registered_at,omitzero"` // absent while it is not known: see domain.RepositoryRegistered
	RetiredAt      time.Time `json:"retired_at,omitzero"`
	RetiredBy      string    `json:"retired_by,omitempty"`
	RetiredReason  string    `json:"retired_reason,omitempty"`
	LastScan       int64     `json:"last_scan,omitempty"` // the completed scan whose tree the tables show
	LastScanAt     time.Time `json:"last_scan_at,omitzero"`
	LastScanCommit string    `json:"last_scan_commit,omitempty"`

	// Changed is the last change of its settings; nil when nobody changed them.
	Changed *SettingsChange `json:"changed,omitempty"`
	// FormerNames are those that it had before its present one, oldest first.
	FormerNames []string `json:"former_names,omitempty"`

	registeredName string
	addresses      []string // of its first scan
}

// Settings returns how the repository is scanned.
func (r *Repository) Settings() domain.RepositorySettings {
	if r.Changed != nil {
		return r.Changed.Settings
	}
	return domain.RepositorySettings{Addresses: r.addresses}
}

// Addresses returns the canonical addresses by which the repository is found, those that scans of versions that recorded none claimed
// among them.
func (r *Repository) Addresses() []string {
	if known := r.Settings().Addresses; r.Changed != nil || len(known) > 0 {
		return known
	}
	return domain.ClaimedAddresses(domain.Repository{ID: domain.RepositoryID(r.ID), Name: r.Name, URL: r.URL})
}

// SettingsChange is a change of the settings of a repository. The JSON names are stable.
type SettingsChange struct {
	Repository string                    `json:"repository"` // its name from then on
	Settings   domain.RepositorySettings `json:"settings"`   // all of them
	Actor      string                    `json:"actor"`
	Reason     string                    `json:"reason"`
	RecordedAt time.Time                 `json:"recorded_at"`
	Position   uint64                    `json:"position"`

	repository string // id
}

// SettingsChanges returns every change of the settings of a repository, or of all when id is "", oldest first.
func (r *Reader) SettingsChanges(ctx context.Context, id string) ([]SettingsChange, error) {
	var w where
	is(&w, "repository_id", id)
	return load(ctx, r, []column[SettingsChange]{
		{"repository_id", func(c *SettingsChange) any { return &c.repository }},
		{"name", func(c *SettingsChange) any { return &c.Repository }},
		{"addresses", func(c *SettingsChange) any { return document(&c.Settings.Addresses) }},
		{"links_policy", func(c *SettingsChange) any { return optional((*string)(&c.Settings.Links)) }},
		{"duplicates_policy", func(c *SettingsChange) any { return optional((*string)(&c.Settings.Duplicates)) }},
		{"unsigned_policy", func(c *SettingsChange) any { return optional((*string)(&c.Settings.Unsigned)) }},
		{"main_line", func(c *SettingsChange) any { return optional(&c.Settings.MainLine) }},
		{"limits", func(c *SettingsChange) any { return document(&c.Settings.Limits) }},
		{"actor", func(c *SettingsChange) any { return &c.Actor }},
		{"reason", func(c *SettingsChange) any { return &c.Reason }},
		{"recorded_at", func(c *SettingsChange) any { return instant(&c.RecordedAt) }},
		{"position", func(c *SettingsChange) any { return &c.Position }},
	}, "FROM repository_settings"+w.String()+" ORDER BY position, change_id", w.args...)
}

// formerNames returns the names before the present one, each once: that of the registration, and those that changes gave.
func formerNames(registered string, changes []SettingsChange, present string) []string {
	var names []string
	if registered != present {
		names = append(names, registered)
	}
	for _, c := range changes {
		if c.Repository != present && !slices.Contains(names, c.Repository) {
			names = append(names, c.Repository)
		}
	}
	return names
}

// Scope chooses repositories. The zero value chooses all.
type Scope struct {
	RepositoryID   string
	WithoutRetired bool
}

// limit adds that a column names a repository within the scope.
func (s Scope) limit(w *where, column string) {
	is(w, column, s.RepositoryID)
	if s.WithoutRetired {
		w.and(column + " NOT IN (SELECT repository_id FROM repositories WHERE retired_at IS NOT NULL)")
	}
}

func repositoryColumns() []column[Repository] {
	return []column[Repository]{
		{"repository_id", func(r *Repository) any { return &r.ID }},
		{"name", func(r *Repository) any { return &r.Name }},
		{"registered_name", func(r *Repository) any { return &r.registeredName }},
		{"url", func(r *Repository) any { return optional(&r.URL) }},
		{"registered_at", func(r *Repository) any { return instant(&r.RegisteredAt) }},
		{"retired_at", func(r *Repository) any { return instant(&r.RetiredAt) }},
		{"retired_by", func(r *Repository) any { return optional(&r.RetiredBy) }},
		{"retired_reason", func(r *Repository) any { return optional(&r.RetiredReason) }},
		{"last_scan_number", func(r *Repository) any { return optional(&r.LastScan) }},
		{"last_scan_at", func(r *Repository) any { return instant(&r.LastScanAt) }},
		{"last_commit_sha", func(r *Repository) any { return optional(&r.LastScanCommit) }},
		{"addresses", func(r *Repository) any { return document(&r.addresses) }},
	}
}

// Repositories returns every repository that is known or that a scan was recorded for, by name. One whose scans all failed has no more
// than its id, name and URL.
func (r *Reader) Repositories(ctx context.Context) ([]Repository, error) {
	all, err := load(ctx, r, repositoryColumns(), "FROM repositories ORDER BY name, repository_id")
	if err != nil {
		return nil, err
	}
	changes, err := r.SettingsChanges(ctx, "")
	if err != nil {
		return nil, err
	}
	changed := make(map[string][]SettingsChange, len(all))
	for _, c := range changes {
		changed[c.repository] = append(changed[c.repository], c)
	}
	for i := range all {
		of := changed[all[i].ID]
		for j := range of {
			all[i].Changed = &of[j]
		}
		all[i].FormerNames = formerNames(all[i].registeredName, of, all[i].Name)
	}
	failed, err := load(ctx, r, []column[Repository]{
		{"repository_id", func(r *Repository) any { return &r.ID }},
		{"repository_name", func(r *Repository) any { return &r.Name }},
		{"repository_url", func(r *Repository) any { return optional(&r.URL) }},
	}, `FROM scans s WHERE NOT EXISTS (SELECT 1 FROM repositories r WHERE r.repository_id = s.repository_id)
		AND s.number = (SELECT MAX(l.number) FROM scans l WHERE l.repository_id = s.repository_id)
		ORDER BY repository_name, repository_id`)
	if err != nil {
		return nil, err
	}
	return append(all, failed...), nil
}

// Find returns the repository with that name, id, former name or address, or the only one when name is "": those that were retired, and
// those that are not known since every scan of theirs failed, are not counted where there are others. An address has any spelling that
// [domain.CanonicalAddress] takes for it.
//
// Errors: ErrEmpty when there is none at all, an *AmbiguousError when name is "" or shared and there are several, an
// *UnknownError.
func (r *Reader) Find(ctx context.Context, name string) (Repository, error) {
	all, err := r.Repositories(ctx)
	if err != nil {
		return Repository{}, err
	}
	if len(all) == 0 {
		return Repository{}, ErrEmpty
	}
	match := matching(all, name)
	if name == "" {
		match = slices.DeleteFunc(slices.Clone(all), func(o Repository) bool { return o.RegisteredAt.IsZero() || !o.RetiredAt.IsZero() })
		if len(match) == 0 {
			match = all
		}
	}
	switch len(match) {
	case 0:
		return Repository{}, &UnknownError{
			What: "repository", Given: name, Near: near(name, repositoryNames(all)),
		}
	case 1:
		return match[0], nil
	default:
		return Repository{}, &AmbiguousError{What: "repository", Given: name, Choices: repositoryNames(match)}
	}
}

// matching returns the repositories with that name or id or, when there is none, with that former name or, when there is none either,
// with that address, where those that were retired count only if no other has it.
func matching(all []Repository, name string) []Repository {
	address := domain.CanonicalAddress(name)
	for _, has := range []func(*Repository) bool{
		func(o *Repository) bool { return o.Name == name || o.ID == name },
		func(o *Repository) bool { return slices.Contains(o.FormerNames, name) },
		func(o *Repository) bool { return o.RetiredAt.IsZero() && slices.Contains(o.Addresses(), address) },
		func(o *Repository) bool { return slices.Contains(o.Addresses(), address) },
	} {
		match := slices.DeleteFunc(slices.Clone(all), func(o Repository) bool { return !has(&o) })
		if len(match) > 0 {
			return match
		}
	}
	return nil
}

// repositoryNames names each repository, by its id too where a name is shared.
func repositoryNames(all []Repository) []string {
	seen := map[string]int{}
	for _, o := range all {
		seen[o.Name]++
	}
	names := make([]string, len(all))
	for i, o := range all {
		names[i] = o.Name
		if seen[o.Name] > 1 {
			names[i] = o.ID
		}
	}
	return names
}

// names maps the id of each repository to its name.
func (r *Reader) names(ctx context.Context) (map[string]string, error) {
	all, err := r.Repositories(ctx)
	if err != nil {
		return nil, err
	}
	names := make(map[string]string, len(all))
	for _, o := range all {
		names[o.ID] = o.Name
	}
	return names, nil
}
