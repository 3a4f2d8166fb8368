package relay

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// Filter chooses what a relay sends. The zero value chooses all. An empty list chooses all of its kind. Events of foreign streams are
// never sent.
type Filter struct {
	// Types are stored types, such as "artifact.parsed.v2", or types without a version, such as "artifact.parsed", for all versions.
	Types []string
	// Repositories are those whose events are sent. With any, events of the stream "engine" are not.
	Repositories []domain.RepositoryID
	// Kinds are the kinds of artifacts, and Risks the risks of artifacts in their normal form, such as "high". They choose among the
	// events of artifacts that have one; events that are not about one artifact, such as completed scans, pass.
	Kinds []domain.Kind
	Risks []string
}

// Match reports whether a record is sent. Errors: those of [eventstore.Decode], where kind or risk are needed and cannot be read.
func (f *Filter) Match(r eventstore.Record) (bool, error) {
	switch {
	case !r.Stream.OfEngine():
		return false, nil
	case len(f.Types) > 0 && !slices.ContainsFunc(f.Types, func(t string) bool { return t == r.Type || t == unversioned(r.Type) }):
		return false, nil
	case len(f.Repositories) > 0 && !slices.ContainsFunc(f.Repositories, func(id domain.RepositoryID) bool { return eventstore.RepositoryStream(id) == r.Stream }):
		return false, nil
	case len(f.Kinds) == 0 && len(f.Risks) == 0:
		return true, nil
	}
	event, err := eventstore.Decode(r)
	if err != nil {
		return false, fmt.Errorf("cannot tell whether the event at position %d is sent: %w", r.Position, err)
	}
	kind, risk, ofArtifact, hasRisk := aboutArtifact(event)
	if !ofArtifact {
		return true, nil
	}
	return (len(f.Kinds) == 0 || slices.Contains(f.Kinds, kind)) && (len(f.Risks) == 0 || !hasRisk || slices.Contains(f.Risks, risk)), nil
}

// unversioned is a stored type without its version.
func unversioned(stored string) string {
	if i := strings.LastIndex(stored, ".v"); i > 0 {
		return stored[:i]
	}
	return stored
}

// aboutArtifact returns the kind and the risk of the artifact that an event is about. Only the event that an artifact was parsed has a risk.
func aboutArtifact(e domain.Event) (kind domain.Kind, risk string, ofArtifact, hasRisk bool) {
	if parsed, ok := e.(domain.ArtifactParsed); ok {
		if parsed.Risk != nil {
			risk = parsed.Risk.Normal
		}
		return parsed.Kind, risk, true, true
	}
	if removed, ok := e.(domain.ArtifactRemoved); ok {
		return removed.Kind, "", true, false
	}
	if relinked, ok := e.(domain.ArtifactRelinked); ok {
		return relinked.Kind, "", true, false
	}
	return "", "", false, false
}
