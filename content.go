package gxpledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections/query"
)

// AmbiguousContentError says that several contents begin with the digits given.
type AmbiguousContentError struct {
	Prefix string
	Hashes []string // all of them
}

// Error names some of them.
func (e *AmbiguousContentError) Error() string {
	const listed = 5
	return fmt.Sprintf("%s begins %d contents, among them %s: give more digits", e.Prefix, len(e.Hashes), strings.Join(e.Hashes[:min(len(e.Hashes), listed)], ", "))
}

// NoContentError says that no bytes were kept of a rejected file.
type NoContentError struct{ Path, Message string }

// Error says why the file was rejected.
func (e *NoContentError) Error() string {
	return fmt.Sprintf("no bytes of %s were kept: %s", e.Path, e.Message)
}

// Content returns the original bytes of a scanned file, checked against their SHA-256, and that hash. name is the hash or its
// first six digits or more, or the path of an artifact, of a file in an evidence package, or of a rejected file; repository is
// whose path it is, by name or id, "" for the only one; scan is the number of the scan after which it is looked for, 0 for the
// last that completed. It waits for the log.
//
// Errors: an [*AmbiguousContentError], a [*NoContentError], [eventstore.ErrNotFound] for a content that the log lacks, and
// those of [Ledger.View].
func (v *View) Content(ctx context.Context, repository, name string, scan int64) (data []byte, sha256 string, err error) {
	if sha256, err = v.findContent(ctx, repository, name, scan); err != nil {
		return nil, "", err
	}
	data, err = v.log.Content(ctx, sha256)
	return data, sha256, err
}

func (v *View) findContent(ctx context.Context, repository, name string, scan int64) (string, error) {
	isHash := looksLikeHash(name)
	if isHash {
		hash, err := v.contentByHash(ctx, strings.ToLower(name))
		if err != nil || hash != "" {
			return hash, err
		}
	}
	found, err := v.Find(ctx, repository)
	if err != nil {
		return "", err
	}
	v.Shown.Only(found.ID)
	source, err := v.Reader.Content(ctx, found, name, scan)
	if errors.Is(err, query.ErrUnknown) && isHash {
		return "", v.unknownHash(ctx, strings.ToLower(name))
	}
	if err != nil || source.Rejected == 0 {
		return source.SHA256, err
	}
	return v.rejectedContent(ctx, eventstore.Position(source.Rejected)) //nolint:gosec // a position is not negative
}

// looksLikeHash reports whether a text may be the beginning of a SHA-256, of which six digits are needed.
func looksLikeHash(text string) bool {
	const fewest, all = 6, 64
	return len(text) >= fewest && len(text) <= all && strings.Trim(strings.ToLower(text), "0123456789abcdef") == ""
}

// contentByHash returns the only hash that begins so; "" when none does.
func (v *View) contentByHash(ctx context.Context, prefix string) (string, error) {
	var match []string
	for hash, err := range v.log.ContentHashes(ctx) {
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(hash, prefix) {
			match = append(match, hash)
		}
	}
	switch len(match) {
	case 0:
		return "", nil
	case 1:
		return match[0], nil
	}
	return "", &AmbiguousContentError{prefix, match}
}

// unknownHash names the contents whose hash begins most like the one given.
func (v *View) unknownHash(ctx context.Context, given string) error {
	longest := 0
	var near []string
	for hash, err := range v.log.ContentHashes(ctx) {
		if err != nil {
			return err
		}
		n := 0
		for n < len(given) && given[n] == hash[n] {
			n++
		}
		if n > longest {
			near, longest = nil, n
		}
		if n == longest {
			near = append(near, hash)
		}
	}
	slices.Sort(near)
	const listed = 3
	return &query.UnknownError{
		What: "content or file", Given: given, Near: near[:min(len(near), listed)], Hint: "a hash is named by its first digits",
	}
}

// rejectedContent reads from an event which content a rejected file had.
func (v *View) rejectedContent(ctx context.Context, at eventstore.Position) (string, error) {
	record, err := v.log.At(ctx, at)
	if err != nil && !errors.Is(err, eventstore.ErrNotFound) {
		return "", err
	}
	var event domain.Event
	if err == nil {
		if event, err = eventstore.Decode(record); err != nil {
			return "", err
		}
	}
	rejected, ok := event.(domain.ArtifactRejected)
	switch {
	case !ok:
		return "", fmt.Errorf("position %d: %w: the audit trail says that a file was rejected there", at, eventstore.ErrCorrupt)
	case rejected.Content.SHA256 == "":
		return "", &NoContentError{rejected.Path, rejected.Message}
	}
	return rejected.Content.SHA256, nil
}

// ContentOf returns the bytes that were kept under a SHA-256, checked against it. It waits for the log. Errors:
// [eventstore.ErrNotFound] where the log does not hold them, and those of package eventstore.
func (v *View) ContentOf(ctx context.Context, sha256 string) ([]byte, error) {
	return v.log.Content(ctx, sha256)
}

// LogID is the id of the log that the view is of.
func (v *View) LogID() uuid.UUID { return v.log.ID() }
