package gitrepo

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/gxpledger/gxpledger/domain"
)

const (
	maxMessage = 4 << 10
	maxName    = 1 << 10
)

// claims copies what a commit says of itself. Nothing of it is verified.
func claims(into *domain.Source, commit *object.Commit) {
	latin := isLatin1(string(commit.Encoding))
	into.Commit = commit.Hash.String()
	into.Tree = commit.TreeHash.String()
	into.Author = person(commit.Author, latin)
	into.Committer = person(commit.Committer, latin)
	into.Message = text(commit.Message, latin, maxMessage)
}

func person(s object.Signature, latin textEncoding) *domain.Person {
	return &domain.Person{Name: text(s.Name, latin, maxName), Email: text(s.Email, latin, maxName), When: storable(s.When)}
}

// textEncoding is how a commit's text is encoded.
type textEncoding int

const (
	utf8Text textEncoding = iota
	latin1Text
)

func isLatin1(name string) textEncoding {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "iso-8859-1", "iso8859-1", "latin1", "latin-1":
		return latin1Text
	}
	return utf8Text
}

// text returns valid UTF-8 of at most limit bytes, cut at a rune.
func text(s string, encoding textEncoding, limit int) string {
	if encoding == latin1Text {
		var b strings.Builder
		for i := range min(len(s), limit) {
			b.WriteRune(rune(s[i]))
		}
		s = b.String()
	}
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// storable returns t, or the nearest thing to it that JSON can hold: a commit may claim any second since the beginning
// of the universe, in a zone of any width. A time that cannot be said at all is the zero time.
func storable(t time.Time) time.Time {
	for _, try := range []time.Time{t, t.UTC()} {
		if _, err := try.MarshalJSON(); err == nil {
			return try
		}
	}
	return time.Time{}
}
