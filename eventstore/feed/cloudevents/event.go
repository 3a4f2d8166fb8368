package cloudevents

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// SpecVersion is the version of CloudEvents.
	SpecVersion = "1.0"
	// MediaType is what an event in structured mode is. It has no charset: JSON is UTF-8, and the SDK for Node (10.0.0) refuses
	// an event that names one.
	MediaType = "application/cloudevents+json"
	// DataContentType is what the data of every event is.
	DataContentType = "application/json"
	// TypePrefix begins every type; the stored type follows.
	TypePrefix = "io.gxpledger."
	// SchemaPrefix begins the name of every schema; the stored type follows.
	SchemaPrefix = "urn:gxpledger:schema:"
	// MaxAttribute is the number of bytes that an attribute may have, before it is percent-encoded.
	MaxAttribute = 4 << 10
)

// The extensions. [ExtensionBatchIndex], [ExtensionBatchSize] and [ExtensionScanNumber] are integers, the others strings.
const (
	// ExtensionSequence is the position in the log, in 20 digits, so that texts sort as positions do. Compare positions of one
	// log; do not count with them (I19).
	ExtensionSequence = "sequence"
	// ExtensionPartitionKey is the id of the repository, or "engine". Events of one partition key are in order.
	ExtensionPartitionKey = "partitionkey"
	// ExtensionScanID is the id of the scan that recorded the event; absent for events that no scan recorded.
	ExtensionScanID = "scanid"
	// ExtensionScanNumber counts the scans of a repository, from 1; absent where scanid is, and for a failed attempt on what was
	// no known repository.
	ExtensionScanNumber = "scannumber"
	// ExtensionBatchIndex is the place in the batch, from 0.
	ExtensionBatchIndex = "batchindex"
	// ExtensionBatchSize is the number of events of the batch. The one whose index is batchsize - 1 ends it.
	ExtensionBatchSize = "batchsize"
	// ExtensionCommit is the commit that was scanned; absent where none is known.
	ExtensionCommit = "commitsha"
	// ExtensionTraceParent is the W3C trace context of the append; absent without one.
	ExtensionTraceParent = "traceparent"
)

// ErrInvalid says that an event is not one of CloudEvents 1.0.
var ErrInvalid = errors.New("invalid CloudEvents event")

// Event is one event of CloudEvents 1.0. Its data is JSON.
type Event struct {
	ID         string
	Source     string // a reference of URI
	Type       string
	Subject    string // "" for none
	Time       time.Time
	DataSchema string // a URI, "" for none
	// Extensions are values as text. The names are lower-case letters and digits of ASCII.
	Extensions map[string]string
	Data       []byte // one JSON value; it is sent byte for byte
}

// Validate says what is not of CloudEvents 1.0 in e, or above [MaxAttribute]. The error wraps [ErrInvalid].
func (e Event) Validate() error {
	attributes := e.Attributes()
	for _, name := range []string{"id", "source", "type"} {
		if attributes[name] == "" {
			return fmt.Errorf("%w: no %s", ErrInvalid, name)
		}
	}
	for name := range e.Extensions {
		if !validName(name) || reserved(name) {
			return fmt.Errorf("%w: %.50q cannot name an extension", ErrInvalid, name)
		}
	}
	for name, value := range attributes {
		if err := checkValue(name, value); err != nil {
			return fmt.Errorf("%w: %s is %.100q: %w", ErrInvalid, name, value, err)
		}
	}
	if year := e.Time.UTC().Year(); year < 0 || year > 9999 {
		return fmt.Errorf("%w: time is of the year %d", ErrInvalid, year)
	}
	if !utf8.Valid(e.Data) || !json.Valid(e.Data) {
		return fmt.Errorf("%w: the data is not JSON", ErrInvalid)
	}
	return nil
}

// Attributes are all that e says beside its data, by name, as the text of CloudEvents: specversion and datacontenttype too. What is
// empty is left out. The caller owns the map.
func (e Event) Attributes() map[string]string {
	out := map[string]string{"specversion": SpecVersion, "datacontenttype": DataContentType}
	if !e.Time.IsZero() {
		out["time"] = e.Time.UTC().Format(time.RFC3339Nano)
	}
	named := map[string]string{"id": e.ID, "source": e.Source, "type": e.Type, "subject": e.Subject, "dataschema": e.DataSchema}
	for name, value := range named {
		if value != "" {
			out[name] = value
		}
	}
	for name, value := range e.Extensions {
		if !reserved(name) {
			out[name] = value
		}
	}
	return out
}

