package eventstore_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

func TestEncodeStoresTimesInUTCAndPersonsInTheirZone(t *testing.T) {
	t.Parallel()
	tokyo := time.FixedZone("JST", 9*3600)
	head := sampleHead()
	head.StartedAt = head.StartedAt.In(tokyo)
	before := head.Source.Author.When
	_, data, err := eventstore.Encode(domain.ScanFailed{Head: head})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"started_at":"2026-03-01T07:00:00.123456789Z"`, // not +09:00
		`"when":"2026-02-28T17:30:00+05:30"`,            // not Z
	} {
		if !bytes.Contains(data, []byte(want)) {
			t.Errorf("no %s in %s", want, data)
		}
	}
	if head.Source.Author.When != before || head.StartedAt.Location() != tokyo {
		t.Error("Encode changed the event that it was given")
	}
}

func TestEncodeEscapesNoMoreThanItMust(t *testing.T) {
	t.Parallel()
	_, data, err := eventstore.Encode(domain.RejectionCleared{Path: "a<b>&c é"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(data), `{"path":"a<b>&c é"}`; got != want {
		t.Errorf("encodes as %s, want %s", got, want)
	}
}

func TestEncodeRefusesWhatWouldNotComeBack(t *testing.T) {
	t.Parallel()
	cleared := domain.RejectionCleared{Path: "x"}
	for name, test := range map[string]struct {
		event domain.Event
		want  error
	}{
		"nothing":                 {nil, eventstore.ErrInvalid},
		"a pointer":               {&cleared, eventstore.ErrInvalid},
		"text that is not UTF-8":  {domain.RejectionCleared{Path: "a\xffb"}, eventstore.ErrInvalid},
		"a key that is not UTF-8": {domain.AdminActed{Arguments: map[string]string{"\xff": ""}}, eventstore.ErrInvalid},
		"bytes that are not UTF-8": {domain.ArtifactParsed{
			Artifact: domain.Artifact{Fields: json.RawMessage("{\"a\":\"\xff\"}")},
		}, eventstore.ErrInvalid},
		"fields that are not JSON": {domain.ArtifactParsed{
			Artifact: domain.Artifact{Fields: json.RawMessage(`{"a":`)},
		}, eventstore.ErrInvalid},
		"a year of five digits": {domain.RepositoryRetired{
			RetiredAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
		}, eventstore.ErrInvalid},
		"too much": {domain.RejectionCleared{Path: strings.Repeat("x", eventstore.MaxEventBytes)}, eventstore.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, data, err := eventstore.Encode(test.event); !errors.Is(err, test.want) || data != nil {
				t.Errorf("error is %v, want %v", err, test.want)
			}
		})
	}
}

// U+FFFD and its escape are text like any other.
func TestEncodeTakesTheReplacementCharacter(t *testing.T) {
	t.Parallel()
	want := domain.ArtifactParsed{Artifact: domain.Artifact{
		Title: "\ufffd and \\ufffd", Fields: json.RawMessage(`{"a":"\ufffd"}`),
	}}
	_, data, err := eventstore.Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := eventstore.Decode(eventstore.Record{Type: eventstore.TypeArtifactParsed, Data: data})
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("decodes to %+v, %v", got, err)
	}
}

func TestDecodeRefusesWhatIsNotAnEvent(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		typ, data string
		want      error
	}{
		"an unknown type":         {"artifact.parsed.v999", `{}`, eventstore.ErrUnknownType},
		"no type":                 {"", `{}`, eventstore.ErrUnknownType},
		"no data":                 {eventstore.TypeScanFailed, ``, eventstore.ErrCorrupt},
		"null":                    {eventstore.TypeScanFailed, `null`, eventstore.ErrCorrupt},
		"an array":                {eventstore.TypeScanFailed, `[]`, eventstore.ErrCorrupt},
		"half an object":          {eventstore.TypeScanFailed, `{"code":"a"`, eventstore.ErrCorrupt},
		"two objects":             {eventstore.TypeScanFailed, `{}{}`, eventstore.ErrCorrupt},
		"a number for a text":     {eventstore.TypeScanFailed, `{"code":1}`, eventstore.ErrCorrupt},
		"bytes that are not text": {eventstore.TypeScanFailed, "{\"code\":\"\xff\"}", eventstore.ErrCorrupt},
		"too much":                {eventstore.TypeScanFailed, "{" + strings.Repeat(" ", eventstore.MaxEventBytes), eventstore.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := eventstore.Record{Position: 4711, Stream: "engine", Type: test.typ, Data: []byte(test.data)}
			_, err := eventstore.Decode(r)
			if !errors.Is(err, test.want) {
				t.Fatalf("error is %v, want %v", err, test.want)
			}
			if !strings.Contains(err.Error(), "position 4711") {
				t.Errorf("%q does not name the position", err)
			}
		})
	}
}

func TestDecodePassesOverFieldsOfNewerBinaries(t *testing.T) {
	t.Parallel()
	got, err := eventstore.Decode(eventstore.Record{
		Type: eventstore.TypeRejectionCleared, Data: []byte(`{"path":"a","mood":"good"}`),
	})
	if err != nil || got != (domain.RejectionCleared{Path: "a"}) {
		t.Errorf("decodes to %+v, %v", got, err)
	}
}

// Two old forms lead to the present one: v-1 has "file", v0 has "name", v1 has "path". No such versions exist.
func TestDecodeUpcastsThroughAllVersions(t *testing.T) {
	t.Parallel()
	next := map[string]string{"cleared.old": "cleared.older", "cleared.older": eventstore.TypeRejectionCleared}
	rename := func(data []byte) ([]byte, error) {
		data = bytes.ReplaceAll(data, []byte(`"name"`), []byte(`"path"`))
		return bytes.ReplaceAll(data, []byte(`"file"`), []byte(`"name"`)), nil
	}
	for typ, data := range map[string]string{"cleared.old": `{"file":"a.md"}`, "cleared.older": `{"name":"a.md"}`} {
		got, err := eventstore.DecodeThrough(eventstore.Record{Type: typ, Data: []byte(data)}, next, rename)
		if err != nil || got != (domain.RejectionCleared{Path: "a.md"}) {
			t.Errorf("%s decodes to %+v, %v", typ, got, err)
		}
	}
}

func TestDecodeReportsUpcastsThatFailOrNeverEnd(t *testing.T) {
	t.Parallel()
	broken := func([]byte) ([]byte, error) { return nil, errors.New("no name") }
	record := eventstore.Record{Type: "old", Data: []byte(`{}`)}
	_, err := eventstore.DecodeThrough(record, map[string]string{"old": eventstore.TypeRejectionCleared}, broken)
	if !errors.Is(err, eventstore.ErrCorrupt) || !strings.Contains(err.Error(), "no name") {
		t.Errorf("error is %v, want a corrupt record", err)
	}
	same := func(data []byte) ([]byte, error) { return data, nil }
	_, err = eventstore.DecodeThrough(record, map[string]string{"old": "new", "new": "old"}, same)
	if !errors.Is(err, eventstore.ErrUnknownType) {
		t.Errorf("error is %v, want an unknown type", err)
	}
}

// A snapshot of very many units is encoded unit by unit.
func TestAStateIsEncodedAsItsJSON(t *testing.T) {
	t.Parallel()
	unit := &domain.Unit{Blob: "b", Stamp: "s", Artifacts: []domain.Known{{Number: 1, Kind: domain.KindSpec}}}
	for name, units := range map[string]map[string]*domain.Unit{
		"none": nil, "empty": {}, "one": {"a": unit}, "several, with odd paths": {"b<>&\"": unit, "a\u2028": {}, "é": unit, "": unit},
	} {
		state := domain.State{Repository: domain.Repository{Name: "{}}"}, Scans: 3, Units: units}
		want, err := json.Marshal(state)
		if err != nil {
			t.Fatal(err)
		}
		got, err := eventstore.EncodeState(state)
		if err != nil || string(got[sha256.Size:]) != string(want) {
			t.Errorf("%s: encoded as %s, %v, want %s", name, got, err, want)
		}
	}
}
