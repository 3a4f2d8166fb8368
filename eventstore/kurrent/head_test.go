package kurrent_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
	"github.com/gxpledger/gxpledger/eventstore/kurrent"
)

// What other applications wrote costs a pass of the server once, and no event of theirs is sent. A further process, and a
// further reading, pay for what came since.
func TestTheCostOfOtherApplications(t *testing.T) {
	t.Parallel()
	const foreign = 20_000
	f, url := strict(t)
	o := unsaid()
	o.CacheDir = t.TempDir()
	log := open(t, url, o)
	last := mustAppend(t, log, batch("engine", 0, 2))
	for i := range foreign {
		f.Put("orders-1", uint64(i), "placed", []byte("{}"), nil)
	}
	cost := func(what string, log *kurrent.Log, events, considered int) {
		t.Helper()
		f.ResetRequests()
		if head, err := log.Head(within(t)); err != nil || head != last.Last {
			t.Fatalf("%s: head is %d, %v, want %d", what, head, err, last.Last)
		}
		for r, err := range log.Read(within(t), last.Last, eventstore.Filter{}) {
			t.Errorf("%s: behind the head is %d, %v", what, r.Position, err)
		}
		for r, err := range log.ReadBackwards(within(t), 0, eventstore.Filter{}) {
			if err != nil || r.Position != last.Last {
				t.Errorf("%s: backwards from %d, %v", what, r.Position, err)
			}
			break
		}
		q := f.Requests()
		if q.Unfiltered > 0 || q.Events > events || q.Considered > considered {
			t.Errorf("%s: %d unfiltered reads, %d events sent, %d looked at, want 0, %d and %d at most", what, q.Unfiltered, q.Events, q.Considered, events, considered)
		}
	}
	cost("the first time", log, 10, foreign+2500)
	cost("again", log, 5, 0)
	cost("another process", open(t, url, o), 8, 0)
	bare := unsaid()
	cost("without a file", open(t, url, bare), 10, foreign+10)
	for i := range 100 {
		f.Put("orders-1", uint64(foreign+i), "placed", []byte("{}"), nil)
	}
	cost("after a few more", open(t, url, o), 8, 2500)
	following, stop := context.WithCancel(within(t))
	defer stop()
	follower := open(t, url, o)
	if _, err := follower.Head(within(t)); err != nil {
		t.Fatal(err)
	}
	f.ResetRequests()
	told := make(chan eventstore.Position)
	go func() {
		for r, err := range follower.Subscribe(following, last.Last, eventstore.Filter{}) {
			if err == nil {
				told <- r.Position
			}
			break
		}
	}()
	next := mustAppend(t, log, batch("engine", 1, 2))
	if got := <-told; got != next.First {
		t.Errorf("a subscription from the head tells of %d, want %d", got, next.First)
	}
	if q := f.Requests(); q.Considered > 100 || q.Unfiltered > 0 {
		t.Errorf("a subscription from the head looks at %d events, reads %d times without a filter", q.Considered, q.Unfiltered)
	}
}

// What the file says is compared with the server: one of another log, a broken one and one that lies cost time alone.
func TestTheFileOfTheEndIsNotTrusted(t *testing.T) {
	t.Parallel()
	f, url := strict(t)
	o := unsaid()
	o.CacheDir = t.TempDir()
	log := open(t, url, o)
	mustAppend(t, log, batch("engine", 0, 2))
	f.Put("orders-1", 0, "placed", []byte("{}"), nil)
	last := mustAppend(t, log, batch("repository-1", 0, 2))
	f.Put("orders-1", 1, "placed", []byte("{}"), nil)
	if _, err := log.Head(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(o.CacheDir, "positions-*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files are %q, %v", files, err)
	}
	kept, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	orders := f.Of("orders-1")
	place := func(e int, more string) string {
		return fmt.Sprintf(`{"commit":%d,"prepare":%[1]d,"stream":"orders-1","revision":%d,"id":%q%s}`, orders[e].GetCommitPosition(), e, uuid.NewString(), more)
	}
	for name, text := range map[string]string{
		"what it was":        string(kept),
		"nothing":            "",
		"no JSON":            "{",
		"empty":              "{}",
		"null":               "null",
		"a position made up": strings.ReplaceAll(string(kept), `"commit":`, `"commit":1`),
		"another id":         `{"resume":` + place(1, "") + `}`,
		"a head of others":   `{"resume":` + place(1, "") + `,"head":` + place(0, "") + `}`,
		"a negative place":   `{"resume":{"commit":-1}}`,
		"too large a place":  `{"resume":{"commit":18446744073709551615,"stream":"orders-1","revision":18446744073709551615}}`,
	} {
		if err := os.WriteFile(files[0], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		log := open(t, url, o)
		if head, err := log.Head(within(t)); err != nil || head != last.Last {
			t.Errorf("%s: head is %d, %v, want %d", name, head, err, last.Last)
		}
		if n := len(readAll(t, log)); n != 4 {
			t.Errorf("%s: read %d records, want 4", name, n)
		}
	}
}

// BenchmarkHeadBehindOthers is the first and each further look for the end of a log behind 100,000 events of others.
func BenchmarkHeadBehindOthers(b *testing.B) {
	f := esdbtest.StartFake(b)
	url := f.URL()
	first, err := kurrent.Open(b.Context(), url, unsaid())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = first.Close() }()
	if _, err := first.Append(b.Context(), batch("engine", 0, 2)); err != nil {
		b.Fatal(err)
	}
	for i := range 100_000 {
		f.Put("orders-1", uint64(i), "placed", []byte("{}"), nil)
	}
	for name, dir := range map[string]string{"first": "", "next": b.TempDir()} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				o := unsaid()
				o.CacheDir = dir
				log, err := kurrent.OpenReadOnly(b.Context(), url, o)
				if err == nil {
					_, err = log.Head(b.Context())
				}
				if err != nil {
					b.Fatal(err)
				}
				_ = log.Close()
			}
		})
	}
}

