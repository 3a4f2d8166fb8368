package rosie

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The longest names that common systems hold, in bytes.
const (
	maxName = 255
	maxPath = 1024
)

// oddName says what is wrong with a name, or a slash-separated path, that some system cannot hold or that hides
// something; "" when nothing is.
func oddName(name string) string {
	if !utf8.ValidString(name) {
		return "it is not UTF-8"
	}
	if strings.IndexFunc(name, hidden) >= 0 {
		return "it holds control or invisible characters"
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
		case len(part) > maxName:
			return "it is longer than 255 bytes"
		}
	}
	return ""
}

// hidden reports characters that do not show: control, format (among them those that turn the direction of text),
// separators of lines, and private use.
func hidden(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co)
}

// foldName maps names that differ in case alone to the same text.
func foldName(name string) string { return strings.ToLower(strings.ToUpper(name)) }

// blurName maps names that may be the same in another Unicode form to the same text: an accented letter and its plain
// letter with a mark behind it both become one placeholder. It is used only to compare a name with marks to others.
func blurName(name string) string {
	var b strings.Builder
	runes := []rune(foldName(name))
	for i, r := range runes {
		switch {
		case unicode.Is(unicode.Mn, r):
		case r > unicode.MaxASCII || i+1 < len(runes) && unicode.Is(unicode.Mn, runes[i+1]):
			b.WriteRune(utf8.RuneError)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func marked(name string) bool {
	return strings.IndexFunc(name, func(r rune) bool { return unicode.Is(unicode.Mn, r) }) >= 0
}

// collisions returns, for each of these sibling names that is taken for another one, that other name. Of the names that
// some systems hold for one, the last in byte order stays, which is the one with the most lower case.
func collisions(names []string) map[string]string {
	taken := make(map[string]string)
	folded, blurred := make(map[string]string), make(map[string]string)
	anyMarked := slices.ContainsFunc(names, marked)
	for _, name := range slices.Backward(names) {
		if other, ok := folded[foldName(name)]; ok {
			taken[name] = other
			continue
		}
		folded[foldName(name)] = name
		if !anyMarked {
			continue
		}
		blur := blurName(name)
		if other, ok := blurred[blur]; ok && marked(name) != marked(other) {
			taken[name] = other
			continue
		}
		blurred[blur] = name
	}
	return taken
}
