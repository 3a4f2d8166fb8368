package render

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gxpledger/gxpledger/domain/invisible"
)

// maxMarks is how many combining marks may follow each other: more pile up over other lines.
const maxMarks = 8

// Text returns s as one line of visible characters. Controls, line ends, bidirectional and other format characters,
// characters without a shape and bytes that are not UTF-8 become escapes such as \n, \x1b, \u202e or \xff. It returns s
// itself when there is nothing to escape. A backslash stays as it is: the text is for people, and JSON is exact.
func Text(s string) string {
	if plain(s) {
		return s
	}
	var out strings.Builder
	marks := 0
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if unicode.In(r, unicode.Mn, unicode.Me) {
			marks++
		} else {
			marks = 0
		}
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\x%02x`, s[i])
		case visible(r) && marks <= maxMarks:
			out.WriteRune(r)
		default:
			out.WriteString(escape(r))
		}
		i += size
	}
	return out.String()
}

// Word returns a name for a line whose columns are apart by blanks: quoted where it has one, or could be taken for a quoted one.
func Word(name string) string {
	if name == "" || name[0] == '"' || strings.ContainsFunc(name, invisible.Blank) {
		return strconv.Quote(name)
	}
	return name
}

// plain reports whether s is printable ASCII.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// visible reports whether r is safe to show: a letter, mark, number, sign or space that a person can see.
func visible(r rune) bool { return !invisible.Is(r) }

func escape(r rune) string {
	switch {
	case r == '\n':
		return `\n`
	case r == '\r':
		return `\r`
	case r == '\t':
		return `\t`
	case r < 0x80:
		return fmt.Sprintf(`\x%02x`, r)
	case r <= 0xffff:
		return fmt.Sprintf(`\u%04x`, r)
	}
	return fmt.Sprintf(`\U%08x`, r)
}

// FirstLine returns what comes before the first line end of s, without blanks around it. It is not neutralised.
func FirstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(line)
}
