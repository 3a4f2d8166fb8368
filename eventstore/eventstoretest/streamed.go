//nolint:thelper // these are the tests: a failure is told where it is
package eventstoretest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore"
)

// streamed returns b with everything to be loaded as it is written. load is told of each load, with the index of an event or
// with -1 for a content, and may fail it; nil for nobody.
func streamed(b eventstore.Batch, load func(index int) error) eventstore.Batch {
	b.Events, b.Contents = slices.Clone(b.Events), slices.Clone(b.Contents)
	loading := func(index int, data []byte) func() ([]byte, error) {
		return func() ([]byte, error) {
			if load != nil {
				if err := load(index); err != nil {
					return nil, err
				}
			}
			return bytes.Clone(data), nil
		}
	}
	for i, e := range b.Events {
		b.Events[i].Data, b.Events[i].Load = nil, loading(i, e.Data)
	}
	for i, c := range b.Contents {
		b.Contents[i].Bytes, b.Contents[i].Load = nil, loading(-1, c.Bytes)
	}
	return b
}

func testStreamed(t *testing.T, log eventstore.Log) {
	b := start("s", 300)
	b.Contents = []eventstore.Blob{blob("one"), blob("two"), blob(""), blob("two")}
	appended := mustAppend(t, log, streamed(b, nil))
	if appended.Repeated || appended.LastRevision != 299 {
		t.Errorf("answered %+v, want the last revision 299", appended)
	}
	if records := readAll(t, log); !b.Repeats(records) {
		t.Errorf("%d records, which are not those of the batch", len(records))
	}
	for _, c := range b.Contents {
		if got, err := log.Content(within(t), c.SHA256); err != nil || !bytes.Equal(got, c.Bytes) {
			t.Errorf("content is %q, %v, want %q", got, err, c.Bytes)
		}
	}
	for name, again := range map[string]eventstore.Batch{"streamed": streamed(b, nil), "in memory": b} {
		if at := mustAppend(t, log, again); !at.Repeated || at.First != appended.First || at.Last != appended.Last {
			t.Errorf("%s, it is answered %+v, want the place of the first, repeated", name, at)
		}
	}
	mustAppend(t, log, after("s", appended, 2))
	readAll(t, log)
}

var errUnreadable = errors.New("cannot read the temporary file")

// A batch that cannot be loaded to its end leaves nothing, and is not in the way of the same batch later (I1).
func testStreamedFails(t *testing.T, log eventstore.Log) {
	b := start("s", 300)
	b.Contents = []eventstore.Blob{blob("one")}
	at := func(index int) func(int) error {
		return func(i int) error {
			if i == index {
				return errUnreadable
			}
			return nil
		}
	}
	for _, index := range []int{0, 250, -1} {
		_, err := log.Append(within(t), streamed(b, at(index)))
		if !errors.Is(err, errUnreadable) || !errors.Is(err, eventstore.ErrNotWritten) {
			t.Errorf("load %d failed: error is %v, want that, and ErrNotWritten", index, err)
		}
	}
	forged := streamed(b, nil)
	forged.Contents[0].Load = func() ([]byte, error) { return []byte("other"), nil }
	if _, err := log.Append(within(t), forged); !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("bytes of another hash: error is %v, want ErrInvalid", err)
	}
	empty := streamed(b, nil)
	empty.Events[299].Load = func() ([]byte, error) { return nil, nil }
	if _, err := log.Append(within(t), empty); !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("no data: error is %v, want ErrInvalid", err)
	}
	if mustHead(t, log) != 0 {
		t.Fatal("something was written")
	}
	if appended := mustAppend(t, log, streamed(b, nil)); appended.Repeated {
		t.Error("the batch is told to be repeated")
	}
	readAll(t, log)
}

// A batch that gives other bytes the second time is another one (I4).
func testStreamedChanges(t *testing.T, log eventstore.Log) {
	b := start("s", 300)
	mustAppend(t, log, streamed(b, nil))
	other := streamed(b, nil)
	other.Events[299].Load = func() ([]byte, error) { return []byte(`{"x":1}`), nil }
	if _, err := log.Append(within(t), other); !errors.Is(err, eventstore.ErrIDReused) {
		t.Errorf("error is %v, want ErrIDReused", err)
	}
	if _, err := log.Append(within(t), streamed(b, func(i int) error {
		if i == 299 {
			return errUnreadable
		}
		return nil
	})); !errors.Is(err, errUnreadable) {
		t.Errorf("error is %v: that it is the same batch is not known", err)
	}
	if n := len(readAll(t, log)); n != 300 {
		t.Errorf("%d events, want 300", n)
	}
}

// Once Append has returned, whatever ended it, nothing of the batch is loaded any more: what it is loaded from may be gone.
func testStreamedIsLeft(t *testing.T, log eventstore.Log) {
	b := start("s", 300)
	ctx, cancel := context.WithCancel(within(t))
	var returned atomic.Bool
	late := make(chan int, 1+len(b.Events))
	_, err := log.Append(ctx, streamed(b, func(i int) error {
		if i == 100 {
			cancel()
		}
		if returned.Load() {
			late <- i
		}
		return nil
	}))
	returned.Store(true)
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want that of the context", err)
	}
	n := len(readAll(t, log))
	if err == nil && n != 300 || errors.Is(err, eventstore.ErrNotWritten) && n != 0 {
		t.Errorf("%d events after %v", n, err)
	}
	mustAppend(t, log, b) // whoever still had the first one would be seen now
	if n := len(readAll(t, log)); n != 300 {
		t.Errorf("%d events, want 300", n)
	}
	select {
	case i := <-late:
		t.Errorf("event %d was loaded after Append had returned", i)
	default:
	}
}
