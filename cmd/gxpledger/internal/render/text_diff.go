package render

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff"

	"github.com/gxpledger/gxpledger/domain/trace"
)

// What a text diff is bounded by. Beyond, it says so.
const (
	// MaxDiffSize is how many bytes a file may have to be compared line by line.
	MaxDiffSize = 1 << 20
	// MaxDiffs is how many files one answer compares.
	MaxDiffs = 1000

	maxDiffLines   = 400 // of one file
	longestInDiff  = 200 // characters of a line
	diffContext    = 3   // unchanged lines around a change
	sniffedForText = 8000
)

// TextDiff is what text changed from one content to another.
type TextDiff struct {
	OldSHA256 string `json:"old_sha256"`
	NewSHA256 string `json:"new_sha256"`
	// Unified holds the hunks of a unified diff. It is hostile until neutralised.
	Unified string `json:"unified,omitempty"`
	// Note says why there is none, or not all of it.
	Note string `json:"note,omitempty"`
}

// NewTextDiff compares two contents.
func NewTextDiff(oldSHA256, newSHA256 string, before, after []byte) TextDiff {
	d := TextDiff{OldSHA256: oldSHA256, NewSHA256: newSHA256}
	switch {
	case IsBinary(before) || IsBinary(after):
		d.Note = fmt.Sprintf("binary: not compared line by line; %d bytes before, %d bytes after", len(before), len(after))
		return d
	case len(before) > MaxDiffSize || len(after) > MaxDiffSize:
		d.Note = fmt.Sprintf("too large to compare line by line: %d bytes before, %d bytes after, at most %d", len(before), len(after), MaxDiffSize)
		return d
	}
	unified, err := udiff.ToUnified("", "", string(before), udiff.Lines(string(before), string(after)), diffContext)
	if err != nil {
		d.Note = "not compared line by line: " + err.Error()
		return d
	}
	var kept []string
	lines, cut := 0, 0
	for line := range strings.SplitSeq(strings.TrimSuffix(unified, "\n"), "\n") {
		if lines++; lines <= 2 { // the names of the files, which are none
			continue
		}
		if lines > maxDiffLines+2 {
			cut++
			continue
		}
		if n := utf8.RuneCountInString(line); n > longestInDiff {
			line = string([]rune(line)[:longestInDiff]) + fmt.Sprintf("... (%d characters)", n)
		}
		kept = append(kept, line)
	}
	if len(kept) > 0 {
		d.Unified = strings.Join(kept, "\n") + "\n"
	}
	if cut > 0 {
		d.Note = fmt.Sprintf("%s more of the diff: see gxpledger content %s and %s", Count(cut, "line"), Short(oldSHA256), Short(newSHA256))
	}
	return d
}

// NoTextDiff is a comparison that was not made.
func NoTextDiff(oldSHA256, newSHA256, note string) TextDiff {
	return TextDiff{OldSHA256: oldSHA256, NewSHA256: newSHA256, Note: note}
}

// IsBinary reports whether data is no text: it has a zero byte near its beginning, or is not UTF-8.
func IsBinary(data []byte) bool {
	return bytes.IndexByte(data[:min(len(data), sniffedForText)], 0) >= 0 || !utf8.Valid(data)
}

// TextDiffs are text diffs by what they compare.
type TextDiffs map[[2]string]TextDiff

// of returns the diff that belongs to a change of bytes.
func (d TextDiffs) of(c trace.Change) (TextDiff, bool) {
	pair, ok := ChangedContent(c)
	if !ok {
		return TextDiff{}, false
	}
	diff, ok := d[pair]
	return diff, ok
}

// ChangedContent returns the SHA-256 of the bytes before and after a change, if it is one of bytes that are on both sides.
func ChangedContent(c trace.Change) (pair [2]string, ok bool) {
	if c.Op != trace.OpChanged || c.Area != trace.AreaContent && c.Area != trace.AreaMember {
		return pair, false
	}
	return [2]string{trace.Text(c.Old), trace.Text(c.New)}, true
}

// showTextDiff writes a diff, line by line. Blanks at the end of a line stay, since they may be what changed.
func showTextDiff(screen *Screen, indent string, d TextDiff) {
	if d.Unified != "" {
		for _, line := range diffLines(d.Unified) {
			style := map[string]Style{"plus": Good, "minus": Bad, "hunk": Faint}[line.Class]
			screen.write(indent + screen.paint(style, Text(line.Text)) + "\n")
		}
	}
	if d.Note != "" {
		screen.Line(indent+"%s", Faint.Of(d.Note))
	}
}
