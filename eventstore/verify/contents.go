package verify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// nameContents notes which contents an event names.
func (v *verifier) nameContents(at eventstore.Position, event domain.Event) {
	for _, hash := range eventstore.ContentsNamed(event) {
		if _, known := v.contents[hash]; !known {
			v.contents[hash] = at
		}
	}
}

// checkContents reads every stored content, and reports those that events name and that are not stored.
func (v *verifier) checkContents(ctx context.Context) error {
	for hash, err := range v.log.ContentHashes(ctx) {
		if errors.Is(err, eventstore.ErrCorrupt) {
			v.report(eventstore.Fault{Code: eventstore.FaultUnreadable, Where: "the list of contents", Text: err.Error()})
			return nil // what else is stored cannot be known, so nothing can be called lost
		}
		if err != nil {
			return err
		}
		if err := v.checkContent(ctx, hash); err != nil {
			return err
		}
		delete(v.contents, hash)
		v.done.Contents++
		if v.watch.Contents != nil {
			v.watch.Contents(v.done.Contents)
		}
	}
	for _, hash := range slices.Sorted(maps.Keys(v.contents)) {
		v.report(eventstore.Fault{
			Code: eventstore.FaultContentLost, Position: v.contents[hash], Where: "content " + hash,
			Text:   fmt.Sprintf("the event at position %d names it, and it is not stored", v.contents[hash]),
			Remedy: "restore it from a backup of the log, or from the repository that was scanned, where git knows it by its blob id",
		})
	}
	return nil
}

// checkContent reads one content and hashes it again. The error is not one of the content.
func (v *verifier) checkContent(ctx context.Context, hash string) error {
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
	}
	return nil
}
