package rosie

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// parseJSON parses one JSON document. It keeps numbers as their text and the order of keys, refuses a repeated key,
// since two readers would disagree on what it says, and stops at the limits while it parses. The standard library
// keeps neither order nor repetitions; it is the oracle of the fuzz test.
func parseJSON(data []byte, limits *Limits) (value, error) {
	if err := checkUTF8(data); err != nil {
		return value{}, err
	}
	p := &jsonParser{data: withoutBOM(data), limits: limits}
	v, err := p.value(0)
	if err != nil {
		return value{}, err
	}
	if p.space(); p.at < len(p.data) {
		return value{}, p.fault(p.at, "there is text after the JSON document: expected its end")
	}
	return v, nil
}

// parseObject is parseJSON for a document that must be an object.
func parseObject(data []byte, limits *Limits) (value, error) {
	v, err := parseJSON(data, limits)
	if err == nil && v.form != formMap {
		return value{}, malformedAt(1, 1, "the document is not a JSON object: expected {...}")
	}
	return v, err
}

// jsonParser reads the grammar of RFC 8259, and nothing else.
type jsonParser struct {
	data   []byte
	at     int // the next byte
	limits *Limits
	nodes  int
}

func (p *jsonParser) fault(at int, format string, args ...any) error {
	line, column := position(p.data, at)
	return malformedAt(line, column, format, args...)
}

func (p *jsonParser) space() {
	for p.at < len(p.data) && strings.IndexByte(" \t\r\n", p.data[p.at]) >= 0 {
		p.at++
	}
}

// next returns the next byte that is no space, without taking it; 0 at the end.
func (p *jsonParser) next() byte {
	p.space()
	if p.at == len(p.data) {
		return 0
	}
	return p.data[p.at]
}

func (p *jsonParser) value(depth int) (value, error) {
	first := p.next()
	p.nodes++
	switch {
	case p.nodes > p.limits.JSONNodes:
		return value{}, p.fault(p.at, "the document holds more than %d values: raise the limit \"json-nodes\" if it must", p.limits.JSONNodes)
	case depth > p.limits.Depth:
		return value{}, p.fault(p.at, "lists and objects nest more than %d deep", p.limits.Depth)
	}
	switch first {
	case '{':
		return p.object(depth)
	case '[':
		return p.list(depth)
	case '"':
		text, err := p.text()
		return value{form: formText, text: text}, err
	case 'n':
		return value{}, p.word("null")
	case 't':
		return value{form: formBool, text: "true"}, p.word("true")
	case 'f':
		return value{form: formBool, text: "false"}, p.word("false")
	}
	return p.number()
}

func (p *jsonParser) word(word string) error {
	if !bytes.HasPrefix(p.data[p.at:], []byte(word)) {
		return p.unexpected("a value")
	}
	p.at += len(word)
	return nil
}

func (p *jsonParser) unexpected(wanted string) error {
	if p.at == len(p.data) {
		return p.fault(p.at, "the JSON document ends too early: expected %s", wanted)
	}
	r := []rune(string(p.data[p.at:min(p.at+4, len(p.data))]))[0]
	return p.fault(p.at, "this is not JSON: found %q, expected %s", r, wanted)
}

func (p *jsonParser) list(depth int) (value, error) {
	v := value{form: formList}
	p.at++
	if p.next() == ']' {
		p.at++
		return v, nil
	}
	for {
		item, err := p.value(depth + 1)
		if err != nil {
			return value{}, err
		}
		v.items = append(v.items, item)
		if more, err := p.more(']'); err != nil || !more {
			return v, err
		}
	}
}

func (p *jsonParser) object(depth int) (value, error) {
	v := value{form: formMap}
	p.at++
	if p.next() == '}' {
		p.at++
		return v, nil
	}
	seen := make(map[string]struct{})
	for {
		key, err := p.key(seen)
		if err != nil {
			return value{}, err
		}
		item, err := p.value(depth + 1)
		if err != nil {
			return value{}, err
		}
		v.keys, v.items = append(v.keys, key), append(v.items, item)
		if more, err := p.more('}'); err != nil || !more {
			return v, err
		}
	}
}

