package rosie

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gxpledger/gxpledger/domain"
)

// Options are what a reading depends on beside the tree.
type Options struct {
	// Keys are the operator's evidence keys. Without any, no signature can be verified.
	Keys []Key
	// Unsigned is the policy on packages without a signature; "" is domain.UnsignedUnverified.
	Unsigned domain.UnsignedPolicy
	// At is when the scan started. It decides whether a signature had expired.
	At time.Time
	// Limits bound the scan; the zero value gives the defaults.
	Limits Limits
	// Known reports whether a unit is held already as it would be read (see domain.State.Holds). Such a unit is returned
	// Unchanged and, where the file system tells its blob, not read. It is called from the calling goroutine. Nil:
	// everything is read.
	Known func(path, blob, stamp string) bool
	// AllowSecrets lets files pass that hold what looks like a key or token. Otherwise each is a fault.
	AllowSecrets bool
	// Stored reports whether bytes with that SHA-256 are stored already, which no refusal would change. It is asked about
	// files that hold a secret, from the calling goroutine. Nil: none is.
	Stored func(sha256 string) bool
	// Keeper takes over what need not be in memory. Nil: everything stays there.
	Keeper Keeper
	// Progress is told now and then how far the reading is, from the calling goroutine. Nil: nobody is.
	Progress func(Progress)
}

// Keeper keeps parts of a tree that is too large for memory.
type Keeper interface {
	// KeepContent returns c, or c with its bytes taken out and a Load that gives them. It is called from the calling goroutine.
	KeepContent(c Content) (Content, error)
	// KeepArtifacts returns artifacts of one file, or their light forms (see domain.Artifact.Light). It is called from several
	// goroutines.
	KeepArtifacts(artifacts []domain.Artifact) ([]domain.Artifact, error)
}

// Progress is how far a reading is.
type Progress struct {
	Listed int   // files and directories seen below .gxp/
	Units  int   // files and packages done, read or known
	Total  int   // units to be done; 0 while the tree is still being listed
	Bytes  int64 // bytes read
}

// Tree is everything that a reading found.
type Tree struct {
	Files    []domain.File      // sorted by path
	Findings []domain.Finding   // of the tree; those of one artifact are in the artifact
	Faults   []domain.Violation // what no policy lets pass
	Contents []Content          // of the files read, each hash once
	Ignored  []string           // paths of all regular files below .gxp/ that no reader takes, sorted
}

// Content is the bytes of one file under their hash.
type Content struct {
	SHA256 string
	Bytes  []byte
	Load   func() ([]byte, error) // where a [Keeper] has the bytes
}

// Read reads the .gxp/ directory of a tree that is rooted at the repository's root.
//
// It returns an error only when the file system fails or ctx ends. Everything about content is in the Tree: malformed
// files as rejections, oddities as findings, and what must fail the scan as faults. After a fault of a limit, or of a
// secret, which anything that was read may repeat, there are only faults.
//
// A file may tell its git blob id: when its DirEntry, or what Sys of its FileInfo returns, has a method BlobID() string, a
// known unit is not read at all (nor asked for its size, if its DirEntry told), and a unit whose bytes have another id is
// an error, since then the store is damaged. For files on disk, use the FS of an os.Root, which does not follow links out of the repository.
//
// Read keeps nothing between calls and is safe for concurrent use. The Tree belongs to the caller.
func Read(ctx context.Context, fsys fs.FS, options Options) (Tree, error) {
	options.Limits = options.Limits.withDefaults()
	options.Keys = usable(options.Keys)
	r := &reader{
		fsys: fsys, opts: &options, stored: make(map[string]bool),
		notes: notes{limit: options.Limits.Findings}, secrets: newSecretFaults(&options),
	}
	err := r.read(ctx)
	if limit, ok := errors.AsType[*limitError](err); ok {
		r.tree = Tree{Faults: []domain.Violation{{Code: domain.ViolationLimit, Path: gxpDir, Text: limit.Error()}}, Ignored: r.tree.Ignored}
		err = nil
	}
	if err != nil {
		return Tree{}, err
	}
	r.tree.Findings = r.notes.findings()
	for _, finding := range r.tree.Findings {
		r.secrets.names(finding.Path)
	}
	for _, file := range r.tree.Files {
		if !file.Unchanged {
			r.secrets.names(file.Path)
		}
	}
	r.secrets.names(r.tree.Ignored...)
	if secrets := r.secrets.violations(); len(secrets) > 0 {
		return Tree{Faults: append(r.tree.Faults, secrets...)}, nil
	}
	return r.tree, nil
}

// reader holds the state of one call of Read.
type reader struct {
	fsys     fs.FS
	opts     *Options
	tree     Tree
	notes    notes
	stored   map[string]bool // hashes in tree.Contents
	progress Progress
	secrets  *secretFaults
}

