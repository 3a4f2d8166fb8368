package cloudevents_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/eventstore/feed/cloudevents"
)

func valid() cloudevents.Event {
	return cloudevents.Event{
		ID: "1", Source: "/logs/1/engine", Type: "io.gxpledger.key.trusted.v1", Subject: "é #1 % <&>", Time: time.Date(2026, 3, 1, 1, 0, 0, 1000, time.FixedZone("", 3600)),
		DataSchema: "urn:gxpledger:schema:key.trusted.v1", Extensions: map[string]string{"batchindex": "0", "batchsize": "1", "sequence": "00000000000000000001"},
		Data: []byte(`{"b" : "<é\u2028>","a":1e400}`),
	}
}

func TestStructuredModeIsOneDocumentWithTheDataAsItIs(t *testing.T) {
	t.Parallel()
	got, err := valid().Structured()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"specversion":"1.0","id":"1","source":"/logs/1/engine","type":"io.gxpledger.key.trusted.v1","subject":"é #1 % <&>",` +
		`"time":"2026-03-01T00:00:00.000001Z","dataschema":"urn:gxpledger:schema:key.trusted.v1","datacontenttype":"application/json",` +
		`"batchindex":0,"batchsize":1,"sequence":"00000000000000000001","data":{"b" : "<é\u2028>","a":1e400}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestBinaryModeHasPercentEncodedAttributesAndNoContentType(t *testing.T) {
	t.Parallel()
	attributes, contentType, data := valid().Binary()
	want := map[string]string{
		"specversion": "1.0", "id": "1", "source": "/logs/1/engine", "type": "io.gxpledger.key.trusted.v1", "subject": "%C3%A9%20#1%20%25%20<&>",
		"time": "2026-03-01T00:00:00.000001Z", "dataschema": "urn:gxpledger:schema:key.trusted.v1", "batchindex": "0", "batchsize": "1",
		"sequence": "00000000000000000001",
	}
	if !maps.Equal(attributes, want) || contentType != "application/json" || !bytes.Equal(data, valid().Data) {
		t.Errorf("got %v, %s, %s", attributes, contentType, data)
	}
}

func TestAnEventThatIsNotOfCloudEventsIsRefused(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]func(*cloudevents.Event){
		"no id":                       func(e *cloudevents.Event) { e.ID = "" },
		"no source":                   func(e *cloudevents.Event) { e.Source = "" },
		"no type":                     func(e *cloudevents.Event) { e.Type = "" },
		"line feed in the subject":    func(e *cloudevents.Event) { e.Subject = "a\r\nce-id: 2" },
		"C1 control in the subject":   func(e *cloudevents.Event) { e.Subject = "a\u0085" },
		"noncharacter in the subject": func(e *cloudevents.Event) { e.Subject = "a\ufdd0" },
		"noncharacter of a plane":     func(e *cloudevents.Event) { e.Subject = "a\U0001ffff" },
		"subject that is not UTF-8":   func(e *cloudevents.Event) { e.Subject = "\xff" },
		"too long subject":            func(e *cloudevents.Event) { e.Subject = strings.Repeat("a", cloudevents.MaxAttribute+1) },
		"blank in the source":         func(e *cloudevents.Event) { e.Source = "/a b" },
		"source that is no URI":       func(e *cloudevents.Event) { e.Source = "/%zz" },
		"schema that is no URI":       func(e *cloudevents.Event) { e.DataSchema = "urn:é" },
		"extension called data":       func(e *cloudevents.Event) { e.Extensions["data"] = "1" },
		"extension called id":         func(e *cloudevents.Event) { e.Extensions["id"] = "2" },
		"extension in capitals":       func(e *cloudevents.Event) { e.Extensions["Scan"] = "1" },
		"extension with a hyphen":     func(e *cloudevents.Event) { e.Extensions["scan-id"] = "1" },
		"extension with a long name":  func(e *cloudevents.Event) { e.Extensions[strings.Repeat("a", 21)] = "1" },
		"extension without a value":   func(e *cloudevents.Event) { e.Extensions["scanid"] = "" },
		"index that is no number":     func(e *cloudevents.Event) { e.Extensions["batchindex"] = `0,"id":"2"` },
		"index with a leading zero":   func(e *cloudevents.Event) { e.Extensions["batchindex"] = "01" },
		"index above 32 bits":         func(e *cloudevents.Event) { e.Extensions["batchindex"] = "2147483648" },
		"no data":                     func(e *cloudevents.Event) { e.Data = nil },
		"data that is not JSON":       func(e *cloudevents.Event) { e.Data = []byte("{") },
		"two values as data":          func(e *cloudevents.Event) { e.Data = []byte(`{},"id":"2"`) },
		"data that is not UTF-8":      func(e *cloudevents.Event) { e.Data = []byte("\"\xff\"") },
		"a year of five digits":       func(e *cloudevents.Event) { e.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		e := valid()
		if e.Validate() != nil {
			t.Fatal("the event is invalid before it is broken")
		}
		breakIt(&e)
		if got, err := e.Structured(); !errors.Is(err, cloudevents.ErrInvalid) {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
}

// Whatever an event holds, it is refused, or both modes say just what it says.
func TestBothModesSayWhatTheEventSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom(nil, unicode.Cc, unicode.L)), rapid.SampledFrom([]string{"a", "%41", "\"", "\\", "a b"}))
		e := valid()
		e.ID, e.Subject, e.Type = text.Draw(t, "id"), text.Draw(t, "subject"), text.Draw(t, "type")
		e.Source = "/logs/" + url.PathEscape(text.Draw(t, "source"))
		e.Extensions = rapid.MapOf(rapid.StringMatching(`[a-z0-9]{1,20}`), text).Draw(t, "extensions")
		if err := e.Validate(); err != nil {
			if _, err := e.Structured(); !errors.Is(err, cloudevents.ErrInvalid) {
				t.Fatalf("an invalid event was written: %v", err)
			}
			return
		}
		checkStructured(t, e)
		checkBinary(t, e)
	})
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkStructured reads e back from structured mode.
func checkStructured(t failer, e cloudevents.Event) {
	t.Helper()
	document, err := e.Structured()
	if err != nil {
		t.Fatalf("%v", err)
	}
	var got map[string]json.RawMessage
	if err := json.Unmarshal(document, &got); err != nil {
		t.Fatalf("%v in %s", err, document)
	}
	if !bytes.Equal(got["data"], e.Data) {
		t.Fatalf("data is %s, want %s", got["data"], e.Data)
	}
	delete(got, "data")
	want := e.Attributes()
	for name, raw := range got {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			text = string(raw) // an integer
		}
		if text != want[name] {
			t.Fatalf("%s is %q, want %q", name, text, want[name])
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d attributes, want %d", len(got), len(want))
	}
}

// checkBinary reads e back from binary mode.
func checkBinary(t failer, e cloudevents.Event) {
	t.Helper()
	attributes, contentType, data := e.Binary()
	want := e.Attributes()
	if contentType != want["datacontenttype"] || !bytes.Equal(data, e.Data) || len(attributes) != len(want)-1 {
		t.Fatalf("content type %s, data %s, attributes %v", contentType, data, attributes)
	}
	for name, value := range attributes {
		if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Fatalf("%s is not printable ASCII: %q", name, value)
		}
		if text, err := url.PathUnescape(value); err != nil || text != want[name] {
			t.Fatalf("%s is %q, %v, want %q", name, text, err, want[name])
		}
	}
}
