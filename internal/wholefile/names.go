package wholefile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Names gives each path of a repository a place in a folder, which any file system keeps apart from all others (I17):
//
//   - a part of a path stays as it is where it holds letters, digits, blanks and . _ - alone; other bytes, and what some systems
//     take for something else (a part that is dots alone, a dot or blank at the end, the names of devices), become %XX, as in URLs
//   - a part of more than 200 bytes is cut, and ends in %~ and digits of its SHA-256; a path of more than 1,000 bytes is named by its SHA-256
//   - of places that differ by case alone, and of a file where another has a folder, the later ones are below %~2, %~3 and so on
//
// The zero value is ready to use.
type Names struct {
	files, folders map[string]bool // folded
}

const (
	longestPart = 200
	longestPath = 1000
)

// Place returns the place of a path, separated by slashes: a valid path below the folder, whatever the path is. Each call
// returns another one.
func (n *Names) Place(path string) string {
	if n.files == nil {
		n.files, n.folders = map[string]bool{}, map[string]bool{}
	}
	place := safePath(path)
	if n.take(place) {
		return place
	}
	for i := 2; ; i++ {
		if other := fmt.Sprintf("%%~%d/%s", i, place); n.take(other) {
			return other
		}
	}
}

// take reserves a place, unless another is in its way.
func (n *Names) take(place string) bool {
	folded := foldName(place)
	if n.files[folded] || n.folders[folded] {
		return false
	}
	var above []string
	for i, c := range folded {
		if c == '/' {
			above = append(above, folded[:i])
		}
	}
	for _, folder := range above {
		if n.files[folder] {
			return false
		}
	}
	for _, folder := range above {
		n.folders[folder] = true
	}
	n.files[folded] = true
	return true
}

// foldName maps names that differ by case alone to one.
func foldName(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			least = min(least, other)
		}
		return least
	}, name)
}

func safePath(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		parts[i] = safePart(part)
	}
	safe := strings.Join(parts, "/")
	if len(safe) > longestPath {
		return "%~" + digest(path)
	}
	return safe
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// device is a name that Windows takes for a device, whatever follows its first dot.
var device = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9]|conin|conout|clock)( *)(\.|$)`)

func safePart(part string) string {
	if part == "" {
		return "%"
	}
	var out strings.Builder
	first := strings.Trim(part, ".") == "" || device.MatchString(part)
	for i := 0; i < len(part); {
		r, size := utf8.DecodeRuneInString(part[i:])
		last := i+size == len(part)
		keep := unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '-' || (r == '.' || r == ' ') && !last
		if keep && (i > 0 || !first) && (r != utf8.RuneError || size > 1) {
			out.WriteString(part[i : i+size])
		} else {
			for _, b := range []byte(part[i : i+size]) {
				fmt.Fprintf(&out, "%%%02X", b)
			}
		}
		i += size
	}
	safe := out.String()
	if len(safe) <= longestPart {
		return safe
	}
	const kept, digits = 120, 32
	cut := kept
	for !utf8.RuneStart(safe[cut]) {
		cut--
	}
	return safe[:cut] + "%~" + digest(part)[:digits]
}
