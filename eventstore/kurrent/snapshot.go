package kurrent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/durable"
)

// snapshots keeps snapshots, in files or in memory: a stream of a server only ever grows, and its events are small. It is
// safe for concurrent use.
type snapshots struct {
	dir string // "" for memory

	mu   *sync.Mutex // guards held
	held map[eventstore.StreamID]eventstore.Snapshot
}

// newSnapshots keeps snapshots of the log id below dir.
func newSnapshots(dir string, id uuid.UUID) snapshots {
	if dir != "" {
		dir = filepath.Join(dir, "snapshots-"+id.String())
	}
	return snapshots{dir: dir, mu: &sync.Mutex{}, held: map[eventstore.StreamID]eventstore.Snapshot{}}
}

// file is where the snapshot of a stream is. The name of a stream may hold what the name of a file may not.
func (s snapshots) file(stream eventstore.StreamID) string {
	sum := sha256.Sum256([]byte(stream))
	return filepath.Join(s.dir, hex.EncodeToString(sum[:])+".json")
}

func (s snapshots) load(stream eventstore.StreamID) (eventstore.Snapshot, error) {
	if s.dir == "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		snapshot, ok := s.held[stream]
		if !ok {
			return eventstore.Snapshot{}, eventstore.ErrNotFound
		}
		snapshot.Data = bytes.Clone(snapshot.Data)
		return snapshot, nil
	}
	text, err := os.ReadFile(s.file(stream))
	if errors.Is(err, fs.ErrNotExist) {
		return eventstore.Snapshot{}, eventstore.ErrNotFound
	}
	if err != nil {
		return eventstore.Snapshot{}, err
	}
	var held storedSnapshot
	if err := json.Unmarshal(text, &held); err != nil {
		return eventstore.Snapshot{}, errBroken
	}
	if snapshot := eventstore.Snapshot(held); snapshot.Validate() == nil && snapshot.Stream == stream {
		return snapshot, nil
	}
	return eventstore.Snapshot{}, errBroken
}

// errBroken: a file is not what was written, which is no more than a loss of time.
var errBroken = fmt.Errorf("%w: its file is broken", eventstore.ErrNotFound)

// storedSnapshot is a snapshot in its file.
type storedSnapshot struct {
	Stream   eventstore.StreamID `json:"stream"`
	Revision eventstore.Revision `json:"revision"`
	EventID  eventstore.EventID  `json:"eventId"`
	Version  int                 `json:"version"`
	Data     []byte              `json:"data"`
}

func (s snapshots) save(snapshot eventstore.Snapshot) error {
	if s.dir == "" {
		snapshot.Data = bytes.Clone(snapshot.Data)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.held[snapshot.Stream] = snapshot
		return nil
	}
	text, err := json.Marshal(storedSnapshot(snapshot))
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(s.dir, 0o700, nil); err != nil {
		return err
	}
	return replace(s.file(snapshot.Stream), text)
}

// replace writes a file so that readers find the old one or the new one, whole.
func replace(name string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if _, err := f.Write(text); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name) // a cache: whether it lasts is no matter
}

// LoadSnapshot implements [eventstore.Snapshots]. A broken file is ErrNotFound: it is only a cache.
func (l *Log) LoadSnapshot(ctx context.Context, stream eventstore.StreamID) (eventstore.Snapshot, error) {
	var snapshot eventstore.Snapshot
	err := l.usable(ctx)
	if err == nil {
		snapshot, err = l.snapshots.load(stream)
	}
	if err != nil {
		return eventstore.Snapshot{}, fmt.Errorf("load snapshot of stream %q: %w", stream, err)
	}
	return snapshot, nil
}

// SaveSnapshot implements [eventstore.Snapshots].
func (l *Log) SaveSnapshot(ctx context.Context, snapshot eventstore.Snapshot) error {
	if err := snapshot.Validate(); err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	err := l.writable(ctx)
	if err == nil {
		err = l.snapshots.save(snapshot)
	}
	if err != nil {
		return fmt.Errorf("save snapshot of stream %q: %w", snapshot.Stream, err)
	}
	return nil
}
