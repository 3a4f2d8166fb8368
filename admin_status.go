package gxpledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/config"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/inspect"
)

// ProjectionStatus says how a projection is. The JSON names are stable.
type ProjectionStatus struct {
	Name         string           `json:"name"`
	Version      int              `json:"version"` // of the projection that this binary knows
	State        inspect.State    `json:"state"`
	Build        int              `json:"build,omitempty"`          // the active one; 0 when there is none
	BuildVersion int              `json:"build_version,omitempty"`  // of the projection that built it
	Next         *NextBuild       `json:"next,omitempty"`           // the build that is to replace it
	Retired      int              `json:"retired_builds,omitempty"` // how many there are
	Rate         float64          `json:"events_per_second,omitempty"`
	Paused       *Pause           `json:"paused,omitempty"`
	Position     uint64           `json:"position"` // that the active build has reached
	Head         uint64           `json:"head"`     // of the log
	Lag          uint64           `json:"lag"`
	LagSeconds   float64          `json:"lag_seconds"` // how long the oldest event that the active build lacks has been in the log
	UpdatedAt    time.Time        `json:"updated_at,omitzero"`
	Holder       string           `json:"holder,omitempty"`             // the process that writes the active build; "" for none
	LeaseLeft    float64          `json:"lease_seconds_left,omitempty"` // how long its lease lives on without a sign of life
	Fault        *ProjectionFault `json:"fault,omitempty"`
	// Retrying is what the process that writes the tables failed to do and tries again; nil for nothing, and where that process
	// uses another home.
	Retrying *Retrying `json:"retrying,omitempty"`
	Mismatch string    `json:"mismatch,omitempty"` // why the log is not the one that the tables were built from
}

// NextBuild is a build that is to replace the active one.
type NextBuild struct {
	Build        int                    `json:"build"`
	Version      int                    `json:"version"` // of the projection
	State        projections.BuildState `json:"state"`   // filling or ready
	Position     uint64                 `json:"position"`
	Rate         float64                `json:"events_per_second"`
	SecondsLeft  float64                `json:"seconds_left"`
	Holder       string                 `json:"holder"`                       // of its lease
	LeaseExpires time.Time              `json:"lease_expires"`                // in the past when the build is orphaned
	LeaseLeft    float64                `json:"lease_seconds_left,omitempty"` // how long it lives on without a sign of life
	Orphaned     bool                   `json:"orphaned"`                     // nobody holds its lease: the next rebuild resumes it
	CancelledBy  string                 `json:"cancelled_by,omitempty"`
}

// Pause is an administrator's hold on a projection.
type Pause struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// ProjectionFault is the event at which a projection stopped.
type ProjectionFault struct {
	Position uint64    `json:"position"`
	EventID  string    `json:"event_id"`
	Type     string    `json:"type"`
	Text     string    `json:"text"`
	At       time.Time `json:"at"`
}

// NeedsAttention reports whether somebody has to do something: the projection is stalled, faulted or mismatched.
func (s ProjectionStatus) NeedsAttention() bool { return inspect.Status{State: s.State}.Troubled() }

// ProjectionBuild is one build of a projection. The JSON names are stable.
type ProjectionBuild struct {
	Projection string                 `json:"projection"`
	Build      int                    `json:"build"`
	Version    int                    `json:"version"`
	State      projections.BuildState `json:"state"` // filling, ready, active or retired
	Position   uint64                 `json:"position"`
	LogID      string                 `json:"log_id,omitempty"`
	CreatedAt  time.Time              `json:"created_at"`
	UpdatedAt  time.Time              `json:"updated_at"` // when the position last moved
	// Tables are the digests that were taken when the build was activated.
	Tables []TableDigest `json:"tables,omitempty"`
}

// Status returns the status of every projection. It catches up nothing, so that it works where that would fail, and
// it waits for nobody who writes. Errors: [ErrNoLog], [ErrLogLost], and those of the packages projections and eventstore.
func (a Admin) Status(ctx context.Context) (all []ProjectionStatus, err error) {
	s, err := a.openSession(ctx, config.ToRead)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.tables.Close()) }()
	return s.statuses(ctx)
}

