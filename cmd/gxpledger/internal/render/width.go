package render

import (
	"unicode"

	"golang.org/x/text/width"
)

// Width returns how many columns of a terminal s takes, when it has passed [Text].
func Width(s string) int {
	if plain(s) {
		return len(s)
	}
	columns := 0
	for _, r := range s {
		columns += runeWidth(r)
	}
	return columns
}

func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case wide(r):
		return 2
	}
	return 1
}

// wide reports whether r takes two columns: East Asian width W and F, emoji among them, of Unicode annex 11.
func wide(r rune) bool {
	kind := width.LookupRune(r).Kind()
	return kind == width.EastAsianWide || kind == width.EastAsianFullwidth
}

// Truncate cuts s to at most so many columns. What it cuts it replaces by "…".
func Truncate(s string, columns int) string {
	if Width(s) <= columns {
		return s
	}
	if columns < 1 {
		return ""
	}
	left := columns - 1
	for i, r := range s {
		w := runeWidth(r)
		if w > left {
			return s[:i] + "…"
		}
		left -= w
	}
	return s
}
