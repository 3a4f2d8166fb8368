package gitrepo

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"

	"github.com/go-git/go-git/v5/plumbing"
)

// openLoose opens an object in a file of its own: "TYPE SIZE\x00" and the content, deflated. go-git's reader of these has
// no limit on what the header inflates to, so this is our own.
func openLoose(dir *gitDir, path string) (*content, error) {
	file, err := dir.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoObject
	}
	if err != nil {
		return nil, err
	}
	inflated, err := zlib.NewReader(file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	out, err := looseHeader(inflated)
	if err != nil {
		return nil, errors.Join(err, inflated.Close(), file.Close())
	}
	out.ReadCloser = &loose{Reader: io.MultiReader(out.ReadCloser, inflated), zlib: inflated, file: file}
	return out, nil
}

// looseHeader reads type and size. What it read beyond them is in the content.
func looseHeader(inflated io.Reader) (*content, error) {
	const longest = 32 // "commit " and 20 digits fit
	start := make([]byte, longest)
	n, err := io.ReadFull(inflated, start)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	head, rest, ok := bytes.Cut(start[:n], []byte{0})
	name, digits, spaced := bytes.Cut(head, []byte{' '})
	if !ok || !spaced {
		return nil, fmt.Errorf("loose object begins with %q: want a type and a size", head)
	}
	typ, err := plumbing.ParseObjectType(string(name))
	if err != nil {
		return nil, err
	}
	size, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil || size < 0 {
		return nil, fmt.Errorf("loose object of size %q: want a number", digits)
	}
	return &content{ReadCloser: io.NopCloser(bytes.NewReader(rest)), typ: typ, size: size}, nil
}

// loose is the rest of a loose object's file.
type loose struct {
	io.Reader
	zlib, file io.Closer
}

// Close frees the file.
func (l *loose) Close() error { return errors.Join(l.zlib.Close(), l.file.Close()) }
