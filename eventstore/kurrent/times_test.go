package kurrent_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/kurrent"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/eventstore/transfer"
)

// A server of package esdbserver keeps the time itself. It must not be taken for one that kept that of a copy.
func TestAServerThatKeepsTheTimeTakesNoCopy(t *testing.T) {
	t.Parallel()
	log := open(t, newMemory(t).URL(), options())
	b := batch("s", 0, 2)
	b.RecordedAt = time.Now().Add(time.Hour)
	if _, err := log.Append(within(t), b); !errors.Is(err, eventstore.ErrInvalid) || !strings.Contains(err.Error(), "copy to the log that it serves") {
		t.Errorf("error is %v, want ErrInvalid and what to do", err)
	}
	if records := readAll(t, log); len(records) != 0 {
		t.Errorf("%d events were written", len(records))
	}
}

// A server like EventStoreDB keeps what the metadata says.
func TestAServerThatTakesTheTimeKeepsThatOfACopy(t *testing.T) {
	t.Parallel()
	url := esdbtest.StartFake(t).URL()
	eventstoretest.KeepsRecordedTimes(t, open(t, url, options()))
}

// What another process recorded counts, too: a copy must not go behind it.
func TestAHandleKnowsTheTimesOfOthers(t *testing.T) {
	t.Parallel()
	url := esdbtest.StartFake(t).URL()
	mustAppend(t, open(t, url, options()), batch("s", 0, 1))
	late := batch("t", 0, 1)
	late.RecordedAt = time.Unix(1, 0)
	if _, err := open(t, url, options()).Append(within(t), late); !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("error is %v, want ErrInvalid", err)
	}
}

// Positions of the server have gaps, so that the copy is told apart from its original by them alone.
func TestALogIsCopiedToAServerAndBack(t *testing.T) {
	t.Parallel()
	url := esdbtest.StartFake(t).URL()
	first, there, back := memory.New(time.Now), open(t, url, options()), memory.New(time.Now)
	for n := range 3 {
		b := batch("s", n, 2)
		b.Contents = []eventstore.Blob{blob("shared"), blob(string(rune('a' + n)))}
		mustAppend(t, first, b)
	}
	order := transfer.Request{
		Action: uuid.Must(uuid.NewV7()), Actor: "mover", At: time.Now(), Checkpoints: []eventstore.Position{0, 1, 4, 6, 99},
	}
	var copied transfer.Result
	for _, repeated := range []bool{false, true} {
		var err error
		if copied, err = transfer.Copy(within(t), first, there, order, nil); err != nil || copied.Repeated != repeated {
			t.Fatalf("copied %+v, %v; repeated, want %v", copied, err, repeated)
		}
	}
	records := readAll(t, there)
	if copied.Last != (transfer.Pair{From: 6, To: records[5].Position}) || copied.Last.To == 6 || copied.Contents != 4 {
		t.Errorf("it says %+v", copied)
	}
	wantPlaces(t, copied, 0, records[0].Position, records[3].Position, records[5].Position, records[5].Position)
	order.Action = uuid.Must(uuid.NewV7())
	order.Checkpoints = []eventstore.Position{records[0].Position - 1, records[3].Position, records[3].Position + 1}
	if copied, err := transfer.Copy(within(t), there, back, order, nil); err != nil || copied.Events != 7 || copied.Contents != 4 {
		t.Fatalf("copied back %+v, %v; want the events and the act", copied, err)
	} else {
		wantPlaces(t, copied, 0, 4, 4)
	}
	for i, r := range readAll(t, back)[:7] {
		records[i].Position = r.Position
		if !reflect.DeepEqual(r, records[i]) {
			t.Errorf("event %d came back as\n %+v\nwant\n %+v", i, r, records[i])
		}
	}
}

// wantPlaces checks where the checkpoints of a copy are.
func wantPlaces(t *testing.T, c transfer.Result, want ...eventstore.Position) {
	t.Helper()
	for i, at := range c.Checkpoints {
		if i >= len(want) || at.To != want[i] {
			t.Errorf("checkpoints are %+v, want %v", c.Checkpoints, want)
			return
		}
	}
	if len(c.Checkpoints) != len(want) {
		t.Errorf("checkpoints are %+v, want %v", c.Checkpoints, want)
	}
}

// What is whole of a log that an administrator damaged is copied from a server that others use, and to one: up to any number, whether or
// not the server gave it as a position.
func TestWhatIsWholeOfADamagedLogIsCopied(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(f *esdbtest.Fake){
		"at its end": func(f *esdbtest.Fake) { f.PutBatch("s", 4, 3, 0, 1) },
		"in its middle": func(f *esdbtest.Fake) {
			f.PutBatch("s", 4, 3, 0, 1)
			f.PutBatch("t", 0, 2, 0, 1)
		},
		"by an event that is not the log's": func(f *esdbtest.Fake) { f.Put("repository-1", 0, "placed", []byte("{}"), nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, to := esdbtest.StartFake(t), esdbtest.StartFake(t)
			source := open(t, from.URL(), unsaid())
			var ends []eventstore.Position
			for n := range 2 {
				ends = append(ends, mustAppend(t, source, batch("s", n, 2)).Last)
				from.Put("orders-1", uint64(n), "placed", []byte("{}"), nil)
				to.Put("orders-1", uint64(n), "placed", []byte("{}"), nil)
			}
			whole := readAll(t, source)
			damage(from)
			for i, until := range []eventstore.Position{ends[0], ends[0] + 1, ends[1] - 1, ends[1], ends[1] + 1} {
				copied := open(t, to.URL(), kurrent.Options{Now: time.Now, Wait: options().Wait, Prefix: fmt.Sprintf("copy%d-", i)})
				order := transfer.Request{Action: uuid.Must(uuid.NewV7()), Actor: "mover", Reason: "tampered", At: time.Now(), Until: until}
				want := 2
				if until >= ends[1] {
					want = 4
				}
				for _, repeated := range []bool{false, true} {
					done, err := transfer.Copy(within(t), open(t, from.URL(), unsaid()), copied, order, nil)
					if err != nil || done.Repeated != repeated || done.Events != uint64(want) {
						t.Fatalf("until %d: copied %+v, %v; want %d events", until, done, err, want)
					}
				}
				got := readAll(t, copied)
				if len(got) != want+1 {
					t.Fatalf("until %d: the copy has %d events, want %d and the act", until, len(got), want)
				}
				for i, r := range got[:want] {
					r.Position = whole[i].Position
					if !reflect.DeepEqual(r, whole[i]) {
						t.Errorf("until %d: event %d was copied as\n %+v\nwant\n %+v", until, i, r, whole[i])
					}
				}
				if faults := examine(t, copied); len(faults) != 0 {
					t.Errorf("until %d: the copy has faults %q", until, faults)
				}
			}
		})
	}
}
