// Package recorder records scans and admin actions in a log: it loads the state of a stream, decides, appends the events as
// one batch, and tries again where the log did not answer or another scan came first (I1, I4).
//
// A scan that fails leaves one event that says why (I2). Where the log cannot be reached, the failure is kept in the spool,
// a directory, and recorded by the next [Recorder.Drain] that reaches the same log.
package recorder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/durable"
)

// Log is what a Recorder needs of a log.
type Log interface {
	eventstore.Appender
	eventstore.StreamReader
	eventstore.Snapshots
}

// Config is how patient a Recorder is. Start from [DefaultConfig].
type Config struct {
	// Now is the engine's clock. Required.
	Now func() time.Time
	// Tries is how often one batch is appended while the log does not answer, at least 1. Default 5.
	Tries int
	// Rounds is how often a scan is read and decided again because another one came between, at least 1. Default 10.
	Rounds int
	// FirstWait and LongestWait bound the waits between tries: each is about twice the one before, with jitter.
	// Defaults 100 ms and 5 s.
	FirstWait, LongestWait time.Duration
	// Wait bounds for how long a batch is tried again while the log does not answer; 0 for what Tries and the waits come to.
	Wait time.Duration
	// FailureTimeout is how long a Recorder tries, after its context has ended, to record that the scan failed. Default 10 s.
	FailureTimeout time.Duration
	// Spool is the directory for failures that could not be recorded (I2). Empty: they are only returned.
	Spool string
	// Log names the log, so that a spooled failure is recorded in no other one. The zero value names none.
	Log LogName
	// HeldBytes is about how much data of a batch is in memory. What comes after it is encoded as the log writes it. Default
	// 16 MiB.
	HeldBytes int
	// Identify, when set, finds the repository of a spooled failure by what its scan knew of it without the log. Nil: that is right.
	Identify func(context.Context, domain.Repository) (domain.Repository, error)
	// Observe, when set, is told of each wait and each new round. It must not block.
	Observe func(Retry)

	sync durable.Sync // of the folders of the spool; nil but in tests
}

// LogName says which log is meant.
type LogName struct {
	ID      uuid.UUID `json:"id,omitzero"`       // zero where the log could never be opened
	Address string    `json:"address,omitempty"` // without credentials
}

// Retry is one thing that went wrong and is about to be tried again.
type Retry struct {
	Attempt int           // appends so far
	Round   int           // decisions so far
	Wait    time.Duration // before the next try; 0 for a new round
	Err     error
}

// DefaultConfig returns the defaults with that clock and spool directory.
func DefaultConfig(now func() time.Time, spool string) Config {
	return Config{
		Now: now, Tries: 5, Rounds: 10, FirstWait: 100 * time.Millisecond, LongestWait: 5 * time.Second,
		FailureTimeout: 10 * time.Second, Spool: spool, HeldBytes: 16 << 20,
	}
}

func (c Config) validate() error {
	var faults []error
	if c.Now == nil {
		faults = append(faults, errors.New("field Now is required"))
	}
	if c.Tries < 1 || c.Rounds < 1 {
		faults = append(faults, fmt.Errorf("fields Tries %d and Rounds %d must be at least 1", c.Tries, c.Rounds))
	}
	if c.FirstWait <= 0 || c.LongestWait < c.FirstWait || c.FailureTimeout <= 0 {
		faults = append(faults, fmt.Errorf("fields FirstWait %s, LongestWait %s and FailureTimeout %s must be positive and in order",
			c.FirstWait, c.LongestWait, c.FailureTimeout))
	}
	if c.Wait < 0 {
		faults = append(faults, fmt.Errorf("field Wait %s must not be negative", c.Wait))
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: recorder config: %w", eventstore.ErrInvalid, errors.Join(faults...))
	}
	return nil
}