func (r *reader) read(ctx context.Context) error {
	present, err := r.findRoot(ctx)
	if err != nil || !present {
		return err
	}
	w := &walker{fsys: r.fsys, limits: &r.opts.Limits, notes: &r.notes, dirs: make(map[string]bool), listed: r.listed}
	if err := w.walk(ctx, gxpDir, nil); err != nil {
		return err
	}
	slices.Sort(w.ignored)
	r.tree.Ignored = w.ignored
	slices.SortFunc(w.units, func(a, b *unit) int { return strings.Compare(a.path, b.path) })
	r.expect(w)
	return r.readAll(ctx, w.units)
}

// readAll reads unit after unit; those that must be parsed are parsed meanwhile.
func (r *reader) readAll(ctx context.Context, units []*unit) error {
	r.progress.Total = len(units)
	r.tree.Files = make([]domain.File, len(units))
	failed := make([]error, len(units))
	parsers := newPool()
	var passed []string // of no kind after all, by what they hold
	for i, u := range units {
		if failed[i] = ctx.Err(); failed[i] != nil {
			break
		}
		file, parse, err := r.unit(u)
		r.tree.Files[i], failed[i] = file, err
		if err != nil {
			break
		}
		if file.Path == "" {
			passed = append(passed, u.path)
		}
		if parse != nil {
			parsers.do(func() { failed[i] = r.parse(parse, &r.tree.Files[i]) })
		}
		u.files, u.dropped = nil, nil // of very many files, that is much
		r.progress.Units++
		r.report()
	}
	parsers.wait()
	for i, err := range failed {
		if err != nil {
			return fmt.Errorf("cannot read %s: %w", units[i].path, err)
		}
	}
	if len(passed) > 0 {
		r.tree.Files = slices.DeleteFunc(r.tree.Files, func(f domain.File) bool { return f.Path == "" })
		r.tree.Ignored = append(r.tree.Ignored, passed...)
		slices.Sort(r.tree.Ignored)
	}
	return nil
}

func (r *reader) parse(parse parsing, file *domain.File) error {
	err := parse(file)
	if err == nil && r.opts.Keeper != nil && len(file.Artifacts) > 0 {
		file.Artifacts, err = r.opts.Keeper.KeepArtifacts(file.Artifacts)
	}
	return err
}

// findRoot looks for the .gxp directory without following a link. Its absence is a fault.
func (r *reader) findRoot(ctx context.Context) (present bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, fmt.Errorf("cannot list the repository: %w", err)
	}
	entries, err := fs.ReadDir(r.fsys, ".")
	if err != nil {
		return false, fmt.Errorf("cannot list the repository: %w", err)
	}
	what := ""
	for _, d := range entries {
		switch {
		case d.Name() == gxpDir && d.Type() == fs.ModeDir:
			present = true
		case d.Name() == gxpDir:
			what = " (there is something else of that name, which is not followed)"
		case d.IsDir() && foldName(d.Name()) == "gxp":
			what = fmt.Sprintf(" (there is %+q, without the dot)", d.Name())
		case foldName(d.Name()) == foldName(gxpDir):
			r.notes.add(domain.Finding{
				Code: domain.FindingOddPath, Path: d.Name(), Text: "not read: some systems hold it for .gxp, and only the directory .gxp in lower case is read: rename it, or take it out",
			})
		}
	}
	if !present {
		r.tree.Faults = append(r.tree.Faults, domain.Violation{
			Code: domain.ViolationNoGxP, Path: gxpDir,
			Text: "the repository has no directory .gxp/ at its root" + what + ": add one with a system_context.md, or scan the revision that has it" +
				formatHint(ctx, r.fsys),
		})
	}
	return present, nil
}

// expect notes what a tree should have and this one has not.
func (r *reader) expect(w *walker) {
	if !slices.ContainsFunc(w.units, func(u *unit) bool { return u.path == contextPath }) {
		near := ""
		if w.nearContext != "" {
			near = fmt.Sprintf(" (%+q is not read; if it is meant for it, rename it)", w.nearContext)
		}
		r.tree.Faults = append(r.tree.Faults, domain.Violation{
			Code: domain.ViolationNoContext, Path: contextPath,
			Text: "the file .gxp/system_context.md is missing" + near + ": add it, with a front matter that gives project_name and gxp_risk_rating",
		})
	}
	for _, kind := range domain.Kinds() {
		info := kind.Info()
		if dir := gxpDir + "/" + info.Dir; info.Expected && !w.dirs[dir] {
			r.notes.add(domain.Finding{Code: domain.FindingMissingDir, Path: dir, Text: "the directory is missing: nothing of its kind was read"})
		}
	}
}

func (r *reader) listed(files int) {
	r.progress.Listed = files
	r.report()
}

func (r *reader) report() {
	if r.opts.Progress != nil {
		r.opts.Progress(r.progress)
	}
}

// known asks whether a unit is held already.
func (r *reader) known(file domain.File) bool {
	return r.opts.Known != nil && r.opts.Known(file.Path, file.Blob, file.Stamp)
}

