package gitrepo

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"

	"github.com/gxpledger/gxpledger/domain"
)

const (
	maxMessage = 4 << 10
	maxName    = 1 << 10
)

// claims copies what a commit says of itself. Nothing of it is verified.
func claims(into *domain.Source, id string, commit *commitObject) {
	in := textEncoding(commit.encoding)
	into.Commit = id
	into.Tree = commit.tree.String()
	into.Author = person(commit.author, in)
	into.Committer = person(commit.committer, in)
	message := commit.message
	texts := []string{commit.author.name, commit.author.email, commit.committer.name, commit.committer.email, message}
	into.Message = cut(in.warning(texts)+in.decode(message), maxMessage)
}

func person(s signature, in textEncoding) *domain.Person {
	return &domain.Person{Name: text(s.name, in, maxName), Email: text(s.email, in, maxName), When: storable(s.when)}
}

// textEncoding is the name of the encoding of a commit's text, as the commit gives it.
type textEncoding string

const utf8Text textEncoding = ""

// text returns valid UTF-8 of at most limit bytes, cut at a rune.
func text(s string, in textEncoding, limit int) string { return cut(in.decode(s), limit) }

func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// decode returns s in UTF-8. Nothing is lost where that is impossible, because the encoding is unknown or the bytes are
// none of it: then bytes that are no text stand as \xNN, and a backslash is doubled.
func (e textEncoding) decode(s string) string {
	decoded, ok := e.try(s)
	if ok {
		return decoded
	}
	_, known := e.find()
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case r < utf8.RuneSelf, e.isUTF8() && known && (r != utf8.RuneError || size > 1):
			b.WriteRune(r)
		default:
			size = 1
			fmt.Fprintf(&b, `\x%02x`, s[0])
		}
		s = s[size:]
	}
	return b.String()
}

// warning says that some of the texts had to be written as bytes; "" when none had.
func (e textEncoding) warning(texts []string) string {
	for _, s := range texts {
		if _, ok := e.try(s); ok {
			continue
		}
		const longest = 40
		name := cut(fmt.Sprintf("%q", strings.ToValidUTF8(string(e), "?")), longest)
		switch _, known := e.find(); {
		case !known:
			return fmt.Sprintf(`[encoding %s is unknown; bytes are written as \xNN] `, name)
		case e.isUTF8():
			return `[not valid UTF-8, and no other encoding is given; bytes are written as \xNN] `
		default:
			return fmt.Sprintf(`[not valid in the encoding %s; bytes are written as \xNN] `, name)
		}
	}
	return ""
}

// try returns s in UTF-8, unless that would lose something.
func (e textEncoding) try(s string) (string, bool) {
	if isASCII(s) && !strings.HasPrefix(e.name(), "iso-2022") && !strings.HasPrefix(e.name(), "hz") {
		return s, true // those two write other letters in ASCII
	}
	known, ok := e.find()
	switch {
	case !ok:
		return "", false
	case known == nil:
		return s, utf8.ValidString(s)
	}
	decoded, err := known.NewDecoder().String(s)
	return decoded, err == nil && !strings.ContainsRune(decoded, utf8.RuneError)
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

func (e textEncoding) isUTF8() bool {
	switch e.name() {
	case "", "utf-8", "utf8":
		return true
	}
	return false
}

func (e textEncoding) name() string { return strings.ToLower(strings.TrimSpace(string(e))) }

// find returns the encoding of that name, nil for UTF-8. ISO-8859-1 is what its name says, not what browsers make of it.
func (e textEncoding) find() (encoding.Encoding, bool) {
	name := e.name()
	if e.isUTF8() {
		return nil, true
	}
	switch name {
	case "latin-1", "iso8859-1", "iso_8859-1", "iso88591":
		return charmap.ISO8859_1, true
	case "cp932":
		name = "shift_jis"
	case "cp949":
		name = "euc-kr"
	case "cp936":
		name = "gbk"
	case "eucjp":
		name = "euc-jp"
	case "euckr":
		name = "euc-kr"
	}
	if found, err := ianaindex.IANA.Encoding(name); err == nil && found != nil {
		return found, true
	}
	found, err := htmlindex.Get(name)
	return found, err == nil && found != encoding.Replacement
}

// storable returns t, or the nearest thing to it that JSON can hold: a commit may claim any second since the beginning
// of the universe, in a zone of any width. A time that cannot be represented is the zero time.
func storable(t time.Time) time.Time {
	for _, try := range []time.Time{t, t.UTC()} {
		if _, err := try.MarshalJSON(); err == nil {
			return try
		}
	}
	return time.Time{}
}
