package domaintest

import (
	"fmt"

	"github.com/gxpledger/gxpledger/domain"
)

// Fact is an event as tests name it: what happened to what, and its version.
type Fact string

// Registered is the registration of the repository.
func Registered() Fact { return "registered" }

// New is a new artifact with that number.
func New(key string, number int) Fact { return Fact(fmt.Sprintf("new %s as number %d", key, number)) }

// Changed is a changed artifact, now of that version.
func Changed(key string, version int) Fact { return Fact(fmt.Sprintf("changed %s v%d", key, version)) }

// Reread is an artifact with the same bytes, read again, now of that version.
func Reread(key string, version int) Fact { return Fact(fmt.Sprintf("reread %s v%d", key, version)) }

// Moved is a new artifact with that number that another path lost.
func Moved(from, to string, number int) Fact {
	return Fact(fmt.Sprintf("new %s as number %d from %s", to, number, from))
}

// Removed is an artifact that is gone.
func Removed(key string) Fact { return Fact("removed " + key) }

// MovedAway is an artifact that is gone to another path.
func MovedAway(from, to string) Fact { return Fact("removed " + from + " to " + to) }

// Rejected is a file that could not be parsed.
func Rejected(path string) Fact { return Fact("rejected " + path) }

// Cleared is a file that was rejected before and now is gone or can be parsed.
func Cleared(path string) Fact { return Fact("cleared " + path) }

// Relinked is an artifact of which a link leads elsewhere while it did not change itself.
func Relinked(key string) Fact { return Fact("relinked " + key) }

// Shifting is a file of which entries stay what they are at another ordinal, given as the old and the new one in turn.
func (f Fact) Shifting(ordinals ...int) Fact {
	for i := 0; i+1 < len(ordinals); i += 2 {
		f += Fact(fmt.Sprintf(" shifting %d to %d", ordinals[i], ordinals[i+1]))
	}
	return f
}

func factOf(e domain.Event) Fact {
	switch e := e.(type) {
	case domain.RepositoryRegistered:
		return Registered()
	case domain.ArtifactParsed:
		return parsedFact(e)
	case domain.ArtifactRemoved:
		if e.MovedTo != nil {
			return MovedAway(e.String(), e.MovedTo.String())
		}
		return Removed(e.String())
	case domain.ArtifactRejected:
		return Rejected(e.Path)
	case domain.RejectionCleared:
		return Cleared(e.Path)
	case domain.ArtifactRelinked:
		return Relinked(e.String())
	case domain.RepositoryChanged, domain.RepositoryRetired, domain.ScanCompleted, domain.ScanFailed, domain.AdminActed,
		domain.KeyTrusted, domain.KeyRevoked, domain.RelayAdded, domain.RelayRemoved, domain.ScanAttemptFailed:
	}
	return Fact(fmt.Sprintf("%T", e))
}

func parsedFact(e domain.ArtifactParsed) Fact {
	var ordinals []int
	for _, s := range e.Shifted {
		ordinals = append(ordinals, s.From, s.To)
	}
	return changeFact(e).Shifting(ordinals...)
}

func changeFact(e domain.ArtifactParsed) Fact {
	switch e.Change {
	case domain.ChangeChanged:
		return Changed(e.String(), e.Version)
	case domain.ChangeReread:
		return Reread(e.String(), e.Version)
	case domain.ChangeNew:
	}
	if e.MovedFrom != nil {
		return Moved(e.MovedFrom.String(), e.String(), e.Number)
	}
	return New(e.String(), e.Number)
}
