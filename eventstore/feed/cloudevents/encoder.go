package cloudevents

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// ErrForeign says that a record is of a stream of another application: its events are no facts of gxpledger, and are not sent in
// its name.
var ErrForeign = errors.New("event is of a stream of another application")

// Log is what an [Encoder] needs of a log.
type Log interface {
	ID() uuid.UUID
	eventstore.StreamReader
}

// Encoder makes events of CloudEvents of the records of one log. It is safe for concurrent use.
type Encoder struct {
	log Log

	mu   sync.Mutex
	last batchFacts // of the batch that was asked for last
}

// batchFacts is what the last event of a batch says about all of it.
type batchFacts struct {
	stream eventstore.StreamID
	end    eventstore.Revision // of the last event
	meta   string              // Meta.Scan of the batch: a log that was restored may hold another batch at the same revision
	scan   string              // "" when no scan recorded the batch, or it is unknown
	number int                 // of the scan, 0 when it is unknown
	commit string              // "" when it is unknown
}

// NewEncoder returns an encoder of the records of log.
func NewEncoder(log Log) *Encoder { return &Encoder{log: log} }

// Encode returns the event of a record of the encoder's log. For the first record of a batch it reads the last event of that batch
// from the log, and waits for that. The event shares the data of the record.
//
// A type that this gxpledger does not know is encoded too, without what only its data says (subject, scan and commit). Errors:
// [ErrForeign]; [eventstore.ErrCorrupt] for a record that is not what its type says, or whose batch has no end; those of the log.
func (e *Encoder) Encode(ctx context.Context, r eventstore.Record) (Event, error) {
	if !r.Stream.OfEngine() {
		return Event{}, fmt.Errorf("cannot encode position %d of stream %q: %w", r.Position, r.Stream, ErrForeign)
	}
	event, err := decode(r)
	if err != nil {
		return Event{}, err
	}
	facts, err := e.factsOf(ctx, r, event)
	if err != nil {
		return Event{}, fmt.Errorf("cannot encode position %d of stream %q: %w", r.Position, r.Stream, err)
	}
	key, source := partition(e.log.ID(), r.Stream)
	out := Event{
		ID: r.ID.String(), Source: source, Type: TypePrefix + r.Type, Time: r.RecordedAt.UTC(), DataSchema: SchemaName(r.Type), Data: r.Data,
		Extensions: map[string]string{
			ExtensionSequence:     Sequence(r.Position),
			ExtensionPartitionKey: key,
			ExtensionBatchIndex:   strconv.Itoa(r.Meta.Index),
			ExtensionBatchSize:    strconv.Itoa(r.Meta.Size),
		},
	}
	if s := subject(event); ValidValue(s) {
		out.Subject = s
	}
	if facts.number > 0 {
		out.Extensions[ExtensionScanNumber] = strconv.Itoa(facts.number)
	}
	optional := map[string]string{ExtensionScanID: facts.scan, ExtensionCommit: facts.commit}
	if isTraceParent(r.Meta.TraceParent) {
		optional[ExtensionTraceParent] = r.Meta.TraceParent
	}
	for name, value := range optional {
		if ValidValue(value) {
			out.Extensions[name] = value
		}
	}
	if err := out.Validate(); err != nil {
		return Event{}, fmt.Errorf("cannot encode position %d of stream %q: %w: %w", r.Position, r.Stream, eventstore.ErrCorrupt, err)
	}
	return out, nil
}

// Sequence is the text of a position: 20 digits, so that texts sort as positions do.
func Sequence(position eventstore.Position) string { return fmt.Sprintf("%020d", uint64(position)) }

// SchemaName is the name of the schema of the data of a stored type: a URN, with what no URI has percent-encoded.
func SchemaName(stored string) string { return SchemaPrefix + url.PathEscape(stored) }

// isTraceParent reports whether text is a traceparent of the W3C trace context, version 00.
func isTraceParent(text string) bool {
	const form = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-00"
	if len(text) != len(form) || text[:2] != "00" {
		return false
	}
	for i := range len(text) {
		c, dash := text[i], form[i] == '-'
		if dash != (c == '-') || !dash && !strings.ContainsRune("0123456789abcdef", rune(c)) {
			return false
		}
	}
	return true
}

