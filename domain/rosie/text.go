package rosie

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gxpledger/gxpledger/domain"
)

// malformedError says where and why a file could not be parsed.
type malformedError struct {
	line, column int // from 1, in characters; 0 when unknown
	text         string
}

func (m *malformedError) Error() string { return m.text }

func malformedAt(line, column int, format string, args ...any) error {
	text, _ := cut(fmt.Sprintf(format, args...), maxMessage)
	return &malformedError{line: line, column: column, text: text}
}

// cut returns the first runes of s, and whether anything was left off. The text left is a copy: a short piece must not
// keep a whole file in memory.
func cut(s string, runes int) (string, bool) {
	if len(s) <= runes {
		return s, false
	}
	n := 0
	for i := range s {
		if n == runes {
			return strings.Clone(s[:i]), true
		}
		n++
	}
	return s, false
}

// term is a word of a controlled vocabulary; nil for the empty text.
func term(raw string) *domain.Term {
	if raw == "" {
		return nil
	}
	words := strings.FieldsFunc(strings.ToLower(raw), func(r rune) bool {
		return r == '-' || r == '_' || strings.ContainsRune(" \t\r\n\u00a0", r)
	})
	return &domain.Term{Raw: raw, Normal: strings.Join(words, "_")}
}

// position returns the line and column, in characters, of an offset into data.
func position(data []byte, offset int) (line, column int) {
	before := string(data[:min(max(offset, 0), len(data))])
	line = 1 + strings.Count(before, "\n")
	return line, 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
}

// checkUTF8 refuses data that is not valid UTF-8, at its first bad byte.
func checkUTF8(data []byte) error {
	if utf8.Valid(data) {
		return nil
	}
	offset := 0
	for offset < len(data) {
		r, size := utf8.DecodeRune(data[offset:])
		if r == utf8.RuneError && size <= 1 {
			break
		}
		offset += size
	}
	line, column := position(data, offset)
	return malformedAt(line, column, "the byte 0x%02x is not UTF-8: save the file as UTF-8", data[offset])
}

// withoutBOM returns data without the byte order mark that some editors put first.
func withoutBOM(data []byte) []byte { return bytes.TrimPrefix(data, []byte("\ufeff")) }
