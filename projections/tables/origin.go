package tables

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
)

// origin is where an event comes from, as values of rows. Neighbours in a log share most of them, so each is made once for
// all the neighbours.
type origin struct {
	repository any // id, text; NULL outside the streams of repositories
	scan       any // id, text; NULL when there is none
	at         any // time of recording
	position   any

	id                                     domain.RepositoryID
	stream                                 eventstore.StreamID
	scanID                                 string
	time                                   time.Time
	streams, actors, stamps, edges         memo
	verdicts, actions, resources, outcomes memo
	terms                                  [10]memo

	kinds map[domain.Kind]any
	err   error // the first value that could not be made
}

// kind is the name of k as a value.
func (o *origin) kind(k domain.Kind) any {
	value, ok := o.kinds[k]
	if !ok {
		if o.kinds == nil {
			o.kinds = map[domain.Kind]any{}
		}
		value = str(string(k))
		o.kinds[k] = value
	}
	return value
}

// json is v as JSON; NULL for nil and for a nil pointer, list or map.
func (o *origin) json(v any) any {
	if v == nil || reflect.ValueOf(v).IsNil() {
		return nil
	}
	data, err := json.Marshal(v)
	if err != nil {
		o.fail(fmt.Errorf("cannot encode %T: %w", v, err))
		return nil
	}
	return withoutNUL(data)
}

// fail keeps the first reason why a value could not be made.
func (o *origin) fail(err error) {
	if o.err == nil {
		o.err = err
	}
}

// jsonList is list as JSON, NULL when it is empty.
func jsonList[T any](o *origin, list []T) any {
	if len(list) == 0 {
		return nil
	}
	return o.json(list)
}

// memo makes a value of the same text once in a row.
type memo struct {
	text  string
	value any
}

func (m *memo) of(text string) any {
	if m.value == nil || m.text != text {
		m.text, m.value = text, str(text)
	}
	return m.value
}

// move makes o the origin of e.
func (o *origin) move(e *projections.Event) {
	o.position = position(e.Position)
	if e.Stream != o.stream {
		o.stream, o.id, o.repository = e.Stream, "", nil
		if id, ok := strings.CutPrefix(string(e.Stream), eventstore.RepositoryPrefix); ok {
			o.id, o.repository = domain.RepositoryID(id), id
		}
	}
	if e.Meta.Scan != o.scanID {
		o.scanID, o.scan = e.Meta.Scan, opt(e.Meta.Scan)
	}
	if o.at == nil || e.RecordedAt != o.time {
		o.time, o.at = e.RecordedAt, e.RecordedAt
	}
}

// inRepository moves o to e, which must be an event of a repository.
func (o *origin) inRepository(e *projections.Event) error {
	o.move(e)
	if o.repository == nil {
		return fmt.Errorf("event %s of stream %q: want the stream of a repository", e.Type, e.Stream)
	}
	return nil
}

// eventFault names the event that a projection cannot apply.
func eventFault(projection string, e *projections.Event, err error) error {
	return fmt.Errorf("%s: position %d: %w", projection, e.Position, err)
}

// errUnhandled is the error of an event that is not one of the domain's, or that nothing says how to project.
func errUnhandled(e domain.Event) error {
	return fmt.Errorf("event of Go type %T has no meaning here", e)
}

// repositoryEvents has a value of every type of event that a repository's stream holds.
func repositoryEvents() []domain.Event {
	return []domain.Event{
		domain.RepositoryRegistered{},
		domain.RepositoryChanged{},
		domain.RepositoryRetired{},
		domain.ArtifactParsed{},
		domain.ArtifactRejected{},
		domain.ArtifactRemoved{},
		domain.ArtifactRelinked{},
		domain.RejectionCleared{},
		domain.ScanCompleted{},
		domain.ScanFailed{},
	}
}

// engineEvents has a value of every type of event that the stream "engine" holds.
func engineEvents() []domain.Event {
	return []domain.Event{domain.AdminActed{}, domain.KeyTrusted{}, domain.KeyRevoked{}, domain.RelayAdded{}, domain.RelayRemoved{}, domain.ScanAttemptFailed{}}
}

// ofEngine reports whether an event is one of the stream "engine".
func ofEngine(e domain.Event) bool {
	_, acted := e.(domain.AdminActed)
	_, trusted := e.(domain.KeyTrusted)
	_, revoked := e.(domain.KeyRevoked)
	_, added := e.(domain.RelayAdded)
	_, removed := e.(domain.RelayRemoved)
	_, failed := e.(domain.ScanAttemptFailed)
	return acted || trusted || revoked || added || removed || failed
}

// position is p as a value. A database has no unsigned integers, and no log has 2^63 events.
func position(p eventstore.Position) any {
	return int64(p) //nolint:gosec // see above
}