// more takes the comma before another item, or the end of a list or object.
func (p *jsonParser) more(end byte) (bool, error) {
	switch p.next() {
	case ',':
		p.at++
		return true, nil
	case end:
		p.at++
		return false, nil
	}
	return false, p.unexpected("a comma or " + string(end))
}

// key takes a key and the colon behind it.
func (p *jsonParser) key(seen map[string]struct{}) (string, error) {
	if p.next() != '"' {
		return "", p.unexpected("a key in quotes")
	}
	start := p.at
	key, err := p.text()
	if err != nil {
		return "", err
	}
	if _, repeated := seen[key]; repeated {
		short, _ := cut(key, maxTerm)
		return "", p.fault(start, "the key %q is repeated: expected each key once", short)
	}
	seen[key] = struct{}{}
	if p.next() != ':' {
		return "", p.unexpected("a colon")
	}
	p.at++
	return key, nil
}

// text takes a string in quotes. Escapes are left to the standard library.
func (p *jsonParser) text() (string, error) {
	start := p.at
	escaped := false
	for p.at++; p.at < len(p.data); p.at++ {
		switch c := p.data[p.at]; {
		case c == '"':
			p.at++
			quoted := p.data[start:p.at]
			if !escaped {
				return string(quoted[1 : len(quoted)-1]), nil
			}
			var text string
			if err := json.Unmarshal(quoted, &text); err != nil {
				return "", p.fault(start, "this is not a JSON string: %v", err)
			}
			return text, p.checkEscapes(start, quoted)
		case c == '\\':
			escaped = true
			p.at++
		case c < ' ':
			return "", p.unexpected("visible text, or an escape,")
		}
	}
	p.at = len(p.data)
	return "", p.fault(start, "the JSON string is not closed: expected a quote at its end")
}

// checkEscapes refuses what the standard library lets pass: half of a surrogate pair, which it turns into U+FFFD, so that
// two texts become one; and control characters, which are not accepted unescaped either. Tabs and line ends are.
func (p *jsonParser) checkEscapes(start int, quoted []byte) error {
	for i := 0; i < len(quoted); i++ {
		if quoted[i] != '\\' {
			continue
		}
		at := start + i
		i++
		switch quoted[i] {
		case 'b', 'f':
			return p.fault(at, "the escape \\%c gives a control character: expected visible text", quoted[i])
		case 'u':
			unit := codeUnit(quoted[i+1:])
			i += 4
			switch {
			case unit < ' ' && unit != '\t' && unit != '\n' && unit != '\r':
				return p.fault(at, "the escape \\u%04x gives a control character: expected visible text", unit)
			case !utf16.IsSurrogate(unit):
			case bytes.HasPrefix(quoted[i+1:], []byte(`\u`)) && utf16.DecodeRune(unit, codeUnit(quoted[i+3:])) != utf8.RuneError:
				i += 6
			default:
				return p.fault(at, "the escape \\u%04x is half of a surrogate pair: expected a whole character", unit)
			}
		}
	}
	return nil
}

// codeUnit is the value of the four hexadecimal digits that data starts with.
func codeUnit(data []byte) rune {
	unit, err := strconv.ParseUint(string(data[:4]), 16, 16)
	if err != nil {
		return utf8.RuneError
	}
	return rune(unit)
}

// number takes a number and keeps its text.
func (p *jsonParser) number() (value, error) {
	start := p.at
	p.take("-")
	if whole := p.digits(); whole == 0 || whole > 1 && p.data[p.at-whole] == '0' {
		p.at = start
		return value{}, p.unexpected("a value")
	}
	if p.take(".") && p.digits() == 0 {
		return value{}, p.unexpected("a digit")
	}
	if p.take("eE") {
		p.take("+-")
		if p.digits() == 0 {
			return value{}, p.unexpected("a digit")
		}
	}
	return value{form: formNumber, text: string(p.data[start:p.at])}, nil
}

// take takes one of these bytes, if it is next.
func (p *jsonParser) take(set string) bool {
	if p.at < len(p.data) && strings.IndexByte(set, p.data[p.at]) >= 0 {
		p.at++
		return true
	}
	return false
}

func (p *jsonParser) digits() int {
	start := p.at
	for p.take("0123456789") { // taking is all there is to do
	}
	return p.at - start
}
