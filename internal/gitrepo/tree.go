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
