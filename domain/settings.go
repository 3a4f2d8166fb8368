package domain

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// RepositorySettings are how a repository is scanned, as its stream records it. Zero fields are the defaults.
type RepositorySettings struct {
	// Addresses are where the repository is read from, as [CanonicalAddress] gives them, sorted. A scan from elsewhere is
	// refused. None: it may be read from anywhere.
	Addresses []string `json:"addresses,omitempty"`
	// Links, Duplicates and Unsigned are the policies of its scans; "" is that of [DefaultPolicy].
	Links      LinkPolicy      `json:"links,omitempty"`
	Duplicates DuplicatePolicy `json:"duplicates,omitempty"`
	Unsigned   UnsignedPolicy  `json:"unsigned_packages,omitempty"`
	// MainLine is the branch whose history must continue from scan to scan; "" for none.
	MainLine string `json:"main_line,omitempty"`
	// Limits are those limits of the reader that are not the defaults, by name.
	Limits map[string]int64 `json:"limits,omitempty"`
}

// Equal reports whether both say the same.
func (s RepositorySettings) Equal(other RepositorySettings) bool {
	return slices.Equal(s.Addresses, other.Addresses) && s.Links == other.Links && s.Duplicates == other.Duplicates &&
		s.Unsigned == other.Unsigned && s.MainLine == other.MainLine && maps.Equal(s.Limits, other.Limits)
}

// clone returns a copy that shares nothing with s.
func (s RepositorySettings) clone() RepositorySettings {
	s.Addresses, s.Limits = slices.Clone(s.Addresses), maps.Clone(s.Limits)
	return s
}

// Validate says what is wrong with s.
func (s RepositorySettings) Validate() error {
	for i, address := range s.Addresses {
		if !IsPlain(address) || i > 0 && s.Addresses[i-1] >= address {
			return fmt.Errorf("address %q is empty, out of order or has control characters", address)
		}
	}
	switch {
	case s.Links != "" && s.Links != LinksStrict && s.Links != LinksFlag:
		return fmt.Errorf("the policy for links is %q; expected %s or %s", s.Links, LinksStrict, LinksFlag)
	case s.Duplicates != "" && s.Duplicates != DuplicatesReject && s.Duplicates != DuplicatesUpdate:
		return fmt.Errorf("the policy for duplicates is %q; expected %s or %s", s.Duplicates, DuplicatesReject, DuplicatesUpdate)
	case s.Unsigned != "" && s.Unsigned != UnsignedUnverified && s.Unsigned != UnsignedInvalid:
		return fmt.Errorf("the policy for unsigned packages is %q; expected %s or %s", s.Unsigned, UnsignedUnverified, UnsignedInvalid)
	case s.MainLine != "" && !IsPlain(s.MainLine):
		return fmt.Errorf("main line %q has control characters", s.MainLine)
	}
	for name, limit := range s.Limits {
		if limit <= 0 || !IsPlain(name) {
			return fmt.Errorf("the limit %q is %d; expected a number above 0", name, limit)
		}
	}
	return nil
}

// IsPlain reports whether text can be a name or an address: not empty, without control characters and blanks around it.
func IsPlain(text string) bool {
	return text != "" && strings.TrimSpace(text) == text && !strings.ContainsFunc(text, unicode.IsControl)
}

// NotChangedError says why nothing was recorded of a change of a repository.
type NotChangedError struct {
	Repository string // its name
	Why        string // with the repository as its subject
}

// Error names the repository and says why.
func (e *NotChangedError) Error() string {
	return fmt.Sprintf("repository %q %s: nothing was recorded", e.Repository, e.Why)
}

// ChangeRepository decides what records that a repository has another name or other settings, or is known at all. The error is a
// *[NotChangedError].
func ChangeRepository(s State, change RepositoryChanged) ([]Event, error) {
	change.Settings = change.Settings.clone()
	name := change.Repository.Name
	switch err := change.Settings.Validate(); {
	case s.Retired:
		return nil, &NotChangedError{name, "was retired"}
	case !IsPlain(name):
		return nil, &NotChangedError{name, "needs a name without control characters, and without blanks around it"}
	case err != nil:
		return nil, &NotChangedError{name, "cannot have these settings: " + err.Error()}
	case change.Actor == "" || change.Reason == "":
		return nil, &NotChangedError{name, "is changed by an actor, for a reason"}
	case !s.Registered:
		return []Event{RepositoryRegistered{Repository: change.Repository}, change}, nil
	case s.Repository.ID != change.Repository.ID:
		return nil, &NotChangedError{name, "has the id " + string(s.Repository.ID)}
	case s.Repository == change.Repository && s.Settings.Equal(change.Settings):
		return nil, &NotChangedError{name, "is as that already"}
	}
	return []Event{change}, nil
}

// RetireRepository decides what records that a repository is scanned no more. The error is a *[NotChangedError].
func RetireRepository(s State, retired RepositoryRetired) ([]Event, error) {
	switch {
	case !s.Registered:
		return nil, &NotChangedError{retired.Repository.Name, "has no completed scan, so there is nothing to retire"}
	case s.Retired:
		return nil, &NotChangedError{s.Repository.Name, "was retired already"}
	}
	retired.Repository = s.Repository
	return []Event{retired}, nil
}

// MayBeReadFrom reports whether one of addresses is one that the repository is known by. The path of a clone counts only where the
// repository is known by paths alone. Paths that scans of older versions recorded refuse nothing.
func (s State) MayBeReadFrom(addresses []string) bool {
	known := s.Settings.Addresses
	if len(known) == 0 || len(addresses) == 0 {
		return true
	}
	if !slices.ContainsFunc(known, isHost) {
		if s.Claimed {
			return true // a path of some machine, which nobody meant as an address
		}
		return slices.ContainsFunc(addresses, func(a string) bool { return slices.Contains(known, a) })
	}
	return slices.Contains(known, addresses[0])
}

// isHost reports whether a canonical address is on another machine.
func isHost(address string) bool {
	return !strings.HasPrefix(address, "/") && (len(address) < 3 || address[1] != ':')
}

// Policy returns the policy of these settings.
func (s RepositorySettings) Policy() Policy {
	p := DefaultPolicy()
	if s.Links != "" {
		p.Links = s.Links
	}
	if s.Duplicates != "" {
		p.Duplicates = s.Duplicates
	}
	if s.Unsigned != "" {
		p.Unsigned = s.Unsigned
	}
	return p
}
