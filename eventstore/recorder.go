package eventstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
)

// RecorderLog is what a Recorder needs of a log.
type RecorderLog interface {
	Appender
	StreamReader
	Snapshots
}

// RecorderConfig is how patient a Recorder is. Start from [DefaultRecorderConfig].
type RecorderConfig struct {
	// Now is the engine's clock. Required.
	Now func() time.Time
	// Tries is how often one batch is appended while the log does not answer, at least 1. Default 5.
	Tries int
	// Rounds is how often a scan is read and decided again because another one came between, at least 1. Default 10.
	Rounds int
	// FirstWait and LongestWait bound the waits between tries: each is about twice the one before, with jitter.
	// Defaults 100 ms and 5 s.
	FirstWait, LongestWait time.Duration
	// LastWords is how long a Recorder goes on, after its context has ended, to record that the scan failed. Default 10 s.
	LastWords time.Duration
	// Spool is the directory for failures that could not be recorded (I2). Empty: they are only returned.
	Spool string
	// Observe, when set, is told of each wait and each new round. It must not block.
	Observe func(Trouble)
}

// Trouble is one thing that went wrong on the way and is about to be tried again.
type Trouble struct {
	Attempt int           // appends so far
	Round   int           // decisions so far
	Wait    time.Duration // before the next try; 0 for a new round
	Err     error
}

// DefaultRecorderConfig returns the defaults with that clock and spool directory.
func DefaultRecorderConfig(now func() time.Time, spool string) RecorderConfig {
	return RecorderConfig{
		Now: now, Tries: 5, Rounds: 10, FirstWait: 100 * time.Millisecond, LongestWait: 5 * time.Second,
		LastWords: 10 * time.Second, Spool: spool,
	}
}

func (c RecorderConfig) validate() error {
	var faults []error
	if c.Now == nil {
		faults = append(faults, errors.New("field Now is required"))
	}
	if c.Tries < 1 || c.Rounds < 1 {
		faults = append(faults, fmt.Errorf("fields Tries %d and Rounds %d must be at least 1", c.Tries, c.Rounds))
	}
	if c.FirstWait <= 0 || c.LongestWait < c.FirstWait || c.LastWords <= 0 {
		faults = append(faults, fmt.Errorf("fields FirstWait %s, LongestWait %s and LastWords %s must be positive and in order",
			c.FirstWait, c.LongestWait, c.LastWords))
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: recorder config: %w", ErrInvalid, errors.Join(faults...))
	}
	return nil
}

// Recorder records scans: it loads what the log knows of a repository, lets the caller read the revision against it,
// decides, and appends the outcome as one batch (I1). Whatever happens, a scan leaves its whole batch or exactly one
// ScanFailed (I2), never both: the first event of either has the same id, which a log holds once.
//
// A Recorder is safe for concurrent use.
type Recorder struct {
	log    RecorderLog
	config RecorderConfig
}

// NewRecorder checks config and returns a Recorder that appends to log.
func NewRecorder(log RecorderLog, config RecorderConfig) (*Recorder, error) {
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
	Reason     string
	Policy     domain.Policy
	StartedAt  time.Time
	// TraceParent and TraceState are the W3C trace context of the caller, or empty.
	TraceParent, TraceState string
}

// Reading is one revision, read against a state.
type Reading struct {
	Source   domain.Source
	Reader   string // see domain.Scan
	Files    []domain.File
	Findings []domain.Finding
	Faults   []domain.Violation
	Contents []Blob
}

// ReadFunc reads the revision. Units that state holds need not be read again (domain.State.Holds). It is called once for
// each round, and must neither change nor keep state. What it returns beside an error still goes into the ScanFailed.
type ReadFunc func(ctx context.Context, state domain.State) (Reading, error)

// Outcome says what a scan left in the log.
type Outcome struct {
	Completed *domain.ScanCompleted // set when the scan completed
	Failed    *domain.ScanFailed    // set when it failed
	Events    []domain.Event        // the batch of a completed scan
	Position  Position              // of the last event; 0 when nothing could be recorded
	Attempts  int                   // appends that were tried
	Spooled   string                // the file that keeps a failure until the log can be reached
}

