package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/index"
)

// status reports whether the files on disk differ from a commit below .gxp, as git status does: line ends and $Id$ are
// taken as git would store them, and what is staged counts. No filter runs: where one would have to, and wherever else
// the answer depends on what is not read, doubt says why, and dirty is true.
//
// Three things differ to git, where it looks away from files that a scan reads: files that are ignored, and changes to
// those that git was told to assume unchanged or to leave out (git update-index), are changes.
func (r *Repository) status(ctx context.Context, disk *workTree, head *files) (dirty bool, doubt string, err error) {
	dir, err := r.open()
	if err != nil {
		return true, "", err
	}
	store := newObjects(dir)
	defer store.close() //nolint:errcheck // nothing was written
	c := &comparison{disk: disk, store: store, rules: make(map[string][]attributeRule)}
	if c.set, err = r.settings(dir); err != nil {
		return true, "", err
	}
	if err := c.prepare(ctx, head); err != nil {
		return true, "", err
	}
	if c.staged() || !maps.EqualFunc(c.have, c.want, func(node, node) bool { return true }) {
		return true, "", nil
	}
	for _, name := range slices.Sorted(maps.Keys(c.want)) {
		if err := ctx.Err(); err != nil {
			return true, "", err
		}
		same, err := c.same(name, c.have[name], c.want[name])
		if err != nil || !same {
			return true, "", err
		}
	}
	return c.doubt != "", c.doubt, nil
}

// prepare lists both sides.
func (c *comparison) prepare(ctx context.Context, head *files) error {
	var err error
	if c.want, err = flatten(ctx, head); err != nil {
		return err
	}
	if c.have, err = flatten(ctx, newFiles(c.disk, node{name: ".", mode: fs.ModeDir})); err != nil {
		return err
	}
	for name, n := range c.want { // a submodule that was not cloned is an empty folder
		if _, ok := c.have[name]; !ok && n.mode == submodule && c.disk.hasFolder(name) {
			c.have[name] = node{mode: fs.ModeDir}
		}
	}
	if err := c.readIndex(c.store.dir); err != nil {
		c.doubts("its index cannot be read (%v)", err)
	}
	return c.readMacros()
}

// comparison is one of a work tree with a commit.
type comparison struct {
	disk  *workTree
	store *objects
	set   *settings
	have  map[string]node             // on disk
	want  map[string]node             // of the commit
	index map[string]staged           // everything that is staged; nil when it cannot be read
	wrote time.Time                   // when the index was written
	rules map[string][]attributeRule  // of the .gitattributes of a folder
	info  []attributeRule             // of info/attributes
	macro map[string][]attributeState // by name
	read  int                         // bytes of .gitattributes
	doubt string                      // the first
}

// staged is a file in the index, with what it was on disk when git last looked at it.
type staged struct {
	node
	seenSize uint32 // 0 when git did not look
	seenTime time.Time
}

func (c *comparison) doubts(format string, args ...any) {
	if c.doubt == "" {
		c.doubt = fmt.Sprintf(format, args...)
	}
}

// hasFolder reports whether there is a folder of that name, with nothing in it.
func (w *workTree) hasFolder(name string) bool {
	entries, ok := w.lists[name]
	return ok && len(entries) == 0
}