// A file that is made of true places can hide events from readers, and not from who examines the log.
func TestAFileThatHidesEventsIsFound(t *testing.T) {
	t.Parallel()
	f, url := strict(t)
	o := unsaid()
	o.CacheDir = t.TempDir()
	log := open(t, url, o)
	mustAppend(t, log, batch("engine", 0, 2))
	last := mustAppend(t, log, batch("repository-1", 0, 2))
	f.Put("orders-1", 0, "placed", []byte("{}"), nil)
	if _, err := log.Head(within(t)); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(o.CacheDir, "positions-*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files are %q, %v", files, err)
	}
	kept, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if faults := examine(t, open(t, url, o)); len(faults) != 0 {
		t.Errorf("of a file that is true: found %q", faults)
	}
	resume, _, found := strings.Cut(string(kept), `,"head":`)
	if !found {
		t.Fatalf("the file holds %s", kept)
	}
	if err := os.WriteFile(files[0], []byte(resume+"}"), 0o600); err != nil {
		t.Fatal(err)
	}
	log = open(t, url, o)
	if _, err := log.Head(within(t)); err != nil {
		t.Fatal(err)
	}
	if faults := examine(t, log); len(faults) != 1 {
		t.Errorf("found %q, want the file", faults)
	}
	if head, err := log.Head(within(t)); err != nil || head != last.Last {
		t.Errorf("then the head is %d, %v, want %d", head, err, last.Last)
	}
}

// A file whose end of the log is an earlier one hides what came after it in the same stream, or in the engine's, from no command.
func TestAFileWithAnEarlierEndHidesNothing(t *testing.T) {
	t.Parallel()
	for _, hidden := range []eventstore.StreamID{"repository-1", "engine"} {
		f, url := strict(t)
		o := unsaid()
		o.CacheDir = t.TempDir()
		size := map[eventstore.StreamID]int{}
		file := func(stream eventstore.StreamID) (path, resume, head string) {
			log := open(t, url, o)
			mustAppend(t, log, batch(stream, size[stream], 2))
			size[stream]++
			f.Put("orders-1", uint64(len(f.Of("orders-1"))), "placed", []byte("{}"), nil)
			if _, err := log.Head(within(t)); err != nil {
				t.Fatal(err)
			}
			files, err := filepath.Glob(filepath.Join(o.CacheDir, "positions-*.json"))
			if err != nil || len(files) != 1 {
				t.Fatalf("files are %q, %v", files, err)
			}
			kept, err := os.ReadFile(files[0])
			if err != nil {
				t.Fatal(err)
			}
			resume, head, _ = strings.Cut(string(kept), `,"head":`)
			return files[0], resume, head
		}
		_, _, earlier := file("repository-1")
		path, resume, _ := file(hidden)
		if err := os.WriteFile(path, []byte(resume+`,"head":`+earlier), 0o600); err != nil {
			t.Fatal(err)
		}
		if n := len(readAll(t, open(t, url, o))); n != 4 {
			t.Errorf("%s: read %d records, want 4", hidden, n)
		}
	}
}