func (r *reader) stamp(kind domain.Kind) string {
	keys := r.opts.Keys
	if kind != domain.KindEvidencePackage && kind.Info().Form != domain.FormJWS {
		keys = nil
	}
	stamp := Stamp(keys)
	if kind == domain.KindEvidencePackage && r.opts.Unsigned == domain.UnsignedInvalid {
		stamp += "+unsigned:invalid"
	}
	return stamp + r.opts.Limits.suffix()
}

// parsing is the rest of the work on a unit, once its bytes are there. It may run on another goroutine.
type parsing func(file *domain.File) error

// unit loads one unit, unless it is known. Without a parsing there is nothing left to do. A file without a path is of no kind,
// which only its bytes could tell.
func (r *reader) unit(u *unit) (domain.File, parsing, error) {
	file := domain.File{Path: u.path, Stamp: r.stamp(u.kind)}
	if u.kind == domain.KindEvidencePackage {
		return r.pack(u, file)
	}
	f, err := name(u.files[0])
	if err != nil {
		return file, nil, err
	}
	if file.Blob = f.name(); f.blob != "" && r.known(file) {
		file.Unchanged = true
		return file, nil, nil
	}
	if err := f.stat(); err != nil {
		return file, nil, err
	}
	if f.size <= r.opts.Limits.File {
		if err := r.load(f); err != nil {
			return file, nil, err
		}
	}
	if file.Blob = f.name(); r.known(file) {
		file.Unchanged = true
		return file, nil, nil
	}
	if u.kind.Info().Form == domain.FormRecord && !isRecord(u.path, f.data, &r.opts.Limits) {
		if f.data == nil {
			r.notes.add(domain.Finding{Code: domain.FindingOversized, Path: u.path, Text: fmt.Sprintf(
				"not read, so nobody knows whether it is the record of a test: it is %d bytes long, and at most %d are read", f.size, r.opts.Limits.File)})
		}
		return domain.File{}, nil, nil
	}
	if f.data == nil {
		file.Rejected = r.tooLarge(u, f)
		return file, nil, nil
	}
	if err := r.keep(f); err != nil {
		return file, nil, err
	}
	return file, parseFile(source{path: u.path, kind: u.kind, content: f.content(), data: f.data}, r.opts), nil
}

func parseFile(src source, opts *Options) parsing {
	return func(file *domain.File) error {
		artifacts, err := parse(src, opts)
		if err != nil {
			file.Rejected, err = rejection(src, err)
			return err
		}
		file.Artifacts = artifacts
		return nil
	}
}

func (r *reader) tooLarge(u *unit, f *loaded) *domain.Rejection {
	return &domain.Rejection{Kind: u.kind, Content: f.content(), Message: fmt.Sprintf(
		"the file is %d bytes long, and at most %d are read: take out what does not belong there, or raise the limit \"file\"", f.size, r.opts.Limits.File)}
}

// source is one file to be parsed.
type source struct {
	path    string
	kind    domain.Kind
	content domain.Content
	data    []byte
}

// parse reads a single file by its kind.
func parse(src source, opts *Options) ([]domain.Artifact, error) {
	var artifact domain.Artifact
	var err error
	switch src.kind.Info().Form {
	case domain.FormRiskLog:
		return parseRiskLog(src, &opts.Limits)
	case domain.FormJWS:
		artifact, err = parseEvidence(src, opts)
	case domain.FormRecord:
		artifact, err = parseRecord(src, &opts.Limits)
	case domain.FormHeadings:
		artifact, err = parseDecision(src, &opts.Limits)
	case domain.FormFrontMatter:
		artifact, err = parseDocument(src, &opts.Limits)
	default:
		err = fmt.Errorf("cannot read %s: %s is not a kind of file", src.path, src.kind)
	}
	if err != nil {
		return nil, err
	}
	return []domain.Artifact{artifact}, nil
}

// rejection turns a parse error into the record of it. Any other error goes on.
func rejection(src source, err error) (*domain.Rejection, error) {
	fault, ok := errors.AsType[*malformedError](err)
	if member, inPackage := errors.AsType[*memberError](err); inPackage {
		fault, ok, src.content = &member.malformedError, true, member.member.Content
	}
	if !ok {
		return nil, err
	}
	return &domain.Rejection{
		Kind: src.kind, Line: fault.line, Column: fault.column, Content: src.content,
		Message: cmp.Or(fault.text, "the file cannot be read"),
	}, nil
}

// pool parses units on as many goroutines as there are processors. Units are independent of each other, so that the
// result does not depend on their number.
type pool struct {
	jobs chan func()
	busy sync.WaitGroup
}

func newPool() *pool {
	p := &pool{jobs: make(chan func())}
	for range runtime.GOMAXPROCS(0) {
		p.busy.Go(func() {
			for job := range p.jobs {
				job()
			}
		})
	}
	return p
}

// do runs a job soon. It waits while all goroutines are busy.
func (p *pool) do(job func()) { p.jobs <- job }

// wait returns when all jobs are done. No more may come.
func (p *pool) wait() {
	close(p.jobs)
	p.busy.Wait()
}
