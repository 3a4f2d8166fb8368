package gitrepo

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
)

// openLoose opens an object in a file of its own: "TYPE SIZE\x00" and the content, deflated. go-git's reader of these has
// no limit on what the header inflates to, so this is our own.
func openLoose(dir sealed, path string, inflaters *sync.Pool) (*content, error) {
	file, err := dir.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoObject
	}
	if err != nil {
		return nil, err
	}
	inflated, err := inflate(file, inflaters)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	out, err := looseHeader(inflated)
	if err != nil {
		return nil, errors.Join(err, inflated.Close(), file.Close())
	}
	out.ReadCloser = &loose{Reader: io.MultiReader(out.ReadCloser, inflated), zlib: inflated, file: file, inflaters: inflaters}
	return out, nil
}

// inflate returns what a file inflates to. Making a reader takes as long as inflating a small object, so one whose use is
// over is taken from inflaters when there is one.
func inflate(file io.Reader, inflaters *sync.Pool) (io.ReadCloser, error) {
	if used, ok := inflaters.Get().(interface {
		io.ReadCloser
		zlib.Resetter
	}); ok {
		return used, used.Reset(file, nil)
	}
	return zlib.NewReader(file)
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
	inflaters  *sync.Pool
}

// Close frees the file. Closing twice is harmless, and reading afterwards finds nothing.
func (l *loose) Close() error {
	if l.zlib == nil {
		return nil
	}
	err := errors.Join(l.zlib.Close(), l.file.Close())
	l.inflaters.Put(l.zlib)
	l.Reader, l.zlib = bytes.NewReader(nil), nil
	return err
}
