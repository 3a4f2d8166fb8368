package recorder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/durable"
)

// spoolForm is the version of the form of a spool file. Those of form 1 do not name their log: any may record them.
const spoolForm = 2

// maxSpoolFile bounds what is read of a spool file: more than the failure with the longest list of violations needs.
const maxSpoolFile = 256 << 20

// spooled is a failure that waits on disk for a log that can be reached (I2).
type spooled struct {
	Form    int               `json:"form"`
	Log     LogName           `json:"log,omitzero"`
	Request spooledRequest    `json:"request"`
	Failed  domain.ScanFailed `json:"failed"` // its Number is given when it is recorded
	Stream  target            `json:"stream,omitempty"`
}

type spooledRequest struct {
	TraceParent string `json:"traceparent,omitempty"`
	TraceState  string `json:"tracestate,omitempty"`
}

// spool writes a failure to the spool directory and returns the file's path. The file is complete and durable, or it is
// not there.
func (s *session) spool(failed domain.ScanFailed) (string, error) {
	dir := s.config.Spool
	if dir == "" {
		return "", nil
	}
	data, err := json.MarshalIndent(spooled{
		Form: spoolForm, Log: s.config.Log, Failed: failed, Stream: s.target,
		Request: spooledRequest{TraceParent: s.request.TraceParent, TraceState: s.request.TraceState},
	}, "", "  ")
	if err != nil {
		return "", fmt.Errorf("cannot encode failure for the spool: %w", err)
	}
	if err := durable.MkdirAll(dir, 0o700, s.config.sync); err != nil {
		return "", fmt.Errorf("cannot create spool directory: %w", err)
	}
	path := filepath.Join(dir, s.request.Scan.String()+".json")
	if err := writeDurably(path, data, s.config.sync); err != nil {
		return "", fmt.Errorf("cannot spool failure of scan %s: %w", s.request.Scan, err)
	}
	return path, nil
}

// temporaryFile is how a file is named that is not complete yet.
const temporaryFile = "spool-*.tmp"

// writeDurably writes a new file beside path, syncs it, renames it and syncs the directory.
func writeDurably(path string, data []byte, sync durable.Sync) error {
	file, err := os.CreateTemp(filepath.Dir(path), temporaryFile)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = durable.Rename(file.Name(), path, sync)
	}
	if err != nil {
		if unused := os.Remove(file.Name()); !errors.Is(unused, fs.ErrNotExist) { // it is in its place, and may not last
			err = errors.Join(err, unused)
		}
	}
	return err
}

// Drained is what became of spooled failures.
type Drained struct {
	Recorded int // failures that the log has now
	Dropped  int // failures of scans whose outcome the log had already: it was unknown when they were spooled
}

// Drain records the failures that earlier runs had to spool, oldest first, and removes their files. A file that names another log waits for that, and one that another process drains meanwhile is left to it.
// A file that cannot be read or recorded stays; the others go on, and the error names each that stayed.
func (r *Recorder) Drain(ctx context.Context) (Drained, error) {
	var done Drained
	if r.config.Spool == "" {
		return done, nil
	}
	entries, err := os.ReadDir(r.config.Spool) // sorted by name: UUIDv7s are in the order of time
	if errors.Is(err, fs.ErrNotExist) {
		return done, nil
	}
	if err != nil {
		return done, fmt.Errorf("cannot list spool: %w", err)
	}
	r.removeAbandoned(entries)
	var faults []error
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".json") || !entry.Type().IsRegular() {
			continue
		}
		path := filepath.Join(r.config.Spool, entry.Name())
		switch dropped, err := r.drain(ctx, path); {
		case err == nil && dropped:
			done.Dropped++
		case err == nil:
			done.Recorded++
		case errors.Is(err, errOtherLog), errors.Is(err, fs.ErrNotExist):
		default:
			faults = append(faults, fmt.Errorf("cannot record spooled failure %s: %w", path, err))
		}
	}
	return done, errors.Join(faults...)
}

