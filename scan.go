package gxpledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
	"github.com/gxpledger/gxpledger/internal/config"
	"github.com/gxpledger/gxpledger/internal/gitrepo"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/inspect"
	"github.com/gxpledger/gxpledger/projections/run"
)

// ScanRequest says what to scan, and how. Only Repository is required.
type ScanRequest struct {
	// Repository is a folder in or below a repository, a bare repository, or a URL (https, ssh or HOST:PATH).
	Repository string
	// Ref is HEAD (the default), a branch, a tag, a full ref or a commit id of at least four digits.
	Ref string
	// Worktree reads the files below .gxp as they are on disk, instead of a commit. It excludes Ref.
	Worktree bool
	// AllowFileURL accepts file:// addresses.
	AllowFileURL bool
	// Name is the name, or a former one, of the repository. By default it is found by where it is read from: its address or, for
	// a clone, that of its origin. The name of a new one is then that address, as [domain.CanonicalAddress] gives it.
	Name string
	// AcceptAddress lets a known repository be read from an address that it was not known by, and records it as one of its
	// addresses, with Actor and Reason, which is required then. A scan from another address is refused otherwise.
	AcceptAddress bool
	// AllowRewind lets a scan of the main line complete whose commit does not descend from the one scanned before there, or for which that
	// is unknown. Reason is required then. Such a scan is refused otherwise.
	AllowRewind bool
	// Policy says what a violation does. Its zero fields are those that are recorded for the repository, or those of
	// [domain.DefaultPolicy].
	Policy domain.Policy
	// Keys verify the signatures of evidence in this scan, beside those that are trusted: see [Admin.TrustKey].
	Keys []rosie.Key
	// WithoutKnownKeys lets the scan make evidence unverifiable because a key is missing that verified it before. Without it, such a
	// scan is refused.
	WithoutKnownKeys bool
	// Limits bound what is read. Zero fields are those that are recorded for the repository, or the defaults.
	Limits rosie.Limits
	// MaxFetch is how many bytes are fetched at most from a remote repository. Defaults to 2 GiB.
	MaxFetch int64
	// Actor is who scans, and Reason why. Actor defaults to that of the [Config].
	Actor, Reason string
	// ActorFrom is where Actor comes from; "" is [domain.ActorClaimed]. A program that checked a credential of the actor says so here.
	ActorFrom domain.ActorSource
	// TraceParent and TraceState are the W3C trace context of the caller, of at most 512 bytes each, which is recorded with each event. One
	// that is not valid is left out, as https://www.w3.org/TR/trace-context/ wants it.
	TraceParent, TraceState string
	// Progress is told what the scan is doing. It must not block. Nil for nobody.
	Progress func(ScanProgress)
}

// ScanStep is what a scan is doing.
type ScanStep string

// The steps of a scan, in order.
const (
	ScanOpening    ScanStep = "opening"    // the repository
	ScanFetching   ScanStep = "fetching"   // Text is what the other side says
	ScanListing    ScanStep = "listing"    // Done files
	ScanReading    ScanStep = "reading"    // Done of Total files and packages
	ScanRecording  ScanStep = "recording"  // in the log
	ScanProjecting ScanStep = "projecting" // into the tables
)

// ScanProgress is how far a scan is.
type ScanProgress struct {
	Step        ScanStep
	Done, Total int
	Text        string // hostile until neutralised
}

