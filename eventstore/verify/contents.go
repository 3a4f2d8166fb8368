package verify

import (
	"context"
	"crypto/sha1" //nolint:gosec // see gitBlob
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// named is what the first event that names a content says of it.
type named struct {
	at   eventstore.Position
	blob string
	size int64
}

// nameContents notes which contents an event names, and returns what contradicts an event before it.
func (v *verifier) nameContents(at eventstore.Position, event domain.Event) []string {
	var found []string
	for _, c := range eventstore.NamedContents(event) {
		first, known := v.contents[c.SHA256]
		switch {
		case !known:
			v.contents[c.SHA256] = named{at, c.Blob, c.Size}
		case first.blob != c.Blob || first.size != c.Size:
			found = append(found, fmt.Sprintf("content %s has %d bytes and the blob id %q, and %d and %q at position %d",
				c.SHA256, c.Size, c.Blob, first.size, first.blob, first.at))
		}
	}
	if action, ok := event.(domain.AdminActed); ok && action.Action == eventstore.ActionLogCopied {
		v.copied = true
	}
	return found
}

// nameForeign notes which content a foreign stream holds: a server keeps those of its clients so.
func (v *verifier) nameForeign(stream eventstore.StreamID) {
	if hash, ok := strings.CutPrefix(string(stream), "content-"); ok {
		v.foreign[hash] = true
	}
}

// checkContents reads every stored content, and reports those that events name and that are not stored.
func (v *verifier) checkContents(ctx context.Context) error {
	loose := map[string]bool{} // that no event names
	for hash, err := range v.log.ContentHashes(ctx) {
		if errors.Is(err, eventstore.ErrCorrupt) {
			v.report(eventstore.Fault{Code: eventstore.FaultUnreadable, Where: "the list of contents", Text: err.Error()})
			return nil // what else is stored cannot be known, so nothing can be called lost
		}
		if err != nil {
			return err
		}
		first, wanted := v.contents[hash]
		if err := v.checkContent(ctx, hash, first); err != nil {
			return err
		}
		if !wanted {
			loose[hash] = true
		}
		delete(v.contents, hash)
		v.done.Contents++
		if v.watch.Contents != nil {
			v.watch.Contents(v.done.Contents)
		}
	}
	for _, hash := range slices.Sorted(maps.Keys(v.contents)) {
		v.report(eventstore.Fault{
			Code: eventstore.FaultContentLost, Position: v.contents[hash].at, Where: "content " + hash,
			Text:   fmt.Sprintf("the event at position %d names it, and it is not stored", v.contents[hash].at),
			Remedy: "restore it from a backup of the log, or from the repository that was scanned, where git knows it by its blob id",
		})
	}
	return v.checkLoose(ctx, loose)
}

// checkLoose reports contents that no event names. Where a log appends events and contents as one, somebody took the events
// away; elsewhere a scan may have ended between the two, and a copy keeps what its original had.
func (v *verifier) checkLoose(ctx context.Context, loose map[string]bool) error {
	if v.unnamed {
		return nil // events that could not be read may name them, and are reported
	}
	if len(loose) > 0 {
		if known, err := v.nameLater(ctx, loose); err != nil || !known {
			return err
		}
	}
	maps.DeleteFunc(loose, func(hash string, _ bool) bool { return v.foreign[hash] })
	if len(loose) > 0 {
		v.reportLoose(loose)
	}
	return nil
}

// nameLater takes from loose what was appended since the verification began. It reports false when that could not be read or
// decoded, which the next verification reports.
func (v *verifier) nameLater(ctx context.Context, loose map[string]bool) (bool, error) {
	for r, err := range v.log.Read(ctx, v.done.Head, eventstore.Filter{}) {
		if err != nil {
			if errors.Is(err, eventstore.ErrCorrupt) {
				err = nil
			}
			return false, err
		}
		if !r.Stream.OfEngine() {
			v.nameForeign(r.Stream)
			continue
		}
		event, err := eventstore.Decode(r)
		if err != nil {
			return false, nil
		}
		for _, hash := range eventstore.ContentsNamed(event) {
			delete(loose, hash)
		}
	}
	return true, nil
}

func (v *verifier) reportLoose(loose map[string]bool) {
	n := len(loose)
	f := eventstore.Fault{
		Code: eventstore.FaultContentLoose, Where: "content " + slices.Sorted(maps.Keys(loose))[0],
		Text: fmt.Sprintf("%d contents that no event names: the log may have been cut", n),
	}
	if n == 1 {
		f.Text = "a content that no event names: the log may have been cut"
	}
	if v.dense && !v.copied {
		v.report(f)
		return
	}
	f.Code = eventstore.WarningLoose
	f.Remedy = "compare the number of events with a backup; a scan that ended before its batch leaves such contents too, and so does the copy of a log that had them"
	v.warn(f)
}

// checkContent reads one content, hashes it again, and compares it with what an event says of it. The error is not one of
// the content.
func (v *verifier) checkContent(ctx context.Context, hash string, first named) error {
	data, err := v.log.Content(ctx, hash)
	if errors.Is(err, eventstore.ErrNotFound) || errors.Is(err, eventstore.ErrCorrupt) {
		v.report(eventstore.Fault{Code: eventstore.FaultContentBroken, Where: "content " + hash, Text: err.Error()})
		return nil
	}
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != hash {
		v.report(eventstore.Fault{Code: eventstore.FaultContentBroken, Where: "content " + hash, Text: "its bytes have the hash " + hex.EncodeToString(sum[:])})
		return nil
	}
	if blob := gitBlob(data); first.at > 0 && (first.size != int64(len(data)) || first.blob != "" && first.blob != blob) {
		v.report(eventstore.Fault{
			Code: eventstore.FaultScan, Position: first.at,
			Text: fmt.Sprintf("content %s has %d bytes and the blob id %q, and what is stored has %d and %q", hash, first.size, first.blob, len(data), blob),
		})
	}
	return nil
}

// gitBlob is the id that git gives to these bytes.
func gitBlob(data []byte) string {
	sum := sha1.New() //nolint:gosec // it is what git names blobs by; nothing rests on it
	fmt.Fprintf(sum, "blob %d\x00", len(data))
	sum.Write(data)
	return hex.EncodeToString(sum.Sum(nil))
}

func sortedStreams(streams map[eventstore.StreamID]*streamCheck) []eventstore.StreamID {
	return slices.Sorted(maps.Keys(streams))
}