// Recorder records scans: it loads what the log knows of a repository, lets the caller read the revision against it,
// decides, and appends the outcome as one batch (I1). Whatever happens, a scan leaves its whole batch or exactly one
// ScanFailed (I2), never both: the first event of either has the same id, which a log holds once. What fails before anything was
// appended, under a name that is not known, leaves a ScanAttemptFailed instead, which has no number.
//
// A Recorder is safe for concurrent use.
type Recorder struct {
	log    Log
	config Config
}

// New checks config and returns a Recorder that appends to log.
func New(log Log, config Config) (*Recorder, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	return &Recorder{log: log, config: config}, nil
}

// Request says what is to be scanned, by whom and why.
type Request struct {
	Scan       uuid.UUID // UUIDv7: the identity of this scan, and of every event that it leaves
	Repository domain.Repository
	Actor      string
	ActorFrom  domain.ActorSource // "" is taken as domain.ActorClaimed
	Reason     string
	Policy     domain.Policy
	StartedAt  time.Time
	// TraceParent and TraceState are the W3C trace context of the caller, or empty.
	TraceParent, TraceState string
}

// Reading is one revision, read against a state.
type Reading struct {
	Source   domain.Source
	Reader   string // see domain.Head
	Settings *domain.Settings
	// Policy is the one in force. The zero value is that of the request.
	Policy domain.Policy
	// Addresses are where the revision was read from: see domain.Scan.
	Addresses []string
	// RevokedKeys and WithoutKnownKeys: see domain.Scan.
	RevokedKeys      []string
	WithoutKnownKeys bool
	// RelationUnknown says why the relation of Source is unknown: see domain.Scan.
	RelationUnknown string

	Files    []domain.File
	Ignored  []string // see domain.Scan
	Findings []domain.Finding
	Faults   []domain.Violation
	Contents []eventstore.Blob
	// Whole returns an event with all of its artifact, where Files holds light forms (see domain.Artifact.Light). It may be
	// called until Record returns. Nil: they are whole.
	Whole func(domain.ArtifactParsed) (domain.ArtifactParsed, error)
	// Recorded, when set, is called once the batch is in the log, before a snapshot is saved, which needs memory of its own. It may
	// drop the events of the outcome.
	Recorded func(*Outcome)
}

// ErrSource says that the repository or revision could not be read. The wrapped cause says what to fix.
var ErrSource = errors.New("source could not be read")

// ErrMoved says that another scan came between, after which the revision is not to be recorded any more. A scan whose [ReadFunc] returns it
// leaves nothing, as if it had not been started.
var ErrMoved = errors.New("another scan came between")

// ReadFunc reads the revision. Units that state holds need not be read again (domain.State.Holds). It is called once for
// each round, and must neither change nor keep state. What it returns beside an error still goes into the ScanFailed.
type ReadFunc func(ctx context.Context, state domain.State) (Reading, error)

// Outcome says what a scan left in the log.
type Outcome struct {
	Completed *domain.ScanCompleted // set when the scan completed
	Failed    *domain.ScanFailed    // set when it failed; without a number where a domain.ScanAttemptFailed was recorded, or nothing yet
	// Events is the batch of a completed scan. Its artifacts are light where those of the reading are.
	Events   []domain.Event
	Position eventstore.Position // of the last event; 0 when nothing could be recorded
	Attempts int                 // appends that were tried
	Spooled  string              // the file that keeps a failure until the log can be reached
	Unknown  Unknown             // what the log may hold of the scan, beside a Failed that is not known to be recorded
}

// Unknown says what was sent to the log without an answer whether it was written. [Recorder.Drain] finds out: it records
// the spooled failure, or drops it because the log has an outcome of the scan.
type Unknown int

const (
	// UnknownNothing means that all that was sent was answered.
	UnknownNothing Unknown = iota
	// UnknownFailure means that the scan failed, and that the log may have its ScanFailed.
	UnknownFailure
	// UnknownScan means that the log may have the whole batch of the scan, which then completed, or its ScanFailed.
	UnknownScan
)

// Head is what the scan says of itself; the zero Head when it neither completed nor failed.
func (o *Outcome) Head() domain.Head {
	switch {
	case o.Completed != nil:
		return o.Completed.Head
	case o.Failed != nil:
		return o.Failed.Head
	}
	return domain.Head{}
}