// ScanResult is the outcome of a scan.
type ScanResult struct {
	// Outcome is what the log holds of the scan. Its Events are nil when they did not fit in memory: read them from the log.
	recorder.Outcome

	// Scan is the scan's id.
	Scan uuid.UUID
	// StartedAt is when it started, by the engine's clock, and Duration how long it took.
	StartedAt time.Time
	Duration  time.Duration
	// RecordedAt is when the log recorded it; zero when that could not be read back.
	RecordedAt time.Time
	// Projected reports whether the tables show it. Where it was recorded and they do not, they will: NotProjected says why.
	Projected    bool
	NotProjected error
	// Drained counts failures of earlier scans that were recorded now. NotDrained says why others still wait.
	Drained    recorder.Drained
	NotDrained error
	// Older holds the paths that the scan before had read with an older reader.
	Older map[string]bool
	// DirtyUnknown says why it is unknown whether the work tree differs from the commit; "" when it is known.
	DirtyUnknown string
	// RelationUnknown says why it is unknown how the commit relates to the one scanned before; "" when it is known.
	RelationUnknown string
	// ClocksDiffer reports that the clocks of the log and of this process are more than a minute apart.
	ClocksDiffer bool
	// Cleanup is the error of freeing what the scan used. It changes nothing of what was recorded.
	Cleanup error

	summary *ScanReport // of the events of a large batch
}

// ErrSecret says that the name or address of a repository holds what looks like a password or token, and would be stored
// for ever.
var ErrSecret = errors.New("address holds a secret")

// Scan reads one revision and records it as one batch of events, all or nothing.
//
// A scan that completed has no error, whatever happens to the tables afterwards: see [ScanResult.Projected]. An error leaves
// one event that says why, as Failed of the result; where the log cannot be reached, the failure is kept in the spool, see
// Spooled, and recorded by the next scan that reaches the log.
//
// Errors: a *[domain.RefusedError] (a rule refused the scan), [recorder.ErrSource] (the repository could not be read),
// [eventstore.ErrTransient], [eventstore.ErrOutcomeUnknown] (scan again: nothing is recorded twice), [ErrSecret], [ErrInvalid],
// and [projections.ErrLogMismatch] (the tables are of another log; nothing was recorded).
//
// It waits for other scans of the repository, for the log as [Config.Wait] says, and then for the tables as
// [Config.Patience] says. It can be called again with the same request at any time.
func (l *Ledger) Scan(ctx context.Context, request ScanRequest) (ScanResult, error) {
	found, err := request.locate()
	if err != nil {
		return ScanResult{}, err
	}
	return l.scan(ctx, request, found, opening{revision: found.Open})
}

// locate finds the repository of a request, which it checks.
func (r ScanRequest) locate() (*gitrepo.Repository, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("cannot scan: %w", err)
	}
	options := gitrepo.Options{Ref: r.Ref, Worktree: r.Worktree, AllowFileURL: r.AllowFileURL, MaxFetch: r.MaxFetch}
	if r.Progress != nil {
		options.Progress = func(text string) { r.Progress(ScanProgress{Step: ScanFetching, Text: text}) }
	}
	found, err := gitrepo.Locate(r.Repository, options)
	if err != nil {
		return nil, err
	}
	if len(rosie.FindSecrets([]byte(cmp.Or(r.Name, found.Name())+"\n"+found.URL()), 1)) > 0 {
		return nil, fmt.Errorf("cannot scan: %w", ErrSecret)
	}
	return found, nil
}

// opening is how a scan comes by what it reads.
type opening struct {
	revision func(context.Context) (*gitrepo.Revision, error)
	// after is the commit that the revision is recorded after, "" for none, or else not at all: [recorder.ErrMoved]. Nil for any.
	after *string
}

