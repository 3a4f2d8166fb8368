package gitrepo

import (
	"io"
	"io/fs"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

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
		nodes[i] = node{name: e.Name, mode: entryMode(e.Mode), id: e.Hash.String()}
	}
	return nodes, nil
}

func entryMode(mode filemode.FileMode) fs.FileMode {
	switch mode {
	case filemode.Dir:
		return fs.ModeDir
	case filemode.Regular, filemode.Executable, filemode.Deprecated:
		return 0
	case filemode.Symlink:
		return fs.ModeSymlink
	case filemode.Submodule:
		return submodule
	case filemode.Empty:
		return fs.ModeIrregular
	}
	return fs.ModeIrregular
}

func (t gitTree) size(_ string, at node) (int64, error) {
	return t.objects.size(plumbing.NewHash(at.id))
}

func (t gitTree) open(_ string, at node) (io.ReadCloser, error) {
	return t.objects.open(plumbing.NewHash(at.id), plumbing.BlobObject)
}
