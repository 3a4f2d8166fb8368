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
	kind := kindOf(event)
	if kind == "" {
		return true, nil
	}
	parsed, hasRisk := event.(domain.ArtifactParsed)
	return (len(f.Kinds) == 0 || slices.Contains(f.Kinds, kind)) && (len(f.Risks) == 0 || !hasRisk || slices.Contains(f.Risks, riskOf(parsed))), nil
}

// unversioned is a stored type without its version.
func unversioned(stored string) string {
	if i := strings.LastIndex(stored, ".v"); i > 0 {
		return stored[:i]
	}
	return stored
}

// kindOf is the kind of the artifact that an event is about; "" for an event that is not about one.
func kindOf(e domain.Event) domain.Kind {
	if parsed, ok := e.(domain.ArtifactParsed); ok {
		return parsed.Kind
	}
	if removed, ok := e.(domain.ArtifactRemoved); ok {
		return removed.Kind
	}
	if relinked, ok := e.(domain.ArtifactRelinked); ok {
		return relinked.Kind
	}
	return ""
}

// riskOf is the risk of an artifact in its normal form; "" when it has none.
func riskOf(parsed domain.ArtifactParsed) string {
	if parsed.Risk == nil {
		return ""
	}
	return parsed.Risk.Normal
}
