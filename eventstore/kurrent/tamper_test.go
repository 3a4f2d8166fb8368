package kurrent_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/kurrent"
)

// all are the ways to read, over a stream "s" where that matters.
func all(log *kurrent.Log) map[string]func(context.Context) iter.Seq2[eventstore.Record, error] {
	type seq = iter.Seq2[eventstore.Record, error]
	return map[string]func(context.Context) seq{
		"Read":                func(ctx context.Context) seq { return log.Read(ctx, 0, eventstore.Filter{}) },
		"ReadBackwards":       func(ctx context.Context) seq { return log.ReadBackwards(ctx, 0, eventstore.Filter{}) },
		"ReadStream":          func(ctx context.Context) seq { return log.ReadStream(ctx, "s", 0) },
		"ReadStreamBackwards": func(ctx context.Context) seq { return log.ReadStreamBackwards(ctx, "s") },
		"Subscribe":           func(ctx context.Context) seq { return log.Subscribe(ctx, 0, eventstore.Filter{}) },
		"Append": func(ctx context.Context) seq {
			return func(yield func(eventstore.Record, error) bool) {
				if _, err := log.Append(ctx, batch("s", 2, 2)); err != nil {
					yield(eventstore.Record{}, err)
				}
			}
		},
	}
}

// What an administrator of the server cuts off or deletes is told, by all that would miss it.
func TestTamperingIsFound(t *testing.T) {
	t.Parallel()
	every := []string{"Read", "ReadBackwards", "ReadStream", "ReadStreamBackwards", "Subscribe"}
	inStream := []string{"ReadStream", "ReadStreamBackwards", "Append"}
	for name, test := range map[string]struct {
		spoil func(f *esdbtest.Fake)
		found []string
	}{
		"a limit of events":         {func(f *esdbtest.Fake) { f.Settings("s", `{"$maxCount":1}`) }, inStream},
		"a limit of age":            {func(f *esdbtest.Fake) { f.Settings("s", `{"$maxAge":60}`) }, inStream},
		"a truncated stream":        {func(f *esdbtest.Fake) { f.Settings("s", `{"$tb":2}`) }, inStream},
		"broken settings":           {func(f *esdbtest.Fake) { f.Settings("s", `{`) }, inStream},
		"a missing beginning":       {func(f *esdbtest.Fake) { f.Forget("s", 2) }, every},
		"a missing half of a batch": {func(f *esdbtest.Fake) { f.Forget("s", 1) }, every},
		"a missing middle": {func(f *esdbtest.Fake) {
			f.PutBatch("s", 6, 2, 0, 1)
		}, every},
		"a batch without its end": {func(f *esdbtest.Fake) { f.PutBatch("s", 4, 2, 0) }, []string{"Read", "ReadBackwards", "ReadStream", "ReadStreamBackwards"}},
		"a batch with a hole":     {func(f *esdbtest.Fake) { f.PutBatch("s", 4, 3, 0, 2) }, every},
		"a deleted stream": {func(f *esdbtest.Fake) {
			f.Forget("s", 100)
			f.Settings("s", `{"$tb":9223372036854775807}`)
		}, inStream},
		"a tombstoned stream":       {func(f *esdbtest.Fake) { f.Bury("s") }, append(inStream, "Read", "ReadBackwards", "Subscribe")},
		"an event of somebody else": {func(f *esdbtest.Fake) { f.Put("s", 4, "test.v1", []byte("{}"), []byte(`{"user":"x"}`)) }, every},
		"an event without metadata": {func(f *esdbtest.Fake) { f.Put("s", 4, "test.v1", []byte("{}"), nil) }, every},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := esdbtest.StartFake(t)
			url := f.URL()
			putLog(f, "")
			f.PutBatch("s", 0, 2, 0, 1)
			f.PutBatch("s", 2, 2, 0, 1)
			test.spoil(f)
			o := options()
			o.Wait = 100 * time.Millisecond // for the end of a batch that is not there
			log := open(t, url, o)
			for what, read := range all(log) {
				if !slices.Contains(test.found, what) {
					continue
				}
				var found error
				for _, err := range read(within(t)) {
					found = err
				}
				if !errors.Is(found, eventstore.ErrCorrupt) || !strings.Contains(found.Error(), "tampered") && !strings.Contains(found.Error(), "settings") && name != "broken settings" {
					t.Errorf("%s ends with %v, want ErrCorrupt and that somebody tampered", what, found)
				}
			}
		})
	}
}

// A log whose own stream was cut does not open.
func TestATamperedIdentityIsFound(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(f *esdbtest.Fake){
		"deleted": func(f *esdbtest.Fake) {
			f.Settings("gxpledger-log", `{"$tb":9223372036854775807}`)
		},
		"another event": func(f *esdbtest.Fake) { f.Put("gxpledger-log", 0, "other.v1", []byte("{}"), nil) },
		"two events": func(f *esdbtest.Fake) {
			f.Put("gxpledger-log", 0, "log.created.v1", []byte("{}"), nil)
			f.Put("gxpledger-log", 1, "log.created.v1", []byte("{}"), nil)
		},
		"tombstoned": func(f *esdbtest.Fake) { f.Bury("gxpledger-log") },
	} {
		f := esdbtest.StartFake(t)
		url := f.URL()
		spoil(f)
		if _, err := kurrent.Open(within(t), url, options()); !errors.Is(err, eventstore.ErrCorrupt) {
			t.Errorf("%s: error is %v, want ErrCorrupt", name, err)
		}
	}
}

