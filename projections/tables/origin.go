package tables

import (
	"fmt"
	"strings"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
)

// origin is where an event comes from, as values of rows. The events of a batch share it, so it is made once for them.
type origin struct {
	repository any // id, text
	scan       any // id, text
	at         any // time of recording
	position   any

	id     domain.RepositoryID
	stream eventstore.StreamID
	scanID string
	time   time.Time
}

// move makes o the origin of e, an event of a repository's stream.
func (o *origin) move(e *projections.Event) error {
	o.position = position(e.Position)
	if o.repository == nil || e.Stream != o.stream {
		id, ok := strings.CutPrefix(string(e.Stream), eventstore.RepositoryPrefix)
		if !ok {
			return fmt.Errorf("event %s of stream %q: want the stream of a repository", e.Type, e.Stream)
		}
		o.stream, o.id, o.repository = e.Stream, domain.RepositoryID(id), id
	}
	if o.scan == nil || e.Meta.Scan != o.scanID {
		o.scanID, o.scan = e.Meta.Scan, e.Meta.Scan
	}
	if o.at == nil || e.RecordedAt != o.time {
		o.time, o.at = e.RecordedAt, e.RecordedAt
	}
	return nil
}

// poison names the event that a projection cannot apply.
func poison(projection string, e *projections.Event, err error) error {
	return fmt.Errorf("%s: position %d: %w", projection, e.Position, err)
}

// errUnhandled is the error of an event that is not one of the domain's, or that nothing says how to project.
func errUnhandled(e domain.Event) error {
	return fmt.Errorf("event of Go type %T has no meaning here", e)
}

// repositoryEvents names every event of a repository's stream.
func repositoryEvents() []string {
	return []string{
		eventstore.TypeRepositoryRegistered, eventstore.TypeRepositoryRetired, eventstore.TypeArtifactParsed,
		eventstore.TypeArtifactRejected, eventstore.TypeArtifactRemoved, eventstore.TypeRejectionCleared,
		eventstore.TypeScanCompleted, eventstore.TypeScanFailed,
	}
}
