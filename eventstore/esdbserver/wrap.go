package esdbserver

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"unicode/utf8"
)

// wrapper begins the data of an event that came from a client: a log has no other place for the metadata of single events, and
// holds JSON. Events that came before every one was wrapped are JSON data without metadata. Stored form: it must not be changed.
const wrapper = `{"esdb-client-event":1,`

// wrapped is the stored form behind the wrapper. Of each pair one is there, or none if it has no bytes.
type wrapped struct {
	Version       int             `json:"esdb-client-event"`
	JSON          bool            `json:"json"`               // the content type of the client
	Data          json.RawMessage `json:"data,omitempty"`     // verbatim, if it is JSON
	Bytes         []byte          `json:"bytes,omitempty"`    // of the data, in base64, if it is not
	Metadata      json.RawMessage `json:"metadata,omitempty"` // verbatim, if it is JSON
	MetadataBytes []byte          `json:"metadataBytes,omitempty"`
}

// wrap returns the data under which a log holds e. Equal events give equal bytes, so that a repeated append is known.
func wrap(e event) []byte {
	const around = 64 // bytes of the names of all parts
	text := make([]byte, 0, len(wrapper)+around+len(e.data)+len(e.metadata))
	text = append(append(text, wrapper...), `"json":`...)
	if e.json {
		text = append(text, "true"...)
	} else {
		text = append(text, "false"...)
	}
	text = appendPart(text, "data", "bytes", e.data)
	text = appendPart(text, "metadata", "metadataBytes", e.metadata)
	return append(text, '}')
}

// appendPart adds part verbatim as verbatim, else in base64 as encoded.
func appendPart(text []byte, verbatim, encoded string, part []byte) []byte {
	switch {
	case len(part) == 0:
		return text
	case embeddable(part):
		text = append(append(append(text, `,"`...), verbatim...), `":`...)
		return append(text, part...)
	default:
		text = append(append(append(text, `,"`...), encoded...), `":"`...)
		return append(base64.StdEncoding.AppendEncode(text, part), '"')
	}
}

// embeddable reports whether part is JSON that comes back byte for byte when it stands within other JSON.
func embeddable(part []byte) bool {
	const blank = " \t\r\n"
	return json.Valid(part) && utf8.Valid(part) && len(bytes.Trim(part, blank)) == len(part)
}

// clientEvent returns the event of a client that data is, wrapped or not.
func clientEvent(data []byte) event {
	if e, ok := unwrap(data); ok {
		return e
	}
	return event{json: true, data: data}
}

// unwrap returns the event that was wrapped, if data is one. It shares its bytes with data.
func unwrap(data []byte) (event, bool) {
	rest, ok := bytes.CutPrefix(data, []byte(wrapper))
	if !ok {
		return event{}, false
	}
	if e, ok := unwrapAsWrapped(rest); ok {
		return e, true
	}
	var w wrapped
	if err := json.Unmarshal(data, &w); err != nil {
		return event{}, false
	}
	e := event{json: w.JSON, data: w.Data, metadata: w.Metadata}
	if len(w.Data) == 0 {
		e.data = w.Bytes
	}
	if len(w.Metadata) == 0 {
		e.metadata = w.MetadataBytes
	}
	return e, true
}

// unwrapAsWrapped is unwrap for what is behind the wrapper in the very form that wrap writes, which takes a fraction of the time. It reports
// whether it is in that form.
func unwrapAsWrapped(rest []byte) (e event, ok bool) {
	if rest, e.json = bytes.CutPrefix(rest, []byte(`"json":true`)); !e.json {
		if rest, ok = bytes.CutPrefix(rest, []byte(`"json":false`)); !ok {
			return event{}, false
		}
	}
	if e.data, rest, ok = cutPart(rest, `,"data":`, `,"bytes":"`); !ok {
		return event{}, false
	}
	if e.metadata, rest, ok = cutPart(rest, `,"metadata":`, `,"metadataBytes":"`); !ok {
		return event{}, false
	}
	return e, string(rest) == "}"
}

// cutPart cuts what appendPart may have written off the start of text.
func cutPart(text []byte, verbatim, encoded string) (part, rest []byte, ok bool) {
	if rest, ok := bytes.CutPrefix(text, []byte(verbatim)); ok {
		end := valueEnd(rest)
		return rest[:end:end], rest[end:], end > 0
	}
	rest, ok = bytes.CutPrefix(text, []byte(encoded))
	if !ok {
		return nil, text, true // there is none
	}
	end := bytes.IndexByte(rest, '"')
	if end < 0 {
		return nil, nil, false
	}
	part, err := base64.StdEncoding.AppendDecode(nil, rest[:end])
	return part, rest[end+1:], err == nil
}

// valueEnd returns where the JSON value ends that text begins with, 0 where it does not. It does not check the value, which was checked
// when it was wrapped.
func valueEnd(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			size := stringEnd(text[i+1:])
			if size < 0 {
				return 0
			}
			i += 1 + size
		case c == '{', c == '[':
			depth++
		case depth == 0 && (c == ',' || c == '}' || c == ']'):
			return i
		case c == '}', c == ']':
			depth--
		}
	}
	return 0
}

// stringEnd returns the index of the quote that ends a JSON string whose first quote is before text, -1 if there is none.
func stringEnd(text []byte) int {
	for at, quote := 0, -1; ; {
		if quote < at { // an escape passed over it
			next := bytes.IndexByte(text[at:], '"')
			if next < 0 {
				return -1
			}
			quote = at + next
		}
		escape := bytes.IndexByte(text[at:quote], '\\')
		if escape < 0 {
			return quote
		}
		if at += escape + 2; at > len(text) {
			return -1
		}
	}
}
