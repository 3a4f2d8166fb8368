package rosie

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
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
	set := map[string]int64{}
	for name, pair := range map[string][2]int64{
		"file":         {l.File, d.File},
		"front-matter": {int64(l.FrontMatter), int64(d.FrontMatter)},
		"depth":        {int64(l.Depth), int64(d.Depth)},
		"nodes":        {int64(l.Nodes), int64(d.Nodes)},
		"json-nodes":   {int64(l.JSONNodes), int64(d.JSONNodes)},
		"links":        {int64(l.Links), int64(d.Links)},
		"members":      {int64(l.Members), int64(d.Members)},
		"entries":      {int64(l.Entries), int64(d.Entries)},
		"findings":     {int64(l.Findings), int64(d.Findings)},
		limitFiles:     {int64(l.Files), int64(d.Files)},
		limitBytes:     {l.Bytes, d.Bytes},
	} {
		if pair[0] != pair[1] {
			set[name] = pair[0]
		}
	}
	return set
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
