package kurrent_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
	"github.com/gxpledger/gxpledger/eventstore/kurrent"
)

// Contents are written at the same time, each once, and the batch after all of them, whatever happens in between.
func TestContentsAreThereBeforeTheirBatch(t *testing.T) {
	t.Parallel()
	const contents = 200
	for name, happens := range map[string]struct {
		between func(c *esdbtest.Cluster)
		want    error // of the first try
	}{
		"nothing": {func(*esdbtest.Cluster) {}, nil},
		"an election": {func(c *esdbtest.Cluster) {
			c.After(5*time.Second, func() { c.ElectAfter(time.Second, 1) })
		}, nil},
		"the leader freezes": {func(c *esdbtest.Cluster) {
			c.After(5*time.Second, func() {
				c.Node(0).Freeze()
				c.Elect(1)
			})
		}, nil},
		"an answer is lost": {func(c *esdbtest.Cluster) {
			c.FailNext(append(make([]esdbtest.Fault, contents/2), esdbtest.Fault{Err: status.Error(codes.Unavailable, "gone"), Write: true})...)
		}, nil},
		"one is refused": {func(c *esdbtest.Cluster) {
			c.FailNext(append(make([]esdbtest.Fault, contents/2), esdbtest.Fault{Err: status.Error(codes.InvalidArgument, "no")})...)
		}, eventstore.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := cluster(t)
			log := open(t, c.URL(), unsaid())
			log.SetPatience(200 * time.Millisecond)
			b := batch("s", 0, 2)
			for i := range contents {
				b.Contents = append(b.Contents, blob(fmt.Sprint("content ", i)))
			}
			happens.between(c)
			at, err := log.Append(within(t), b)
			if !errors.Is(err, happens.want) {
				t.Fatalf("error is %v, want %v", err, happens.want)
			}
			if err != nil {
				if !errors.Is(err, eventstore.ErrNotWritten) || len(c.Of("gxpledger.s")) != 0 {
					t.Errorf("the batch was written, or may have been: %v", err)
				}
				at = mustAppend(t, log, b)
			}
			stored := map[string]int{}
			for _, e := range c.Committed() {
				if hash, ok := strings.CutPrefix(e.Stream, "gxpledger.content-"); ok {
					if stored[hash]++; e.Position > uint64(at.First) {
						t.Errorf("content %s is behind its batch", hash)
					}
				}
			}
			for _, content := range b.Contents {
				if stored[content.SHA256] != 1 {
					t.Errorf("content %s is there %d times", content.SHA256, stored[content.SHA256])
				}
			}
			c.Node(0).Resume()
		})
	}
}

// Contents are loaded as there is room for them, however many a batch has and however slow the server is: what was loaded and is not stored is
// never more than the room and one content.
func TestContentsAreLoadedAsThereIsRoom(t *testing.T) {
	t.Parallel()
	const contents, size, room = 100, 64 << 10, 10
	f := esdbtest.StartFake(t)
	log := open(t, f.URL()+"&keepAliveInterval=-1", unhurried())
	log.SetContentRoom(room * size)
	b := batch("s", 0, 1)
	var loads atomic.Int64
	stored := func() (n int64) {
		for _, a := range f.Acknowledged() {
			if strings.HasPrefix(a.Stream, "content-") {
				n++
			}
		}
		return n
	}
	for i := range contents {
		data := bytes.Repeat([]byte{byte(i)}, size)
		b.Contents = append(b.Contents, eventstore.Blob{SHA256: blob(string(data)).SHA256, Load: func() ([]byte, error) {
			switch n := loads.Add(1); {
			case n == 1:
				f.Node(0).Freeze()
			case n-stored() > room+1:
				t.Errorf("%d contents are loaded, and %d are stored", n, stored())
				f.Node(0).Resume()
			}
			return data, nil
		}})
	}
	ctx := within(t)
	go func() { // which the room ends while nothing is stored
		for tick := time.NewTicker(time.Millisecond); loads.Load() < room && ctx.Err() == nil; <-tick.C {
			continue
		}
		f.Node(0).Resume()
	}()
	mustAppend(t, log, b)
	if n := loads.Load(); n != contents || stored() != contents {
		t.Errorf("%d contents were loaded, and %d stored", n, stored())
	}
}