// Record reads, decides and appends one scan.
//
// With a nil error the scan completed and Outcome.Completed is set. Otherwise Outcome.Failed says what was recorded, or
// spooled, and the error wraps the cause: a *domain.RefusedError when a rule or the policy refused the scan, the error of
// read, ErrConflict, ErrTooLarge, the context's, or whatever kept the log from answering. Unless Outcome.Unknown is
// UnknownNothing it is ErrOutcomeUnknown too. With [ErrMoved] neither is set, and nothing was recorded.
func (r *Recorder) Record(ctx context.Context, request Request, read ReadFunc) (Outcome, error) {
	if err := request.validate(); err != nil {
		return Outcome{}, err
	}
	s := &session{Recorder: r, request: request, read: read}
	err := s.run(ctx)
	if err == nil {
		return s.outcome, nil
	}
	if errors.Is(err, ErrMoved) && s.unknown == UnknownNothing {
		return Outcome{}, err
	}
	return s.fail(ctx, err)
}

// State returns what the log knows of a repository.
func (r *Recorder) State(ctx context.Context, id domain.RepositoryID) (domain.State, error) {
	at, err := r.load(ctx, eventstore.RepositoryStream(id))
	return at.state, err
}

func (q Request) validate() error {
	var faults []error
	if q.Scan.Version() != 7 {
		faults = append(faults, fmt.Errorf("scan id %s is not a UUIDv7", q.Scan))
	}
	if _, err := uuid.Parse(string(q.Repository.ID)); err != nil {
		faults = append(faults, fmt.Errorf("repository id %q: %w", q.Repository.ID, err))
	}
	if q.Repository.Name == "" || q.Actor == "" {
		faults = append(faults, errors.New("repository name and actor are required"))
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: scan request: %w", eventstore.ErrInvalid, errors.Join(faults...))
	}
	return nil
}

// session is the recording of one scan.
type session struct {
	*Recorder
	request Request
	read    ReadFunc
	head    domain.Head // as far as it is known
	attempt int
	target  target // of its failure
	unknown Unknown
	outcome Outcome
	// recorded is that of the last reading.
	recorded func(*Outcome)
}

// run goes round until the scan is recorded or nothing more is to be tried.
func (s *session) run(ctx context.Context) error {
	var err error
	for round := 1; round <= s.config.Rounds; round++ {
		if err = s.round(ctx); !errors.Is(err, eventstore.ErrConflict) && !errors.Is(err, domain.ErrStale) {
			return err
		}
		s.observe(Retry{Attempt: s.attempt, Round: round, Err: err})
	}
	return fmt.Errorf("cannot record scan %s: other scans of %q came between %d times: %w",
		s.request.Scan, s.request.Repository.Name, s.config.Rounds, err)
}

// round loads, reads, decides and appends once.
func (s *session) round(ctx context.Context) error {
	loaded, err := s.load(ctx, eventstore.RepositoryStream(s.request.Repository.ID))
	if err != nil {
		return err
	}
	s.rename(loaded.state)
	reading, err := s.read(ctx, loaded.state)
	if at := loaded.expected.Next(); loaded.state.Registered && reading.Settings != nil {
		revision := int64(at) - 1 //nolint:gosec // of an event that was read
		reading.Settings.Revision = &revision
	}
	s.head = s.describe(reading)
	if errors.Is(err, ErrMoved) {
		return err
	}
	if err != nil {
		if errors.Is(err, eventstore.ErrTransient) || errors.Is(err, eventstore.ErrCorrupt) { // it is about the log, not the revision
			return err
		}
		return fmt.Errorf("%w: %w", ErrSource, err)
	}
	s.recorded = reading.Recorded
	contents, whole := reading.Contents, reading.Whole // the rest is not kept while it is recorded: it may be very many files
	scan := domain.Scan{
		Head: s.head, Files: reading.Files, Ignored: reading.Ignored, Findings: reading.Findings, Faults: reading.Faults,
		Addresses: reading.Addresses, RevokedKeys: reading.RevokedKeys, WithoutKnownKeys: reading.WithoutKnownKeys,
		RelationUnknown: reading.RelationUnknown,
	}
	events, err := domain.Decide(loaded.state, scan)
	if err != nil {
		return fmt.Errorf("cannot decide scan %s: %w", s.request.Scan, err)
	}
	batch, err := s.batch(loaded, events, whole)
	if err != nil {
		return err
	}
	batch.Contents = contents
	appended, err := s.append(ctx, batch, UnknownScan)
	if err != nil {
		return err
	}
	s.complete(events, appended)
	// A snapshot is due when folding what came since the last one would cost more than reading one.
	size, due := len(events), loaded.since+len(events) >= max(100, loaded.state.Artifacts()/4)
	if due {
		loaded.state = domain.Fold(loaded.state, events...)
	}
	if s.recorded != nil {
		s.recorded(&s.outcome)
	}
	if due {
		s.remember(ctx, loaded, size, appended)
	}
	return nil
}

