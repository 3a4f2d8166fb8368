package eventstore

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName is the number of bytes that the name of a stream or of an event type may have.
const MaxName = 1 << 10

// CheckName refuses what cannot name a stream or an event type: a name is UTF-8 text of 1 to MaxName bytes without control
// characters (those of Unicode's category Cc: U+0000 to U+001F and U+007F to U+009F). Two names are the same if their bytes
// are: case counts, and no form of Unicode is normalised. A name may hold characters that do not show or that turn the
// direction of writing: whoever prints it escapes them.
func CheckName(name string) error {
	switch {
	case name == "" || len(name) > MaxName:
		return fmt.Errorf("of %d bytes: want 1 to %d", len(name), MaxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("%.200q: want UTF-8 text without control characters", name)
	default:
		return nil
	}
}

// Validate refuses what [CheckName] does.
func (s StreamID) Validate() error {
	if err := CheckName(string(s)); err != nil {
		return fmt.Errorf("stream name %w", err)
	}
	return nil
}
