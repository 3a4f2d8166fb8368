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
	text := []byte(wrapper)
	text = append(text, `"json":`...)
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

// unwrap returns the event that was wrapped, if data is one.
func unwrap(data []byte) (event, bool) {
	if !bytes.HasPrefix(data, []byte(wrapper)) {
		return event{}, false
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
