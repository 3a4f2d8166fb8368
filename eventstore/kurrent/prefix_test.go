package kurrent_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
	"github.com/gxpledger/gxpledger/eventstore/kurrent"
	"github.com/gxpledger/gxpledger/eventstore/memory"
)

// records are what a log yields.
type records = iter.Seq2[eventstore.Record, error]

// putLog makes a log as package kurrent does.
func putLog(f *esdbtest.Fake, prefix string) {
	f.Put(prefix+"gxpledger-log", 0, "log.created.v1", []byte("{}"), nil)
}

// unsaid are options that say nothing of a prefix.
func unsaid() kurrent.Options {
	return kurrent.Options{Now: time.Now, Wait: 10 * time.Second}
}

// strict starts a server that is as hard as a real one.
func strict(t *testing.T) (f *esdbtest.Fake, url string) {
	t.Helper()
	f = esdbtest.StartFake(t)
	return f, f.URL()
}

// streamsOf are the names of the streams of a server that are not its own.
func streamsOf(f *esdbtest.Fake) []string {
	var names []string
	for _, e := range f.Of("") {
		if name := string(e.GetStreamIdentifier().GetStreamName()); !strings.HasPrefix(name, "$") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// fill writes to each kind of stream.
func fill(t *testing.T, log *kurrent.Log) {
	t.Helper()
	for _, stream := range []eventstore.StreamID{eventstore.EngineStream, eventstore.RepositoryPrefix + "1", "guest-1"} {
		b := batch(stream, 0, 2)
		b.Contents = []eventstore.Blob{blob("kept")}
		mustAppend(t, log, b)
	}
}

// Where nobody says a prefix, the streams have one all the same; each kind has a category of its own, which the server
// takes from what is before the first "-".
func TestTheDefaultPrefix(t *testing.T) {
	t.Parallel()
	f, url := strict(t)
	f.Put("orders-1", 0, "placed", []byte("{}"), nil)
	fill(t, open(t, url, unsaid()))
	categories := map[string]string{}
	for _, name := range streamsOf(f) {
		if name == "orders-1" {
			continue
		}
		kind, ok := strings.CutPrefix(name, kurrent.DefaultPrefix)
		if !ok {
			t.Errorf("stream %q has no prefix", name)
		}
		category, _, _ := strings.Cut(name, "-")
		if other, ok := categories[category]; ok {
			t.Errorf("streams %q and %q are of one category", name, other)
		}
		categories[category] = kind
	}
	if len(categories) != 5 {
		t.Errorf("kinds of streams are %v, want 5", categories)
	}
}

// Prefixes of connection strings and options, and with what the streams begin.
func TestNoPrefixIsNotTheDefault(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		parameter string
		options   func(*kurrent.Options)
		want      string
	}{
		"nothing said":             {"", nil, kurrent.DefaultPrefix},
		"none said in the address": {"&streamPrefix=", nil, ""},
		"one said in the address":  {"&streamPrefix=a.", nil, "a."},
		"none said in options":     {"&streamPrefix=a.", func(o *kurrent.Options) { o.NoPrefix = true }, ""},
		"one said in options":      {"&streamPrefix=", func(o *kurrent.Options) { o.Prefix = "b." }, "b."},
		"the default, said":        {"&streamPrefix=gxpledger.", nil, kurrent.DefaultPrefix},
	} {
		f, url := strict(t)
		o := unsaid()
		if c.options != nil {
			c.options(&o)
		}
		open(t, url+c.parameter, o)
		if got := streamsOf(f); !slices.Equal(got, []string{c.want + "gxpledger-log"}) {
			t.Errorf("%s: streams are %q, want one that begins with %q", name, got, c.want)
		}
	}
}

// A log that was made before there was a default is found by those who say nothing, unless there is one with the default.
func TestALogWithoutAPrefixIsFound(t *testing.T) {
	t.Parallel()
	f, url := strict(t)
	older := open(t, url+"&streamPrefix=", unsaid())
	fill(t, older)
	f.Put("orders-1", 0, "placed", []byte("{}"), nil)
	for what, again := range map[string]func(context.Context, string, kurrent.Options) (*kurrent.Log, error){
		"Open": kurrent.Open, "OpenReadOnly": kurrent.OpenReadOnly,
	} {
		log, err := again(within(t), url, unsaid())
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if n := len(readAll(t, log)); log.ID() != older.ID() || n != 6 {
			t.Errorf("%s: log %s with %d events, want %s with 6", what, log.ID(), n, older.ID())
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}
	putLog(f, kurrent.DefaultPrefix) // nobody can make it now
	f.PutBatch(kurrent.DefaultPrefix+"engine", 0, 1, 0)
	if log := open(t, url, unsaid()); log.ID() == older.ID() {
		t.Error("the log without a prefix goes before that with the default one")
	}
	if _, err := kurrent.OpenReadOnly(within(t), url+"&streamPrefix=other-", unsaid()); !errors.Is(err, eventstore.ErrNotFound) {
		t.Errorf("another prefix: error is %v, want ErrNotFound", err)
	}
}

// A server of package esdbserver serves one log, whose streams have their own names.
func TestTheDefaultOnAServerOfOurs(t *testing.T) {
	t.Parallel()
	behind := memory.New(time.Now)
	mustAppend(t, behind, batch(eventstore.RepositoryPrefix+"1", 0, 2))
	log := open(t, esdbtest.Start(t, behind).URL(), unsaid())
	fill2 := batch(eventstore.EngineStream, 0, 1)
	fill2.Contents = []eventstore.Blob{blob("kept")}
	mustAppend(t, log, fill2)
	if n := len(readAll(t, log)); n != 3 {
		t.Errorf("read %d events, want the 2 that were there and the new one", n)
	}
	for r, err := range behind.ReadStream(within(t), eventstore.EngineStream, 0) {
		if err != nil || r.Stream != eventstore.EngineStream {
			t.Errorf("behind it: %+v, %v", r, err)
		}
	}
}

// No log lies inside another: making one stops before anything is written, and names both.
func TestALogIsNotMadeInsideAnother(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		there  func(f *esdbtest.Fake)
		prefix string // of the connection string
		says   []string
	}{
		"inside":               {func(f *esdbtest.Fake) { putLog(f, "a-") }, "a-b-", []string{`"a-b-"`, `"a-"`, "inside"}},
		"far inside":           {func(f *esdbtest.Fake) { putLog(f, "a") }, "a-b-c-d-", []string{`"a-b-c-d-"`, `"a"`}},
		"around":               {func(f *esdbtest.Fake) { putLog(f, "a-b-") }, "a-", []string{`"a-b-"`, `"a-"`, "inside"}},
		"inside one without":   {func(f *esdbtest.Fake) { putLog(f, "") }, "a-", []string{`"a-"`, "without a prefix"}},
		"around, without":      {func(f *esdbtest.Fake) { putLog(f, "a-") }, "", []string{`"a-"`, "without a prefix"}},
		"others, without":      {func(f *esdbtest.Fake) { f.Put("orders-1", 0, "placed", nil, nil) }, "", []string{`"orders-1"`, "without a prefix"}},
		"around a deleted log": {func(f *esdbtest.Fake) { putLog(f, "a-b-"); f.Bury("a-b-gxpledger-log") }, "a-", []string{`"a-b-"`, `"a-"`}},
		"inside, by default":   {func(f *esdbtest.Fake) { putLog(f, "gxp") }, kurrent.DefaultPrefix, []string{`"gxpledger."`, `"gxp"`}},
	} {
		f, url := strict(t)
		c.there(f)
		before := len(f.Of(""))
		_, err := kurrent.Open(within(t), url+"&streamPrefix="+c.prefix, unsaid())
		if !errors.Is(err, eventstore.ErrInvalid) {
			t.Errorf("%s: error is %v, want ErrInvalid", name, err)
			continue
		}
		for _, says := range c.says {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%s: error is %v, want %s in it", name, err, says)
			}
		}
		if after := len(f.Of("")); after != before {
			t.Errorf("%s: %d events were written", name, after-before)
		}
	}
}