// scan scans the revision that open opens.
func (l *Ledger) scan(ctx context.Context, request ScanRequest, found *gitrepo.Repository, open opening) (ScanResult, error) {
	if request.Progress == nil {
		request.Progress = func(ScanProgress) {}
	}
	name := cmp.Or(request.Name, addressesOf(found)[0])
	repository := domain.Repository{ID: RepositoryID(name), Name: name, URL: found.URL()} // unless the log knows it otherwise
	if err := l.settings.CreateHome(); err != nil {
		return ScanResult{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return ScanResult{}, fmt.Errorf("cannot create a scan id: %w", err)
	}
	s := &scan{
		ledger: l, asked: request, found: found, open: open,
		request: recorder.Request{
			Scan: id, Repository: repository, Actor: cmp.Or(request.Actor, l.config.Actor), Reason: request.Reason,
			StartedAt: l.config.Now(), ActorFrom: cmp.Or(request.ActorFrom, domain.ActorClaimed), Policy: request.policy(domain.RepositorySettings{}),
		},
	}
	if traceParent.MatchString(request.TraceParent) && len(request.TraceParent) <= longestTrace {
		s.request.TraceParent = request.TraceParent
		if traceState.MatchString(request.TraceState) && len(request.TraceState) <= longestTrace {
			s.request.TraceState = request.TraceState
		}
	}
	s.result.Scan, s.result.StartedAt = id, s.request.StartedAt
	err = s.run(ctx)
	s.result.Cleanup = errors.Join(s.result.Cleanup, s.release())
	s.result.Duration = l.config.Now().Sub(s.request.StartedAt)
	return s.result, err
}

// Forms and bound of a trace context, by W3C Trace Context: the first is of any version, the second of printable ASCII.
var (
	traceParent = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[ -~]*)?$`)
	traceState  = regexp.MustCompile(`^[ -~]+$`)
)

const longestTrace = 512

// longestText bounds names, actors and reasons, in bytes: they are stored for ever.
const longestText = 1000

func (r ScanRequest) check() error {
	policies := domain.RepositorySettings{Links: r.Policy.Links, Duplicates: r.Policy.Duplicates, Unsigned: r.Policy.Unsigned}
	if err := policies.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	switch {
	case max(len(r.Name), len(r.Actor), len(r.Reason)) > longestText:
		return fmt.Errorf("%w: Name, Actor and Reason have at most %d bytes", ErrInvalid, longestText)
	case strings.ContainsAny(r.Name, "@?#%") && gitrepo.HidesAddress(r.Name):
		return fmt.Errorf("%w: Name may hold a password", ErrSecret)
	case r.AcceptAddress && r.Reason == "":
		return fmt.Errorf("%w: AcceptAddress requires a Reason", ErrInvalid)
	case r.AllowRewind && r.Reason == "":
		return fmt.Errorf("%w: AllowRewind requires a Reason", ErrInvalid)
	case r.ActorFrom != "" && r.ActorFrom != domain.ActorClaimed && r.ActorFrom != domain.ActorAuthenticated:
		return fmt.Errorf("%w: ActorFrom is %q", ErrInvalid, r.ActorFrom)
	case r.Worktree && r.Ref != "":
		return fmt.Errorf("%w: Worktree and Ref exclude each other", ErrInvalid)
	}
	return nil
}

// RepositoryID returns the id of the repository with a name. It is derived from the name, for ever.
func RepositoryID(name string) domain.RepositoryID {
	// Of gxpledger alone, and never changed: every stored id depends on it.
	namespace := uuid.UUID{0x6b, 0x0e, 0x1d, 0x3c, 0x52, 0x2a, 0x4e, 0x8f, 0x9d, 0x41, 0x7c, 0x55, 0x0a, 0xf1, 0x9e, 0x27}
	return domain.RepositoryID(uuid.NewSHA1(namespace, []byte(name)).String())
}

// scan is one scan.
type scan struct {
	ledger   *Ledger
	asked    ScanRequest
	found    *gitrepo.Repository
	open     opening
	request  recorder.Request
	contents eventstore.ContentStore // of the log; nil when it cannot be reached
	records  *recorder.Recorder
	keys     scanKeys          // of the last reading
	revision *gitrepo.Revision // opened by the first reading
	kept     *keeper           // of the last reading; nil before
	result   ScanResult
}

func (s *scan) run(ctx context.Context) error {
	log, unreachable := s.ledger.openLog(ctx, config.ToAppend)
	if errors.Is(unreachable, ErrClosed) {
		return unreachable
	}
	if unreachable != nil {
		return s.withoutLog(ctx, unreachable)
	}
	s.contents = log
	if err := s.ledger.checkTables(ctx, log); err != nil {
		return err
	}
	records, err := s.ledger.newRecorder(log)
	if err != nil {
		return err
	}
	s.result.Drained, s.result.NotDrained = records.Drain(ctx)
	identified, err := s.ledger.identify(ctx, log, s.asked.Name, s.found)
	switch {
	case errors.Is(err, ErrInvalid), errors.Is(err, ErrClosed):
		return err
	case err != nil:
		return s.withoutLog(ctx, err)
	}
	s.request.Repository = identified
	s.records = records
	if len(s.asked.Keys) > 0 { // one that was revoked is wrong usage, and recorded nowhere
		if err := s.loadKeys(ctx); errors.Is(err, ErrInvalid) {
			return err
		} else if err != nil {
			return s.withoutLog(ctx, err)
		}
	}
	if s.asked.AcceptAddress {
		if err := s.acceptAddress(ctx, log, records); err != nil {
			return err
		}
	}
	s.result.Outcome, err = records.Record(ctx, s.request, s.read)
	s.result.Cleanup = s.release() // of very many files, that is much
	s.asked.Progress(ScanProgress{Step: ScanProjecting})
	s.follow(ctx, log)
	return err
}

// acceptAddress records where the repository is read from as one of its addresses, unless it is known by it or not known at all.
func (s *scan) acceptAddress(ctx context.Context, log eventstore.Log, records *recorder.Recorder) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("cannot create an id: %w", err)
	}
	all, err := s.ledger.repositories(ctx, log)
	if err != nil {
		return err
	}
	addresses := addressesOf(s.found)
	known := errors.New("known")
	_, err = records.Change(ctx, recorder.Change{
		ID: id, Repository: s.request.Repository.ID, Actor: s.request.Actor, Reason: s.request.Reason,
		Decide: func(state domain.State) ([]domain.Event, error) {
			if !state.Registered || state.MayBeReadFrom(addresses) {
				return nil, known
			}
			if err := unshared(all, state.Repository, addresses[:1]); err != nil {
				return nil, err
			}
			settings := state.Settings
			settings.Addresses = slices.Sorted(slices.Values(append([]string{addresses[0]}, settings.Addresses...)))
			return domain.ChangeRepository(state, domain.RepositoryChanged{
				Repository: state.Repository, Settings: settings, Actor: s.request.Actor, Reason: s.request.Reason, ChangedAt: s.ledger.config.Now().UTC(),
			})
		},
	})
	if errors.Is(err, known) {
		return nil
	}
	return err
}

// release frees what the scan read.
func (s *scan) release() error {
	var errs []error
	if s.kept != nil {
		errs = append(errs, s.kept.close())
	}
	if s.revision != nil {
		errs = append(errs, s.revision.Close())
	}
	s.kept, s.revision = nil, nil
	return errors.Join(errs...)
}

// withoutLog keeps the failure of a scan whose log cannot even be opened in the spool (I2). It tries once: that the log
// could be opened a second later is for the next scan to see.
func (s *scan) withoutLog(ctx context.Context, cause error) error {
	c := recorder.DefaultConfig(s.ledger.config.Now, s.ledger.settings.SpoolFolder())
	c.Log.Address, c.Tries, c.Rounds = s.ledger.settings.SpooledLogName(), 1, 1
	records, err := recorder.New(unreachableLog{cause}, c)
	if err != nil {
		return errors.Join(cause, err)
	}
	if s.result.Outcome, err = records.Record(ctx, s.request, s.read); err == nil || s.result.Spooled == "" {
		return errors.Join(cause, err)
	}
	return cause
}

// checkTables refuses tables that were made from another log (I14). That a scan finds them out before it records anything
// keeps a wrong address from beginning a second history. Whatever else is wrong with them keeps no scan from being recorded.
func (l *Ledger) checkTables(ctx context.Context, log eventstore.Log) error {
	if l.settings.FindTables() != nil {
		return nil // there are none that could be of another log
	}
	ctx, _, stop := l.withPatience(ctx)
	defer stop()
	db, err := l.openTables(ctx)
	if err != nil {
		return nil
	}
	defer func() { _ = db.Close() }() // nothing was written
	runner, err := l.newRunner(log, db, nil, nil)
	if err != nil {
		return err
	}
	if err := inspect.Check(ctx, runner.Pipeline); errors.Is(err, projections.ErrLogMismatch) {
		return err
	}
	return nil
}

// ErrNoProgress says that the tables made no progress for as long as [Config.Patience].
var ErrNoProgress = errors.New("the tables made no progress")

// withPatience returns a context that ends when nothing moved for a while. stop frees it.
func (l *Ledger) withPatience(ctx context.Context) (_ context.Context, moved, stop func()) {
	patience := cmp.Or(l.config.Patience, time.Minute)
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(patience, func() { cancel(fmt.Errorf("%w for %s", ErrNoProgress, patience)) })
	return ctx, func() { timer.Reset(patience) }, func() {
		timer.Stop()
		cancel(nil)
	}
}

// follow finds out when the log recorded the scan and lets the tables show it. What fails is no failure of the scan: the log
// has it, and the next view updates the tables. It ends also when a server does not answer, and continues for a while
// when ctx has ended: what was recorded should show.
func (s *scan) follow(ctx context.Context, log eventstore.Log) {
	if s.result.Position == 0 {
		return
	}
	const grace = 30 * time.Second
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
	}
	ctx, moved, stop := s.ledger.withPatience(ctx)
	defer stop()
	if record, err := log.At(ctx, s.result.Position); err == nil {
		const tolerance = time.Minute
		s.result.RecordedAt = record.RecordedAt.UTC()
		decided := s.result.Head().DecidedAt
		s.result.ClocksDiffer = s.result.RecordedAt.Before(decided.Add(-tolerance)) || // a log that answered late is none
			s.result.RecordedAt.After(s.ledger.config.Now().Add(tolerance))
	}
	err := s.project(ctx, log, moved)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	s.result.Projected, s.result.NotProjected = err == nil, err
}

func (s *scan) project(ctx context.Context, log eventstore.Log, moved func()) (err error) {
	db, err := s.ledger.openTables(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	runner, err := s.ledger.newRunner(log, db, nil, func(run.Progress) { moved() })
	if err != nil {
		return err
	}
	return s.ledger.catchUp(ctx, runner, s.result.Position, nil)
}

// read reads the revision against what the log knows. It opens the revision once: when another scan comes between, the
// same commit is judged again.
func (s *scan) read(ctx context.Context, state domain.State) (recorder.Reading, error) {
	limits, err := rosie.LimitsOf(state.Settings.Limits)
	if err != nil {
		return recorder.Reading{}, fmt.Errorf("cannot use the recorded settings: %w", err)
	}
	limits = s.asked.Limits.Over(limits)
	if err := s.loadKeys(ctx); err != nil { // after the state: no scan uses older keys than the one before it
		return recorder.Reading{}, err
	}
	reading := recorder.Reading{
		Reader: rosie.Stamp(s.keys.reading), Settings: s.settings(limits), Policy: s.asked.policy(state.Settings), Addresses: addressesOf(s.found),
		RevokedKeys: s.keys.revoked, WithoutKnownKeys: s.asked.WithoutKnownKeys,
	}
	if s.revision == nil {
		s.asked.Progress(ScanProgress{Step: ScanOpening})
		revision, err := s.open.revision(ctx)
		if err != nil {
			reading.Source = domain.Source{Ref: s.asked.Ref, Worktree: s.asked.Worktree}
			return reading, err
		}
		s.revision, s.result.DirtyUnknown = revision, revision.Source().DirtyUnknown
	}
	reading.Source = s.revision.Source()
	if previous, after := state.PreviousCommit(reading.Source), s.open.after; after != nil && *after != previous {
		return reading, fmt.Errorf("cannot continue the history: %w: the commit recorded last is %s now, and was %s",
			recorder.ErrMoved, cmp.Or(previous, "none"), cmp.Or(*after, "none"))
	}
	reading.RelationUnknown, err = relate(ctx, s.revision, state, &reading.Source)
	if s.result.RelationUnknown = reading.RelationUnknown; err != nil {
		return reading, err
	}
	s.result.Older = map[string]bool{}
	for path, unit := range state.Units {
		if domain.NewerReader(unit.Stamp, reading.Reader) {
			s.result.Older[path] = true
		}
	}
	if s.kept != nil {
		if err := s.kept.close(); err != nil {
			return reading, err
		}
	}
	s.kept = &keeper{folder: s.ledger.settings.HomeFolder(), limit: keptInMemory}
	tree, err := rosie.Read(ctx, s.revision.Files(), rosie.Options{
		Keys: s.keys.reading, Limits: limits, Unsigned: reading.Policy.Unsigned, AllowSecrets: reading.Policy.AllowSecrets,
		At: s.request.StartedAt, Known: state.Holds,
		Stored: func(sha256 string) bool {
			if s.contents == nil {
				return false
			}
			_, err := s.contents.Content(ctx, sha256)
			return err == nil
		},
		Keeper: s.kept, Progress: s.asked.reading,
	})
	if err != nil {
		return reading, err
	}
	reading.Files, reading.Ignored, reading.Findings, reading.Faults = tree.Files, tree.Ignored, tree.Findings, tree.Faults
	reading.Contents = make([]eventstore.Blob, len(tree.Contents))
	for i, c := range tree.Contents {
		reading.Contents[i] = eventstore.Blob(c)
	}
	reading.Whole = s.kept.whole
	reading.Recorded = func(outcome *recorder.Outcome) {
		if s.kept.spilled() {
			s.result.summary, outcome.Events = summarise(s.result.Older, outcome.Events), nil
		}
	}
	s.revision.Rest()
	s.asked.Progress(ScanProgress{Step: ScanRecording})
	return reading, nil
}

// relate reads how a revision relates to the one scanned before, and returns why that is unknown. The history of a remote repository is fetched
// for the main line alone.
func relate(ctx context.Context, revision *gitrepo.Revision, state domain.State, source *domain.Source) (unknown string, err error) {
	previous := state.PreviousCommit(*source)
	if source.Commit == "" || previous == "" {
		return "", nil
	}
	source.Previous = previous
	source.Relation, unknown, err = revision.Relate(ctx, previous, state.Settings.OnMainLine(*source))
	return unknown, err
}

// policy is that of a scan, given what is recorded for its repository.
func (r ScanRequest) policy(recorded domain.RepositorySettings) domain.Policy {
	p := recorded.Policy()
	p.Links = cmp.Or(r.Policy.Links, p.Links)
	p.Duplicates = cmp.Or(r.Policy.Duplicates, p.Duplicates)
	p.Unsigned = cmp.Or(r.Policy.Unsigned, p.Unsigned)
	p.AllowSecrets = r.Policy.AllowSecrets
	return p
}

// overrides names what was given for this scan alone, sorted.
func (r ScanRequest) overrides() []string {
	var names []string
	for _, x := range []struct {
		name  string
		given bool
	}{
		{"duplicates", r.Policy.Duplicates != ""},
		{"keys", len(r.Keys) > 0},
		{"limits", r.Limits != rosie.Limits{}},
		{"links", r.Policy.Links != ""},
		{domain.OverrideRewind, r.AllowRewind},
		{"unsigned_packages", r.Policy.Unsigned != ""},
		{"without_known_keys", r.WithoutKnownKeys},
	} {
		if x.given {
			names = append(names, x.name)
		}
	}
	return names
}

// settings is by what the scan reads, beside its policy.
func (s *scan) settings(limits rosie.Limits) *domain.Settings {
	return &domain.Settings{Keys: s.keys.inForce, Limits: limits.Set(), KeysRevision: s.keys.revision, Overrides: s.asked.overrides()}
}
