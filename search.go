package gxpledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections/query"
)

// SearchRequest says what to look for in the files of a view.
type SearchRequest struct {
	// Text is looked for as it is, on one line. Two characters are equal when Unicode's simple case folding maps them to one:
	// "é" and "É" are, "é" and "e" or "ß" and "ss" are not, and neither are two normal forms of one character. Required.
	Text string
	// Scope chooses repositories.
	Scope query.Scope
	// Limit is how many matches are returned; 0 for [SearchLimit]. The others are counted.
	Limit int
}

// SearchLimit is how many matches a search returns when nothing else is asked for.
const SearchLimit = 1000

// Match is a line of a file that holds what was looked for.
type Match struct {
	query.File

	Line int `json:"line"` // from 1; 0 in a file that is no text
	// Text is the line, or what of a very long one is around the match. It is hostile until neutralised.
	Text string `json:"text,omitempty"`
}

// Found is what a search found.
type Found struct {
	Matches []Match `json:"matches"` // in the order of repositories, paths and lines
	More    int     `json:"more"`    // matches beyond the limit
	Files   int     `json:"files"`   // that were read
	// Unread are the files whose bytes were not kept, so that it is not known whether they hold the text.
	Unread []query.File `json:"unread"`
}

// Search looks for a text in the bytes of every file that the view shows: of artifacts of all kinds, in evidence packages, and
// files that could not be parsed. It reads one file at a time, each content once, and waits for the log. Errors: one that matches [ErrInvalid] for
// a text that no line can hold, [eventstore.ErrNotFound] for a content that the log lacks, and those of the log.
func (v *View) Search(ctx context.Context, r SearchRequest) (Found, error) {
	found := Found{Matches: []Match{}, Unread: []query.File{}}
	if r.Text == "" || strings.ContainsAny(r.Text, "\r\n") {
		return found, fmt.Errorf("cannot search: %w: a text to look for has one line", ErrInvalid)
	}
	limit := r.Limit
	if limit <= 0 {
		limit = SearchLimit
	}
	files, err := v.Files(ctx, r.Scope)
	if err != nil {
		return found, err
	}
	read := map[string]hits{} // by content
	for _, f := range files {
		if f.ContentSHA256 == "" {
			found.Unread = append(found.Unread, f)
			continue
		}
		left := limit - len(found.Matches) // which only falls, so that what is kept of a content is enough for the next file with it
		of, known := read[f.ContentSHA256]
		if !known {
			data, err := v.log.Content(ctx, f.ContentSHA256)
			if err != nil {
				if errors.Is(err, eventstore.ErrNotFound) {
					err = fmt.Errorf("the log does not hold the content %s of %s: %w", f.ContentSHA256, f.Path, err)
				}
				return found, err
			}
			of = searchContent(data, r.Text, left)
			read[f.ContentSHA256] = of
		}
		found.Files++
		for _, m := range of.first[:min(left, len(of.first))] {
			m.File = f
			found.Matches = append(found.Matches, m)
		}
		found.More += max(0, of.count-left)
	}
	return found, nil
}

// hits are the lines of a content that hold a text.
type hits struct {
	count int
	first []Match
}

// searchContent finds the lines of a content that hold a text, and keeps the first of them, at most so many. It finds one line 0
// in what is no text.
func searchContent(data []byte, text string, keep int) hits {
	var found hits
	add := func(line int, text string) {
		if found.count++; found.count <= keep {
			found.first = append(found.first, Match{Line: line, Text: text})
		}
	}
	folded := fold([]byte(text))
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		if bytes.Contains(fold(data), folded) {
			add(0, "")
		}
		return found
	}
	number := 0
	for line := range bytes.Lines(data) {
		number++
		line = bytes.TrimRight(line, "\r\n")
		if before, _, holds := bytes.Cut(fold(line), folded); holds {
			add(number, around(line, utf8.RuneCount(before)))
		}
	}
	return found
}

// longestMatch is how many bytes of a line a match shows, around what was found.
const longestMatch = 240

// fold maps each character to one that stands for all that simple case folding takes for the same. Other bytes stay.
func fold(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 {
			out = append(out, text[0])
		} else {
			out = utf8.AppendRune(out, foldRune(r))
		}
		text = text[size:]
	}
	return out
}

// foldRune returns the least of the characters that fold to the same.
func foldRune(r rune) rune {
	least := r
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		least = min(least, other)
	}
	return least
}

// around cuts a long line to what is around its character at an index.
func around(line []byte, index int) string {
	if len(line) <= longestMatch {
		return string(line)
	}
	at := 0
	for range index {
		_, size := utf8.DecodeRune(line[at:])
		at += size
	}
	start := max(0, at-longestMatch/3)
	end := min(len(line), start+longestMatch)
	for start > 0 && !utf8.RuneStart(line[start]) {
		start--
	}
	for end < len(line) && !utf8.RuneStart(line[end]) {
		end++
	}
	text := string(line[start:end])
	if start > 0 {
		text = "..." + text
	}
	if end < len(line) {
		text += "..."
	}
	return text
}
