package domain

import (
	"strconv"
	"strings"
)

// NewerReader reports whether a file was read by a newer version of the same reader under one stamp than under another. A
// stamp is the name of a reader and its version, then marks of what it was given: rosie/2+keys:3f0a. The marks do not
// matter here. A stamp of another form is neither newer nor older.
func NewerReader(before, after string) bool {
	name, older, known := readerVersion(before)
	same, newer, knownToo := readerVersion(after)
	return known && knownToo && name == same && newer > older
}

func readerVersion(stamp string) (name string, version int, known bool) {
	reader, _, _ := strings.Cut(stamp, "+")
	name, number, _ := strings.Cut(reader, "/")
	version, err := strconv.Atoi(number)
	return name, version, err == nil && version > 0
}