// A content that is not what it was, or is gone, is told.
func TestATamperedContentIsFound(t *testing.T) {
	t.Parallel()
	f := esdbtest.StartFake(t)
	url := f.URL()
	log := open(t, url, options())
	b := batch("s", 0, 1)
	b.Contents = []eventstore.Blob{blob("kept")}
	mustAppend(t, log, b)
	changed, gone := blob("changed").SHA256, blob("gone").SHA256
	f.Put("content-"+changed, 0, "content.v1", []byte("other"), nil)
	f.Settings("content-"+gone, `{"$tb":9223372036854775807}`)
	for _, hash := range []string{changed, gone} {
		if _, err := log.Content(within(t), hash); !errors.Is(err, eventstore.ErrCorrupt) {
			t.Errorf("content %s: error is %v, want ErrCorrupt", hash, err)
		}
	}
	if got, err := log.Content(within(t), blob("kept").SHA256); err != nil || string(got) != "kept" {
		t.Errorf("content is %q, %v", got, err)
	}
}

// What the server has beside the log is not of the log, and positions may be any.
func TestOnAServerThatOthersUse(t *testing.T) {
	t.Parallel()
	f := esdbtest.StartFake(t)
	url := f.URL()
	o := options()
	o.Prefix, o.NoPrefix = "mine-", false
	stats := func() { f.Put("$stats-1", uint64(len(f.Of("$stats-1"))), "$statsCollected", []byte("{}"), nil) }
	stats()
	log := open(t, url, o)
	f.Put("orders-1", 0, "placed", []byte("{}"), nil)
	first := mustAppend(t, log, batch("s", 0, 3))
	stats()
	f.Put("theirs-s", 0, "placed", []byte("{}"), nil)
	last := mustAppend(t, log, batch("s", 1, 3))
	stats()
	records := readAll(t, log)
	if len(records) != 6 || records[0].Position != first.First || records[5].Position != last.Last {
		t.Fatalf("read %d records; appended at %+v and %+v", len(records), first, last)
	}
	if head, err := log.Head(within(t)); err != nil || head != last.Last {
		t.Errorf("head is %d, %v, want %d", head, err, last.Last)
	}
	f.AllowMadeUpPositions()
	for i, r := range records {
		for near := r.Position - 2; near < r.Position+2; near++ { // most of which are no position of the server
			want := i
			if near >= r.Position {
				want = i + 1
			}
			var got []eventstore.Record
			for r, err := range log.Read(within(t), near, eventstore.Filter{}) {
				if err != nil {
					t.Fatalf("read after %d: %v", near, err)
				}
				got = append(got, r)
			}
			if len(got) != 6-want {
				t.Errorf("after %d, %d records, want %d", near, len(got), 6-want)
			}
			n := 0
			for _, err := range log.ReadBackwards(within(t), near+1, eventstore.Filter{}) {
				if err != nil {
					t.Fatalf("read before %d: %v", near+1, err)
				}
				n++
			}
			if n != want {
				t.Errorf("before %d, %d records, want %d", near+1, n, want)
			}
		}
	}
	for _, err := range log.Subscribe(within(t), records[5].Position+1<<40, eventstore.Filter{}) {
		if !errors.Is(err, eventstore.ErrInvalid) {
			t.Errorf("behind the end: error is %v, want ErrInvalid", err)
		}
	}
	o.Prefix = "theirs-"
	if other := open(t, url, o); other.ID() == log.ID() {
		t.Error("two logs on one server have one id")
	}
}

// The engine's clock tells the time, and never goes back, whoever appended last.
func TestTheEngineKeepsTheTime(t *testing.T) {
	t.Parallel()
	url := esdbtest.StartFake(t).URL()
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.UTC)
	ahead, behind := options(), options()
	ahead.Now = func() time.Time { return at.Add(time.Hour) }
	behind.Now = func() time.Time { return at }
	mustAppend(t, open(t, url, behind), batch("s", 0, 2))
	mustAppend(t, open(t, url, ahead), batch("s", 1, 2))
	mustAppend(t, open(t, url, behind), batch("s", 2, 2))
	early := at.Truncate(time.Microsecond)
	late := early.Add(time.Hour)
	for i, r := range readAll(t, open(t, url, behind)) {
		if want := []time.Time{early, early, late, late, late, late}[i]; !r.RecordedAt.Equal(want) {
			t.Errorf("event %d is recorded at %s, want %s", i, r.RecordedAt, want)
		}
	}
}

// A copy keeps the times that it brings along, unless they fall.
func TestACopyKeepsItsTimes(t *testing.T) {
	t.Parallel()
	url := esdbtest.StartFake(t).URL()
	eventstoretest.KeepsRecordedTimes(t, open(t, url, options()))
}

// Every call asks for the leader: others of a cluster may be behind.
func TestEveryCallRequiresTheLeader(t *testing.T) {
	t.Parallel()
	f := esdbtest.StartFake(t)
	url := f.URL()
	log := open(t, url, options())
	mustAppend(t, log, batch("s", 0, 2))
	mustAppend(t, log, batch("s", 1, 2))
	for _, read := range all(log) {
		for _, err := range read(within(t)) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	if leader := f.Leader(); len(leader) != 1 || leader["[true]"] < 10 {
		t.Errorf("calls say %v of requires-leader, want true in each", leader)
	}
}

// A kind of message that no reader knows is passed over.
func TestAMessageThatNobodyKnowsIsPassedOver(t *testing.T) {
	t.Parallel()
	f := esdbtest.StartFake(t)
	log := open(t, f.URL(), options())
	mustAppend(t, log, batch("s", 0, 2))
	f.BeStrange()
	for _, err := range log.ReadStream(within(t), "s", 0) {
		if err != nil {
			t.Error(err)
		}
	}
	if n := len(readAll(t, log)); n != 2 {
		t.Errorf("read %d records after it, want 2", n)
	}
}
