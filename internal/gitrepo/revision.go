package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"

	"github.com/gxpledger/gxpledger/domain"
)

// Options say what of a repository is read, and how. The zero value reads HEAD of a repository on disk, or over https or
// ssh.
type Options struct {
	// Ref is HEAD (the default), a branch, a tag, a ref in full or a commit id of at least four digits. In a repository on
	// disk it may end in ~N, ^N or ^{commit}.
	Ref string
	// Worktree reads the files below .gxp as they are on disk, instead of a commit.
	Worktree bool
	// Env returns variables of the environment, which say where the user's git configuration is. Default: [os.Getenv].
	Env func(name string) string
	// AllowFileURL accepts file:// addresses.
	AllowFileURL bool
	// TempDir is where a fetched repository is kept until the revision is closed. Default: that of the system.
	TempDir string
	// MaxFetch is how many bytes are fetched at most. Default 2 GiB.
	MaxFetch int64
	// HTTP makes https requests. Default: [http.DefaultTransport].
	HTTP http.RoundTripper
	// SSH proves who we are to an ssh server, and checks who that is. Default: the ssh agent and known_hosts of the user.
	SSH transport.AuthMethod
	// Progress, when set, is told what a fetch is doing. The text may come from the other side.
	Progress func(text string)
}

func (o Options) maxFetch() int64 {
	if o.MaxFetch <= 0 {
		return defaultMaxFetch
	}
	return o.MaxFetch
}

// Revision is one opened revision. Close it.
type Revision struct {
	files  *files
	source domain.Source
	closes []func() error
	rests  []func() // free caches
	past   past     // where the history of the commit is read
}

// Files returns the tree. The Sys of its [fs.FileInfo] is a [Blob]; symbolic links are [fs.ModeSymlink], submodules
// [fs.ModeDir] and [fs.ModeIrregular], and what is neither file nor folder [fs.ModeIrregular]: none can be opened. A work tree shows
// nothing but .gxp. It is safe for concurrent use, until Close.
func (r *Revision) Files() fs.FS { return r.files }

// Source returns what the repository claims about the revision.
func (r *Revision) Source() domain.Source { return r.source }

// Rest frees what makes the next read of the files faster, and no more: of very many files, that is much memory.
func (r *Revision) Rest() {
	r.files.forget()
	for _, rest := range r.rests {
		rest()
	}
}

// Close frees what the revision holds, and removes what was fetched.
func (r *Revision) Close() error {
	var errs []error
	for _, free := range r.closes {
		errs = append(errs, free())
	}
	r.closes = nil
	return errors.Join(errs...)
}

// Open opens the revision that the options of r name. Errors are of type *Error, or the context's. The caller closes
// the revision.
func (r *Repository) Open(ctx context.Context) (*Revision, error) {
	ref := r.options.Ref
	if ref == "" {
		ref = "HEAD"
	}
	revision := &Revision{source: domain.Source{Ref: ref}}
	err := r.into(ctx, revision, ref)
	if err != nil {
		return nil, errors.Join(err, revision.Close())
	}
	return revision, nil
}

func (r *Repository) into(ctx context.Context, revision *Revision, ref string) error {
	switch {
	case r.options.Worktree && r.away != "":
		return problem(ErrRef, nil, "the work tree of %s is %s, says core.worktree in its configuration, which is not followed: give that folder, "+
			"or leave out --worktree", r.shown, r.away)
	case r.options.Worktree && r.work == "":
		return problem(ErrRef, nil, "%s has no work tree: leave out --worktree, or give the folder of a clone with its files", r.shown)
	case r.options.Worktree && ref != "HEAD":
		return problem(ErrRef, nil, "--ref %s and --worktree exclude each other: files on disk belong to no revision but HEAD", ref)
	case r.options.Worktree:
		return r.openWorktree(ctx, revision)
	case r.address != nil:
		return r.openRemote(ctx, revision, ref)
	}
	return r.openLocal(ctx, revision, ref)
}

func (r *Repository) openLocal(ctx context.Context, revision *Revision, ref string) error {
	dir, err := r.open()
	if err != nil {
		return err
	}
	store := newObjects(dir)
	revision.closes, revision.rests = append(revision.closes, store.close), append(revision.rests, store.rest)
	look := newRefs(dir, store)
	id, err := look.commit(ctx, ref)
	if err != nil {
		return err
	}
	revision.source.FullRef, revision.past = look.full, r.localPast()
	if err := revision.at(store, id); err != nil || !dir.partial() && !dir.borrows() {
		return err
	}
	return revision.complete(ctx, store)
}

// at points the revision at a commit.
func (r *Revision) at(store *objects, id plumbing.Hash) error {
	commit, err := store.commit(id)
	if err != nil {
		return err
	}
	claims(&r.source, id.String(), commit)
	r.files = newFiles(gitTree{store}, treeRoot(commit.tree))
	if _, err := r.files.list(".", r.files.root); err != nil {
		return err
	}
	return nil
}

// complete refuses a revision of which objects are elsewhere, and says which: nothing is fetched without being asked for.
func (r *Revision) complete(ctx context.Context, store *objects) error {
	all, err := flatten(ctx, r.files)
	if err != nil {
		return err // it names the tree
	}
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !all[name].mode.IsRegular() {
			continue
		}
		_, err := store.size(plumbing.NewHash(all[name].id))
		if errors.Is(err, ErrMissing) {
			missing = append(missing, fmt.Sprintf("%s %q", all[name].id, name))
		} else if err != nil {
			return err
		}
	}
	if len(missing) == 0 {
		return nil
	}
	const most = 3
	more := ""
	if len(missing) > most {
		more = ", ..."
	}
	return problem(ErrMissing, nil, "%d of the %d files below %s are not in the repository (%s%s): %s",
		len(missing), len(all), scanned, strings.Join(missing[:min(most, len(missing))], ", "), more, store.remedy())
}

// openWorktree compares the files on disk with HEAD, if there is one.
func (r *Repository) openWorktree(ctx context.Context, revision *Revision) error {
	disk, err := snapshot(ctx, r.work)
	if err != nil {
		return err
	}
	revision.closes = append(revision.closes, disk.close)
	revision.source.Dirty = true
	if err := r.compare(ctx, revision, disk); err != nil {
		return err
	}
	revision.source.Worktree = true
	revision.files = newFiles(disk, node{name: ".", mode: fs.ModeDir})
	return nil
}

// compare fills in HEAD and whether the files differ from it.
func (r *Repository) compare(ctx context.Context, revision *Revision, disk *workTree) error {
	if r.gitDir == "" {
		revision.source.Ref = ""
		return nil
	}
	head := &Revision{source: domain.Source{Ref: "HEAD"}}
	defer head.Close() //nolint:errcheck // nothing was written
	err := r.openLocal(ctx, head, "HEAD")
	if errors.Is(err, ErrEmpty) || errors.Is(err, ErrRef) {
		return nil
	}
	if err != nil {
		return err
	}
	revision.source, revision.past = head.source, head.past
	revision.source.Dirty, revision.source.DirtyUnknown, err = r.status(ctx, disk, head.files)
	return err
}

var _ io.Closer = (*Revision)(nil)
