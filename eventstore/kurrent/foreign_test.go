package kurrent_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
	"github.com/gxpledger/gxpledger/eventstore/kurrent"
	"github.com/gxpledger/gxpledger/eventstore/verify"
	"github.com/gxpledger/gxpledger/eventstore/verify/verifytest"
)

// What another application writes below the prefix is passed over in every reading, and named by verify; nobody takes it for
// tampering.
func TestForeignStreamsArePassedOver(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(f *esdbtest.Fake, at string){
		"without metadata": func(f *esdbtest.Fake, at string) { f.Put(at+"orders-1", 0, "placed", []byte("{}"), nil) },
		"with metadata": func(f *esdbtest.Fake, at string) {
			f.Put(at+"orders-1", 0, "placed", []byte("{}"), []byte(`{"user":"x"}`))
		},
		"with metadata, no JSON": func(f *esdbtest.Fake, at string) { f.Put(at+"orders-1", 0, "placed", []byte("{}"), []byte("\x00")) },
		"whose beginning was cut": func(f *esdbtest.Fake, at string) {
			f.Put(at+"orders-1", 0, "placed", []byte("{}"), nil)
			f.Put(at+"orders-1", 1, "placed", []byte("{}"), nil)
			f.Settings(at+"orders-1", `{"$tb":1}`)
		},
		"which was deleted": func(f *esdbtest.Fake, at string) {
			f.Put(at+"orders-1", 0, "placed", []byte("{}"), nil)
			f.Put(at+"orders-1", 1, "placed", []byte("{}"), nil)
			f.Settings(at+"orders-1", `{"$tb":9223372036854775807}`)
		},
		"which was tombstoned": func(f *esdbtest.Fake, at string) {
			f.Put(at+"orders-1", 0, "placed", []byte("{}"), nil)
			f.Bury(at + "orders-1")
		},
		"of links": func(f *esdbtest.Fake, at string) { f.Put(at+"orders-1", 0, "$>", []byte("0@x"), nil) },
		"that goes on like the log's": func(f *esdbtest.Fake, at string) {
			f.Put(at+"orders-1", 0, "placed", []byte("{}"), nil)
			f.PutBatch(at+"orders-1", 1, 1, 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, at := range []string{"", kurrent.DefaultPrefix, "mine-"} {
				f, url := strict(t)
				url += "&streamPrefix=" + at
				log := open(t, url, unsaid())
				mustAppend(t, log, batch("s", 0, 2))
				put(f, at)
				last := mustAppend(t, log, batch("s", 1, 2))
				put2 := func() { f.Put(at+"orders-2", uint64(len(f.Of(at+"orders-2"))), "placed", []byte("{}"), nil) }
				put2()
				for _, log := range []*kurrent.Log{log, open(t, url, unsaid())} {
					if head, err := log.Head(within(t)); err != nil || head != last.Last {
						t.Errorf("head is %d, %v, want %d", head, err, last.Last)
					}
					if n := len(readAll(t, log)); n != 4 {
						t.Errorf("read %d records, want 4", n)
					}
					n := 0
					for _, err := range log.ReadBackwards(within(t), 0, eventstore.Filter{}) {
						if err != nil {
							t.Fatal(err)
						}
						n++
					}
					for _, err := range log.ReadStream(within(t), "orders-1", 0) {
						t.Errorf("a stream of others yields a record or %v", err)
					}
					if n != 4 {
						t.Errorf("read %d records backwards, want 4", n)
					}
					n = 0
					for _, err := range log.Subscribe(within(t), 0, eventstore.Filter{}) {
						if err != nil {
							t.Fatal(err)
						}
						if n++; n == 4 {
							break
						}
					}
					if _, err := log.At(within(t), eventstore.Position(f.Of(at + "orders-1")[0].GetCommitPosition())); !errors.Is(err, eventstore.ErrNotFound) {
						t.Errorf("at an event of others: error is %v, want ErrNotFound", err)
					}
					foreignAreNamed(t, log, at+"orders-1", at+"orders-2")
				}
				if _, err := log.Append(within(t), batch("orders-2", 0, 1)); !errors.Is(err, eventstore.ErrInvalid) || !strings.Contains(err.Error(), "another application") {
					t.Errorf("append to a stream of others: error is %v, want ErrInvalid", err)
				}
			}
		})
	}
}

