package rosie

import (
	"encoding/json"
	"slices"
	"strings"
)

// form is what a value is.
type form uint8

const (
	formNull form = iota
	formText
	formNumber
	formBool
	formList
	formMap
)

// value is a YAML or JSON value as it was written: a scalar is its text, a map keeps the order of its keys.
type value struct {
	form  form
	line  int // in the file, from 1; 0 when unknown
	text  string
	keys  []string // of a map, beside items
	items []value
}

func (v value) scalar() bool { return v.form == formText || v.form == formNumber || v.form == formBool }

// at returns the value of a key, exactly; the zero value, a null, when it is absent.
func (v value) at(key string) value {
	if i := slices.Index(v.keys, key); i >= 0 {
		return v.items[i]
	}
	return value{}
}

// field returns the value of the first of these keys that is there and not null. Each key is looked for in snake_case,
// as given, and in camelCase.
func (v value) field(keys ...string) value {
	for _, key := range keys {
		for _, spelling := range []string{key, camel(key)} {
			if found := v.at(spelling); found.form != formNull {
				return found
			}
		}
	}
	return value{}
}

// fieldText is the text of a field; "" when it is absent or not a scalar.
func (v value) fieldText(keys ...string) string { return v.field(keys...).text }

// without returns v less a key.
func (v value) without(key string) value {
	i := slices.Index(v.keys, key)
	if i < 0 {
		return v
	}
	v.keys = slices.Delete(slices.Clone(v.keys), i, i+1)
	v.items = slices.Delete(slices.Clone(v.items), i, i+1)
	return v
}

// with returns v with another value for a key that it has.
func (v value) with(key string, item value) value {
	if i := slices.Index(v.keys, key); i >= 0 {
		v.items = slices.Clone(v.items)
		v.items[i] = item
	}
	return v
}

// equal compares two values as JSON does: the order of keys says nothing, everything else must be the same text.
func (v value) equal(other value) bool {
	if v.form != other.form || v.text != other.text || len(v.items) != len(other.items) {
		return false
	}
	if v.form != formMap {
		return slices.EqualFunc(v.items, other.items, value.equal)
	}
	index := make(map[string]value, len(other.keys))
	for i, key := range other.keys {
		index[key] = other.items[i]
	}
	for i, key := range v.keys {
		item, ok := index[key]
		if !ok || !v.items[i].equal(item) {
			return false
		}
	}
	return true
}

// appendJSON appends v as JSON, in the very form that encoding/json gives: scalars as strings, null as null.
func (v value) appendJSON(dst []byte) []byte {
	switch v.form {
	case formNull:
		return append(dst, "null"...)
	case formText, formNumber, formBool:
		return appendString(dst, v.text)
	case formList:
		dst = append(dst, '[')
		for i, item := range v.items {
			dst = item.appendJSON(appendComma(dst, i))
		}
		return append(dst, ']')
	case formMap:
		dst = append(dst, '{')
		for i, key := range v.keys {
			dst = append(appendString(appendComma(dst, i), key), ':')
			dst = v.items[i].appendJSON(dst)
		}
		return append(dst, '}')
	}
	return dst
}

func appendComma(dst []byte, i int) []byte {
	if i == 0 {
		return dst
	}
	return append(dst, ',')
}

func appendString(dst []byte, s string) []byte {
	if strings.IndexFunc(s, needsEscape) < 0 {
		return append(append(append(dst, '"'), s...), '"')
	}
	quoted, err := json.Marshal(s)
	if err != nil {
		return append(dst, `""`...) // a string always marshals
	}
	return append(dst, quoted...)
}

func needsEscape(r rune) bool {
	return r < ' ' || r >= 0x7f || strings.ContainsRune(`"\<>&`, r)
}

// camel spells a snake_case key in camelCase.
func camel(key string) string {
	head, rest, found := strings.Cut(key, "_")
	for found {
		var word string
		word, rest, found = strings.Cut(rest, "_")
		if word != "" {
			head += strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return head
}
