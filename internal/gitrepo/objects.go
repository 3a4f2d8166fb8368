package gitrepo

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

const (
	cacheBytes  = 16 << 20 // of delta bases and small objects
	streamAbove = 1 << 20  // larger objects are never held in memory as a whole
	maxBase     = 64 << 20 // largest object that another may be a delta against, and largest delta
	maxCommit   = 8 << 20  // largest commit or tag
	maxTree     = 64 << 20 // largest tree: about a million entries
	reloads     = 3        // how often the object store is listed again when an object is not where it was
)

var errNoObject = errors.New("object not found")

// objects reads a repository's object store: loose objects and packs, alternates never. It is safe for concurrent use,
// also with a git that repacks the repository at the same time: what is not found is looked for again in a fresh listing.
type objects struct {
	dir      *gitDir // nil for a fetched pack
	mu       sync.Mutex
	cache    cache.Object // guarded by mu, as are the packs
	packs    []*pack
	bad      error    // why a pack cannot be used, or nil
	fresh    bool     // packs were listed since the last reload
	cached   *content // the loose object keptID whose size was asked for, since it is likely the next to be read; or nil
	cachedID plumbing.Hash
	also     func() error // what else close frees, or nil

	inflaters sync.Pool // of readers of loose objects whose use is over
}

func newObjects(dir *gitDir) *objects {
	return &objects{dir: dir, cache: cache.NewObjectLRU(cacheBytes)}
}

// size returns how many bytes an object has, without reading it.
func (o *objects) size(id plumbing.Hash) (int64, error) {
	var size int64
	err := o.find(id, func() error {
		var err error
		size, err = o.sizeOnce(id)
		return err
	})
	return size, err
}

// open returns an object's bytes, which are checked against id as they are read: the last Read of a damaged object fails.
func (o *objects) open(id plumbing.Hash, want plumbing.ObjectType) (*content, error) {
	var out *content
	err := o.find(id, func() error {
		var err error
		if out, err = o.openOnce(id); err != nil {
			return err
		}
		if want != plumbing.AnyObject && out.typ != want {
			return errors.Join(problem(ErrCorrupt, nil, "object %s is a %s where a %s was expected", id, out.typ, want), out.Close())
		}
		return nil
	})
	return out, err
}

// read returns a whole object of at most limit bytes.
func (o *objects) read(id plumbing.Hash, want plumbing.ObjectType, limit int64) (*plumbing.MemoryObject, error) {
	data, err := o.readBytes(id, want, limit)
	if err != nil {
		return nil, err
	}
	whole := &plumbing.MemoryObject{}
	whole.SetType(want)
	_, err = whole.Write(data)
	return whole, err
}

func (o *objects) readBytes(id plumbing.Hash, want plumbing.ObjectType, limit int64) ([]byte, error) {
	size, err := o.size(id)
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, problem(ErrTooLarge, nil, "the %s %s has %d bytes: more than %d are not read", want, id, size, limit)
	}
	content, err := o.open(id, want)
	if err != nil {
		return nil, err
	}
	defer content.Close() //nolint:errcheck // nothing was written
	return io.ReadAll(io.LimitReader(content, limit+1))
}

