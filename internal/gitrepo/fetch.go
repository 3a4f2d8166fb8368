package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

const (
	defaultMaxFetch = 2 << 30
	maxFetchObjects = 20_000_000
	packName        = "fetched.pack"
)

// openRemote fetches the revision, alone where the ref and the other side allow it, into a folder of its own. Nothing of
// the other side is ever checked out, and nothing but one pack file is written.
func (r *Repository) openRemote(ctx context.Context, revision *Revision, ref string) error {
	dir, err := os.MkdirTemp(r.options.TempDir, "gxpledger-fetch-*")
	if err != nil {
		return problem(ErrRemote, err, "no temporary folder can be made (%v): set TMPDIR to a folder that this user may write", err)
	}
	revision.closes = append(revision.closes, func() error { return os.RemoveAll(dir) })
	f := &fetch{repository: r, dir: dir, ref: ref}
	type result struct {
		store *objects
		id    plumbing.Hash
		err   error
	}
	done := make(chan result, 1)
	go func() { // go-git does not always listen to the context: a handshake may take as long as the other side likes
		store, id, err := f.run(ctx)
		done <- result{store, id, err}
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case got := <-done:
		if got.store != nil {
			revision.closes = append([]func() error{got.store.close}, revision.closes...)
			revision.rests = append(revision.rests, got.store.rest)
		}
		if got.err != nil {
			return f.failed(ctx, got.err)
		}
		revision.source.FullRef, revision.past = f.full, &remotePast{repository: r, store: got.store, wants: f.wants, left: r.options.maxFetch() - f.fetched}
		return revision.at(got.store, got.id)
	}
}

// fetch is one conversation with another side.
type fetch struct {
	repository *Repository
	dir        string
	ref        string
	free       func() // frees the connections, when the transport has some of its own

	full    string          // the ref that was found, in full; "" for none
	wants   []plumbing.Hash // what the other side was asked for
	fetched int64           // bytes
	limit   int64           // of bytes, when it is another than that of the options
}

func (f *fetch) run(ctx context.Context) (*objects, plumbing.Hash, error) {
	session, err := f.connect()
	if err != nil {
		return nil, plumbing.ZeroHash, err
	}
	defer session.Close() //nolint:errcheck // what was wanted is here, or an error is on its way already
	if f.free != nil {
		defer f.free()
	}
	offered, err := session.AdvertisedReferencesContext(ctx)
	if err != nil {
		return nil, plumbing.ZeroHash, err
	}
	want, err := f.choose(offered)
	if err != nil {
		return nil, plumbing.ZeroHash, err
	}
	request := packp.NewUploadPackRequestFromCapabilities(offered.Capabilities)
	request.Wants, f.wants = want.ids, want.ids
	if want.alone && offered.Capabilities.Supports(capability.Shallow) {
		request.Depth = packp.DepthCommits(1)
		if err := request.Capabilities.Set(capability.Shallow); err != nil {
			return nil, plumbing.ZeroHash, err
		}
	}
	store, err := f.download(ctx, session, request)
	if err != nil {
		return nil, plumbing.ZeroHash, err
	}
	id, err := want.resolve(f, store)
	return store, id, err
}

func (f *fetch) download(ctx context.Context, session transport.UploadPackSession, request *packp.UploadPackRequest) (*objects, error) {
	response, err := session.UploadPack(ctx, request)
	if err != nil {
		return nil, err
	}
	defer response.Close() //nolint:errcheck // the pack ends with a checksum
	if err := f.store(f.demultiplex(request, response)); err != nil {
		return nil, err
	}
	return f.index(ctx)
}

// connect begins a session. Credentials travel in the authentication alone, so that no error text can repeat them.
func (f *fetch) connect() (transport.UploadPackSession, error) {
	client, auth := f.transport(f.repository.address)
	return client.NewUploadPackSession(f.repository.address.endpoint(), auth)
}

// wanted is what to ask the other side for, and how to find the commit in what it sends.
type wanted struct {
	ids     []plumbing.Hash
	alone   bool // one revision is enough, without its past
	resolve func(f *fetch, store *objects) (plumbing.Hash, error)
}

