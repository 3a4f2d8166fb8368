package tables

import (
	"strconv"
	"unicode/utf8"

	"github.com/gxpledger/gxpledger/domain"
)

// sentence builds one line of plain text that is safe to print (I13). Text that a stranger could have written goes
// through quote; nothing else reaches it but words of this package. Its memory is used again after reset.
type sentence struct{ buf []byte }

func (s *sentence) reset()         { s.buf = s.buf[:0] }
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

// quoteLimit is the number of bytes of foreign text that a sentence quotes at most.
const quoteLimit = 200

// quote appends foreign text in double quotes: cut, and whatever is not plainly visible escaped as Go does.
func (s *sentence) quote(foreign string) *sentence {
	cut := ""
	if len(foreign) > quoteLimit {
		end := quoteLimit
		for end > 0 && !utf8.RuneStart(foreign[end]) {
			end--
		}
		foreign, cut = foreign[:end], "..."
	}
	if plain(foreign) {
		s.buf = append(s.buf, '"')
		s.buf = append(s.buf, foreign...)
		s.buf = append(s.buf, '"')
	} else {
		s.buf = strconv.AppendQuote(s.buf, foreign)
	}
	return s.text(cut)
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
	s.text(kindName(kind))
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