// Of contents that are read at the same time, no more are with the server than there is room for.
func TestContentsAreReadAsThereIsRoom(t *testing.T) {
	t.Parallel()
	const readers, room = 12, 3
	f := esdbtest.StartFake(t)
	log := open(t, f.URL(), unhurried())
	b := batch("s", 0, 1)
	for i := range readers {
		b.Contents = append(b.Contents, blob(fmt.Sprint("content ", i)))
	}
	b.Contents = append(b.Contents, blob(strings.Repeat("large ", kurrent.ContentPart/6+1))) // two parts
	mustAppend(t, log, b)
	log.SetContentRoom(room * kurrent.ContentPart)
	var reading, most atomic.Int64
	release := stall(t, f.Cluster, func(m *api.ReadResp) bool {
		if !strings.HasPrefix(string(m.GetEvent().GetEvent().GetStreamIdentifier().GetStreamName()), "content-") {
			return false
		}
		most.Store(max(most.Load(), reading.Add(1)))
		return true
	})
	var running sync.WaitGroup
	for _, c := range b.Contents {
		running.Go(func() {
			got, err := log.Content(within(t), c.SHA256)
			if err != nil || !bytes.Equal(got, c.Bytes) {
				t.Errorf("content of %d bytes comes back as %d bytes, %v", len(c.Bytes), len(got), err)
			}
		})
	}
	ctx, tick := within(t), time.NewTicker(time.Millisecond)
	for more := 0; ctx.Err() == nil && more < 100; <-tick.C { // others would come soon
		if reading.Load() >= room {
			more++
		}
	}
	if n := most.Load(); n != room {
		t.Errorf("%d contents are read at one time, want %d", n, room)
	}
	release()
	running.Wait()
}

// A content that is there already, whatever the server says of the append, is sent once, and so is the batch behind it.
func TestAContentThatIsThereIsSentOnce(t *testing.T) {
	t.Parallel()
	f := esdbtest.StartFake(t)
	log, other := open(t, f.URL(), unhurried()), open(t, f.URL(), unhurried())
	b, again := batch("s", 0, 2), batch("t", 0, 2)
	for i := range 5 {
		b.Contents = append(b.Contents, blob(fmt.Sprint("content ", i)))
	}
	again.Contents = b.Contents
	timeout := esdbtest.Fault{Err: status.Error(codes.Aborted, "Operation timed out: Commit phase timeout."), Write: true}
	for name, log := range map[string]*kurrent.Log{"first": log, "other": other} {
		f.ResetRequests()
		f.FailNext(slices.Repeat([]esdbtest.Fault{timeout}, 1000)...)
		mustAppend(t, log, b)
		if n := f.Requests().Calls["Append"]; n > len(b.Contents)+1 {
			t.Errorf("%s: %d appends, want one for each content and one for the batch", name, n)
		}
		b = again
	}
	f.ResetRequests()
	last := batch("u", 0, 2)
	last.Contents = b.Contents
	mustAppend(t, log, last)
	if n := f.Requests().Calls["Append"]; n != 1 {
		t.Errorf("what is known to be there: %d appends, want 1", n)
	}
}

// Where the stream of a content has other bytes, nothing is recorded that names it.
func TestAContentOfOtherBytesIsNotTakenForThere(t *testing.T) {
	t.Parallel()
	f := esdbtest.StartFake(t)
	log := open(t, f.URL(), unhurried())
	for name, other := range map[string]string{"shorter": "conten", "longer": "contents", "other": "Content"} {
		b := batch(eventstore.StreamID(name), 0, 1)
		b.Contents = []eventstore.Blob{blob("content")}
		stream := "content-" + b.Contents[0].SHA256
		f.Forget(stream, 1)
		f.Put(stream, 0, "content.v1", []byte(other), nil)
		if _, err := log.Append(within(t), b); !errors.Is(err, eventstore.ErrCorrupt) || !errors.Is(err, eventstore.ErrNotWritten) {
			t.Errorf("%s: error is %v, want ErrCorrupt and ErrNotWritten", name, err)
		}
	}
}
