package tables

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gxpledger/gxpledger/domain"
)

// sentence builds one line of plain text that is safe to print (I13). Text that a stranger could have written goes
// through quote; nothing else reaches it but words of this package. Its memory is used again after reset.
type sentence struct{ buf []byte }

func (s *sentence) String() string { return string(s.buf) }

func (s *sentence) text(own string) *sentence {
	s.buf = append(s.buf, own...)
	return s
}

func (s *sentence) number(n int) *sentence {
	s.buf = strconv.AppendInt(s.buf, int64(n), 10)
	return s
}

// count says how many there are of what.
func (s *sentence) count(n int, what string) *sentence {
	s.number(n).text(" ").text(what)
	if n != 1 {
		s.text("s")
	}
	return s
}

// The number of bytes of foreign text that a sentence repeats at most.
const (
	quoteLimit = 200
	tellLimit  = 400
)

// quote appends foreign text in double quotes: cut, and whatever is not plainly visible escaped as Go does.
func (s *sentence) quote(foreign string) *sentence {
	kept := cut(foreign, quoteLimit)
	if plain(kept) {
		s.text(`"`).text(kept).text(`"`)
	} else {
		s.buf = strconv.AppendQuote(s.buf, kept)
	}
	return s.ellipsis(kept, foreign)
}

// tell appends a sentence that the engine made around foreign text, without its full stop: cut, and whatever is not
// plainly visible escaped.
func (s *sentence) tell(sentence string) {
	sentence = strings.TrimSuffix(sentence, ".")
	kept := cut(sentence, tellLimit)
	for _, r := range kept {
		if r == '"' || r == '\'' {
			s.buf = append(s.buf, byte(r))
			continue
		}
		quoted := strconv.AppendQuoteRune(s.buf, r)
		s.buf = append(quoted[:len(s.buf)], quoted[len(s.buf)+1:len(quoted)-1]...)
	}
	s.ellipsis(kept, sentence)
}

// ellipsis shows that not the whole text was kept.
func (s *sentence) ellipsis(kept, whole string) *sentence {
	if len(kept) < len(whole) {
		s.text("...")
	}
	return s
}

// cut returns what fits of text in limit bytes, without a broken character.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// plain reports whether text is visible ASCII and blanks, with nothing to escape: the common case.
func plain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// artifact names an artifact by kind, id and title, as far as it has them.
func (s *sentence) artifact(kind domain.Kind, id, title string) *sentence {
	s.text(kind.Info().One)
	if id != "" {
		s.text(" ").quote(id)
	}
	if title != "" {
		s.text(", ").quote(title).text(",")
	}
	return s
}

func (s *sentence) at(k domain.Key) *sentence { return s.text(" at ").key(k) }

func (s *sentence) key(k domain.Key) *sentence {
	s.quote(k.Path)
	if k.Ordinal != 0 {
		s.text(", entry ").number(k.Ordinal)
	}
	return s
}

// scan names a scan by number, repository and revision.
func (s *sentence) scan(h *domain.Head) *sentence {
	s.text("scan ").number(h.Number).text(" of repository ").quote(h.Repository.Name)
	switch {
	case h.Source.Worktree:
		s.text(" as it lay on disk")
	case h.Source.Commit != "":
		s.text(" at commit ").quote(h.Source.Commit)
	}
	return s
}
