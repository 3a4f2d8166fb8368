package esdbserver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbserver/internal/wire"
)

// Over the protocol, a content is the stream "content-" and its SHA-256: one append of one or more events of type
// "content.v1", whose data, one after the other, is the content. Under the protocol, the bytes are in the log's
// [eventstore.ContentStore], and the log's events say which part of it each is.
const (
	contentPrefix = "content-"
	contentEvent  = "content.v1"
)

// maxContentPart is the size of the parts that a content is read in which was not appended over the protocol. Part of
// the protocol: a reader may continue from any part.
const maxContentPart = 4 << 20

// contentHash returns the hash that the name of a content's stream says.
func contentHash(stream string) (hash string, ok bool) {
	hash, ok = strings.CutPrefix(stream, contentPrefix)
	if !ok || len(hash) != 2*sha256.Size || strings.ToLower(hash) != hash {
		return "", false
	}
	_, err := hex.DecodeString(hash)
	return hash, err == nil
}

// contentPart is the data of an event that stands for a part of a content. Stored form: it must not be changed.
type contentPart struct {
	SHA256 string `json:"sha256"`
	Offset int    `json:"offset"`
	Size   int    `json:"size"`
}

// contentPartOf returns the part that r stands for, if it is such an event.
func contentPartOf(r eventstore.Record) (p contentPart, ok bool) {
	hash, ok := contentHash(string(r.Stream))
	if !ok || r.Type != contentEvent || json.Unmarshal(r.Data, &p) != nil {
		return contentPart{}, false
	}
	return p, p.SHA256 == hash && p.Offset >= 0 && p.Size >= 0
}

// bytes returns what p stands for.
func (p contentPart) bytes(ctx context.Context, log eventstore.ContentStore) ([]byte, error) {
	content, err := log.Content(ctx, p.SHA256)
	if errors.Is(err, eventstore.ErrNotFound) {
		return nil, fmt.Errorf("%w: an event refers to a content that is not there: %w", eventstore.ErrCorrupt, err)
	}
	if err != nil {
		return nil, err
	}
	if p.Offset > len(content) || p.Size > len(content)-p.Offset {
		return nil, fmt.Errorf("%w: content %s of %d bytes has no %d bytes at %d",
			eventstore.ErrCorrupt, p.SHA256, len(content), p.Size, p.Offset)
	}
	return content[p.Offset : p.Offset+p.Size], nil
}

// storeContent turns an append of a content into the events and the content that the log gets.
func storeContent(hash string, proposals []proposal) ([]eventstore.NewEvent, []eventstore.Blob, error) {
	var content []byte
	events := make([]eventstore.NewEvent, len(proposals))
	for i, p := range proposals {
		if p.name != contentEvent {
			return nil, nil, malformed(fmt.Sprintf("event %d is of type %q: the stream of a content has events of type %q", i, p.name, contentEvent))
		}
		data, err := json.Marshal(contentPart{SHA256: hash, Offset: len(content), Size: len(p.data)})
		if err != nil {
			return nil, nil, err
		}
		events[i] = eventstore.NewEvent{ID: p.id, Type: p.name, Data: data}
		content = append(content, p.data...)
	}
	if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != hash {
		return nil, nil, malformed("the data of the events, one after the other, does not have the SHA-256 that the stream is named by")
	}
	return events, []eventstore.Blob{{SHA256: hash, Bytes: content}}, nil
}

// heldContent returns a content that the log holds, nil if it does not.
func (v *service) heldContent(ctx context.Context, hash string) ([][]byte, error) {
	content, err := v.log.Content(ctx, hash)
	if errors.Is(err, eventstore.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(content) == 0 {
		return [][]byte{{}}, nil
	}
	return slices.Collect(slices.Chunk(content, maxContentPart)), nil
}

// sendHeldContent sends what an engine on the same log stored without a stream, as the stream that it would be over the
// protocol. Its events have no position, and no time is known of them.
func (s *sender) sendHeldContent(ctx context.Context, parts [][]byte, q query) error {
	at, step, left := 0, 1, uint64(len(parts))
	switch {
	case q.backwards:
		if at, step = len(parts)-1, -1; q.from.kind == placeStart {
			at = 0
		}
	case q.from.kind == placeEnd:
		at = len(parts)
	}
	if q.from.kind == placeExact {
		if at = int(min(q.from.at, left)); q.backwards { //nolint:gosec // a number of parts
			at = min(at, len(parts)-1)
		}
	}
	for left = min(left, q.limit); left > 0 && at >= 0 && at < len(parts); left-- {
		if err := s.sendPart(q.stream, at, parts[at]); err != nil {
			return err
		}
		at += step
		if err := s.waitForClient(ctx, nil); err != nil {
			return err
		}
	}
	if !q.endings {
		return nil
	}
	return s.sendEnding(ctx, streamEnd(len(parts)), q)
}

func (s *sender) sendPart(stream string, number int, data []byte) error {
	id := uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "%s/%d", stream, number))
	return s.send(&wire.ReadResp{Content: &wire.ReadResp_Event{Event: &wire.ReadResp_ReadEvent{
		Event: &wire.ReadResp_ReadEvent_RecordedEvent{
			Id: s.id(id), StreamIdentifier: streamIdentifier(stream), StreamRevision: uint64(number), //nolint:gosec // an index
			PreparePosition: noPosition, CommitPosition: noPosition,
			Metadata: event{}.systemMetadata(contentEvent, time.Unix(0, 0)), Data: bytes.Clone(data),
		},
		Position: &wire.ReadResp_ReadEvent_NoPosition{NoPosition: &wire.Empty{}},
	}}})
}
