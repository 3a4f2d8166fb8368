package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/gitrepo"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
	"github.com/gxpledger/gxpledger/eventstore"
)

// scanOptions are the flags of scan.
type scanOptions struct {
	app          *app
	location     string
	ref          string
	worktree     bool
	allowFileURL bool
	name         string
	links        *choice
	duplicates   *choice
	keyFiles     []string
	actor        string
	reason       string
	limits       limits
}

func newScan(a *app) *cobra.Command {
	o := &scanOptions{
		app:        a,
		links:      oneOf(string(domain.LinksStrict), string(domain.LinksFlag)),
		duplicates: oneOf(string(domain.DuplicatesReject), string(domain.DuplicatesUpdate)),
	}
	cmd := &cobra.Command{
		Use:   "scan [REPOSITORY|URL]",
		Short: "Record what a revision of a repository holds",
		Long: "Reads the .gxp directory of one revision and records what is new, changed, removed or cannot be read, all of it or\n" +
			"nothing. The revision is read from the objects of git, so files that are not committed do not matter.\n" +
			"A scan that a rule refuses leaves one event, which lists every reason.",
		Example: "  gxpledger scan                                       HEAD of the repository in this folder\n" +
			"  gxpledger scan ../product --ref v1.4                 a tag, branch or commit of another\n" +
			"  gxpledger scan https://example.org/team/product.git  fetched, and forgotten after the scan\n" +
			"  gxpledger scan --worktree --reason \"try out\"         the files as they lie here\n" +
			"  gxpledger scan --evidence-key ci.pem                 verify signatures by this key\n" +
			"  gxpledger scan --links flag                          record broken links instead of refusing them",
		Args: func(cmd *cobra.Command, args []string) error { return atMostOne(cmd, "repository", args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validate(args); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.ref, "ref", "", "`REVISION` to scan: branch, tag, commit or refs/... (default HEAD)")
	flags.BoolVar(&o.worktree, "worktree", false, "scan the files as they lie on disk")
	flags.BoolVar(&o.allowFileURL, "allow-file-url", false, "accept file:// addresses")
	flags.StringVar(&o.name, "name", "", "`NAME` of the repository in the log (default: its origin, or else its path)")
	flags.Var(o.links, "links", "what a broken link does: strict fails the scan, flag records it")
	flags.Var(o.duplicates, "duplicates", "what a gxp_id of two files does: reject fails the scan, update lets the last win")
	flags.StringArrayVar(&o.keyFiles, "evidence-key", nil, "`FILE` with a public key (PEM, P-256) that signs evidence; repeatable")
	flags.StringVar(&o.actor, "actor", "", "`WHO` scans (default: the user of the operating system)")
	flags.StringVar(&o.reason, "reason", "", "`WHY` it is scanned")
	flags.Var(&o.limits, "limit", "raise or lower a limit, such as files=500000 or bytes=1GiB; repeatable")
	return cmd
}

func (o *scanOptions) validate(args []string) error {
	o.location = "."
	if len(args) == 1 {
		o.location = args[0]
	}
	const longest = 1000
	for flag, value := range map[string]string{"name": o.name, "actor": o.actor, "reason": o.reason} {
		if len(value) > longest {
			return usage("the flag --%s has %d bytes: want at most %d", flag, len(value), longest)
		}
	}
	switch {
	case o.location == "":
		return usage("the repository is empty: give the path of a repository, or an https or ssh URL")
	case o.worktree && o.ref != "":
		return usage("--worktree and --ref %s exclude each other: files on disk belong to no revision", o.ref)
	}
	if o.actor == "" {
		o.actor = defaultActor()
	}
	return nil
}

// run finds the repository before anything is made or recorded: a mistyped path leaves no trace.
func (o *scanOptions) run(ctx context.Context) error {
	keys, err := readKeys(o.keyFiles)
	if err != nil {
		return err
	}
	progress := o.app.progress()
	defer progress.Done()
	found, err := gitrepo.Locate(o.location, gitrepo.Options{
		Ref: o.ref, Worktree: o.worktree, AllowFileURL: o.allowFileURL, MaxFetch: o.limits.fetch,
		Progress: func(said string) { progress.Say("fetching: " + said) },
	})
	if err != nil {
		return err
	}
	if err := o.app.prepareHome(); err != nil {
		return err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make a scan id: %w", err)
	}
	s := &scanner{
		options: o, repository: found, progress: progress,
		request: eventstore.Request{
			Scan: id, Repository: o.repository(found), Actor: o.actor, Reason: o.reason, StartedAt: o.app.system.Now(),
			Policy: domain.Policy{Links: domain.LinkPolicy(o.links.value), Duplicates: domain.DuplicatePolicy(o.duplicates.value)},
		},
		reading: rosie.Options{Keys: keys, Limits: o.limits.reading},
	}
	return s.run(ctx)
}

func (o *scanOptions) repository(found *gitrepo.Repository) domain.Repository {
	name := o.name
	if name == "" {
		name = found.Name()
	}
	return domain.Repository{ID: repositoryID(name), Name: name, URL: found.URL()}
}

// repositoryID derives the id of a repository from its name, for ever. The namespace is our own and must never change.
func repositoryID(name string) domain.RepositoryID {
	namespace := uuid.UUID{0x6b, 0x0e, 0x1d, 0x3c, 0x52, 0x2a, 0x4e, 0x8f, 0x9d, 0x41, 0x7c, 0x55, 0x0a, 0xf1, 0x9e, 0x27}
	return domain.RepositoryID(uuid.NewSHA1(namespace, []byte(name)).String())
}

// readKeys reads the operator's evidence keys.
func readKeys(files []string) ([]rosie.Key, error) {
	keys := make([]rosie.Key, 0, len(files))
	for _, file := range files {
		data, err := readSmall(file)
		if err != nil {
			return nil, failed(err, "the evidence key %s cannot be read (%v): give --evidence-key a file with a public key", file, err)
		}
		key, err := rosie.ParseKey(data)
		if err != nil {
			return nil, failed(err, "the file %s of --evidence-key holds no key: %v", file, errors.Unwrap(err))
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// readSmall reads a file of at most 64 KiB.
func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	const largest = 64 << 10
	if !info.Mode().IsRegular() || info.Size() > largest {
		return nil, fmt.Errorf("want a file of at most %d bytes", largest)
	}
	file, err := os.Open(path) //nolint:gosec // the operator named it
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // nothing was written
	return io.ReadAll(io.LimitReader(file, largest))
}

// scanner is one scan on its way.
type scanner struct {
	options    *scanOptions
	repository *gitrepo.Repository
	request    eventstore.Request
	reading    rosie.Options
	progress   interface{ Say(text string) }
	revision   *gitrepo.Revision // opened by the first reading
	drained    int               // failures of earlier scans that were recorded first
}

func (s *scanner) run(ctx context.Context) (err error) {
	a := s.options.app
	defer func() { err = errors.Join(err, s.close()) }()
	log, unreachable := a.openLog(ctx)
	if unreachable != nil {
		return s.withoutLog(ctx, unreachable)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	if err := a.ownTables(ctx, log); err != nil {
		return err
	}
	recorder, err := a.newRecorder(log)
	if err != nil {
		return err
	}
	if s.drained, err = recorder.Drain(ctx); err != nil {
		a.notes().Line("failures of earlier scans wait in %s and could not be recorded: %s", a.path(spoolDir), oneLine(err.Error()))
	}
	outcome, err := recorder.Record(ctx, s.request, s.read)
	if err != nil {
		if behind := s.project(ctx, log, outcome.Position); behind != nil {
			_, why := explain(ctx, behind)
			a.notes().Line("the tables do not show the failed scan yet (%s)", why)
		}
		return s.failed(ctx, outcome, err)
	}
	s.progress.Say("updating the tables")
	if err := s.project(ctx, log, outcome.Position); err != nil {
		_, why := explain(ctx, err)
		return failed(err, "scan %d was recorded, but the tables do not show it yet (%s)", outcome.Completed.Number, why)
	}
	return s.completed(outcome)
}

// withoutLog keeps the failure of a scan whose log cannot even be opened in the spool (I2). It tries once: that the log
// could be opened a second later is for the next run to see.
func (s *scanner) withoutLog(ctx context.Context, cause error) error {
	config := s.options.app.recorderConfig()
	config.Tries, config.Rounds = 1, 1
	recorder, err := eventstore.NewRecorder(unreachableLog{cause}, config)
	if err != nil {
		return errors.Join(cause, err)
	}
	outcome, err := recorder.Record(ctx, s.request, s.read)
	if err == nil || outcome.Spooled == "" {
		return errors.Join(cause, err)
	}
	return s.failed(ctx, outcome, cause)
}

// project brings the tables up to what was recorded, also when ctx has ended meanwhile: it is soon done, and what was
// recorded should show.
func (s *scanner) project(ctx context.Context, log eventstore.Log, to eventstore.Position) (err error) {
	if to == 0 {
		return nil
	}
	const grace = 30 * time.Second
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
	}
	db, err := s.options.app.openTables(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	runner, err := s.options.app.newRunner(log, db)
	if err != nil {
		return err
	}
	return s.options.app.bring(ctx, runner, to, nil)
}

func (s *scanner) close() error {
	if s.revision == nil {
		return nil
	}
	return s.revision.Close()
}

// read reads the revision against what the log knows. It opens the revision once: when another scan comes between, the
// same commit is judged again.
func (s *scanner) read(ctx context.Context, state domain.State) (eventstore.Reading, error) {
	reading := eventstore.Reading{Reader: rosie.Stamp(s.reading.Keys)}
	if s.revision == nil {
		s.progress.Say("opening the repository")
		revision, err := s.repository.Open(ctx)
		if err != nil {
			reading.Source = domain.Source{Ref: s.options.ref, Worktree: s.options.worktree}
			return reading, err
		}
		s.revision = revision
	}
	reading.Source = s.revision.Source()
	options := s.reading
	options.At, options.Known, options.Progress = s.request.StartedAt, state.Holds, s.show
	tree, err := rosie.Read(ctx, s.revision.Files(), options)
	if err != nil {
		return reading, err
	}
	reading.Files, reading.Findings, reading.Faults = tree.Files, tree.Findings, tree.Faults
	reading.Contents = make([]eventstore.Blob, len(tree.Contents))
	for i, c := range tree.Contents {
		reading.Contents[i] = eventstore.Blob(c)
	}
	s.progress.Say("recording")
	return reading, nil
}

func (s *scanner) show(p rosie.Progress) {
	if p.Total == 0 {
		s.progress.Say(fmt.Sprintf("listing: %d files", p.Listed))
		return
	}
	s.progress.Say(fmt.Sprintf("reading: %d of %d", p.Units, p.Total))
}
