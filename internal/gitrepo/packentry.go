package gitrepo

import (
	"compress/zlib"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
)

// packEntry is the header of an object in a pack: three bits of type, a length, and for a delta its base. See
// gitformat-pack(5).
type packEntry struct {
	at      int64 // where the header is
	data    int64 // where the deflated bytes are
	length  int64 // of the inflated bytes: of the object or, for a delta, of the delta
	isDelta bool
	base    int64 // where the base of a delta is
}

// entry reads the header at offset.
func (p *pack) entry(offset int64) (packEntry, error) {
	const longest = 10 + 20 // a length, and an offset or an id
	var buffer [longest]byte
	n, err := p.file.ReadAt(buffer[:], offset)
	if n == 0 {
		return packEntry{}, fmt.Errorf("pack ends at %d, before an object: %w", offset, err)
	}
	header := &varint{rest: buffer[:n]}
	first := header.next()
	entry := packEntry{at: offset, length: int64(first & 0x0f)}
	for shift, b := 4, first; b&0x80 != 0 && shift < 60; shift += 7 {
		b = header.next()
		entry.length |= int64(b&0x7f) << shift
	}
	switch typ := plumbing.ObjectType(first >> 4 & 7); {
	case typ == plumbing.OFSDeltaObject:
		entry.isDelta, entry.base = true, offset-header.distance()
	case typ == plumbing.REFDeltaObject:
		entry.isDelta = true
		id := plumbing.Hash(header.take(20))
		if entry.base, err = p.index.FindOffset(id); err != nil {
			return packEntry{}, fmt.Errorf("base %s of a delta is not in its pack: %w", id, err)
		}
	case !typ.Valid() || typ.IsDelta():
		return packEntry{}, fmt.Errorf("object at %d of the pack is of no type", offset)
	}
	entry.data = offset + int64(n-len(header.rest))
	if header.short || entry.length < 0 || entry.isDelta && (entry.base <= 0 || entry.base == offset) {
		return packEntry{}, fmt.Errorf("object at %d of the pack has no valid header", offset)
	}
	return entry, nil
}

// varint takes numbers from the front of a header.
type varint struct {
	rest  []byte
	short bool // more was taken than there is
}

func (v *varint) next() byte { return v.take(1)[0] }

func (v *varint) take(n int) []byte {
	if len(v.rest) < n {
		v.short = true
		return make([]byte, n)
	}
	taken := v.rest[:n]
	v.rest = v.rest[n:]
	return taken
}

// distance reads how far before a delta its base begins.
func (v *varint) distance() int64 {
	b := v.next()
	far := int64(b & 0x7f)
	for i := 0; b&0x80 != 0 && i < 8; i++ {
		b = v.next()
		far = (far+1)<<7 | int64(b&0x7f)
	}
	return far
}

// target returns the size of what a delta makes: a delta begins with the sizes of its base and of its target.
func (p *pack) target(entry packEntry) (int64, error) {
	const longest = 1 << 16 // the beginning of any deflated stream that inflates to twenty bytes
	deflated := io.NewSectionReader(p.file, entry.data, longest)
	var err error
	if p.peek == nil {
		p.peek, err = zlib.NewReader(deflated)
	} else if reader, ok := p.peek.(zlib.Resetter); ok {
		err = reader.Reset(deflated, nil)
	}
	if err != nil {
		return 0, err
	}
	var start deltaStart
	if _, err := io.CopyN(&start, p.peek, int64(len(start.bytes))); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	return start.target()
}

// deltaStart keeps the first bytes written to it.
type deltaStart struct {
	bytes [20]byte
	n     int
}

// Write never fails.
func (d *deltaStart) Write(b []byte) (int, error) {
	d.n += copy(d.bytes[d.n:], b)
	return len(b), nil
}

// target returns the second of the two sizes.
func (d *deltaStart) target() (int64, error) {
	numbers := &varint{rest: d.bytes[:d.n]}
	var size int64
	for range 2 {
		size = 0
		b := byte(0x80)
		for shift := 0; b&0x80 != 0 && shift < 60; shift += 7 {
			b = numbers.next()
			size |= int64(b&0x7f) << shift
		}
	}
	if numbers.short || size < 0 {
		return 0, errors.New("delta without sizes")
	}
	return size, nil
}