// find calls try, again with a fresh listing of the store when the object was not where the last one had it.
func (o *objects) find(id plumbing.Hash, try func() error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	var err error
	for again := range 1 + reloads {
		if again > 0 {
			o.reload()
		}
		if err = o.list(); err == nil {
			err = try()
		}
		if !errors.Is(err, errNoObject) && !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return o.explain(id, err)
}

// reload forgets the packs, so that they are listed again. REQUIRES: mu.
func (o *objects) reload() {
	if o.dir == nil {
		return
	}
	for _, p := range o.packs {
		_ = p.close()
	}
	o.packs, o.bad, o.fresh = nil, nil, false
}

// list finds the packs: as git does, whatever pair of files NAME.idx and NAME.pack there is. One that is damaged is left
// out, since its objects may be elsewhere too; it is named when they are not. REQUIRES: mu.
func (o *objects) list() error {
	if o.fresh {
		return nil
	}
	const folder = "objects/pack"
	infos, err := o.dir.common.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, info := range infos {
		name, ok := strings.CutSuffix(info.Name(), ".idx")
		if !ok {
			continue
		}
		p, err := openPack(o.dir.common, o.dir.common.Join(folder, name), o.cache)
		switch {
		case errors.Is(err, fs.ErrNotExist): // git gc removed it; its objects are in another
		case err != nil:
			o.bad = err
		default:
			o.packs = append(o.packs, p)
		}
	}
	o.fresh = true
	return nil
}

// packed returns the pack that holds id, and where. The pack moves to the front, since the next object is likely in the
// same. REQUIRES: mu.
func (o *objects) packed(id plumbing.Hash) (*pack, int64) {
	for i, p := range o.packs {
		if at, err := p.index.FindOffset(id); err == nil {
			o.packs[0], o.packs[i] = p, o.packs[0]
			return p, at
		}
	}
	return nil, 0
}

func (o *objects) sizeOnce(id plumbing.Hash) (size int64, err error) {
	defer contain(&err)
	if p, at := o.packed(id); p != nil {
		return p.size(at)
	}
	if o.cached == nil || o.cachedID != id {
		c, err := o.loose(id)
		if err != nil {
			return 0, err
		}
		err = o.drop()
		o.cached, o.cachedID = c, id
		return c.size, err
	}
	return o.cached.size, nil
}

// drop closes what was kept. REQUIRES: mu.
func (o *objects) drop() error {
	if o.cached == nil {
		return nil
	}
	c := o.cached
	o.cached = nil
	return c.Close()
}

func (o *objects) openOnce(id plumbing.Hash) (out *content, err error) {
	defer contain(&err)
	if p, at := o.packed(id); p != nil {
		out, err = p.open(at)
	} else if o.cached != nil && o.cachedID == id {
		out, o.cached = o.cached, nil
	} else {
		out, err = o.loose(id)
	}
	if err != nil {
		return nil, err
	}
	out.ReadCloser = verify(out, id)
	return out, nil
}

func (o *objects) loose(id plumbing.Hash) (*content, error) {
	if o.dir == nil {
		return nil, errNoObject
	}
	hex := id.String()
	return openLoose(o.dir.common, o.dir.common.Join("objects", hex[:2], hex[2:]), &o.inflaters)
}

// contain turns a panic of a decoder into an error: whatever a repository holds is only data (I13).
func contain(err *error) {
	if fault := recover(); fault != nil {
		*err = fmt.Errorf("decode object: %v", fault)
	}
}

// explain says what an error about an object means. REQUIRES: mu.
func (o *objects) explain(id plumbing.Hash, err error) error {
	if err == nil {
		return nil
	}
	if known := (*Error)(nil); errors.As(err, &known) {
		return err
	}
	absent := errors.Is(err, errNoObject) || errors.Is(err, fs.ErrNotExist)
	switch {
	case absent && o.bad != nil:
		return problem(ErrCorrupt, o.bad, "object %s is in no pack that can be read, and one cannot be (%v): check the repository with git fsck", id, o.bad)
	case absent:
		return problem(ErrMissing, err, "object %s is not in the repository: %s", id, o.remedy())
	case errors.Is(err, fs.ErrPermission):
		return problem(ErrDenied, err, "this user may not read object %s (%v): run gxpledger as a user that may", id, err)
	default:
		return problem(ErrCorrupt, err, "object %s cannot be read (%v): check the repository with git fsck", id, err)
	}
}

// remedy says why an object is missing, as far as can be seen, and how to get it. REQUIRES: mu.
func (o *objects) remedy() string {
	if o.dir == nil {
		return "the other side did not send it; try again, or clone it with git and scan the clone"
	}
	switch {
	case o.dir.borrows():
		return "it borrows objects from another (objects/info/alternates), which is not followed; git repack -a -d copies them"
	case o.dir.partial():
		return "it is a partial clone, and nothing is fetched without being asked for; git fetch --refetch --no-filter completes it"
	}
	return "scan again if git is repacking it at this moment, otherwise check it with git fsck"
}

// borrows reports whether the repository counts on the objects of another.
func (d *gitDir) borrows() bool {
	info, err := d.common.Stat("objects/info/alternates")
	return err == nil && info.Size() > 0
}

// partial reports whether objects may be left with another side.
func (d *gitDir) partial() bool {
	set, err := d.config()
	return err == nil && (set.promisor || set.values["extensions.partialclone"] != "")
}

// rest frees the cache.
func (o *objects) rest() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cache.Clear()
}