// choose finds the ref among those offered. A commit id that is none of them is asked for by itself where the other side
// allows that, and looked for in everything otherwise.
func (f *fetch) choose(offered *packp.AdvRefs) (wanted, error) {
	id, err := f.named(offered)
	if err != nil {
		return wanted{}, err
	}
	full, isFull := fullID(f.ref)
	// A server that allows any commit says this too. allow-tip-sha1-in-want is about tips alone, those of hidden refs included.
	direct := offered.Capabilities.Supports(capability.AllowReachableSHA1InWant)
	switch {
	case isFull && (direct || isTip(offered, full)):
		return tip(full), nil
	case !id.IsZero():
		return tip(id), nil
	case isHex(f.ref) && len(f.ref) >= shortest && len(f.ref) <= 40:
		return everything(offered), nil
	}
	return wanted{}, unknownRef(f.ref, f.repository.shown, names(offered))
}

func tip(id plumbing.Hash) wanted {
	return wanted{ids: []plumbing.Hash{id}, alone: true, resolve: func(f *fetch, store *objects) (plumbing.Hash, error) {
		return (&refs{objects: store, shown: f.repository.shown}).peel(f.ref, id)
	}}
}

func everything(offered *packp.AdvRefs) wanted {
	seen := make(map[plumbing.Hash]bool)
	var ids []plumbing.Hash
	for _, id := range offered.References {
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return wanted{ids: ids, resolve: func(f *fetch, store *objects) (plumbing.Hash, error) {
		look := &refs{objects: store, shown: f.repository.shown}
		if full, ok := fullID(f.ref); ok {
			return look.peel(f.ref, full)
		}
		id, err := look.abbreviated(f.ref)
		if err == nil && id.IsZero() {
			err = unknownRef(f.ref, f.repository.shown, names(offered))
		}
		return id, err
	}}
}

func isTip(offered *packp.AdvRefs, id plumbing.Hash) bool {
	for _, other := range offered.References {
		if other == id {
			return true
		}
	}
	return false
}

func names(offered *packp.AdvRefs) []string {
	out := make([]string, 0, len(offered.References))
	for name := range offered.References {
		if name != "HEAD" {
			out = append(out, name)
		}
	}
	return out
}

// named looks for the ref as refs.named does.
func (f *fetch) named(offered *packp.AdvRefs) (plumbing.Hash, error) {
	if f.ref == "HEAD" {
		if offered.Head == nil {
			return plumbing.ZeroHash, nil
		}
		for _, symref := range offered.Capabilities.Get(capability.SymRef) {
			if target, ok := strings.CutPrefix(symref, "HEAD:"); ok {
				f.full = fullRef(target, "")
			}
		}
		return *offered.Head, nil
	}
	var found plumbing.Hash
	var first string
	for _, prefix := range prefixes() {
		id, ok := offered.References[prefix+f.ref]
		switch {
		case !ok:
		case found.IsZero():
			found, first = id, prefix+f.ref
			f.full = fullRef(first, "")
		case id != found:
			return plumbing.ZeroHash, problem(ErrRef, nil, "%q means both %s and %s in %s: give one of them in full", f.ref, first, prefix+f.ref, f.repository.shown)
		}
	}
	return found, nil
}

func (f *fetch) demultiplex(request *packp.UploadPackRequest, response io.Reader) io.Reader {
	var kind sideband.Type
	switch {
	case request.Capabilities.Supports(capability.Sideband64k):
		kind = sideband.Sideband64k
	case request.Capabilities.Supports(capability.Sideband):
		kind = sideband.Sideband
	default:
		return response
	}
	demuxer := sideband.NewDemuxer(kind, response)
	if f.repository.options.Progress != nil {
		demuxer.Progress = progressWriter(func(output string) { f.repository.options.Progress(f.hide(output)) })
	}
	return demuxer
}

// progressWriter hands on what the other side says of its progress.
type progressWriter func(string)

// Write never fails.
func (w progressWriter) Write(p []byte) (int, error) {
	if output := strings.TrimSpace(string(p)); output != "" {
		w(output)
	}
	return len(p), nil
}

// store writes the pack to disk, up to the limit.
func (f *fetch) store(pack io.Reader) error {
	limit := f.repository.options.maxFetch()
	if f.limit > 0 {
		limit = f.limit
	}
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // the file below is closed by itself
	file, err := root.OpenFile(packName, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(file, io.LimitReader(pack, limit+1))
	f.fetched = n
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if n > limit {
		return problem(ErrTooLarge, nil, "%s sends more than %d bytes: raise it with --limit fetch=N, or clone it with git and scan the clone", f.repository.shown, limit)
	}
	return nil
}

// index checks the pack and finds out what is in it. Before go-git resolves its deltas, which it does in memory, every
// object was seen to inflate to no more than the limit.
func (f *fetch) index(ctx context.Context) (*objects, error) {
	dir, err := seal(f.dir)
	if err != nil {
		return nil, err
	}
	file, err := dir.Open(packName)
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	index, err := f.parse(ctx, dir)
	if err != nil {
		return nil, errors.Join(err, file.Close(), dir.Close())
	}
	store := newObjects(nil)
	store.fresh = true
	store.packs = []*pack{newPack(dir, file, index, store.cache)}
	store.also = dir.Close
	return store, nil
}

func (f *fetch) parse(ctx context.Context, dir sealed) (index *idxfile.MemoryIndex, err error) {
	defer contain(&err)
	file, err := dir.Open(packName)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // nothing was written
	if err := harmless(ctx, packfile.NewScanner(file)); err != nil {
		return nil, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	writer := &idxfile.Writer{}
	parser, err := packfile.NewParser(packfile.NewScanner(file), writer)
	if err != nil {
		return nil, err
	}
	if _, err := parser.Parse(); err != nil {
		return nil, err
	}
	return writer.Index()
}

// harmless inflates every object of a pack once, to nowhere, and refuses one that is, or that a delta would make, too
// large to be held in memory.
func harmless(ctx context.Context, scanner *packfile.Scanner) error {
	_, count, err := scanner.Header()
	if err != nil {
		return err
	}
	if count > maxFetchObjects {
		return fmt.Errorf("pack of %d objects: more than %d are not read", count, maxFetchObjects)
	}
	for range count {
		if err := ctx.Err(); err != nil {
			return err
		}
		header, err := scanner.NextObjectHeader()
		if err != nil {
			return err
		}
		if header.Length > maxBase {
			return tooLargeRemote(header.Length)
		}
		var start deltaStart
		if _, _, err := scanner.NextObject(&start); err != nil {
			return err
		}
		if !header.Type.IsDelta() {
			continue
		}
		size, err := start.target()
		if err != nil {
			return err
		}
		if size > maxBase {
			return tooLargeRemote(size)
		}
	}
	return nil
}

func tooLargeRemote(size int64) error {
	return problem(ErrTooLarge, nil, "the repository holds an object of %d bytes: more than %d are not fetched; clone it with git and scan the clone", size, maxBase)
}

// failed turns what went wrong into an Error without secrets.
func (f *fetch) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if known := (*Error)(nil); errors.As(err, &known) {
		return err
	}
	at := f.repository.shown
	switch {
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return problem(ErrEmpty, nil, "the repository %s is empty: commit something and scan again", at)
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return problem(ErrRemote, nil, "there is no repository %s, or it is hidden from this user: check the address and the credentials", at)
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed):
		return problem(ErrRemote, nil, "%s does not let this user in: put a token into the address (https://TOKEN@HOST/PATH; it is never stored), "+
			"or clone it with git and scan the clone", at)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return problem(ErrRemote, err, "fetch %s: %s", at, f.scrub(err))
	}
	return problem(ErrRemote, nil, "%s could not be fetched (%s): check the address and the network, or clone it with git and scan the clone", at, f.scrub(err))
}

// scrub removes secrets from an error text: they should not be there, and this makes sure.
func (f *fetch) scrub(err error) string {
	const longest = 300
	return text(f.hide(err.Error()), utf8Text, longest)
}

// hide removes the credentials from a text that the other side may have made.
func (f *fetch) hide(output string) string {
	for _, secret := range f.repository.address.secrets() {
		if secret != "" {
			output = strings.ReplaceAll(output, secret, "***")
		}
	}
	return output
}
