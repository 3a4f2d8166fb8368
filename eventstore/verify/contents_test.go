package verify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/verify"
)

// failing is a damaged log of which some reads fail.
type failing struct {
	*damaged
	list    error               // of ContentHashes
	content error               // of Content
	later   error               // of Read behind the head
	head    eventstore.Position // 0 for that of the log
}

func (f *failing) Head(ctx context.Context) (eventstore.Position, error) {
	if f.head > 0 {
		return f.head, nil
	}
	return f.damaged.Head(ctx)
}

func (f *failing) Read(ctx context.Context, after eventstore.Position, filter eventstore.Filter) iter.Seq2[eventstore.Record, error] {
	if f.later != nil && after == f.head {
		return func(yield func(eventstore.Record, error) bool) { yield(eventstore.Record{}, f.later) }
	}
	return f.damaged.Read(ctx, after, filter)
}

func (f *failing) ContentHashes(ctx context.Context) iter.Seq2[string, error] {
	if f.list != nil {
		return func(yield func(string, error) bool) { yield("", f.list) }
	}
	return f.damaged.ContentHashes(ctx)
}

func (f *failing) Content(ctx context.Context, hash string) ([]byte, error) {
	if f.content != nil {
		return nil, f.content
	}
	return f.damaged.Content(ctx, hash)
}

// foreign puts an event of another application behind the first six, in the stream of a content.
func foreign(d *damaged) {
	d.drop(8)
	r := d.at(7)
	r.Stream, r.Revision, r.Type = eventstore.StreamID("content-"+domaintest.Hash("REQ-001b")), 0, "content"
	r.Meta.Index, r.Meta.Size = 0, 1
}

// copied makes the admin action that of a copy, of which the last scan is gone.
func copied(t *testing.T, d *damaged) {
	t.Helper()
	d.drop(8)
	d.drop(7)
	d.head = 6
	was := []byte(`"action":"rebuild"`)
	if !bytes.Contains(d.at(6).Data, was) {
		t.Fatalf("the action is not told: %s", d.at(6).Data)
	}
	d.at(6).Data = bytes.Replace(d.at(6).Data, was, []byte(`"action":"`+eventstore.ActionLogCopied+`"`), 1)
}

func TestVerifyTellsWhatContentsItCouldNotCheck(t *testing.T) {
	t.Parallel()
	corrupt, silent := fmt.Errorf("read: %w", eventstore.ErrCorrupt), fmt.Errorf("%w: connection reset", eventstore.ErrTransient)
	var broken []string
	for _, says := range []string{"REQ-001a", "REQ-001b", "REQ-002a"} {
		broken = append(broken, "content_broken: content "+domaintest.Hash(says))
	}
	slices.Sort(broken)
	loose := string(eventstore.WarningLoose) + ": content " + domaintest.Hash("REQ-001b")
	for name, c := range map[string]struct {
		harm     func(t *testing.T, f *failing)
		want     []string
		warnings []string
		err      error
	}{
		"the list cannot be read":        {harm: func(_ *testing.T, f *failing) { f.list = corrupt }, want: []string{"unreadable: the list of contents"}},
		"the list does not answer":       {harm: func(_ *testing.T, f *failing) { f.list = silent }, err: eventstore.ErrTransient},
		"contents cannot be read":        {harm: func(_ *testing.T, f *failing) { f.content = corrupt }, want: broken},
		"contents are listed and absent": {harm: func(_ *testing.T, f *failing) { f.content = eventstore.ErrNotFound }, want: broken},
		"contents do not answer":         {harm: func(_ *testing.T, f *failing) { f.content = silent }, err: eventstore.ErrTransient},
		"snapshots cannot be read": {harm: func(_ *testing.T, f *failing) { f.fails = corrupt }, want: []string{
			`snapshot: snapshot of stream "engine"`, `snapshot: snapshot of stream "repository-6f1b1f5e-0000-5000-8000-000000000001"`,
		}},
		"what is no snapshot": {harm: func(_ *testing.T, f *failing) { f.fails = eventstore.ErrSnapshotInvalid }, want: []string{
			`snapshot: snapshot of stream "engine"`, `snapshot: snapshot of stream "repository-6f1b1f5e-0000-5000-8000-000000000001"`,
		}},
		"the last scan came later":                  {harm: func(_ *testing.T, f *failing) { f.head = 6 }},
		"what came later cannot be read":            {harm: func(_ *testing.T, f *failing) { f.head, f.later = 6, corrupt }},
		"what came later cannot be decoded":         {harm: func(_ *testing.T, f *failing) { f.head, f.at(7).Data = 6, []byte("{") }},
		"what came later does not answer":           {harm: func(_ *testing.T, f *failing) { f.head, f.later = 6, silent }, err: eventstore.ErrTransient},
		"another application holds a content":       {harm: func(_ *testing.T, f *failing) { foreign(f.damaged); f.damaged.head = 7 }},
		"another application holds a content since": {harm: func(_ *testing.T, f *failing) { foreign(f.damaged); f.head = 6 }},
		"a copy has contents that no event names":   {harm: func(t *testing.T, f *failing) { t.Helper(); copied(t, f.damaged) }, warnings: []string{loose}},
		"an event of another batch is in a batch (I1)": {harm: func(_ *testing.T, f *failing) {
			six, seven := *f.at(6), *f.at(7)
			*f.at(6), *f.at(7) = seven, six
			f.records[5].Position, f.records[6].Position = 6, 7
		}, want: []string{"batch: position 8"}},
		"a batch leaves out an index": {harm: func(_ *testing.T, f *failing) { f.at(3).Meta.Index = 1 }, want: []string{
			"batch: position 3", "event_id: position 3", "batch: position 4",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &failing{damaged: damage(t, intact(t).log)}
			c.harm(t, f)
			var faults, warnings []string
			_, err := verify.Run(t.Context(), f, verify.Watch{
				Fault:   func(f eventstore.Fault) { faults = append(faults, string(f.Code)+": "+f.Where) },
				Warning: func(f eventstore.Fault) { warnings = append(warnings, string(f.Code)+": "+f.Where) },
			})
			if !errors.Is(err, c.err) || err != nil && c.err == nil {
				t.Fatalf("got %v, want %v", err, c.err)
			}
			if c.want != nil && slices.IsSorted(c.want) {
				slices.Sort(faults) // contents and streams are met in any order
			}
			if !slices.Equal(faults, c.want) || !slices.Equal(warnings, c.warnings) {
				t.Errorf("faults %q and warnings %q, want %q and %q", faults, warnings, c.want, c.warnings)
			}
		})
	}
}
