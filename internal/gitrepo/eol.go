package gitrepo

import (
	"bytes"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// lineEnds is what git does with the ends of lines of a file, when it takes it from disk.
type lineEnds int

const (
	keepLines   lineEnds = iota // nothing
	guessText                   // CR LF becomes LF in a file that looks like text
	convertText                 // CR LF becomes LF
)

// cleaning is what git does to a file between the disk and its objects.
type cleaning struct {
	ends     lineEnds
	ident    bool   // $Id: ...$ becomes $Id$
	filter   string // the program that would run, or ""
	encoding string // the encoding on disk, or ""
}

// cleaningOf takes it from the attributes of a file and from core.autocrlf. See gitattributes(5) and convert.c.
func cleaningOf(given map[string]string, autocrlf bool) cleaning {
	var c cleaning
	text, ok := lineAttribute(given["text"])
	if !ok {
		text, ok = lineAttribute(given["crlf"]) // its name before 2010
	}
	eol := given["eol"]
	switch {
	case ok && text == keepLines:
	case ok:
		c.ends = text
	case eol == "lf" || eol == "crlf":
		c.ends = convertText
	case autocrlf:
		c.ends = guessText
	}
	c.ident = given["ident"] == attributeSet
	if filter, ok := given["filter"]; ok && !strings.HasPrefix(filter, "\x00") {
		c.filter = filter
	}
	if encoding := given["working-tree-encoding"]; encoding != "" && !strings.HasPrefix(encoding, "\x00") && !textEncoding(encoding).isUTF8() {
		c.encoding = encoding
	}
	return c
}

func lineAttribute(value string) (lineEnds, bool) {
	switch value {
	case attributeSet, "input":
		return convertText, true
	case attributeUnset:
		return keepLines, true
	case "auto":
		return guessText, true
	}
	return keepLines, false
}

// clean returns what git would store for data. committed are the bytes that it has stored for the file before: a file
// that was stored with CR LF keeps them where git guesses.
func (c cleaning) clean(data []byte, committed func() ([]byte, error)) ([]byte, error) {
	ends := c.ends
	if ends == guessText && bytes.Contains(data, []byte("\r\n")) {
		before, err := committed()
		if err != nil {
			return nil, err
		}
		if !looksText(data) || bytes.Contains(before, []byte("\r\n")) && looksText(before) {
			ends = keepLines
		}
	}
	if ends != keepLines {
		data = convertLines(data)
	}
	if c.ident {
		data = cleanIdent(data)
	}
	return data, nil
}

func convertLines(data []byte) []byte { return bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")) }

// looksText guesses as git's convert.c does: no lone CR, no NUL, and at most one control character among 128.
func looksText(data []byte) bool {
	printable, odd := 0, 0
	for i, b := range data {
		switch {
		case b == '\r':
			if i+1 == len(data) || data[i+1] != '\n' {
				return false
			}
		case b == '\n':
		case b == 0:
			return false
		case b == '\b' || b == '\t' || b == 0x1b || b == '\f':
			printable++
		case b < ' ' || b == 0x7f:
			odd++
		default:
			printable++
		}
	}
	if len(data) > 0 && data[len(data)-1] == 0x1a {
		odd-- // the end of a file of DOS
	}
	return printable>>7 >= odd
}

// cleanIdent takes out what git has put into $Id$.
func cleanIdent(data []byte) []byte {
	var out []byte
	for {
		i := bytes.Index(data, []byte("$Id:"))
		if i < 0 {
			return append(out, data...)
		}
		out = append(out, data[:i+3]...)
		data = data[i+3:]
		end := bytes.IndexAny(data, "$\n")
		if end >= 0 && data[end] == '$' {
			out, data = append(out, '$'), data[end+1:]
		}
	}
}

func blobID(data []byte) string { return plumbing.ComputeHash(plumbing.BlobObject, data).String() }