func (o *objects) close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	errs := []error{o.drop()}
	for _, p := range o.packs {
		errs = append(errs, p.close())
	}
	o.packs = nil
	if o.dir != nil {
		errs = append(errs, o.dir.close())
	}
	if o.also != nil {
		errs = append(errs, o.also())
	}
	return errors.Join(errs...)
}

// content is an object being read.
type content struct {
	io.ReadCloser
	typ  plumbing.ObjectType
	size int64 // as announced; what is read may differ until verified has seen it all
}

// verified is content that must come to the id it was asked for.
type verified struct {
	io.ReadCloser
	id     plumbing.Hash
	hasher plumbing.Hasher
	left   int64
}

func verify(c *content, id plumbing.Hash) *verified {
	return &verified{ReadCloser: c.ReadCloser, id: id, hasher: plumbing.NewHasher(c.typ, c.size), left: c.size}
}

// Read fails at the end unless the size and the hash are those announced.
func (v *verified) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	v.left -= int64(n)
	_, _ = v.hasher.Write(p[:n]) // a hash.Hash never fails
	switch {
	case v.left < 0:
		return 0, v.damaged("it is longer than its header says")
	case err == nil:
		return n, nil
	case !errors.Is(err, io.EOF):
		return n, v.damaged(err.Error())
	case v.left > 0:
		return n, v.damaged("it is shorter than its header says")
	case v.hasher.Sum() != v.id:
		return n, v.damaged("its bytes have another id")
	}
	return n, io.EOF
}

func (v *verified) damaged(why string) error {
	return problem(ErrCorrupt, nil, "object %s is damaged (%s): check the repository with git fsck", v.id, why)
}

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

// gitTree is the source of files that are the tree of a commit.
type gitTree struct{ objects *objects }

func treeRoot(id plumbing.Hash) node { return node{name: ".", mode: fs.ModeDir, id: id.String()} }

func (t gitTree) list(_ string, at node) ([]node, error) {
	raw, err := t.objects.read(plumbing.NewHash(at.id), plumbing.TreeObject, maxTree)
	if err != nil {
		return nil, err
	}
	var tree object.Tree
	if err := tree.Decode(raw); err != nil {
		return nil, problem(ErrCorrupt, err, "the tree %s cannot be decoded (%v): check the repository with git fsck", at.id, err)
	}
	nodes := make([]node, len(tree.Entries))
	for i, e := range tree.Entries {
		kind := entryMode(e.Mode)
		nodes[i] = node{name: e.Name, mode: kind, id: e.Hash.String(), executable: kind.IsRegular() && e.Mode&0o100 != 0}
	}
	return nodes, nil
}

// entryMode takes the type of an entry from its mode as git does, which wrote other permissions than 644 and 755 once.
func entryMode(mode filemode.FileMode) fs.FileMode {
	const types, directory, regular, link, gitlink = 0o170000, 0o040000, 0o100000, 0o120000, 0o160000
	switch uint32(mode) & types {
	case directory:
		return fs.ModeDir
	case regular:
		return 0
	case link:
		return fs.ModeSymlink
	case gitlink:
		return submodule
	}
	return fs.ModeIrregular
}

func (t gitTree) size(_ string, at node) (int64, error) {
	return t.objects.size(plumbing.NewHash(at.id))
}

func (t gitTree) open(_ string, at node) (io.ReadCloser, error) {
	return t.objects.open(plumbing.NewHash(at.id), plumbing.BlobObject)
}
