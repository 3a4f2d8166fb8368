package render

import "unicode/utf8"

// Harmless reports whether data is text that a terminal shows and does nothing else with: lines and tabs of visible
// characters.
func Harmless(data []byte) bool {
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 || r != '\n' && r != '\t' && !visible(r) {
			return false
		}
		data = data[size:]
	}
	return true
}
