package domain

import (
	"maps"
	"slices"
)

// StateVersion is the version of the form of [State]. A snapshot of another version is useless: fold again.
const StateVersion = 5

// State is what the events of one repository's stream fold to: the tree that the last completed scan left, and what a
// decision needs to number the next. The zero value is a repository that nothing is known of.
//
// Evolve changes a State in place; nothing else does. A State is not safe for concurrent use while it evolves.
type State struct {
	Repository Repository `json:"repository"`
	Registered bool       `json:"registered"`
	Retired    bool       `json:"retired"`
	// Names are those that the repository had before its present one, oldest first.
	Names    []string           `json:"names,omitempty"`
	Settings RepositorySettings `json:"settings"`
	// Claimed reports that the addresses are those of scans that recorded no others.
	Claimed bool `json:"claimed,omitempty"`
	// Commit is that of the last completed scan of a revision, and CommitRef the ref that it was found by. MainCommit is that of the last
	// one on the main line, "" when none is known.
	Commit     string           `json:"commit,omitempty"`
	CommitRef  string           `json:"commit_ref,omitempty"`
	MainCommit string           `json:"main_commit,omitempty"`
	Scans      int              `json:"scans"`   // number of the last scan, completed or failed
	Numbers    int              `json:"numbers"` // the last artifact number given
	Units      map[string]*Unit `json:"units"`   // by path
}

// Unit is what the state holds of one file or package.
type Unit struct {
	Blob      string         `json:"blob"`
	Stamp     string         `json:"stamp"`
	Artifacts []Known        `json:"artifacts,omitempty"` // sorted by ordinal
	Rejected  *KnownRejected `json:"rejected,omitempty"`
}

// Known is what the state remembers of an artifact: enough to diff it, to resolve links to and from it, and no text.
type Known struct {
	Ordinal int    `json:"ordinal,omitempty"`
	Number  int    `json:"number"`
	Version int    `json:"version"`
	Kind    Kind   `json:"kind"`
	GxPID   string `json:"gxp_id,omitempty"`
	SHA256  string `json:"sha256"`
	Digest  string `json:"digest"`
	Links   []Link `json:"links,omitempty"`
	// Evidence and Unverified are what Evidence.Judge says; "" for kinds that are no evidence.
	Evidence   EvidenceState `json:"evidence,omitempty"`
	Unverified string        `json:"unverified,omitempty"`
	// VerifiedBy is the fingerprint of the key that verified its signature; "" when none did.
	VerifiedBy string `json:"verified_by,omitempty"`
}

// knowEvidence remembers what evidence is worth.
func (k *Known) knowEvidence(e *Evidence) {
	k.VerifiedBy = e.VerifiedBy()
	if levelOf(k.Kind) == LevelEvidence {
		k.Evidence, k.Unverified = e.Judge()
	}
}

// KnownRejected is what the state remembers of a file that could not be parsed.
type KnownRejected struct {
	Kind   Kind   `json:"kind"`
	SHA256 string `json:"sha256,omitempty"`
}

// Holds reports whether the state holds a unit at path with this blob, read under this stamp: such a unit need not be
// read again (File.Unchanged).
func (s State) Holds(path, blob, stamp string) bool {
	u := s.Units[path]
	return u != nil && u.Blob == blob && u.Stamp == stamp
}

// Paths returns the paths of all units, in order.
func (s State) Paths() []string { return slices.Sorted(maps.Keys(s.Units)) }

// Artifacts returns how many artifacts the tree holds.
func (s State) Artifacts() int {
	n := 0
	for _, u := range s.Units {
		n += len(u.Artifacts)
	}
	return n
}

// Clone returns a copy that shares nothing with s.
func (s State) Clone() State {
	units := make(map[string]*Unit, len(s.Units))
	for path, u := range s.Units {
		c := *u
		c.Artifacts = slices.Clone(u.Artifacts)
		for i := range c.Artifacts {
			c.Artifacts[i].Links = slices.Clone(c.Artifacts[i].Links)
		}
		units[path] = &c
	}
	s.Units, s.Names, s.Settings = units, slices.Clone(s.Names), s.Settings.clone()
	return s
}
