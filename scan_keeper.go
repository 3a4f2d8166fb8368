package gxpledger

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
	"github.com/gxpledger/gxpledger/eventstore"
)

// keptInMemory is how many bytes of contents and artifacts of a scan stay in memory. Those of most repositories do.
const keptInMemory = 16 << 20

// keeper keeps contents and artifacts of a scan of very many files in a temporary file. It is a [rosie.Keeper], and safe for
// concurrent use. Close it.
type keeper struct {
	folder string // where the file is made
	limit  int64  // what stays in memory

	mu        sync.Mutex // guards all below
	held      int64      // bytes that stayed in memory
	file      *os.File   // nil until there is too much
	size      int64      // of the file
	unwritten []byte     // what comes behind it
	artifacts map[domain.Key]extent
}

// extent is a part of the file.
type extent struct {
	at   int64
	size int
}

// stays reports whether size bytes more stay in memory. k.mu must be held.
func (k *keeper) stays(size int) bool {
	if k.file != nil || k.held+int64(size) > k.limit {
		return false
	}
	k.held += int64(size)
	return true
}

// add puts data behind what is in the file. k.mu must be held.
func (k *keeper) add(data []byte) (extent, error) {
	if k.file == nil {
		file, err := os.CreateTemp(k.folder, "scan-*.tmp")
		if err != nil {
			return extent{}, fmt.Errorf("cannot create a temporary file: %w", err)
		}
		_ = os.Remove(file.Name()) // where the system lets an open file go; elsewhere Close does it
		k.file, k.artifacts = file, map[domain.Key]extent{}
	}
	at := extent{k.size + int64(len(k.unwritten)), len(data)}
	k.unwritten = append(k.unwritten, data...)
	const piece = 256 << 10
	if len(k.unwritten) < piece {
		return at, nil
	}
	if _, err := k.file.WriteAt(k.unwritten, k.size); err != nil {
		return extent{}, fmt.Errorf("cannot write to a temporary file: %w", err)
	}
	k.size += int64(len(k.unwritten))
	k.unwritten = k.unwritten[:0]
	return at, nil
}

// read returns what is at an extent.
func (k *keeper) read(at extent) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.file == nil {
		return nil, fmt.Errorf("cannot read from a temporary file: %w", os.ErrClosed)
	}
	data := make([]byte, at.size)
	if from := at.at - k.size; from >= 0 {
		copy(data, k.unwritten[from:])
		return data, nil
	}
	if _, err := k.file.ReadAt(data, at.at); err != nil { // an extent is never partly written
		return nil, fmt.Errorf("cannot read from a temporary file: %w", err)
	}
	return data, nil
}

// KeepContent implements [rosie.Keeper].
func (k *keeper) KeepContent(c rosie.Content) (rosie.Content, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stays(len(c.Bytes)) {
		return c, nil
	}
	at, err := k.add(c.Bytes)
	c.Bytes, c.Load = nil, func() ([]byte, error) { return k.read(at) }
	return c, err
}

// KeepArtifacts implements [rosie.Keeper].
func (k *keeper) KeepArtifacts(artifacts []domain.Artifact) ([]domain.Artifact, error) {
	const each = 512 // about what an artifact takes beside its fields
	size := 0
	for i := range artifacts {
		size += each + len(artifacts[i].Fields)
	}
	k.mu.Lock()
	stay := k.stays(size)
	k.mu.Unlock()
	if stay {
		return artifacts, nil
	}
	light := make([]domain.Artifact, len(artifacts))
	for i, a := range artifacts {
		_, data, err := eventstore.Encode(domain.ArtifactParsed{Artifact: a})
		if errors.Is(err, eventstore.ErrInvalid) || errors.Is(err, eventstore.ErrTooLarge) {
			light[i] = a // recording it says why it cannot be recorded
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := k.keep(a.Key, data); err != nil {
			return nil, err
		}
		light[i] = a.Light()
	}
	return light, nil
}

func (k *keeper) keep(key domain.Key, data []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	at, err := k.add(data)
	if err == nil {
		k.artifacts[key] = at
	}
	return err
}

// whole returns e with all that was read of its artifact.
func (k *keeper) whole(e domain.ArtifactParsed) (domain.ArtifactParsed, error) {
	k.mu.Lock()
	at, kept := k.artifacts[e.Key]
	k.mu.Unlock()
	if !kept {
		return e, nil
	}
	data, err := k.read(at)
	if err != nil {
		return e, err
	}
	event, err := eventstore.Decode(eventstore.Record{Type: eventstore.TypeArtifactParsed, Data: data})
	read, ok := event.(domain.ArtifactParsed)
	if err == nil && (!ok || read.Key != e.Key || read.Digest != e.Digest) {
		err = fmt.Errorf("cannot read from a temporary file: %w: it was changed", eventstore.ErrCorrupt)
	}
	if err != nil {
		return e, err
	}
	return e.Whole(read.Artifact), nil
}

// spilled reports whether not everything stayed in memory.
func (k *keeper) spilled() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.file != nil
}

// close removes the file.
func (k *keeper) close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.file == nil {
		return nil
	}
	err := k.file.Close()
	if removed := os.Remove(k.file.Name()); !errors.Is(removed, os.ErrNotExist) {
		err = errors.Join(err, removed)
	}
	k.file, k.artifacts, k.unwritten = nil, nil, nil
	return err
}