// Structured returns e as one JSON document of [MediaType]: the attributes in a fixed order, then the data as it is. The same event
// gives the same bytes. Errors: those of [Event.Validate].
func (e Event) Structured() ([]byte, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	attributes := e.Attributes()
	var out bytes.Buffer
	out.Grow(len(e.Data) + 1<<10)
	out.WriteByte('{')
	for _, name := range order(attributes) {
		value := attributes[name]
		if !isInteger(name) {
			value = quote(value)
		}
		fmt.Fprintf(&out, "%s:%s,", quote(name), value)
	}
	out.WriteString(`"data":`)
	out.Write(e.Data)
	out.WriteByte('}')
	return out.Bytes(), nil
}

// Binary returns e for binary mode: the attributes without the one that is the content type, percent-encoded as the HTTP binding of
// CloudEvents wants it (section 3.1.3.2), the content type, and the data. Names have no prefix: HTTP puts "ce-" before each. Other
// bindings, such as that of Kafka, want values that are not encoded: see [Event.Attributes].
func (e Event) Binary() (attributes map[string]string, contentType string, data []byte) {
	attributes = e.Attributes()
	contentType = attributes["datacontenttype"]
	delete(attributes, "datacontenttype")
	for name, value := range attributes {
		attributes[name] = percentEncode(value)
	}
	return attributes, contentType, e.Data
}

// checkValue refuses what an attribute cannot be.
func checkValue(name, value string) error {
	if !ValidValue(value) {
		return fmt.Errorf("want 1 to %d bytes of text without control characters", MaxAttribute)
	}
	if n, err := strconv.ParseInt(value, 10, 32); isInteger(name) && (err != nil || strconv.FormatInt(n, 10) != value) {
		return errNotInteger
	}
	if name == "source" || name == "dataschema" {
		if _, err := url.Parse(value); err != nil || strings.ContainsFunc(value, notURI) {
			return errNotURI
		}
	}
	return nil
}

var (
	errNotInteger = errors.New("want a number of 32 bits")
	errNotURI     = errors.New("want a URI")
)

// ValidValue reports whether text can be the value of an attribute: 1 to [MaxAttribute] bytes of UTF-8 without control characters
// and what Unicode calls noncharacters.
func ValidValue(text string) bool {
	return text != "" && len(text) <= MaxAttribute && utf8.ValidString(text) && !strings.ContainsFunc(text, forbidden)
}

// forbidden are the characters that strings of CloudEvents do not have.
func forbidden(r rune) bool {
	return r < ' ' || r >= 0x7f && r <= 0x9f || r >= 0xfdd0 && r <= 0xfdef || r&0xfffe == 0xfffe
}

// notURI are the characters that no URI has.
func notURI(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune("\"<>\\^`{|}", r)
}

// maxName is what CloudEvents recommends as the length of a name, in characters.
const maxName = 20

func validName(name string) bool {
	return name != "" && len(name) <= maxName && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// reserved are the names that are no extensions.
func reserved(name string) bool {
	switch name {
	case "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data":
		return true
	}
	return false
}

func isInteger(name string) bool {
	return name == ExtensionBatchIndex || name == ExtensionBatchSize || name == ExtensionScanNumber
}

// order is that of attributes in a document: those of CloudEvents as a reader looks for them, then extensions by name.
func order(attributes map[string]string) []string {
	first := []string{"specversion", "id", "source", "type", "subject", "time", "dataschema", "datacontenttype"}
	out := slices.DeleteFunc(slices.Clone(first), func(name string) bool { return attributes[name] == "" })
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if !slices.Contains(first, name) {
			out = append(out, name)
		}
	}
	return out
}

// quote writes text as JSON, and escapes nothing that JSON does not demand.
func quote(text string) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil {
		panic(err) //nolint:forbidigo // a text can always be written into memory
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func percentEncode(text string) string {
	const digits = "0123456789ABCDEF"
	var out strings.Builder
	for i := range len(text) {
		c := text[i]
		if c <= ' ' || c > '~' || c == '"' || c == '%' {
			out.Write([]byte{'%', digits[c>>4], digits[c&15]})
			continue
		}
		out.WriteByte(c)
	}
	return out.String()
}
