package rosie

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// The longest path that is read, and the longest name that common systems hold, in bytes.
const (
	maxName = 255
	maxPath = 1024
)

// oddName says why what has this name, or slash-separated path, is not read; "" when nothing speaks against it. It is not
// read when the name leads elsewhere, cannot be stored as text, or has an effect on what shows it. A likeness to another name, or
// a system that cannot hold it, is no reason: see [nameRemark].
func oddName(name string) string {
	if !utf8.ValidString(name) {
		return "it is not UTF-8"
	}
	if strings.ContainsFunc(name, isControl) {
		return "it holds characters that control a terminal, end a line or turn the direction of text"
	}
	if strings.Contains(name, `\`) {
		return "it holds a backslash, which is a separator elsewhere"
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "" || part == "." || part == "..":
			return "it leads elsewhere"
		case strings.EqualFold(part, ".git") || strings.EqualFold(part, "git~1"):
			return "it is the name of a git directory"
		}
	}
	return ""
}

// isControl reports characters that do something to the text around them: control characters, separators of lines, and those
// that embed, override or isolate a direction.
func isControl(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// foldName maps names that some systems hold for one to the same text: those that are canonically equivalent, and those
// that differ in case alone (Unicode 3.13, D145).
func foldName(name string) string {
	return norm.NFC.String(cases.Fold().String(norm.NFD.String(name)))
}
