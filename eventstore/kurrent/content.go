package kurrent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/gxpledger/gxpledger/eventstore"
)

const (
	contentEvent = "content.v1"
	// contentPart is the largest part of a content that is one event.
	contentPart = 4 << 20
	// mostContent is more than the largest content, which one append holds.
	mostContent = 1 << 30
	// storing is how many contents are written at one time: each waits for the server's disk, as do the others.
	storing = 64
	// remembered is how many hashes are held at most, to spare writing a content again that the server has.
	remembered = 100_000
)

// knownContents are hashes of contents that the server has. It is safe for concurrent use.
type knownContents struct {
	mu     sync.Mutex
	hashes map[string]bool
}

func (k *knownContents) has(hash string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.hashes[hash]
}

func (k *knownContents) add(hash string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.hashes) >= remembered {
		clear(k.hashes)
	}
	k.hashes[hash] = true
}

// store writes those of contents that the server does not have yet.
func (l *Log) store(ctx context.Context, contents []eventstore.Blob) error {
	missing := map[string][]newEvent{}
	for _, c := range contents {
		if _, ok := missing[c.SHA256]; ok || l.contents.has(c.SHA256) {
			continue
		}
		parts := l.parts(c)
		if err := l.options.checkSize("content "+c.SHA256, parts); err != nil {
			return err
		}
		missing[c.SHA256] = parts
	}
	faults := make(chan error, len(missing))
	slots := make(chan struct{}, storing)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	for hash, parts := range missing {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break // one failed, or nobody waits: the rest would wait for the server one by one
		}
		running.Go(func() {
			defer func() { <-slots }()
			if err := l.storeOne(ctx, hash, parts); err != nil {
				faults <- err
				cancel()
			}
		})
	}
	running.Wait()
	close(faults)
	if err, failed := <-faults; failed {
		return err
	}
	return context.Cause(ctx)
}

// storeOne writes a content. One that is there is a conflict, and no matter: a stream of that name is only ever that.
func (l *Log) storeOne(ctx context.Context, hash string, parts []newEvent) error {
	err := l.write(ctx, l.names.content(hash), eventstore.NoStream(), parts)
	if err != nil && !errors.Is(err, eventstore.ErrConflict) {
		return fmt.Errorf("store content %s: %w", hash, err)
	}
	l.contents.add(hash)
	return nil
}

// parts makes the events of a content. Their ids come from its name, so that writing it again is known for what it is.
func (l *Log) parts(c eventstore.Blob) []newEvent {
	sum := sha256.Sum256([]byte(l.names.content(c.SHA256)))
	chunks := slices.Collect(slices.Chunk(c.Bytes, contentPart))
	if len(chunks) == 0 {
		chunks = [][]byte{{}}
	}
	events := make([]newEvent, len(chunks))
	for i, chunk := range chunks {
		events[i] = newEvent{
			ID: eventstore.DeriveEventID([16]byte(sum[:16]), i), Type: contentEvent,
			Data: chunk,
		}
	}
	return events
}

// Content implements [eventstore.ContentStore].
func (l *Log) Content(ctx context.Context, hash string) ([]byte, error) {
	content, err := l.content(ctx, hash)
	if err != nil {
		return nil, fmt.Errorf("read content %s: %w", hash, err)
	}
	return content, nil
}

func (l *Log) content(ctx context.Context, hash string) ([]byte, error) {
	if err := l.usable(ctx); err != nil {
		return nil, err
	}
	if raw, err := hex.DecodeString(hash); err != nil || len(raw) != sha256.Size || strings.ToLower(hash) != hash {
		return nil, eventstore.ErrNotFound
	}
	stream := l.names.content(hash)
	content, parts := bytes.Buffer{}, uint64(0)
	for e, err := range l.forthStream(ctx, stream, 0, unlimited) {
		if errors.Is(err, eventstore.ErrNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		content.Write(e.Data)
		if parts++; content.Len() > mostContent {
			return nil, fmt.Errorf("%w: what is stored has more than %d bytes, which nobody could write", eventstore.ErrCorrupt, mostContent)
		}
	}
	if parts == 0 {
		if err := l.guard.look(ctx, l, stream); err != nil {
			return nil, err
		}
		return nil, eventstore.ErrNotFound
	}
	if sum := sha256.Sum256(content.Bytes()); hex.EncodeToString(sum[:]) != hash {
		return nil, fmt.Errorf("%w: what is stored has the hash %x: it was truncated or tampered with", eventstore.ErrCorrupt, sum)
	}
	return append([]byte{}, content.Bytes()...), nil
}

// ContentHashes implements [eventstore.ContentStore]. The server sends the contents with their names.
func (l *Log) ContentHashes(ctx context.Context) iter.Seq2[string, error] {
	end, err := l.newestOfAll(ctx)
	return func(yield func(string, error) bool) {
		if err != nil {
			yield("", fmt.Errorf("list contents: %w", err))
			return
		}
		if end == nil {
			return
		}
		for m, err := range l.span(ctx, 0, end, false, l.names.contents()) {
			if err != nil {
				yield("", fmt.Errorf("list contents: %w", err))
				return
			}
			hash, ok := strings.CutPrefix(m.Stream, l.names.content(""))
			if ok && m.Revision == 0 && !yield(hash, nil) {
				return
			}
		}
	}
}
