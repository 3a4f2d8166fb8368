package eventstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/gxpledger/gxpledger/domain"
)

// Expected is the revision at which an append expects its stream. The zero value is refused: there is no "any".
type Expected struct {
	next uint64 // revision that the first event gets
	set  bool
}

// NoStream expects that the stream has no event.
func NoStream() Expected { return Expected{set: true} }

// AtRevision expects that r is the last revision of the stream.
func AtRevision(r Revision) Expected {
	return Expected{next: min(uint64(r), maxRevision) + 1, set: true}
}

// maxRevision is beyond what any log can hold, and yet a number in every database.
const maxRevision = 1 << 62

// lastYear is the last one that has four digits, as the text of a time must.
const lastYear = 9999

// Next is the revision that the first event of the batch gets. It is meaningless for the zero value.
func (e Expected) Next() Revision { return Revision(e.next) }

// IsZero reports whether nothing was expected, which every log refuses.
func (e Expected) IsZero() bool { return !e.set }

// String names the expectation for error texts.
func (e Expected) String() string {
	switch {
	case !e.set:
		return "no expectation"
	case e.next == 0:
		return "no stream"
	default:
		return fmt.Sprintf("revision %d", e.next-1)
	}
}

// NewEvent is one event of a batch, encoded.
type NewEvent struct {
	ID   EventID
	Type string // versioned name: see CheckName
	Data []byte // JSON
	// Load gives the data of an event of a batch that is not in memory as a whole; Data is then nil. It may be called more
	// than once, from one goroutine at a time until Append returns, and must give the same bytes each time.
	Load func() ([]byte, error)
}

// Read returns Data, or what Load gives.
func (e NewEvent) Read() ([]byte, error) {
	if e.Load == nil {
		return e.Data, nil
	}
	data, err := e.Load()
	if err == nil && len(data) == 0 {
		err = fmt.Errorf("%w: no data", ErrInvalid)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the data of event %s: %w", e.ID, err)
	}
	return data, nil
}

// ContentHash covers what makes an event the same event: its type and data. Two appends of one id with different hashes
// are an error (I4). It covers Data, not what Load gives.
func (e NewEvent) ContentHash() [sha256.Size]byte {
	h := sha256.New()
	h.Write([]byte(e.Type))
	h.Write([]byte{0})
	h.Write(e.Data)
	return [sha256.Size]byte(h.Sum(nil))
}

// Blob is the bytes of one scanned file and their hash.
type Blob struct {
	SHA256 string // 64 lower-case hexadecimal digits
	Bytes  []byte
	// Load gives the bytes of a content that is not in memory; Bytes is then nil. What [NewEvent.Load] says holds for it too.
	Load func() ([]byte, error)
}

// Read returns Bytes, or what Load gives, which must have the hash: ErrInvalid where it has another.
func (b Blob) Read() ([]byte, error) {
	if b.Load == nil {
		return b.Bytes, nil
	}
	data, err := b.Load()
	if err == nil {
		err = b.check(data)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read content %s: %w", b.SHA256, err)
	}
	return data, nil
}

func (b Blob) check(data []byte) error {
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != b.SHA256 {
		return fmt.Errorf("%w: bytes do not have the hash %q", ErrInvalid, b.SHA256)
	}
	return nil
}

// Batch is one atomic append. A log keeps no reference to it.
type Batch struct {
	Stream   StreamID
	Expected Expected
	Events   []NewEvent // at least one
	// Meta is shared by all events. The log sets Index and Size; Attempt counts the tries of this batch, from 1.
	Meta Meta
	// Contents are stored with the events, each hash once in the life of the log. A reader that sees the events finds
	// the contents.
	Contents []Blob
	// RecordedAt is the time at which the events were first recorded, to the microsecond, when a log is copied: never
	// before that of the last event of the log, which is ErrInvalid. Zero, for all else: the log's own clock.
	RecordedAt time.Time
}

// Streamed reports whether a part of b is not in memory, and is to be read as it is written.
func (b Batch) Streamed() bool {
	return slices.ContainsFunc(b.Events, func(e NewEvent) bool { return e.Load != nil }) ||
		slices.ContainsFunc(b.Contents, func(c Blob) bool { return c.Load != nil })
}

// Held returns b with all that it loads in memory, for a log that must have it there.
func (b Batch) Held() (Batch, error) {
	if !b.Streamed() {
		return b, nil
	}
	var err error
	b.Events, b.Contents = slices.Clone(b.Events), slices.Clone(b.Contents)
	for i, e := range b.Events {
		if e.Data, err = e.Read(); err != nil {
			return Batch{}, err
		}
		e.Load = nil
		b.Events[i] = e
	}
	for i, c := range b.Contents {
		if c.Bytes, err = c.Read(); err != nil {
			return Batch{}, err
		}
		c.Load = nil
		b.Contents[i] = c
	}
	return b, nil
}

// Validate reports every fault that makes b unfit for any log, but for what is to be loaded: that is checked as it is read.
// The error wraps [ErrInvalid].
func (b Batch) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if err := b.Stream.Validate(); err != nil {
		faults = append(faults, err)
	}
	if b.Expected.IsZero() {
		fault("no expected revision")
	}
	if len(b.Events) == 0 {
		fault("no events")
	}
	if b.Meta.Attempt < 1 {
		fault("attempt %d: counts from 1", b.Meta.Attempt)
	}
	m := b.Meta
	if !utf8.ValidString(m.Actor + m.Reason + m.Scan + m.Correlation + m.Causation + m.TraceParent + m.TraceState) {
		fault("metadata: %w", errNotUTF8)
	}
	if !b.RecordedAt.IsZero() && (b.RecordedAt.Unix() < 0 || b.RecordedAt.UTC().Year() > lastYear) {
		fault("recorded at %s: want a time from 1970 to %d", b.RecordedAt, lastYear)
	}
	b.validateEvents(fault)
	for i, c := range b.Contents {
		if c.Load == nil && c.check(c.Bytes) != nil {
			fault("content %d: bytes do not have the hash %q", i, c.SHA256)
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: batch for stream %.200q: %w", ErrInvalid, b.Stream, errors.Join(faults...))
	}
	return nil
}

