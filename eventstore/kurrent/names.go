package kurrent

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Names of streams that are not batches'. Stored form: they must not be changed.
const (
	contentPrefix = "content-"
	logStream     = "gxpledger-log"
	systemPrefix  = "$"
)

// names turns names of the log into names on the server and back.
type names struct{ prefix string }

func (n names) stream(id eventstore.StreamID) string { return n.prefix + string(id) }
func (n names) content(sha256 string) string         { return n.prefix + contentPrefix + sha256 }
func (n names) log() string                          { return n.prefix + logStream }

// batches returns the name in the log of a stream on the server that holds batches.
func (n names) batches(stream string) (eventstore.StreamID, bool) {
	name, ok := strings.CutPrefix(stream, n.prefix)
	return eventstore.StreamID(name), ok && name != "" && !reserved(name)
}

// owns reports whether a stream on the server is of the log: of batches, of a content, or its own.
func (n names) owns(stream string) bool {
	return strings.HasPrefix(stream, n.prefix) && !strings.HasPrefix(stream, systemPrefix)
}

// reserved reports whether no batch may have a stream of that name.
func reserved(name string) bool {
	return slices.ContainsFunc(reservedPrefixes(), func(p string) bool { return strings.HasPrefix(name, p) })
}

func reservedPrefixes() []string { return []string{contentPrefix, logStream, systemPrefix} }

// filter chooses, on the server, at least the streams of batches whose names begin with prefix. It is an expression also
// where a prefix would say the same: a server compares prefixes by the rules of a language, in which "e" does not begin an
// "e" with a combining accent, and the log compares bytes.
func (n names) filter(prefix string) *filter {
	if reserved(prefix) || len(prefix) > eventstore.MaxName {
		return &filter{regex: "^$"} // none: every stream has a name
	}
	for !utf8.ValidString(prefix) { // no request can hold it, and a name may go on where it ends in a character
		prefix = prefix[:len(prefix)-1]
	}
	var rest []string // what may not follow prefix
	for _, p := range reservedPrefixes() {
		if r, ok := strings.CutPrefix(p, prefix); ok {
			rest = append(rest, r)
		}
	}
	return &filter{regex: "^" + regexp.QuoteMeta(n.prefix+prefix) + without(rest)}
}

// contents chooses, on the server, the streams of contents.
func (n names) contents() *filter {
	return &filter{prefixes: []string{n.prefix + contentPrefix}}
}

// guests chooses, on the server, at least the streams below the prefix that others than the engine may write.
func (n names) guests() *filter {
	not := []string{contentPrefix, eventstore.RepositoryPrefix}
	if n.prefix == "" {
		not = append(not, systemPrefix)
	}
	return &filter{regex: "^" + regexp.QuoteMeta(n.prefix) + without(not)}
}

// without returns an expression for the beginnings of all texts that begin with none of words. It has no lookahead:
// servers that filter with RE2 know none. The words are not empty, and none begins with another.
func without(words []string) string {
	if len(words) == 0 {
		return ""
	}
	rests := map[byte][]string{}
	var first []byte
	for _, w := range words {
		if _, ok := rests[w[0]]; !ok {
			first = append(first, w[0])
			rests[w[0]] = nil
		}
		if len(w) > 1 {
			rests[w[0]] = append(rests[w[0]], w[1:])
		}
	}
	var b strings.Builder
	b.WriteString("(?:$|[^")
	for _, c := range first {
		fmt.Fprintf(&b, `\x%02x`, c)
	}
	b.WriteString("]")
	for _, c := range first {
		if len(rests[c]) > 0 {
			fmt.Fprintf(&b, `|\x%02x%s`, c, without(rests[c]))
		}
	}
	b.WriteString(")")
	return b.String()
}