// readIndex reads what is staged.
func (c *comparison) readIndex(dir *gitDir) (err error) {
	defer contain(&err)
	file, err := dir.own.Open("index")
	if errors.Is(err, fs.ErrNotExist) {
		c.index = map[string]staged{}
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // nothing was written
	if info, err := dir.own.Stat("index"); err == nil {
		c.wrote = info.ModTime()
	}
	var decoded index.Index
	// A checksum of zeros is what index.skipHash writes.
	if err := index.NewDecoder(file).Decode(&decoded); err != nil && !errors.Is(err, index.ErrInvalidChecksum) {
		return err
	}
	entries := make(map[string]staged, len(decoded.Entries))
	for _, e := range decoded.Entries {
		n := node{mode: entryMode(e.Mode), id: e.Hash.String(), executable: e.Mode == filemode.Executable}
		if e.Stage != 0 {
			n.mode = fs.ModeIrregular // a conflict equals nothing
		}
		if n.mode == fs.ModeDir {
			return errors.New("it is sparse")
		}
		entries[e.Name] = staged{node: n, seenSize: e.Size, seenTime: e.ModifiedAt}
	}
	c.index = entries
	return nil
}

// staged reports whether the index is known to differ from the commit below .gxp.
func (c *comparison) staged() bool {
	if c.index == nil {
		return false
	}
	count := 0
	for name, n := range c.index {
		if name != scanned && !strings.HasPrefix(name, scanned+"/") {
			continue
		}
		count++
		if want, ok := c.want[name]; !ok || want.mode != n.mode || want.id != n.id || want.executable != n.executable {
			return true
		}
	}
	return count != len(c.want)
}

// same reports whether a file on disk is that of the commit. Where that is unknown it is, with a doubt.
func (c *comparison) same(name string, have, want node) (bool, error) {
	switch {
	case want.mode == submodule && have.mode == fs.ModeDir:
		return true, nil
	case want.mode == submodule && have.mode == submodule:
		c.doubts("the submodule %q is not looked into", name)
		return true, nil
	case want.mode == fs.ModeSymlink && have.mode.IsRegular() && !c.set.symlinks:
		return have.id == want.id, nil // the target, in a file
	case want.mode != have.mode, want.mode == fs.ModeIrregular:
		return false, nil
	case !want.mode.IsRegular():
		return have.id == want.id, nil
	case c.set.fileMode && want.executable != have.executable:
		return false, nil
	}
	return c.sameBytes(name, have, want)
}

func (c *comparison) sameBytes(name string, have, want node) (bool, error) {
	seen := c.index[name]
	if seen.seenSize != 0 && seen.seenSize != uint32(have.size) { //nolint:gosec // git keeps 32 bits
		return false, nil // git looks no further
	}
	given, err := c.attributes(name)
	if err != nil {
		return false, err
	}
	how := cleaningOf(given, c.set.autocrlf)
	switch {
	case how.encoding != "":
		c.doubts("%q is kept on disk in the encoding %q, which is not converted", name, how.encoding)
		return true, nil
	case how.filter != "" && (c.set.filters[how.filter] || c.set.unknown):
		c.doubts("the filter %q of %q is not run", how.filter, name)
		return true, nil
	}
	equal := have.id == want.id
	if equal && (how.ends != convertText && !how.ident || c.trusted(name)) {
		return true, nil
	}
	if have.size > maxBase {
		if !equal {
			c.doubts("%q has %d bytes: line ends are not compared above %d", name, have.size, maxBase)
		}
		return true, nil
	}
	data, err := c.content(name, have)
	if err != nil {
		return false, err
	}
	if !equal && c.set.unknown && how.ends != convertText && blobID(cleanIdent(convertLines(data))) == want.id {
		c.doubts("%q has other line ends, and the git configuration includes files that are not read", name)
		return true, nil
	}
	clean, err := how.clean(data, func() ([]byte, error) {
		return c.store.readBytes(plumbing.NewHash(want.id), plumbing.BlobObject, maxBase)
	})
	return err == nil && blobID(clean) == want.id, err
}

// trusted reports whether git would not look at a file, since it has not been written to since it last did.
func (c *comparison) trusted(name string) bool {
	info, err := c.disk.root.Lstat(name)
	seen := c.index[name]
	return err == nil && seen.seenSize != 0 && info.ModTime().Unix() == seen.seenTime.Unix() && c.wrote.Unix() > seen.seenTime.Unix()
}

func (c *comparison) content(name string, at node) ([]byte, error) {
	file, err := c.disk.open(name, at)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // nothing was written
	return io.ReadAll(file)
}

// attributes returns what a file is given: by info/attributes of the repository, by its folder, by the folders above that,
// by the user and the system.
func (c *comparison) attributes(name string) (map[string]string, error) {
	files := [][]attributeRule{c.info}
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		rules, err := c.rulesOf(dir)
		if err != nil {
			return nil, err
		}
		files = append(files, rules)
		if dir == "." {
			break
		}
	}
	return attributesOf(name, append(files, c.set.attributes...), c.macro), nil
}

// readMacros reads the files that may hold macros.
func (c *comparison) readMacros() error {
	text, err := head(c.store.dir.common, "info/attributes")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unreadable(c.store.dir.shown, err)
	}
	c.info = attributeFormat{macros: true, fold: c.set.foldCase}.parse(text, "")
	top, err := c.rulesOf(".")
	if err != nil {
		return err
	}
	c.macro = make(map[string][]attributeState)
	files := append([][]attributeRule{c.info, top}, c.set.attributes...)
	addMacros(c.macro, append(files, attributeFormat{macros: true}.parse("[attr]binary -diff -merge -text", "")))
	return nil
}

// rulesOf returns the rules of the .gitattributes of a folder.
func (c *comparison) rulesOf(dir string) ([]attributeRule, error) {
	if rules, ok := c.rules[dir]; ok {
		return rules, nil
	}
	text, err := c.attributeFile(path.Join(dir, ".gitattributes"))
	if err != nil {
		return nil, err
	}
	if c.read += len(text); c.read > maxAttributes {
		c.doubts("its .gitattributes have more than %d bytes", maxAttributes)
		text = ""
	}
	base := dir
	if dir == "." {
		base = ""
	}
	c.rules[dir] = attributeFormat{macros: dir == ".", fold: c.set.foldCase}.parse(text, base)
	return c.rules[dir], nil
}

// attributeFile reads a .gitattributes on disk or, where there is none, the one that is staged.
func (c *comparison) attributeFile(name string) (string, error) {
	file, _, err := c.disk.regular(name)
	if err == nil {
		defer file.Close() //nolint:errcheck // nothing was written
		text, err := io.ReadAll(io.LimitReader(file, maxAttributes+1))
		return string(text), err
	}
	if !errors.Is(err, ErrChanged) { // there is none, or it is a link, which git does not follow either
		return "", err
	}
	if entry, ok := c.index[name]; ok && entry.mode.IsRegular() {
		text, err := c.store.readBytes(plumbing.NewHash(entry.id), plumbing.BlobObject, maxAttributes)
		return string(text), err
	}
	return "", nil
}
