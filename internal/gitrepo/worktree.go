package gitrepo

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/go-git/go-git/v5/plumbing"
)

// scanned is the only folder of a work tree that is looked at.
const scanned = ".gxp"

// workTree is the source of files as they are on disk. It is a snapshot: all files were listed and hashed at the
// beginning, and a file that has changed by the time it is read is an error, so that a reading never mixes two states.
type workTree struct {
	root  *os.Root
	lists map[string][]node
}

// snapshot lists and hashes the .gxp folder below dir. Symbolic links are not followed; a folder with a .git in it is
// a submodule.
func snapshot(ctx context.Context, dir string) (*workTree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, unreadable(dir, err)
	}
	w := &workTree{root: root, lists: make(map[string][]node)}
	err = w.walk(ctx)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return w, nil
}

func (w *workTree) walk(ctx context.Context) error {
	top, err := w.root.Lstat(scanned)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return unreadable(w.root.Name(), err)
	}
	w.lists["."] = []node{{name: scanned, mode: typeOf(top.Mode())}}
	if !top.IsDir() {
		return nil
	}
	for dirs := []string{scanned}; len(dirs) > 0; {
		dir := dirs[0]
		dirs = dirs[1:]
		nodes, err := w.scan(ctx, dir)
		if err != nil {
			return err
		}
		w.lists[dir] = nodes
		for _, n := range nodes {
			if n.mode == fs.ModeDir {
				dirs = append(dirs, path.Join(dir, n.name))
			}
		}
	}
	return nil
}

// scan lists and hashes one folder.
func (w *workTree) scan(ctx context.Context, dir string) ([]node, error) {
	entries, err := fs.ReadDir(w.root.FS(), dir)
	if err != nil {
		return nil, unreadable(w.root.Name(), err)
	}
	nodes := make([]node, 0, len(entries))
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := node{name: e.Name(), mode: typeOf(e.Type())}
		if err := w.fill(&n, path.Join(dir, n.name)); err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

func typeOf(mode fs.FileMode) fs.FileMode {
	if mode.IsRegular() || mode.IsDir() || mode.Type() == fs.ModeSymlink {
		return mode.Type()
	}
	return fs.ModeIrregular
}

func (w *workTree) fill(n *node, name string) error {
	if n.mode.IsRegular() {
		return w.hash(n, name)
	}
	if n.mode.IsDir() {
		if _, err := w.root.Lstat(path.Join(name, ".git")); err == nil {
			n.mode = submodule
		}
	}
	if n.mode == fs.ModeSymlink {
		target, err := w.root.Readlink(name)
		if err != nil {
			return unreadable(w.root.Name(), err)
		}
		n.id = plumbing.ComputeHash(plumbing.BlobObject, []byte(target)).String()
	}
	return nil
}

func (w *workTree) hash(n *node, name string) error {
	file, info, err := w.regular(name)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // nothing was written
	n.size, n.executable = info.Size(), info.Mode()&0o100 != 0
	hasher := plumbing.NewHasher(plumbing.BlobObject, n.size)
	copied, err := io.Copy(hasher, io.LimitReader(file, n.size+1))
	if err != nil {
		return unreadable(w.root.Name(), err)
	}
	if copied != n.size {
		return changed(name)
	}
	n.id = hasher.Sum().String()
	return nil
}

// regular opens a regular file.
func (w *workTree) regular(name string) (*os.File, fs.FileInfo, error) {
	info, err := w.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, changed(name)
	case err != nil:
		return nil, nil, unreadable(w.root.Name(), err)
	case !info.Mode().IsRegular():
		return nil, nil, changed(name)
	}
	file, err := w.root.Open(name)
	if err != nil {
		return nil, nil, unreadable(w.root.Name(), err)
	}
	return file, info, nil
}

func changed(name string) error {
	return problem(ErrChanged, nil, "the file %s changed while the work tree was scanned: scan again when nothing writes there, or scan a commit", name)
}

func (w *workTree) list(dir string, _ node) ([]node, error) {
	return append([]node(nil), w.lists[dir]...), nil
}

func (w *workTree) size(_ string, at node) (int64, error) { return at.size, nil }

func (w *workTree) open(name string, at node) (io.ReadCloser, error) {
	file, _, err := w.regular(name)
	if err != nil {
		return nil, err
	}
	checked := verify(&content{ReadCloser: file, typ: plumbing.BlobObject, size: at.size}, plumbing.NewHash(at.id))
	return stillSame{checked, name}, nil
}

func (w *workTree) close() error { return w.root.Close() }

// stillSame says of a file that is not what it was that it changed, rather than that it is damaged.
type stillSame struct {
	*verified
	name string
}

// Read fails at the end when the file is not the one that was listed.
func (s stillSame) Read(p []byte) (int, error) {
	n, err := s.verified.Read(p)
	if errors.Is(err, ErrCorrupt) {
		return 0, changed(s.name)
	}
	return n, err
}

// flatten lists everything below .gxp but folders.
func flatten(ctx context.Context, tree *files) (map[string]node, error) {
	out := make(map[string]node)
	top, err := tree.find("stat", scanned)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err == nil && top.mode != fs.ModeDir {
		out[scanned] = top
	}
	err = fs.WalkDir(tree, scanned, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if known, ok := e.(*entry); ok && e.Type() != fs.ModeDir {
			out[name] = *known.node
		}
		return ctx.Err()
	})
	return out, err
}
