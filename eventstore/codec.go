package eventstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/gxpledger/gxpledger/domain"
)

// The stored names of events. Wire format: append only. A name never changes its meaning (I11); a new meaning is a new
// version, with a row in stored that leads from the old version to it, and a golden file in testdata/events.
const (
	TypeRepositoryRegistered = "repository.registered.v1"
	TypeRepositoryChanged    = "repository.changed.v1"
	TypeRepositoryRetired    = "repository.retired.v1"
	TypeArtifactParsed       = "artifact.parsed.v2"
	TypeArtifactRejected     = "artifact.rejected.v1"
	TypeArtifactRemoved      = "artifact.removed.v1"
	TypeArtifactRelinked     = "artifact.relinked.v1"
	TypeRejectionCleared     = "rejection.cleared.v1"
	TypeScanCompleted        = "scan.completed.v2"
	TypeScanFailed           = "scan.failed.v2"
	TypeAdminActed           = "admin.acted.v1"
	TypeKeyTrusted           = "key.trusted.v1"
	TypeKeyRevoked           = "key.revoked.v1"
	TypeRelayAdded           = "relay.added.v1"
	TypeRelayRemoved         = "relay.removed.v1"
	TypeScanAttemptFailed    = "scan.attempt_failed.v1"
)

// Earlier versions, which logs hold and nothing writes any more. See upcast.go.
const (
	typeArtifactParsedV1 = "artifact.parsed.v1"
	typeScanCompletedV1  = "scan.completed.v1"
	typeScanFailedV1     = "scan.failed.v1"
)

// MaxEventBytes is the size of the largest event that Encode gives and Decode takes, in bytes of JSON.
const MaxEventBytes = 64 << 20

// maxUpcasts bounds the chain from the oldest version of an event to its newest.
const maxUpcasts = 100

// KnownTypes returns every stored name that Decode knows, of all versions. The caller owns the slice.
func KnownTypes() []string {
	return []string{
		TypeRepositoryRegistered, TypeRepositoryChanged, TypeRepositoryRetired,
		typeArtifactParsedV1, TypeArtifactParsed, TypeArtifactRejected, TypeArtifactRemoved, TypeArtifactRelinked,
		TypeRejectionCleared, typeScanCompletedV1, TypeScanCompleted, typeScanFailedV1, TypeScanFailed, TypeAdminActed,
		TypeKeyTrusted, TypeKeyRevoked, TypeRelayAdded, TypeRelayRemoved, TypeScanAttemptFailed,
	}
}

// codec says how the data of one stored name is read: the newest version by decode, an older one by turning its JSON
// into that of the version next, and then that one.
type codec struct {
	decode func(data []byte) (domain.Event, error)
	next   string
	upcast func(data []byte) ([]byte, error)
}

// stored finds the codec of a stored name: the one table of names.
func stored(name string) (codec, bool) {
	switch name {
	case TypeRepositoryRegistered:
		return codec{decode: decodeAs[domain.RepositoryRegistered]}, true
	case TypeRepositoryChanged:
		return codec{decode: decodeAs[domain.RepositoryChanged]}, true
	case TypeRepositoryRetired:
		return codec{decode: decodeAs[domain.RepositoryRetired]}, true
	case typeArtifactParsedV1:
		return codec{next: TypeArtifactParsed, upcast: upcastParsedV1}, true
	case typeScanCompletedV1:
		return codec{next: TypeScanCompleted, upcast: upcastCompletedV1}, true
	case typeScanFailedV1:
		return codec{next: TypeScanFailed, upcast: upcastFailedV1}, true
	case TypeArtifactParsed:
		return codec{decode: decodeParsed}, true
	case TypeArtifactRejected:
		return codec{decode: decodeAs[domain.ArtifactRejected]}, true
	case TypeArtifactRemoved:
		return codec{decode: decodeAs[domain.ArtifactRemoved]}, true
	case TypeArtifactRelinked:
		return codec{decode: decodeAs[domain.ArtifactRelinked]}, true
	case TypeRejectionCleared:
		return codec{decode: decodeAs[domain.RejectionCleared]}, true
	case TypeScanCompleted:
		return codec{decode: decodeAs[domain.ScanCompleted]}, true
	case TypeScanFailed:
		return codec{decode: decodeAs[domain.ScanFailed]}, true
	case TypeAdminActed:
		return codec{decode: decodeAs[domain.AdminActed]}, true
	case TypeKeyTrusted:
		return codec{decode: decodeAs[domain.KeyTrusted]}, true
	case TypeKeyRevoked:
		return codec{decode: decodeAs[domain.KeyRevoked]}, true
	case TypeRelayAdded:
		return codec{decode: decodeAs[domain.RelayAdded]}, true
	case TypeRelayRemoved:
		return codec{decode: decodeAs[domain.RelayRemoved]}, true
	case TypeScanAttemptFailed:
		return codec{decode: decodeAs[domain.ScanAttemptFailed]}, true
	}
	return codec{}, false
}