// Beside another a log is made, whatever its name.
func TestALogIsMadeBesideAnother(t *testing.T) {
	t.Parallel()
	f, url := strict(t)
	putLog(f, "a-")
	f.Put("orders-1", 0, "placed", nil, nil)
	f.Put("$stats", 0, "$stats", nil, nil)
	for _, prefix := range []string{"b-", "a.", kurrent.DefaultPrefix, "gxpledger-log"} {
		open(t, url+"&streamPrefix="+prefix, unsaid())
	}
}

// Of logs that are made at the same time, and of which one lies in another, those that can be used lie beside each other,
// then and later.
func TestLogsThatAreMadeAtTheSameTime(t *testing.T) {
	t.Parallel()
	for range 5 {
		_, url := strict(t)
		prefixes := []string{"a-", "a-b-", "a-b-c-", ""}
		made := make([]bool, len(prefixes))
		try := func(i int) {
			log, err := kurrent.Open(within(t), url+"&streamPrefix="+prefixes[i], unsaid())
			if err != nil && !errors.Is(err, eventstore.ErrInvalid) {
				t.Errorf("prefix %q: %v", prefixes[i], err)
			}
			if made[i] = err == nil; err == nil {
				_ = log.Close()
			}
		}
		var opening sync.WaitGroup
		for i := range prefixes {
			opening.Go(func() { try(i) })
		}
		opening.Wait()
		now := slices.Clone(made)
		for i := range prefixes {
			try(i)
		}
		n := 0
		for _, ok := range made {
			if ok {
				n++
			}
		}
		if n != 1 {
			t.Errorf("logs were made as %v, and opened as %v, want one of them", now, made)
		}
	}
}