// Record reads, decides and appends one scan.
//
// With a nil error the scan completed and Outcome.Completed is set. Otherwise Outcome.Failed says what was recorded, or
// spooled, and the error wraps the cause: a *domain.RefusedError when a rule or the policy refused the scan, the error of
// read, ErrConflict, ErrTooLarge, the context's, or whatever kept the log from answering.
func (r *Recorder) Record(ctx context.Context, request Request, read ReadFunc) (Outcome, error) {
	if err := request.validate(); err != nil {
		return Outcome{}, err
	}
	s := &session{Recorder: r, request: request, read: read}
	err := s.run(ctx)
	if err == nil {
		return s.outcome, nil
	}
	return s.fail(ctx, err)
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
		return fmt.Errorf("%w: scan request: %w", ErrInvalid, errors.Join(faults...))
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
	outcome Outcome
}

// run goes round until the scan is recorded or nothing more is to be tried.
func (s *session) run(ctx context.Context) error {
	var err error
	for round := 1; round <= s.config.Rounds; round++ {
		if err = s.round(ctx); !errors.Is(err, ErrConflict) && !errors.Is(err, domain.ErrStale) {
			return err
		}
		s.observe(Trouble{Attempt: s.attempt, Round: round, Err: err})
	}
	return fmt.Errorf("record scan %s: other scans of %q came between %d times: %w",
		s.request.Scan, s.request.Repository.Name, s.config.Rounds, err)
}

// round loads, reads, decides and appends once.
func (s *session) round(ctx context.Context) error {
	loaded, err := s.load(ctx, RepositoryStream(s.request.Repository.ID))
	if err != nil {
		return err
	}
	reading, err := s.read(ctx, loaded.state)
	s.head = s.describe(reading)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSource, err)
	}
	events, err := domain.Decide(loaded.state, domain.Scan{
		Head: s.head, Files: reading.Files, Findings: reading.Findings, Faults: reading.Faults,
	})
	if err != nil {
		return fmt.Errorf("decide scan %s: %w", s.request.Scan, err)
	}
	batch, err := s.batch(loaded, events)
	if err != nil {
		return err
	}
	batch.Contents = reading.Contents
	appended, err := s.append(ctx, batch)
	if err != nil {
		return err
	}
	s.complete(events, appended)
	s.remember(ctx, loaded, events, appended)
	return nil
}

func (s *session) describe(reading Reading) domain.Head {
	q := s.request
	return domain.Head{
		Scan: q.Scan.String(), Repository: q.Repository, Source: reading.Source, Actor: q.Actor, Reason: q.Reason,
		Policy: q.Policy, Reader: reading.Reader, StartedAt: q.StartedAt.UTC(), DecidedAt: s.config.Now().UTC(),
	}
}

func (s *session) complete(events []domain.Event, at Appended) {
	s.outcome = Outcome{Events: events, Position: at.Last, Attempts: s.attempt}
	if done, ok := events[len(events)-1].(domain.ScanCompleted); ok {
		s.outcome.Completed = &done
	}
}

// batch encodes events as one append after what was loaded.
func (s *session) batch(at loaded, events []domain.Event) (Batch, error) {
	b := Batch{Stream: at.stream, Expected: at.expected, Events: make([]NewEvent, len(events)), Meta: Meta{
		Actor: s.request.Actor, Reason: s.request.Reason, Scan: s.request.Scan.String(),
		Correlation: s.request.Scan.String(), TraceParent: s.request.TraceParent, TraceState: s.request.TraceState,
	}}
	for i, e := range events {
		typ, data, err := Encode(e)
		if err != nil {
			return Batch{}, fmt.Errorf("encode event %d of scan %s: %w", i, s.request.Scan, err)
		}
		b.Events[i] = NewEvent{ID: DeriveEventID(s.request.Scan, i), Type: typ, Data: data}
	}
	return b, nil
}

func (r *Recorder) observe(t Trouble) {
	if r.config.Observe != nil {
		r.config.Observe(t)
	}
}
