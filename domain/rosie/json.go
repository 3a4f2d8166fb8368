package rosie

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// parseJSON parses one JSON document. It keeps numbers as their text and the order of keys, and refuses a repeated
// key, since two readers would disagree on what it says, and anything behind the document.
func parseJSON(data []byte, limits *Limits) (value, error) {
	if err := checkUTF8(data); err != nil {
		return value{}, err
	}
	data = withoutBOM(data)
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		return value{}, jsonFault(data, err)
	}
	r := &jsonReader{data: data, dec: json.NewDecoder(bytes.NewReader(data)), limits: limits}
	r.dec.UseNumber()
	return r.value(0)
}

// parseObject is parseJSON for a document that must be an object.
func parseObject(data []byte, limits *Limits) (value, error) {
	v, err := parseJSON(data, limits)
	if err == nil && v.form != formMap {
		return value{}, malformedAt(1, 1, "the document is not a JSON object: expected {...}")
	}
	return v, err
}

func jsonFault(data []byte, err error) error {
	var syntax *json.SyntaxError
	offset := int64(len(data))
	if errors.As(err, &syntax) {
		offset = syntax.Offset - 1
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return malformedAt(1, 1, "the document is empty: expected JSON")
	}
	line, column := position(data, int(offset))
	return malformedAt(line, column, "this is not JSON: %v", err)
}

// jsonReader builds values from the tokens of a document that is known to be valid.
type jsonReader struct {
	data   []byte
	dec    *json.Decoder
	limits *Limits
	nodes  int
}

func (r *jsonReader) value(depth int) (value, error) {
	start := r.dec.InputOffset()
	token, err := r.dec.Token()
	if err != nil {
		return value{}, r.fault(start, "this is not JSON: %v", err)
	}
	r.nodes++
	switch {
	case r.nodes > r.limits.JSONNodes:
		return value{}, r.fault(start, "the document holds more than %d values", r.limits.JSONNodes)
	case depth > r.limits.Depth:
		return value{}, r.fault(start, "lists and objects nest more than %d deep", r.limits.Depth)
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			return r.object(depth)
		}
		return r.list(depth)
	case json.Number:
		return value{form: formNumber, text: token.String()}, nil
	case string:
		return value{form: formText, text: token}, nil
	case bool:
		if token {
			return value{form: formBool, text: "true"}, nil
		}
		return value{form: formBool, text: "false"}, nil
	}
	return value{}, nil
}

func (r *jsonReader) list(depth int) (value, error) {
	v := value{form: formList}
	for r.dec.More() {
		item, err := r.value(depth + 1)
		if err != nil {
			return value{}, err
		}
		v.items = append(v.items, item)
	}
	return v, r.close()
}

func (r *jsonReader) object(depth int) (value, error) {
	v := value{form: formMap}
	seen := make(map[string]bool)
	for r.dec.More() {
		start := r.dec.InputOffset()
		token, err := r.dec.Token()
		if err != nil {
			return value{}, r.fault(start, "this is not JSON: %v", err)
		}
		key, ok := token.(string)
		if !ok || seen[key] {
			return value{}, r.fault(start, "the key %q is repeated: expected each key once", key)
		}
		seen[key] = true
		item, err := r.value(depth + 1)
		if err != nil {
			return value{}, err
		}
		v.keys, v.items = append(v.keys, key), append(v.items, item)
	}
	return v, r.close()
}

// close reads the end of a list or object.
func (r *jsonReader) close() error {
	if _, err := r.dec.Token(); err != nil && !errors.Is(err, io.EOF) {
		return r.fault(r.dec.InputOffset(), "this is not JSON: %v", err)
	}
	return nil
}

// fault reports at the token that starts at or after offset.
func (r *jsonReader) fault(offset int64, format string, args ...any) error {
	rest := r.data[offset:]
	offset += int64(len(rest) - len(bytes.TrimLeft(rest, " \t\r\n,:")))
	line, column := position(r.data, int(offset))
	return malformedAt(line, column, format, args...)
}
