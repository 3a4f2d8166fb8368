package run

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
)

// Config says how a Runner works. Start from [DefaultConfig].
type Config struct {
	// Now is the engine's clock. It decides nothing about rows (I6); it dates faults and measures how long work took.
	// Required.
	Now func() time.Time
	// Decode returns the event of a record, or [eventstore.ErrUnknownType]. Safe for concurrent use. Required.
	Decode func(eventstore.Record) (domain.Event, error)
	// Holder names this process in leases, for people, such as "host:pid". Required.
	Holder string
	// LeaseTTL is how long after its last write a process that died keeps others from taking over. Default 10 s.
	LeaseTTL time.Duration
	// PageEvents and PageBytes bound what is written in one transaction; a larger batch is written whole.
	// Defaults 2000 and 8 MiB.
	PageEvents, PageBytes int
	// HeldEvents and HeldBytes bound the batch that is held in memory as a whole. A larger one is read again for each
	// projection, a page at a time, within its one transaction. Defaults 20,000 and 32 MiB.
	HeldEvents, HeldBytes int
	// Workers is how many pages are decoded at the same time. Default: as many as there are processors.
	Workers int
	// Tries is how often a page is written while the database does not answer, at least 1. Default 5.
	Tries int
	// FirstWait and LongestWait bound the waits between tries, each about 1.5 times the one before, with jitter.
	// Defaults 100 ms and 5 s.
	FirstWait, LongestWait time.Duration
	// Poll is how often a build that another process writes is looked at. Default 20 ms.
	Poll time.Duration
	// Wait is how long CatchUp waits in all while other processes write builds that it needs, and how long the activation of a
	// build waits for readers. 0 for as long as it takes.
	Wait time.Duration
	// Waiting, when set, is called when CatchUp begins to wait for another process, and what it returns when that is over. It
	// must not block.
	Waiting func(held *projections.LeaseHeldError) (done func())
	// Activating, when set, is called before a build is activated, which waits for readers, and what it returns when that is over.
	// It must not block.
	Activating func(projections.Ref) (done func())
	// Retrying, when set, is told of what failed and is about to be tried again. It is called from several goroutines and must
	// not block.
	Retrying func(Retry)
	// Observe, when set, is told of each page that was written. It is called from several goroutines and must not block.
	Observe func(Progress)
}

// Retry is one thing that went wrong and is about to be tried again.
type Retry struct {
	Projection string
	Wait       time.Duration // before the next try
	Err        error
}

// Progress is how far a build is.
type Progress struct {
	projections.Ref
	State    projections.BuildState
	Position eventstore.Position
	Events   uint64 // folded or skipped since the work began
}

// DefaultConfig returns the defaults with what is required.
func DefaultConfig(now func() time.Time, decode func(eventstore.Record) (domain.Event, error), holder string) Config {
	return Config{
		Now: now, Decode: decode, Holder: holder, LeaseTTL: 10 * time.Second, PageEvents: 2000, PageBytes: 8 << 20,
		HeldEvents: 20_000, HeldBytes: 32 << 20,
		Workers: runtime.GOMAXPROCS(0), Tries: 5, FirstWait: 100 * time.Millisecond, LongestWait: 5 * time.Second,
		Poll: 20 * time.Millisecond,
	}
}

func (c Config) validate() error {
	var faults []error
	if c.Now == nil || c.Decode == nil || c.Holder == "" {
		faults = append(faults, errors.New("fields Now, Decode and Holder are required"))
	}
	for name, n := range map[string]int64{
		"LeaseTTL": int64(c.LeaseTTL), "PageEvents": int64(c.PageEvents), "PageBytes": int64(c.PageBytes), "HeldEvents": int64(c.HeldEvents), "HeldBytes": int64(c.HeldBytes),
		"Workers": int64(c.Workers),
		"Tries":   int64(c.Tries), "FirstWait": int64(c.FirstWait), "LongestWait": int64(c.LongestWait), "Poll": int64(c.Poll),
	} {
		if n <= 0 {
			faults = append(faults, fmt.Errorf("field %s: %d, want above 0", name, n))
		}
	}
	if c.Wait < 0 {
		faults = append(faults, fmt.Errorf("field Wait: %s, want 0 or more", c.Wait))
	}
	return errors.Join(faults...)
}

// Runner folds one log into the tables of a set of projections. It is safe for concurrent use; several Runners, in
// several processes, may share a database.
type Runner struct {
	projections.Pipeline

	config  Config
	prepare *preparer
}

// NewRunner returns a Runner. Errors wrap [projections.ErrInvalid] and name every fault of the arguments.
func NewRunner(log projections.Log, db projections.Database, set []projections.Projection, config Config) (*Runner, error) {
	var faults []error
	if err := config.validate(); err != nil {
		faults = append(faults, err)
	}
	if log == nil || db == nil || len(set) == 0 {
		faults = append(faults, errors.New("a log, a database and a projection are required"))
	}
	if log != nil && log.ID() == uuid.Nil { // every checkpoint stores it, and could be of any log then (I14)
		faults = append(faults, errors.New("the log does not tell its id: open it again"))
	}
	owners := map[string]string{}
	names := map[string]bool{}
	for _, p := range set {
		if err := p.Validate(); err != nil {
			faults = append(faults, err)
		}
		if names[p.Name] {
			faults = append(faults, fmt.Errorf("projection %s: given twice", p.Name))
		}
		names[p.Name] = true
		for _, t := range p.Tables {
			if owner, taken := owners[t.Name]; taken && owner != p.Name {
				faults = append(faults, fmt.Errorf("table %s: belongs to %s and %s", t.Name, owner, p.Name))
			}
			owners[t.Name] = p.Name
		}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("new runner: %w: %w", projections.ErrInvalid, errors.Join(faults...))
	}
	return &Runner{
		Pipeline: projections.Pipeline{Log: log, Projections: set, Database: db, Now: config.Now}, config: config,
		prepare: &preparer{decode: config.Decode, known: map[string]reflect.Type{}},
	}, nil
}