// rename gives the scan the name that its repository has now.
func (s *session) rename(state domain.State) {
	if state.Registered {
		s.request.Repository.Name = state.Repository.Name
	}
}

func (s *session) describe(reading Reading) domain.Head {
	q := s.request
	return domain.Head{
		Scan: q.Scan.String(), Repository: q.Repository, Source: reading.Source, Actor: q.Actor,
		ActorFrom: cmp.Or(q.ActorFrom, domain.ActorClaimed), Reason: q.Reason,
		Policy: cmp.Or(reading.Policy, q.Policy), Settings: reading.Settings, Reader: reading.Reader, StartedAt: q.StartedAt.UTC(), DecidedAt: s.config.Now().UTC(),
	}
}

func (s *session) complete(events []domain.Event, at eventstore.Appended) {
	s.outcome = Outcome{Events: events, Position: at.Last, Attempts: s.attempt}
	if done, ok := events[len(events)-1].(domain.ScanCompleted); ok {
		s.outcome.Completed = &done
	}
}

// batch encodes events as one append after what was loaded. Those that do not fit in memory are encoded when they are read.
func (s *session) batch(at loaded, events []domain.Event, whole func(domain.ArtifactParsed) (domain.ArtifactParsed, error)) (eventstore.Batch, error) {
	b := eventstore.Batch{Stream: at.stream, Expected: at.expected, Events: make([]eventstore.NewEvent, len(events)), Meta: eventstore.Meta{
		Actor: s.request.Actor, Reason: s.request.Reason, Scan: s.request.Scan.String(),
		Correlation: s.request.Scan.String(), TraceParent: s.request.TraceParent, TraceState: s.request.TraceState,
	}}
	held := 0
	for i, e := range events {
		encode := func() ([]byte, error) {
			data, err := encode(e, whole)
			if err != nil {
				return nil, fmt.Errorf("cannot encode event %d of scan %s: %w", i, s.request.Scan, err)
			}
			return data, nil
		}
		b.Events[i] = eventstore.NewEvent{ID: eventstore.DeriveEventID(s.request.Scan, i), Type: eventstore.TypeOf(e)}
		if held > s.config.HeldBytes {
			b.Events[i].Load = encode
			continue
		}
		var err error
		if b.Events[i].Data, err = encode(); err != nil {
			return eventstore.Batch{}, err
		}
		held += len(b.Events[i].Data)
	}
	return b, nil
}

// encode returns the data of an event, which whole completes.
func encode(e domain.Event, whole func(domain.ArtifactParsed) (domain.ArtifactParsed, error)) ([]byte, error) {
	if parsed, ok := e.(domain.ArtifactParsed); ok && whole != nil {
		var err error
		if e, err = whole(parsed); err != nil {
			return nil, err
		}
	}
	_, data, err := eventstore.Encode(e)
	return data, err
}

func (r *Recorder) observe(t Retry) {
	if r.config.Observe != nil {
		r.config.Observe(t)
	}
}
