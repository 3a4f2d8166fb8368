package eventstore

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
)

// decodeParsed decodes an ArtifactParsed, the event that nearly all of a log consists of. What Encode writes is read in
// one pass, several times as fast as by encoding/json; anything else is left to that. Both give the same event.
func decodeParsed(data []byte) (domain.Event, error) {
	if e, ok := parsedFromPlain(data); ok {
		return e, nil
	}
	return decodeAs[domain.ArtifactParsed](data)
}

// parsedFromPlain reads the form that Encode gives an ArtifactParsed: its fields in the order of the type, no blanks. It
// reports false for what it does not recognise, which need not be wrong. REQUIRES: data is UTF-8.
func parsedFromPlain(data []byte) (e domain.ArtifactParsed, ok bool) {
	p := plain{data: data}
	p.want("{")
	e.Key = p.key()
	p.want(`,"kind":`)
	e.Kind = domain.Kind(p.text())
	p.optional(`,"gxp_id":`, &e.GxPID)
	p.optional(`,"title":`, &e.Title)
	e.Risk = p.term(`,"risk":{`)
	e.Tier = p.term(`,"tier":{`)
	e.Status = p.term(`,"status":{`)
	e.ValidationStatus = p.term(`,"validation_status":{`)
	e.AssuranceStatus = p.term(`,"assurance_status":{`)
	if p.skip(`,"fields":`) {
		e.Fields = bytes.Clone(p.value())
	}
	p.want(`,"content":{`)
	e.Content = p.content()
	p.want(`},"digest":`)
	e.Digest = p.text()
	e.Links = list(&p, `,"links":[`, (*plain).link)
	e.Members = list(&p, `,"members":[`, (*plain).member)
	p.rest(`,"evidence":`, &e.Evidence)
	p.rest(`,"findings":`, &e.Findings)
	p.want(`,"number":`)
	e.Number = p.number()
	p.want(`,"version":`)
	e.Version = p.number()
	p.want(`,"change":`)
	e.Change = domain.Change(p.text())
	p.optional(`,"previous":`, &e.Previous)
	if p.skip(`,"moved_from":{`) {
		from := p.key()
		e.MovedFrom = &from
		p.want("}")
	}
	e.Shifted = list(&p, `,"shifted":[`, (*plain).shift)
	p.want(`,"stamp":`)
	e.Stamp = p.text()
	p.want(`,"source":`)
	e.Source = p.text()
	p.want("}")
	return e, !p.lost && p.at == len(data)
}

func (p *plain) key() (k domain.Key) {
	p.want(`"path":`)
	k.Path = p.text()
	if p.skip(`,"ordinal":`) {
		k.Ordinal = p.number()
	}
	return k
}

func (p *plain) term(begin string) *domain.Term {
	if !p.skip(begin) {
		return nil
	}
	var t domain.Term
	p.want(`"raw":`)
	t.Raw = p.text()
	p.want(`,"normal":`)
	t.Normal = p.text()
	p.want("}")
	return &t
}

func (p *plain) content() (c domain.Content) {
	p.want(`"sha256":`)
	c.SHA256 = p.text()
	p.want(`,"blob":`)
	c.Blob = p.text()
	p.want(`,"size":`)
	c.Size = int64(p.number())
	return c
}

func (p *plain) link() (l domain.Link) {
	p.want(`{"edge":`)
	l.Edge = domain.Edge(p.text())
	p.want(`,"target":`)
	l.Target = p.text()
	if p.skip(`,"to":{"number":`) {
		l.To = &domain.Ref{Number: p.number()}
		p.want(`,"kind":`)
		l.To.Kind = domain.Kind(p.text())
		p.want("}")
	}
	if p.skip(`,"broken":`) {
		l.Broken = domain.Broken(p.text())
	}
	p.want("}")
	return l
}

func (p *plain) shift() (s domain.Shift) {
	for _, field := range []struct {
		begin string
		value *int
	}{
		{`{"number":`, &s.Number}, {`,"version":`, &s.Version}, {`,"from":`, &s.From}, {`,"to":`, &s.To}, {`,"links":`, &s.Links},
	} {
		p.want(field.begin)
		*field.value = p.number()
	}
	p.want("}")
	return s
}

