package gitrepo

import (
	"bufio"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// longestChain bounds how many deltas are between an object and its base. git itself makes delta chains of at most 4095.
const longestChain = 4096

// pack is one pack file with its index. It is not safe for concurrent use.
type pack struct {
	file  billy.File
	index idxfile.Index
	pack  *packfile.Packfile
	sizes map[int64]int64 // of the objects that were asked for and of their bases, by offset
	peek  io.ReadCloser   // inflates the beginnings of deltas; nil until the first
}

// openPack opens path.pack and path.idx. A file that is gone is fs.ErrNotExist.
func openPack(dir billy.Filesystem, path string, objects cache.Object) (*pack, error) {
	file, err := dir.Open(path + ".pack")
	if err != nil {
		return nil, err
	}
	index, err := readIndex(dir, path+".idx")
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return newPack(dir, file, index, objects), nil
}

func newPack(dir billy.Filesystem, file billy.File, index idxfile.Index, objects cache.Object) *pack {
	return &pack{
		file: file, index: index, sizes: make(map[int64]int64),
		pack: packfile.NewPackfileWithCache(index, dir, file, objects, streamAbove),
	}
}

// readIndex decodes an index of version 1 or 2, after a look at whether it can hold as many entries as it claims.
func readIndex(dir billy.Filesystem, path string) (index *idxfile.MemoryIndex, err error) {
	defer contain(&err)
	info, err := dir.Stat(path)
	if err != nil {
		return nil, err
	}
	file, err := dir.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // nothing was written
	var start [8]byte
	if _, err := file.ReadAt(start[:], 0); err != nil {
		return nil, fmt.Errorf("pack index %s is too short: %w", path, err)
	}
	header, entry := int64(0), int64(4+20)
	versioned := [4]byte(start[:]) == [4]byte{0xff, 't', 'O', 'c'}
	if versioned {
		header, entry = 8, 20+4+4
	}
	const fanout, trailer = 256 * 4, 2 * 20
	var total [4]byte
	if _, err := file.ReadAt(total[:], header+fanout-4); err != nil {
		return nil, fmt.Errorf("pack index %s is too short: %w", path, err)
	}
	claimed := binary.BigEndian.Uint32(total[:])
	if needed := header + fanout + int64(claimed)*entry + trailer; needed > info.Size() {
		return nil, fmt.Errorf("pack index %s claims %d objects in %d bytes", path, claimed, info.Size())
	}
	if versioned {
		index = idxfile.NewMemoryIndex()
		err = idxfile.NewDecoder(file).Decode(index)
	} else {
		index, err = firstVersion(io.NewSectionReader(file, fanout, info.Size()-fanout), claimed)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot decode pack index %s: %w", path, err)
	}
	return index, nil
}

// firstVersion decodes what follows the fan-out of an index of version 1, which go-git does not know: offsets and ids in
// pairs, then the checksum of the pack.
func firstVersion(file io.Reader, count uint32) (*idxfile.MemoryIndex, error) {
	buffered := bufio.NewReader(file)
	writer := &idxfile.Writer{}
	if err := writer.OnHeader(count); err != nil {
		return nil, err
	}
	for range count {
		var entry struct {
			Offset uint32
			ID     plumbing.Hash
		}
		if err := binary.Read(buffered, binary.BigEndian, &entry); err != nil {
			return nil, err
		}
		writer.Add(entry.ID, uint64(entry.Offset), 0)
	}
	var checksum plumbing.Hash
	if _, err := io.ReadFull(buffered, checksum[:]); err != nil {
		return nil, err
	}
	if err := writer.OnFooter(checksum); err != nil {
		return nil, err
	}
	return writer.Index()
}

// size returns the size of the object at offset. It follows the chain of deltas that the object is made of, each link once
// in the life of p, and refuses a chain with a link so large that rebuilding the object could exhaust memory. This has
// to happen before go-git rebuilds anything, since it holds every link in memory.
func (p *pack) size(offset int64) (int64, error) {
	var chain []packEntry
	for at := offset; ; {
		if len(chain) > longestChain {
			return 0, fmt.Errorf("delta chain of more than %d objects", longestChain)
		}
		if size, ok := p.sizes[at]; ok {
			return p.resolve(chain, size)
		}
		entry, err := p.entry(at)
		if err != nil {
			return 0, err
		}
		if !entry.isDelta {
			p.sizes[at] = entry.length
			return p.resolve(chain, entry.length)
		}
		if entry.length > maxBase {
			return 0, tooLarge("delta", entry.length)
		}
		chain = append(chain, entry)
		at = entry.base
	}
}

// resolve finds the sizes along a chain, from the base up.
func (p *pack) resolve(chain []packEntry, size int64) (int64, error) {
	for _, entry := range slices.Backward(chain) {
		if size > maxBase {
			return 0, tooLarge("base of a delta", size)
		}
		var err error
		if size, err = p.target(entry); err != nil {
			return 0, err
		}
		p.sizes[entry.at] = size
	}
	return size, nil
}

func tooLarge(what string, size int64) error {
	return problem(ErrTooLarge, nil, "a pack of the repository has a %s of %d bytes: more than %d are not read; git repack -a -d -f "+
		"with core.bigFileThreshold=%d changes that", what, size, maxBase, streamAbove)
}

// open returns the content of the object at offset: at once when it is small, else as a stream.
func (p *pack) open(offset int64) (*content, error) {
	if _, err := p.size(offset); err != nil {
		return nil, err
	}
	object, err := p.pack.GetByOffset(offset)
	if err != nil {
		return nil, err
	}
	reader, err := object.Reader()
	if err != nil {
		return nil, err
	}
	return &content{ReadCloser: reader, typ: object.Type(), size: object.Size()}, nil
}

func (p *pack) close() error { return p.file.Close() }

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
