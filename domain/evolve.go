package domain

import (
	"cmp"
	"slices"
	"strings"
)

// Evolve folds one event into s and returns the result. It takes s over: the caller uses what is returned and
// uses s no more. It is total: an event of another stream, such as AdminActed, changes nothing.
func Evolve(s State, e Event) State {
	if s.Units == nil {
		s.Units = map[string]*Unit{}
	}
	switch e := e.(type) {
	case RepositoryRegistered:
		s.Repository, s.Registered = e.Repository, true
		readFrom(&s, e.Addresses)
		s.Claimed = len(e.Addresses) == 0
	case RepositoryChanged:
		if s.Repository.Name != e.Repository.Name {
			s.Names = append(s.Names, s.Repository.Name)
		}
		moved := s.Settings.MainLine != e.Settings.MainLine
		s.Repository, s.Settings, s.Claimed = e.Repository, e.Settings.clone(), false
		if moved {
			startMainLine(&s)
		}
	case RepositoryRetired:
		s.Retired = true
	case ArtifactParsed:
		record(&s, e)
	case ArtifactRejected:
		u := unitAt(&s, e.Path)
		u.Blob, u.Stamp = e.Source, e.Stamp
		u.Rejected = &KnownRejected{Kind: e.Kind, SHA256: e.Content.SHA256}
	case ArtifactRemoved:
		remove(&s, e.Key)
	case RejectionCleared:
		unitAt(&s, e.Path).Rejected = nil
		dropIfEmpty(&s, e.Path)
	case ScanCompleted:
		s.Scans = e.Number
		follow(&s, e.Source)
		if s.Claimed && (e.Settings == nil || e.Settings.Revision == nil) {
			readFrom(&s, ClaimedAddresses(e.Repository))
		}
		for i := range e.Relinked {
			relink(&s, &e.Relinked[i])
		}
	case ArtifactRelinked:
		relink(&s, &e)
	case ScanFailed:
		s.Scans = e.Number
	case AdminActed, KeyTrusted, KeyRevoked, RelayAdded, RelayRemoved, ScanAttemptFailed: // of the stream "engine"
	}
	return s
}

// Fold evolves s by each of events.
func Fold(s State, events ...Event) State {
	for _, e := range events {
		s = Evolve(s, e)
	}
	return s
}

// readFrom adds addresses to those that the repository is known by.
func readFrom(s *State, addresses []string) {
	for _, address := range addresses {
		if at, held := slices.BinarySearch(s.Settings.Addresses, address); !held {
			s.Settings.Addresses = slices.Insert(slices.Clone(s.Settings.Addresses), at, address)
		}
	}
}

// ClaimedAddresses are the addresses of a repository that a scan tells which was made before they were recorded: where it was read
// from and, where its name is the URL of its origin, as by default then, that.
func ClaimedAddresses(r Repository) []string {
	var out []string
	if IsAddress(r.URL) {
		out = append(out, CanonicalAddress(r.URL))
	}
	if strings.Contains(r.Name, "://") {
		out = append(out, CanonicalAddress(r.Name))
	}
	return out
}

func unitAt(s *State, path string) *Unit {
	u := s.Units[path]
	if u == nil {
		u = &Unit{}
		s.Units[path] = u
	}
	return u
}

func dropIfEmpty(s *State, path string) {
	if u := s.Units[path]; u != nil && len(u.Artifacts) == 0 && u.Rejected == nil {
		delete(s.Units, path)
	}
}

func (u *Unit) find(ordinal int) (int, bool) {
	return slices.BinarySearchFunc(u.Artifacts, ordinal, func(k Known, o int) int { return cmp.Compare(k.Ordinal, o) })
}

func record(s *State, e ArtifactParsed) {
	s.Numbers = max(s.Numbers, e.Number)
	u := unitAt(s, e.Path)
	u.Blob, u.Stamp = e.Source, e.Stamp
	u.shift(e.Shifted)
	known := Known{
		Ordinal: e.Ordinal, Number: e.Number, Version: e.Version, Kind: e.Kind, GxPID: e.GxPID,
		SHA256: e.Content.SHA256, Digest: e.Digest, Links: slices.Clone(e.Links),
	}
	known.knowEvidence(e.Evidence)
	i, held := u.find(e.Ordinal)
	if held {
		u.Artifacts[i] = known
		return
	}
	u.Artifacts = slices.Insert(u.Artifacts, i, known)
}

// shift gives entries their new ordinals, all at once.
func (u *Unit) shift(shifts []Shift) {
	if len(shifts) == 0 {
		return
	}
	to := make(map[int]int, len(shifts)) // by number
	for _, s := range shifts {
		to[s.Number] = s.To
	}
	for i := range u.Artifacts {
		if ordinal, shifts := to[u.Artifacts[i].Number]; shifts {
			u.Artifacts[i].Ordinal = ordinal
		}
	}
	slices.SortStableFunc(u.Artifacts, func(a, b Known) int { return cmp.Compare(a.Ordinal, b.Ordinal) })
}

func remove(s *State, key Key) {
	u := unitAt(s, key.Path)
	if i, held := u.find(key.Ordinal); held {
		u.Artifacts = slices.Delete(u.Artifacts, i, i+1)
	}
	dropIfEmpty(s, key.Path)
}

func relink(s *State, r *ArtifactRelinked) {
	u := unitAt(s, r.Path)
	i, held := u.find(r.Ordinal)
	if !held {
		return
	}
	links := u.Artifacts[i].Links
	for _, index := range r.Changed {
		if index >= 0 && index < len(links) && index < len(r.Links) {
			links[index] = r.Links[index]
		}
	}
}
