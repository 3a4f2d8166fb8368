package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"
)

// Document writes v as one indented JSON document. Its values are raw; characters that could act on a terminal are
// written as escapes, which any reader turns back into them.
func Document(w io.Writer, v any) error { return encode(w, v, "  ") }

// Line writes v as JSON in one line.
func Line(w io.Writer, v any) error { return encode(w, v, "") }

func encode(w io.Writer, v any, indent string) error {
	var raw bytes.Buffer
	encoder := json.NewEncoder(&raw)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("encode output: %w", err)
	}
	if _, err := w.Write(escapeJSON(raw.Bytes())); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// escapeJSON escapes what [Text] would not show. In valid JSON such characters are in strings alone, but for the line
// ends and blanks between its parts.
func escapeJSON(raw []byte) []byte {
	if jsonIsPlain(raw) {
		return raw
	}
	out := make([]byte, 0, len(raw)+len(raw)/8)
	for len(raw) > 0 {
		r, size := utf8.DecodeRune(raw)
		switch {
		case r == '\n' || visible(r):
			out = append(out, raw[:size]...)
		case r <= 0xffff:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			const surrogates, high, low = 0x10000, 0xd800, 0xdc00
			r -= surrogates
			out = fmt.Appendf(out, `\u%04x\u%04x`, high+r>>10, low+r&0x3ff)
		}
		raw = raw[size:]
	}
	return out
}

func jsonIsPlain(raw []byte) bool {
	for _, b := range raw {
		if b >= 0x7f {
			return false
		}
	}
	return true
}