func (p *plain) member() (m domain.Member) {
	p.want(`{"path":`)
	m.Path = p.text()
	p.want(",")
	m.Content = p.content()
	p.want("}")
	return m
}

// list reads a list of at least one, nil when begin does not stand here.
func list[E any](p *plain, begin string, one func(*plain) E) []E {
	if !p.skip(begin) {
		return nil
	}
	all := []E{one(p)}
	for p.skip(",") {
		all = append(all, one(p))
	}
	p.want("]")
	return all
}

// plain goes through JSON without blanks. What it does not recognise makes it lost, for good: from then on it finds
// nothing more.
type plain struct {
	data []byte
	at   int
	lost bool
}

// skip passes over text if that is next.
func (p *plain) skip(text string) bool {
	if end := p.at + len(text); !p.lost && end <= len(p.data) && string(p.data[p.at:end]) == text {
		p.at = end
		return true
	}
	return false
}

func (p *plain) want(text string) {
	if !p.skip(text) {
		p.lost = true
	}
}

// optional reads the text after name, if that is next.
func (p *plain) optional(name string, into *string) {
	if p.skip(name) {
		*into = p.text()
	}
}

// rest leaves the value behind name to encoding/json, if that is next.
func (p *plain) rest(name string, into any) {
	if p.skip(name) && json.Unmarshal(p.value(), into) != nil {
		p.lost = true
	}
}

// text reads a text.
func (p *plain) text() string {
	from := p.at
	escaped := p.literal()
	if p.lost {
		return ""
	}
	if !escaped {
		return string(p.data[from+1 : p.at-1])
	}
	var s string
	p.lost = json.Unmarshal(p.data[from:p.at], &s) != nil
	return s
}

// literal passes over a text with its quotes, and reports whether it has escapes.
func (p *plain) literal() (escaped bool) {
	p.want(`"`)
	for !p.lost && p.at < len(p.data) {
		c := p.data[p.at]
		p.at++
		switch {
		case c == '"':
			return escaped
		case c < ' ':
			p.lost = true
		case c == '\\':
			escaped = true
			p.escape()
		}
	}
	p.lost = true
	return escaped
}

// escape skips what follows a backslash.
func (p *plain) escape() {
	rest := p.data[p.at:]
	switch {
	case len(rest) > 0 && strings.IndexByte(`"\/bfnrt`, rest[0]) >= 0:
		p.at++
	case len(rest) > 4 && rest[0] == 'u' && len(bytes.Trim(rest[1:5], "0123456789abcdefABCDEF")) == 0:
		p.at += 5
	default:
		p.lost = true
	}
}

// number reads a whole number that is not negative and has at most 9 digits, so that it fits an int everywhere.
func (p *plain) number() (n int) {
	from := p.at
	for p.at < len(p.data) && p.data[p.at] >= '0' && p.data[p.at] <= '9' {
		n = 10*n + int(p.data[p.at]-'0')
		p.at++
	}
	if digits := p.at - from; digits == 0 || digits > 9 || digits > 1 && p.data[from] == '0' {
		p.lost = true
	}
	return n
}

// maxNesting bounds the recursion; values that are nested deeper are left to encoding/json.
const maxNesting = 100

// value passes over any value and returns it, a part of the data.
func (p *plain) value() []byte {
	from := p.at
	p.nested(maxNesting)
	if p.lost {
		return nil
	}
	return p.data[from:p.at]
}

func (p *plain) nested(depth int) {
	if p.lost || depth == 0 || p.at >= len(p.data) {
		p.lost = true
		return
	}
	switch p.data[p.at] {
	case '"':
		p.literal()
	case '{':
		p.each("{", "}", func() {
			p.literal()
			p.want(":")
			p.nested(depth - 1)
		})
	case '[':
		p.each("[", "]", func() { p.nested(depth - 1) })
	default:
		if !p.skip("null") && !p.skip("true") && !p.skip("false") {
			p.number()
		}
	}
}

// each skips what is between begin and end, with a comma between one and the next.
func (p *plain) each(begin, end string, one func()) {
	p.want(begin)
	if p.skip(end) {
		return
	}
	one()
	for p.skip(",") {
		one()
	}
	p.want(end)
}
