package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"

	"github.com/gxpledger/gxpledger/domain"
)

// maxRelated is how many commits are looked at to find how two relate.
const maxRelated = 500_000

// past is where the history of a revision is read.
type past interface {
	// walk calls look with each store that may know enough, until it says that it does. why says what is missing otherwise.
	walk(ctx context.Context, previous plumbing.Hash, look func(*objects) (enough bool, err error)) (why string, err error)
}

// Relate finds how the commit of r relates to previous. deepen says that the history of a remote repository is fetched for that, in
// steps, until previous is found or the limit of [Options.MaxFetch] is reached, what was fetched before included. Where it is unknown, why
// says so, and what to do. The error is that of the context.
func (r *Revision) Relate(ctx context.Context, previous string, deepen bool) (relation domain.Relation, why string, err error) { //revive:disable-line:flag-parameter // it costs a fetch
	id, ok := fullID(previous)
	own, read := fullID(r.source.Commit)
	switch {
	case !ok || !read || r.past == nil:
		return domain.RelationUnknown, "one of them has no full commit id", nil
	case id == own:
		return domain.RelationSame, "", nil
	}
	look := func(store *objects) (bool, error) {
		relation, err = domain.Relate(id, own, maxRelated, store.parents(ctx))
		return relation != domain.RelationUnknown || !deepen, err
	}
	why, err = r.past.walk(ctx, id, look)
	if ctx.Err() != nil {
		return domain.RelationUnknown, "", ctx.Err()
	}
	if err != nil {
		return domain.RelationUnknown, err.Error(), nil
	}
	if relation != domain.RelationUnknown {
		why = ""
	}
	return relation, why, nil
}

// parents returns the parents of commits, for [domain.Relate].
func (o *objects) parents(ctx context.Context) func(plumbing.Hash) ([]plumbing.Hash, bool, error) {
	return func(id plumbing.Hash) ([]plumbing.Hash, bool, error) {
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		commit, err := o.commit(id)
		if errors.Is(err, ErrMissing) {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		return commit.parents, true, nil
	}
}

// localPast is the object store of a repository on disk.
type localPast struct{ repository *Repository }

func (r *Repository) localPast() past { return localPast{r} }

func (p localPast) walk(_ context.Context, _ plumbing.Hash, look func(*objects) (bool, error)) (why string, err error) {
	dir, err := p.repository.open()
	if err != nil {
		return "", err
	}
	store := newObjects(dir)
	defer func() { err = errors.Join(err, store.close()) }()
	if _, err := look(store); err != nil {
		return "", err
	}
	if _, err := dir.common.Lstat("shallow"); err == nil {
		return fmt.Sprintf("the repository %s is a shallow clone: git fetch --unshallow gets the rest of its history", p.repository.shown), nil
	}
	return fmt.Sprintf("the repository %s does not hold enough of its history", p.repository.shown), nil
}

// remotePast is the history that the other side has.
type remotePast struct {
	repository *Repository
	store      *objects        // what was fetched at first
	wants      []plumbing.Hash // what was asked for then
	left       int64           // bytes that may be fetched
}

func (p *remotePast) walk(ctx context.Context, previous plumbing.Hash, look func(*objects) (bool, error)) (why string, err error) {
	at := p.repository.shown
	if enough, err := look(p.store); enough || err != nil {
		return fmt.Sprintf("the history of %s is fetched for the main line of a repository alone: see gxpledger repository set --main-line", at), err
	}
	for _, depth := range []int{64, 1024, 16384, 0} {
		if p.left <= 0 {
			return fmt.Sprintf("the history of %s is larger than what may be fetched: raise it with --limit fetch=N, or scan a clone", at), nil
		}
		enough, err := p.deepen(ctx, previous, depth, look)
		if enough || err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%s did not send enough of its history", at), nil
}

// deepen fetches commits up to a depth, 0 for all, without files where the other side can leave them out.
func (p *remotePast) deepen(ctx context.Context, previous plumbing.Hash, depth int, look func(*objects) (bool, error)) (enough bool, err error) {
	dir, err := os.MkdirTemp(p.repository.options.TempDir, "gxpledger-past-*")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	f := &fetch{repository: p.repository, dir: dir, limit: p.left}
	type result struct {
		store *objects
		err   error
	}
	done := make(chan result, 1)
	go func() { // see openRemote
		store, err := f.past(ctx, p.wants, previous, depth)
		done <- result{store, err}
	}()
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case got := <-done:
		p.left -= f.fetched
		if got.err != nil {
			return false, f.failed(ctx, got.err)
		}
		defer func() { err = errors.Join(err, got.store.close()) }()
		return look(got.store)
	}
}

// past fetches the history of what was wanted before, and that of previous where the other side offers it.
func (f *fetch) past(ctx context.Context, wants []plumbing.Hash, previous plumbing.Hash, depth int) (*objects, error) {
	session, err := f.connect()
	if err != nil {
		return nil, err
	}
	defer session.Close() //nolint:errcheck // what was wanted is here, or an error is on its way already
	if f.free != nil {
		defer f.free()
	}
	offered, err := session.AdvertisedReferencesContext(ctx)
	if err != nil {
		return nil, err
	}
	request := packp.NewUploadPackRequestFromCapabilities(offered.Capabilities)
	request.Wants = append(request.Wants, wants...)
	if isTip(offered, previous) {
		request.Wants = append(request.Wants, previous)
	}
	if offered.Capabilities.Supports(capability.Filter) {
		if err := request.Capabilities.Set(capability.Filter); err != nil {
			return nil, err
		}
		request.Filter = packp.FilterTreeDepth(0)
	}
	if depth > 0 && offered.Capabilities.Supports(capability.Shallow) {
		request.Depth = packp.DepthCommits(depth)
		if err := request.Capabilities.Set(capability.Shallow); err != nil {
			return nil, err
		}
	}
	return f.download(ctx, session, request)
}