// Builds returns the builds of the projections named, or of all, in order. Like [Admin.Status] it catches up nothing and waits
// for nobody who writes. Errors: [ErrInvalid] for an unknown projection, and those of [Admin.Status].
func (a Admin) Builds(ctx context.Context, names ...string) (all []ProjectionBuild, err error) {
	if len(names) == 0 {
		names = Projections()
	}
	for _, name := range names {
		if !slices.Contains(Projections(), name) {
			return nil, fmt.Errorf("cannot list builds: %w: there is no projection %q", ErrInvalid, name)
		}
	}
	s, err := a.openSession(ctx, config.ToRead)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.tables.Close()) }()
	for _, name := range names {
		builds, err := s.tables.Builds(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, b := range builds {
			digests, err := s.tables.Digests(ctx, b.Ref)
			if err != nil {
				return nil, err
			}
			all = append(all, newBuild(b, digests))
		}
	}
	return all, nil
}

func newBuild(b projections.Build, digests []projections.Digest) ProjectionBuild {
	out := ProjectionBuild{
		Projection: b.Projection, Build: b.Number, Version: b.Checkpoint.Version, State: b.State,
		Position: uint64(b.Checkpoint.Position), CreatedAt: b.CreatedAt.UTC(), UpdatedAt: b.UpdatedAt.UTC(),
	}
	if b.Checkpoint.Position > 0 {
		out.LogID = b.Checkpoint.Log.String()
	}
	for _, d := range digests {
		out.Tables = append(out.Tables, TableDigest(d))
	}
	return out
}

func newStatus(s inspect.Status) ProjectionStatus {
	out := ProjectionStatus{
		Name: s.Name, Version: s.Version, State: s.State, Head: uint64(s.Head), Lag: s.Lag, LagSeconds: s.LagTime.Seconds(), Retired: s.Retired,
	}
	if s.Active != nil {
		out.Build, out.BuildVersion = s.Active.Number, s.Active.Checkpoint.Version
		out.Position, out.UpdatedAt, out.Rate = uint64(s.Active.Checkpoint.Position), s.Active.UpdatedAt.UTC(), s.Active.Pace()
		if s.Active.LeaseLeft > 0 {
			out.Holder, out.LeaseLeft = s.Active.Lease.Holder, s.Active.LeaseLeft.Seconds()
		}
	}
	if b := s.Next; b != nil {
		out.Next = &NextBuild{
			Build: b.Number, Version: b.Checkpoint.Version, State: b.State, Position: uint64(b.Checkpoint.Position), Rate: b.Pace(),
			SecondsLeft: b.Left(s.Head).Seconds(), Holder: b.Lease.Holder, LeaseExpires: b.Lease.Expires.UTC(), Orphaned: b.LeaseLeft == 0,
			CancelledBy: b.CancelledBy, LeaseLeft: b.LeaseLeft.Seconds(),
		}
	}
	if h := s.Pause; h != nil {
		out.Paused = &Pause{By: h.By, Reason: h.Reason, At: h.At.UTC()}
	}
	if f := s.Fault; f != nil {
		out.Fault = &ProjectionFault{Position: uint64(f.Position), EventID: f.Event.String(), Type: f.Type, Text: f.Text, At: f.At.UTC()}
	}
	if s.Mismatch != nil {
		out.Mismatch = s.Mismatch.Error()
	}
	return out
}

// Log returns the log, opened to append and created where there is none, for programs that serve it to others. Do not append
// to the streams of repositories and of the engine: only [Ledger.Scan] and the methods of Admin write them. Closing the log
// does nothing: the ledger closes it.
//
// It waits for a server of the log as [Ledger.Log] does. Errors: a *[ConfigError], which may wrap [ErrLogLost], [ErrClosed],
// and those of package eventstore.
func (a Admin) Log(ctx context.Context) (eventstore.Log, error) {
	log, err := a.ledger.createLog(ctx)
	if err != nil {
		return nil, err
	}
	return sharedLog{log}, nil
}

// createLog opens the log to append, and creates it and its home where there is none.
func (l *Ledger) createLog(ctx context.Context) (eventstore.Log, error) {
	if l.settings.Log.Local() && l.config.OpenedLog == nil {
		if err := l.settings.CreateHome(); err != nil {
			return nil, err
		}
	}
	return l.openLog(ctx, config.ToAppend)
}