func (b Batch) validateEvents(fault func(format string, args ...any)) {
	seen := make(map[EventID]bool, len(b.Events))
	for i, e := range b.Events {
		if e.ID == (EventID{}) || len(e.Data) == 0 && e.Load == nil {
			fault("event %d: id and data are required", i)
		}
		if err := CheckName(e.Type); err != nil {
			fault("event %d: type %w", i, err)
		}
		if seen[e.ID] {
			fault("event %d: id %s repeats", i, e.ID)
		}
		seen[e.ID] = true
	}
}

// TimeAfter returns the time of recording that b gets in a log whose last event was recorded at last and whose clock shows
// now, in UTC and to the microsecond. A clock that was set back must not turn the order round: it is held at last. A time
// that b gives and that is before last is ErrInvalid.
func (b Batch) TimeAfter(last, now time.Time) (time.Time, error) {
	at := b.RecordedAt.UTC().Truncate(time.Microsecond)
	switch {
	case b.RecordedAt.IsZero():
		if at = now.UTC().Truncate(time.Microsecond); at.Before(last) {
			return last.UTC(), nil
		}
	case at.Before(last):
		return time.Time{}, fmt.Errorf("%w: it was recorded at %s, and the last event of the log at %s: times never fall",
			ErrInvalid, at.Format(time.RFC3339Nano), last.UTC().Format(time.RFC3339Nano))
	}
	return at, nil
}

// Records returns b as a log whose positions are dense holds it once the first event has position first. The records share the
// data of b, which must be in memory.
func (b Batch) Records(first Position, recordedAt time.Time) []Record {
	records := make([]Record, len(b.Events))
	meta := b.Meta
	meta.Size = len(b.Events)
	for i, e := range b.Events {
		meta.Index = i
		records[i] = Record{
			Position: first + Position(i), Stream: b.Stream, Revision: b.Expected.Next() + Revision(i),
			ID: e.ID, Type: e.Type, RecordedAt: recordedAt, Meta: meta, Data: e.Data,
		}
	}
	return records
}

// Repeats is [Batch.Repeated] of a batch and of records that are in memory.
func (b Batch) Repeats(held []Record) bool {
	_, repeated, err := b.Repeated(func(yield func(Record, error) bool) {
		for _, r := range held {
			if !yield(r, nil) {
				return
			}
		}
	})
	return repeated && err == nil
}

// Repeated reports whether b is the batch that held records: the same ids and contents, all of them and no others. Held
// are the records of the stream from the revision b.Expected.Next on, as many as b has events or as there are.
// An attempt, an actor or a reason of its own does not make another batch. Its Appended is the place of such a batch. The
// error is that of held, or of loading.
func (b Batch) Repeated(held iter.Seq2[Record, error]) (at Appended, repeated bool, err error) {
	at.Repeated = true
	n := 0
	for r, err := range held {
		if err != nil {
			return Appended{}, false, err
		}
		if n == len(b.Events) {
			return Appended{}, false, nil
		}
		e := b.Events[n]
		if r.Stream != b.Stream || r.Meta.Index != n || r.Meta.Size != len(b.Events) || r.ID != e.ID || r.Type != e.Type {
			return Appended{}, false, nil
		}
		data, err := e.Read()
		if err != nil {
			return Appended{}, false, err
		}
		if !bytes.Equal(r.Data, data) {
			return Appended{}, false, nil
		}
		if n == 0 {
			at.First = r.Position
		}
		at.Last, at.LastRevision = r.Position, r.Revision
		n++
	}
	return at, n == len(b.Events), nil
}

// SameBatch reports whether two events agree in all that the events of one batch share: the scan, its actor, reason, size,
// trace and time. Which stream they are in and which index they have is not compared.
func SameBatch(a, b Record) bool {
	m := a.Meta
	m.Index = b.Meta.Index
	return m == b.Meta && a.RecordedAt.Equal(b.RecordedAt)
}

// Appended says where a batch stands.
type Appended struct {
	First        Position // 0 where the log acknowledged the batch, and could not be read behind that
	Last         Position
	LastRevision Revision
	// Repeated reports that the log held the batch already and nothing was written now.
	Repeated bool
}

// NamedContents returns the contents that an event names. A file that was too large to read has none.
func NamedContents(event domain.Event) []domain.Content {
	var contents []domain.Content
	switch e := event.(type) {
	case domain.ArtifactParsed:
		contents = append(contents, e.Content)
		for _, m := range e.Members {
			contents = append(contents, m.Content)
		}
	case domain.ArtifactRejected:
		contents = append(contents, e.Content)
	case domain.RepositoryRegistered, domain.RepositoryChanged, domain.RepositoryRetired, domain.ArtifactRemoved, domain.ArtifactRelinked,
		domain.RejectionCleared, domain.ScanCompleted, domain.ScanFailed, domain.AdminActed,
		domain.KeyTrusted, domain.KeyRevoked, domain.RelayAdded, domain.RelayRemoved, domain.ScanAttemptFailed:
	}
	return slices.DeleteFunc(contents, func(c domain.Content) bool { return c.SHA256 == "" })
}

// ContentsNamed returns the hashes of [NamedContents].
func ContentsNamed(event domain.Event) []string {
	var hashes []string
	for _, c := range NamedContents(event) {
		hashes = append(hashes, c.SHA256)
	}
	return hashes
}