// TypeOf returns the newest stored name of an event, "" for what is not stored: nil or a pointer. [Decode] turns a record of
// any earlier version of the name into an event of the same type.
func TypeOf(e domain.Event) string {
	switch e.(type) {
	case domain.RepositoryRegistered:
		return TypeRepositoryRegistered
	case domain.RepositoryChanged:
		return TypeRepositoryChanged
	case domain.RepositoryRetired:
		return TypeRepositoryRetired
	case domain.ArtifactParsed:
		return TypeArtifactParsed
	case domain.ArtifactRejected:
		return TypeArtifactRejected
	case domain.ArtifactRemoved:
		return TypeArtifactRemoved
	case domain.ArtifactRelinked:
		return TypeArtifactRelinked
	case domain.RejectionCleared:
		return TypeRejectionCleared
	case domain.ScanCompleted:
		return TypeScanCompleted
	case domain.ScanFailed:
		return TypeScanFailed
	case domain.AdminActed:
		return TypeAdminActed
	case domain.KeyTrusted:
		return TypeKeyTrusted
	case domain.KeyRevoked:
		return TypeKeyRevoked
	case domain.RelayAdded:
		return TypeRelayAdded
	case domain.RelayRemoved:
		return TypeRelayRemoved
	case domain.ScanAttemptFailed:
		return TypeScanAttemptFailed
	}
	return ""
}

// Encode returns the stored name and the JSON of an event. The same event gives the same bytes for ever: fields in the
// order of the type, maps sorted, no blanks, nothing escaped that JSON does not demand, times in UTC to the nanosecond
// (but those of a [domain.Person], which keep the zone that git recorded).
//
// An event is given by value. Text that is not UTF-8, a year outside 0 to 9999 and fields that are not JSON are
// ErrInvalid; more than [MaxEventBytes] is ErrTooLarge.
func Encode(e domain.Event) (typ string, data []byte, err error) {
	typ = TypeOf(e)
	if typ == "" {
		return "", nil, fmt.Errorf("cannot encode event: %w: %T is not a stored event", ErrInvalid, e)
	}
	data, err = marshal(canonical(e))
	if err != nil {
		return "", nil, fmt.Errorf("cannot encode %s: %w: %w", typ, ErrInvalid, err)
	}
	if len(data) > MaxEventBytes {
		return "", nil, fmt.Errorf("cannot encode %s: %w: %d bytes, the limit is %d", typ, ErrTooLarge, len(data), MaxEventBytes)
	}
	if err := checkText(e, data); err != nil {
		return "", nil, fmt.Errorf("cannot encode %s: %w: %w", typ, ErrInvalid, err)
	}
	return typ, data, nil
}

// Decode returns the event of a record, of whatever version it was stored in. A field that this binary does not know
// is passed over: a change that readers must not miss gets a new version.
//
// ErrUnknownType: a newer binary wrote the record. ErrCorrupt: its data is not what its type says.
func Decode(r Record) (domain.Event, error) { return decode(r, stored) }

// decode is Decode with any table of names.
func decode(r Record, table func(string) (codec, bool)) (domain.Event, error) {
	event, err := decodeData(r.Type, r.Data, table)
	if err != nil {
		return nil, fmt.Errorf("cannot decode position %d (%s of stream %s): %w", r.Position, r.Type, r.Stream, err)
	}
	return canonical(event), nil
}

func decodeData(name string, data []byte, table func(string) (codec, bool)) (domain.Event, error) {
	if err := checkData(data); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	for range maxUpcasts {
		c, ok := table(name)
		if !ok {
			return nil, fmt.Errorf("%w: %q", ErrUnknownType, name)
		}
		var event domain.Event
		var err error
		if c.decode != nil {
			event, err = c.decode(data)
		} else {
			data, err = c.upcast(data)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, name, err)
		}
		if event != nil {
			return event, nil
		}
		name = c.next
	}
	return nil, fmt.Errorf("%w: more than %d versions lead on from it", ErrUnknownType, maxUpcasts)
}

func checkData(data []byte) error {
	if len(data) > MaxEventBytes {
		return fmt.Errorf("data of %d bytes, the limit is %d", len(data), MaxEventBytes)
	}
	if !utf8.Valid(data) {
		return errNotUTF8
	}
	if !bytes.HasPrefix(data, []byte("{")) {
		return errNotObject
	}
	return nil
}

var (
	errNotUTF8   = errors.New("text is not UTF-8")
	errNotObject = errors.New("data is not a JSON object")
)

func decodeAs[E domain.Event](data []byte) (domain.Event, error) {
	var e E
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, err
	}
	return e, nil
}
