package rosie

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Limits bound what one scan may cost. A field that is zero or negative has its default. Other limits than the
// defaults change the stamps of files (see [Stamp]), because they change how files are read. Messages name a limit by
// its field in lower case, with dashes: file, front-matter, json-nodes.
type Limits struct {
	// File is the size of one file, in bytes: 1 MiB. A larger file is listed and not read.
	File int64
	// FrontMatter is the size of a front matter, and of the fields kept of a piece of evidence, in bytes: 64 KiB.
	FrontMatter int
	// Depth is how deep lists and maps may nest in YAML and JSON: 32.
	Depth int
	// Nodes is how many values one front matter may hold: 10,000.
	Nodes int
	// JSONNodes is how many values one JSON document may hold: 100,000. Test results list every test case.
	JSONNodes int
	// Links is how many links one artifact may declare: 1,000.
	Links int
	// Members is how many files one evidence package may hold: 1,000.
	Members int
	// Entries is how many entries one risk log may hold: 5,000.
	Entries int
	// Findings is how many findings are listed of the tree, and of each artifact: 1,000. A last one counts the rest.
	Findings int
	// Files is how many files and directories a scan may list below .gxp/: 250,000. More is a fault.
	Files int
	// Bytes is how many bytes a scan may read: 256 MiB. More is a fault.
	Bytes int64
}

// DefaultLimits returns the limits that apply unless the operator sets others.
func DefaultLimits() Limits {
	return Limits{
		File:        1 << 20,
		FrontMatter: 64 << 10,
		Depth:       32,
		Nodes:       10_000,
		JSONNodes:   100_000,
		Links:       1_000,
		Members:     1_000,
		Entries:     5_000,
		Findings:    1_000,
		Files:       250_000,
		Bytes:       256 << 20,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	return Limits{
		File:        cmp.Or(max(l.File, 0), d.File),
		FrontMatter: cmp.Or(max(l.FrontMatter, 0), d.FrontMatter),
		Depth:       cmp.Or(max(l.Depth, 0), d.Depth),
		Nodes:       cmp.Or(max(l.Nodes, 0), d.Nodes),
		JSONNodes:   cmp.Or(max(l.JSONNodes, 0), d.JSONNodes),
		Links:       cmp.Or(max(l.Links, 0), d.Links),
		Members:     cmp.Or(max(l.Members, 0), d.Members),
		Entries:     cmp.Or(max(l.Entries, 0), d.Entries),
		Findings:    cmp.Or(max(l.Findings, 0), d.Findings),
		Files:       cmp.Or(max(l.Files, 0), d.Files),
		Bytes:       cmp.Or(max(l.Bytes, 0), d.Bytes),
	}
}

// Set returns the limits that are not the defaults, by the name that messages use.
func (l Limits) Set() map[string]int64 {
	l, d := l.withDefaults(), DefaultLimits()
	set, defaults := map[string]int64{}, named(&d)
	for name, limit := range named(&l) {
		if limit.get() != defaults[name].get() {
			set[name] = limit.get()
		}
	}
	return set
}

// Over returns l with what it does not set taken from other.
func (l Limits) Over(other Limits) Limits {
	given := named(&l)
	for name, limit := range named(&other) {
		if set := given[name]; set.get() <= 0 {
			set.set(limit.get())
		}
	}
	return l
}

// LimitsOf returns the limits with these values by name, as [Limits.Set] gives them. The others are 0, for their defaults.
func LimitsOf(set map[string]int64) (Limits, error) {
	var l Limits
	known := named(&l)
	for name, n := range set {
		limit, ok := known[name]
		if !ok || n <= 0 {
			return Limits{}, fmt.Errorf("limit %q of %d: expected a number above 0 for one of %s", name, n, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		limit.set(n)
	}
	return l, nil
}

// LimitNames returns the names of all limits, sorted.
func LimitNames() []string { return slices.Sorted(maps.Keys(named(&Limits{}))) }

// namedLimit is one limit.
type namedLimit struct {
	get func() int64
	set func(int64)
}

// named returns each limit by the name that messages use.
func named(l *Limits) map[string]namedLimit {
	bytes := func(to *int64) namedLimit { return namedLimit{func() int64 { return *to }, func(n int64) { *to = n }} }
	count := func(to *int) namedLimit {
		return namedLimit{func() int64 { return int64(*to) }, func(n int64) { *to = int(min(n, math.MaxInt)) }}
	}
	return map[string]namedLimit{
		"file": bytes(&l.File), "front-matter": count(&l.FrontMatter), "depth": count(&l.Depth), "nodes": count(&l.Nodes),
		"json-nodes": count(&l.JSONNodes), "links": count(&l.Links), "members": count(&l.Members), "entries": count(&l.Entries),
		"findings": count(&l.Findings), limitFiles: count(&l.Files), limitBytes: bytes(&l.Bytes),
	}
}

// The limits of the whole scan: they fail a scan and change no reading.
const (
	limitFiles = "files"
	limitBytes = "bytes"
)

// suffix is what the limits add to a stamp: a hash over the names and values of those that were set, so that a limit which
// a later reader adds changes no stamp.
func (l Limits) suffix() string {
	set := l.Set()
	delete(set, limitFiles)
	delete(set, limitBytes)
	if len(set) == 0 {
		return ""
	}
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(set)) {
		_, _ = fmt.Fprintf(h, "%s=%d\n", name, set[name]) // a hash never fails
	}
	return "+limits:" + hex.EncodeToString(h.Sum(nil)[:8])
}

// The longest texts that go into an event, in runes. What is longer is cut, with a finding; the bytes of the file are
// kept whole.
const (
	maxTitle   = 500
	maxID      = 200
	maxClaim   = 200
	maxTerm    = 100
	maxMessage = 400
)

// limitError is the error of a limit of the whole scan.
type limitError struct {
	what    string // "bytes"
	setting string
	limit   int64
	found   int64
}

func (e *limitError) Error() string {
	return fmt.Sprintf("the .gxp/ directory holds at least %d %s, and a scan may read %d: raise the limit %q, or take out what does not belong there",
		e.found, e.what, e.limit, e.setting)
}
