package cli

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gxpledger/gxpledger/domain/rosie"
	"github.com/gxpledger/gxpledger/internal/spelling"
)

// limits is the flag --limit NAME=N.
type limits struct {
	reading rosie.Limits // zero where the default applies
	fetch   int64
	given   []string
}

// limit is one that can be set.
type limit struct {
	name string
	set  func(n int64)
}

func (l *limits) known() []limit {
	bytes := func(name string, to *int64) limit { return limit{name, func(n int64) { *to = n }} }
	count := func(name string, to *int) limit { return limit{name, func(n int64) { *to = int(min(n, math.MaxInt)) }} }
	r := &l.reading
	return []limit{
		bytes("file", &r.File), count("front-matter", &r.FrontMatter), count("depth", &r.Depth), count("nodes", &r.Nodes),
		count("json-nodes", &r.JSONNodes), count("links", &r.Links), count("members", &r.Members), count("entries", &r.Entries),
		count("findings", &r.Findings), count("files", &r.Files), bytes("bytes", &r.Bytes), bytes("fetch", &l.fetch),
	}
}

// Set accepts NAME=N, where N may end in KiB, MiB or GiB.
func (l *limits) Set(value string) error {
	name, number, ok := strings.Cut(value, "=")
	known := l.known()
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = k.name
	}
	at := slices.Index(names, name)
	if at < 0 {
		want := "want one of " + strings.Join(names, ", ") + ", and a number, such as files=500000"
		if near := spelling.Nearest(name, names, 1); len(near) > 0 {
			want = "did you mean " + near[0] + "?"
		}
		return wrongValue("%s", want)
	}
	n, valid := parseAmount(number)
	if !ok || !valid {
		return wrongValue("want %s=N, with N above 0, such as %s=5000 or %s=64MiB", name, name, name)
	}
	known[at].set(n)
	l.given = append(l.given, value)
	return nil
}

// String lists what was given.
func (l *limits) String() string { return strings.Join(l.given, " ") }

// Type shows the form.
func (*limits) Type() string { return "NAME=N" }

// parseAmount reads a positive number with an optional unit.
func parseAmount(text string) (int64, bool) {
	shift := 0
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		if digits, ok := strings.CutSuffix(text, unit); ok {
			text, shift = digits, 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64>>shift {
		return 0, false
	}
	return n << shift, true
}
