//nolint:thelper // these are the tests: a failure is told where it is
package eventstoretest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
)

func blob(text string) eventstore.Blob {
	sum := sha256.Sum256([]byte(text))
	return eventstore.Blob{SHA256: hex.EncodeToString(sum[:]), Bytes: []byte(text)}
}

// noise is n bytes that nothing can compress.
func noise(n int) string {
	r := rand.New(rand.NewPCG(1, 2)) // the same noise in each run
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

func testContents(t *testing.T, log eventstore.Log) {
	ctx := within(t)
	b := start("s", 1)
	for _, text := range []string{
		"", "a", "\x00", "\xff\xfe", "one\r\ntwo\n", strings.Repeat("compressible ", 100_000), strings.Repeat("a", 200),
		strings.Repeat("a", 255), strings.Repeat("a", 256), noise(100), noise(3_000_000),
	} {
		b.Contents = append(b.Contents, blob(text))
	}
	mustAppend(t, log, b)
	var want []string
	for _, c := range b.Contents {
		want = append(want, c.SHA256)
		for range 2 {
			got, err := log.Content(ctx, c.SHA256)
			if err != nil || got == nil || !bytes.Equal(got, c.Bytes) {
				t.Errorf("content of %d bytes comes back as %d bytes, %v", len(c.Bytes), len(got), err)
			}
			clear(got) // it is the caller's
		}
	}
	slices.Sort(want)
	if got := hashes(t, log); !slices.Equal(got, want) {
		t.Errorf("hashes are %v, want %v", got, want)
	}
	for _, missing := range []string{blob("missing").SHA256, "", "a", strings.Repeat("x", 64), strings.ToUpper(blob("a").SHA256)} {
		if _, err := log.Content(ctx, missing); !errors.Is(err, eventstore.ErrNotFound) {
			t.Errorf("content %q: error is %v, want ErrNotFound", missing, err)
		}
	}
}

// hashes returns the hashes of all contents, sorted.
func hashes(t *testing.T, log eventstore.ContentStore) []string {
	t.Helper()
	var list []string
	for hash, err := range log.ContentHashes(within(t)) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, hash)
	}
	slices.Sort(list)
	return list
}

func testContentsOnce(t *testing.T, log eventstore.Log) {
	b := start("s", 1)
	b.Contents = []eventstore.Blob{blob("a"), blob("b"), blob("a")}
	mustAppend(t, log, b)
	clear(b.Contents[1].Bytes) // the log keeps no reference
	other := start("t", 1)
	other.Contents = []eventstore.Blob{blob("b"), blob("c")}
	mustAppend(t, log, other)
	refused := start("t", 1)
	refused.Contents = []eventstore.Blob{blob("refused")}
	if _, err := log.Append(within(t), refused); !errors.Is(err, eventstore.ErrConflict) {
		t.Fatalf("error is %v, want ErrConflict", err)
	}
	want := []string{blob("a").SHA256, blob("b").SHA256, blob("c").SHA256}
	slices.Sort(want)
	if got := hashes(t, log); !slices.Equal(got, want) {
		t.Errorf("hashes are %v, want %v", got, want)
	}
	if got, err := log.Content(within(t), blob("b").SHA256); err != nil || string(got) != "b" {
		t.Errorf("content is %q, %v", got, err)
	}
}

// A reader that sees an event finds its content, while several writers add the same contents.
func testContentsWithEvents(t *testing.T, log eventstore.Log) {
	const writers, batches = 4, 15
	ctx := within(t)
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() {
			stream, expected := eventstore.StreamID(fmt.Sprintf("s-%d", w)), eventstore.NoStream()
			for i := range batches {
				c := blob(fmt.Sprintf("content %d", i))
				appended, err := log.Append(ctx, eventstore.Batch{
					Stream: stream, Expected: expected, Meta: eventstore.Meta{Attempt: 1},
					Events:   []eventstore.NewEvent{{ID: uuid.New(), Type: "t.v1", Data: []byte(`"` + c.SHA256 + `"`)}},
					Contents: []eventstore.Blob{c},
				})
				if err != nil {
					t.Error(err)
					return
				}
				expected = eventstore.AtRevision(appended.LastRevision)
			}
		})
	}
	n := 0
	for r, err := range log.Subscribe(ctx, 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := log.Content(ctx, strings.Trim(string(r.Data), `"`)); err != nil {
			t.Fatalf("position %d is there, its content is not: %v", r.Position, err)
		}
		if n++; n == writers*batches {
			break
		}
	}
	running.Wait()
	if n := len(hashes(t, log)); n != batches {
		t.Errorf("%d contents, want %d", n, batches)
	}
}

func testSnapshots(t *testing.T, log eventstore.Log) {
	ctx := within(t)
	if _, err := log.LoadSnapshot(ctx, "s"); !errors.Is(err, eventstore.ErrNotFound) {
		t.Errorf("error is %v, want ErrNotFound", err)
	}
	save := func(stream eventstore.StreamID, revision eventstore.Revision, data string) eventstore.Snapshot {
		t.Helper()
		s := eventstore.Snapshot{Stream: stream, Revision: revision, EventID: uuid.New(), Version: int(revision) + 1, Data: []byte(data)}
		if err := log.SaveSnapshot(ctx, s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	save("s", 5, "old")
	other := save("t", 1, "other")
	newest := save("s", 3, "newest, though of an earlier revision")
	want := map[eventstore.StreamID]eventstore.Snapshot{"s": newest, "t": other}
	for stream, s := range want {
		kept := s
		kept.Data = bytes.Clone(s.Data)
		clear(s.Data) // the log keeps no reference
		for range 2 {
			got, err := log.LoadSnapshot(ctx, stream)
			if err != nil || !reflect.DeepEqual(got, kept) {
				t.Errorf("snapshot is %+v, %v, want %+v", got, err, kept)
			}
			clear(got.Data) // it is the caller's
		}
	}
	if head := mustHead(t, log); head != 0 {
		t.Errorf("snapshots moved the head to %d", head)
	}
}

func testInvalidSnapshots(t *testing.T, log eventstore.Log) {
	id, data := uuid.New(), []byte("x")
	for name, s := range map[string]eventstore.Snapshot{
		"everything zero": {},
		"no stream":       {EventID: id, Data: data},
		"an odd stream":   {Stream: "a\nb", EventID: id, Data: data},
		"no event":        {Stream: "s", Data: data},
		"no data":         {Stream: "s", EventID: id},
	} {
		if err := log.SaveSnapshot(within(t), s); !errors.Is(err, eventstore.ErrInvalid) {
			t.Errorf("%s: error is %v, want ErrInvalid", name, err)
		}
	}
}