// foreignAreNamed verifies a log that is sound and has foreign streams beside it.
func foreignAreNamed(t *testing.T, log *kurrent.Log, streams ...string) {
	t.Helper()
	var named []string
	done, err := verify.Run(within(t), untyped{log}, verify.Watch{
		Fault: func(f eventstore.Fault) { t.Errorf("fault %+v", f) },
		Warning: func(f eventstore.Fault) {
			if f.Code == eventstore.WarningForeign {
				named = append(named, f.Where)
			}
			if f.Remedy == "" || f.Position == 0 {
				t.Errorf("warning %+v does not say where it is or what to do", f)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, s := range streams {
		want = append(want, fmt.Sprintf("stream %q", s))
	}
	if !slices.Equal(named, want) || done.Warnings < uint64(len(want)) {
		t.Errorf("verify names %q, want %q", named, want)
	}
}

// untyped is a log whose events verify need not know: those of tests.
type untyped struct{ *kurrent.Log }

func (untyped) Head(context.Context) (eventstore.Position, error) { return 0, nil }

// In the streams that the engine alone writes, whatever lacks the log's metadata is tampering. What has metadata that cannot
// be read, or is of another version, is not passed over either.
func TestWhatIsNotForeign(t *testing.T) {
	t.Parallel()
	const whole = `{"actor":"a","index":0,"size":1,"attempt":1`
	for name, c := range map[string]struct {
		stream, meta string
		want         error
	}{
		"engine":             {"engine", `{"user":"x"}`, eventstore.ErrCorrupt},
		"a repository":       {"repository-9", "", eventstore.ErrCorrupt},
		"a later version":    {"guest-1", whole + `,"version":2}`, eventstore.ErrUnknownType},
		"in a repository":    {"repository-9", whole + `,"version":2}`, eventstore.ErrUnknownType},
		"a size that is 0":   {"guest-1", `{"actor":"a","index":0,"size":0,"attempt":1}`, eventstore.ErrCorrupt},
		"a size that is not": {"guest-1", `{"actor":"a","index":0,"size":"one","attempt":1}`, eventstore.ErrCorrupt},
	} {
		for _, at := range []string{"", kurrent.DefaultPrefix} {
			f, url := strict(t)
			url += "&streamPrefix=" + at
			log := open(t, url, unsaid())
			mustAppend(t, log, batch("s", 0, 2))
			f.Put(at+c.stream, 0, "placed", []byte("{}"), []byte(c.meta))
			mustAppend(t, log, batch("s", 1, 2))
			for what, read := range map[string]records{
				"forwards":  log.Read(within(t), 0, eventstore.Filter{}),
				"backwards": log.ReadBackwards(within(t), 0, eventstore.Filter{}),
				"stream":    log.ReadStream(within(t), eventstore.StreamID(c.stream), 0),
			} {
				var found error
				for _, err := range read {
					found = err
				}
				if !errors.Is(found, c.want) {
					t.Errorf("%s, %s: error is %v, want %v", name, what, found, c.want)
				}
			}
		}
	}
	f, url := strict(t)
	log := open(t, url+"&streamPrefix=a-", unsaid())
	putLog(f, "a-b-") // as before there was a check
	f.PutBatch("a-b-engine", 0, 1, 0)
	for _, err := range log.Read(within(t), 0, eventstore.Filter{}) {
		if !errors.Is(err, eventstore.ErrCorrupt) || !strings.Contains(err.Error(), `"a-b-"`) || !strings.Contains(err.Error(), `"a-"`) {
			t.Errorf("a log inside: error is %v, want ErrCorrupt and both prefixes", err)
		}
	}
	f, url = strict(t)
	open(t, url, unsaid())
	f.Put(kurrent.DefaultPrefix+"gxpledger-log", 1, "placed", []byte("{}"), nil)
	if _, err := kurrent.Open(within(t), url, unsaid()); !errors.Is(err, eventstore.ErrCorrupt) {
		t.Errorf("in the log's own stream: error is %v, want ErrCorrupt", err)
	}
}

// Whoever writes between, a log reads as if it were alone, forwards, backwards and from any place, and from what a file of
// any process before says.
func TestForeignEventsBetween(t *testing.T) {
	t.Parallel()
	const most, together = 40, 10 // histories, and logs beside each other on one server: each looks through what the others wrote
	var f *esdbtest.Fake
	var url string
	rounds := 0
	rapid.Check(t, func(r *rapid.T) {
		if rounds == most && os.Getenv(envChaos) == "" {
			return
		}
		if rounds%together == 0 {
			f, url = strict(t)
		}
		rounds++
		o := unsaid()
		o.Prefix, o.CacheDir = fmt.Sprintf("log%d.", rounds), t.TempDir()
		log, err := kurrent.Open(within(t), url, o)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = log.Close() }()
		size := map[eventstore.StreamID]int{}
		var want []eventstore.Position
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			switch rapid.IntRange(0, 4).Draw(r, "step") {
			case 0, 1:
				s := rapid.SampledFrom([]eventstore.StreamID{"engine", "repository-1", "guest-1"}).Draw(r, "stream")
				at := mustAppend(t, log, batch(s, size[s], 1))
				size[s]++
				want = append(want, at.First)
			case 2:
				s := rapid.SampledFrom([]string{"orders-1", o.Prefix + "orders-1", "log-2", "$x"}).Draw(r, "other")
				f.Put(s, uint64(len(f.Of(s))), "placed", []byte("{}"), nil)
			case 3:
				_ = log.Close()
				if log, err = kurrent.Open(within(t), url, o); err != nil {
					t.Fatal(err)
				}
			case 4:
				if rapid.Bool().Draw(r, "cut") {
					f.Forget("orders-1", uint64(len(f.Of("orders-1"))))
				}
			}
			if rapid.Bool().Draw(r, "look") {
				sameReads(t, log, want, rapid.IntRange(0, len(want)).Draw(r, "from"))
			}
		}
		for from := range len(want) + 1 {
			sameReads(t, log, want, from)
		}
		if t.Failed() {
			r.FailNow()
		}
	})
}

// sameReads reads on both sides of the i-th of the positions that are wanted.
func sameReads(t *testing.T, log *kurrent.Log, want []eventstore.Position, i int) {
	t.Helper()
	head, err := log.Head(within(t))
	if last := append([]eventstore.Position{0}, want...)[len(want)]; err != nil || head != last {
		t.Errorf("head is %d, %v, want %d", head, err, last)
	}
	after := append([]eventstore.Position{0}, want...)[i]
	if got := positions(t, log.Read(within(t), after, eventstore.Filter{})); !slices.Equal(got, want[i:]) {
		t.Errorf("after %d: %d, want %d", after, got, want[i:])
	}
	if i == len(want) {
		return
	}
	back := slices.Clone(want[:i])
	slices.Reverse(back)
	if got := positions(t, log.ReadBackwards(within(t), want[i], eventstore.Filter{})); !slices.Equal(got, back) {
		t.Errorf("before %d: %d, want %d", want[i], got, back)
	}
}

func positions(t *testing.T, read records) []eventstore.Position {
	t.Helper()
	var found []eventstore.Position
	for r, err := range read {
		if err != nil {
			t.Error(err)
			break
		}
		found = append(found, r.Position)
	}
	return found
}

// Whoever writes whole batches into the server himself cannot change one thing alone.
func TestWhatABatchTellsTwiceIsCompared(t *testing.T) {
	t.Parallel()
	verifytest.Run(t, func(t *testing.T) eventstore.Log {
		t.Helper()
		_, url := strict(t)
		return open(t, url, unsaid())
	})
}