// partition is the partition key and the source of the events of a stream.
func partition(log uuid.UUID, stream eventstore.StreamID) (key, source string) {
	base := "/logs/" + log.String()
	id, ok := strings.CutPrefix(string(stream), eventstore.RepositoryPrefix)
	if !ok {
		return string(eventstore.EngineStream), base + "/engine"
	}
	return id, base + "/repositories/" + url.PathEscape(id)
}

// decode returns the event of a record, nil for a type that is not known.
func decode(r eventstore.Record) (domain.Event, error) {
	event, err := eventstore.Decode(r)
	if errors.Is(err, eventstore.ErrUnknownType) {
		return nil, nil //nolint:nilnil // an unknown type has no event, and is sent all the same
	}
	return event, err
}

// factsOf returns what the last event of the batch of r says.
func (e *Encoder) factsOf(ctx context.Context, r eventstore.Record, event domain.Event) (batchFacts, error) {
	if r.Meta.Index < 0 || r.Meta.Index >= r.Meta.Size {
		return batchFacts{}, fmt.Errorf("%w: event %d of a batch of %d", eventstore.ErrCorrupt, r.Meta.Index, r.Meta.Size)
	}
	if r.EndsBatch() {
		return facts(r, event), nil
	}
	end := r.Revision + eventstore.Revision(r.Meta.Size-1-r.Meta.Index) //nolint:gosec // checked above
	e.mu.Lock()
	last := e.last
	e.mu.Unlock()
	if last.stream == r.Stream && last.end == end && last.meta == r.Meta.Scan {
		return last, nil
	}
	for tail, err := range e.log.ReadStream(ctx, r.Stream, end) {
		if err != nil {
			return batchFacts{}, fmt.Errorf("cannot read the end of its batch: %w", err)
		}
		if tail.Revision != end || !tail.EndsBatch() || tail.Meta.Size != r.Meta.Size || tail.Meta.Scan != r.Meta.Scan {
			break
		}
		event, err := decode(tail)
		if err != nil {
			return batchFacts{}, err
		}
		last = facts(tail, event)
		e.mu.Lock()
		e.last = last
		e.mu.Unlock()
		return last, nil
	}
	return batchFacts{}, fmt.Errorf("%w: its batch has no end at revision %d", eventstore.ErrCorrupt, end)
}

// facts is what the last event of a batch says about all of it.
func facts(r eventstore.Record, event domain.Event) batchFacts {
	out := batchFacts{stream: r.Stream, end: r.Revision, meta: r.Meta.Scan}
	switch e := event.(type) {
	case domain.ScanCompleted:
		out.scan, out.number, out.commit = e.Scan, e.Number, e.Source.Commit
	case domain.ScanFailed:
		out.scan, out.number, out.commit = e.Scan, e.Number, e.Source.Commit
	case domain.ScanAttemptFailed:
		out.scan, out.commit = e.Scan, e.Source.Commit
	case nil, domain.RepositoryRegistered, domain.RepositoryChanged, domain.RepositoryRetired, domain.ArtifactParsed, domain.ArtifactRejected,
		domain.ArtifactRemoved, domain.ArtifactRelinked, domain.RejectionCleared, domain.AdminActed, domain.KeyTrusted, domain.KeyRevoked,
		domain.RelayAdded, domain.RelayRemoved:
	}
	return out
}

// subject is what an event is about, within its source: the path of an artifact (with # and its ordinal where a file holds several),
// the name of a repository, the id of a scan, the target of an admin action, the fingerprint of a key, or the name of a relay. "" when it has none.
func subject(event domain.Event) string {
	switch e := event.(type) {
	case nil:
		return ""
	case domain.RepositoryRegistered:
		return e.Repository.Name
	case domain.RepositoryChanged:
		return e.Repository.Name
	case domain.RepositoryRetired:
		return e.Repository.Name
	case domain.ArtifactParsed:
		return e.String()
	case domain.ArtifactRejected:
		return e.Path
	case domain.ArtifactRemoved:
		return e.String()
	case domain.ArtifactRelinked:
		return e.String()
	case domain.RejectionCleared:
		return e.Path
	case domain.ScanCompleted:
		return e.Scan
	case domain.ScanFailed:
		return e.Scan
	case domain.AdminActed:
		return e.Target
	case domain.KeyTrusted:
		return e.Fingerprint
	case domain.KeyRevoked:
		return e.Fingerprint
	case domain.RelayAdded:
		return e.Name
	case domain.RelayRemoved:
		return e.Name
	case domain.ScanAttemptFailed:
		return e.Scan
	}
	return ""
}