// abandonedAfter is the age from which a file that was to become a spooled failure is one that nobody writes any more: writing
// one takes moments, and only a process that was killed leaves it.
const abandonedAfter = time.Hour

// removeAbandoned removes what processes left that were killed while they spooled a failure. One that cannot be removed is no
// failure of what is recorded.
func (r *Recorder) removeAbandoned(entries []fs.DirEntry) {
	for _, entry := range entries {
		if matched, err := filepath.Match(temporaryFile, entry.Name()); err != nil || !matched || !entry.Type().IsRegular() {
			continue
		}
		if info, err := entry.Info(); err == nil && r.config.Now().Sub(info.ModTime()) > abandonedAfter {
			_ = os.Remove(filepath.Join(r.config.Spool, entry.Name()))
		}
	}
}

// errOtherLog says that a spooled failure is not of this log.
var errOtherLog = errors.New("failure is of another log")

// drain records one spooled failure. One whose scan is in the log after all is dropped.
func (r *Recorder) drain(ctx context.Context, path string) (dropped bool, err error) {
	s, failed, err := r.unspool(path)
	if err != nil {
		return false, err
	}
	if r.config.Identify != nil {
		if s.request.Repository, err = r.config.Identify(ctx, s.request.Repository); err != nil {
			return false, err
		}
		s.head.Repository = s.request.Repository
	}
	_, _, err = s.recordFailure(ctx, failed.Violations, failed.Total)
	if dropped = errors.Is(err, eventstore.ErrIDReused); err != nil && !dropped {
		return false, err
	}
	return dropped, os.Remove(path)
}

// unspool reads a spool file back into the session that wrote it.
func (r *Recorder) unspool(path string) (*session, domain.ScanFailed, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, domain.ScanFailed{}, err
	}
	if info.Size() > maxSpoolFile {
		return nil, domain.ScanFailed{}, fmt.Errorf("%w: %d bytes; expected at most %d", eventstore.ErrInvalid, info.Size(), maxSpoolFile)
	}
	data, err := os.ReadFile(path) //nolint:gosec // below the operator's own spool directory
	if err != nil {
		return nil, domain.ScanFailed{}, err
	}
	var file spooled
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, domain.ScanFailed{}, fmt.Errorf("%w: not a spooled failure: %w", eventstore.ErrInvalid, err)
	}
	if file.Form < 1 || file.Form > spoolForm || len(file.Failed.Violations) == 0 {
		return nil, domain.ScanFailed{}, fmt.Errorf("%w: form %d with %d violations; expected a form from 1 to %d and at least one",
			eventstore.ErrInvalid, file.Form, len(file.Failed.Violations), spoolForm)
	}
	if !file.Log.mayBe(r.config.Log) {
		return nil, domain.ScanFailed{}, errOtherLog
	}
	head := file.Failed.Head
	scan, err := uuid.Parse(head.Scan)
	if err != nil {
		return nil, domain.ScanFailed{}, fmt.Errorf("%w: scan id: %w", eventstore.ErrInvalid, err)
	}
	request := Request{
		Scan: scan, Repository: head.Repository, Actor: head.Actor, ActorFrom: head.ActorFrom, Reason: head.Reason,
		Policy:    head.Policy,
		StartedAt: head.StartedAt, TraceParent: file.Request.TraceParent, TraceState: file.Request.TraceState,
	}
	if err := request.validate(); err != nil {
		return nil, domain.ScanFailed{}, err
	}
	return &session{Recorder: r, request: request, head: head, target: file.Stream}, file.Failed, nil
}

// mayBe reports whether n and other may be names of one log: they have the same id or, where one has none, the same
// address. A name that says nothing may be that of any log.
func (n LogName) mayBe(other LogName) bool {
	switch {
	case n == LogName{}, other == LogName{}:
		return true
	case n.ID != uuid.Nil && other.ID != uuid.Nil:
		return n.ID == other.ID
	default:
		return n.Address == other.Address
	}
}
