package kurrent_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/kurrent"
	"github.com/gxpledger/gxpledger/eventstore/lineartest"
)

// envReal names the variable with the connection string of a real server, or of a cluster: all its nodes, or
// esdb+discover://. Its user must be allowed to read $all. What needs more than the server allows is left out, and said to be: an append
// above its MaxAppendSize, the metadata of streams. The string must not say streamPrefix: each log of a test has a random one of its own,
// which lies in no other log, or it is not made.
const envReal = "GXPLEDGER_TEST_ESDB_URL"

// A real EventStoreDB or KurrentDB is asked to do what the stand-ins do, by the same tests, where there is one. What the
// tests write is left there.
func TestARealServer(t *testing.T) {
	t.Parallel()
	url := os.Getenv(envReal)
	if url == "" {
		t.Skipf("NOT TESTED: a real KurrentDB. Set %s to the connection string of one", envReal)
	}
	if strings.Contains(strings.ToLower(url), "streamprefix=") {
		t.Fatalf("%s says streamPrefix: leave it out, each log of a test has one of its own", envReal)
	}
	t.Run("Conformance", func(t *testing.T) {
		t.Parallel()
		eventstoretest.Run(t, features(), func(t *testing.T) eventstore.Log {
			t.Helper()
			log, err := kurrent.Open(within(t), url, onShared())
			if err != nil {
				t.Fatal(err)
			}
			return limited{log, t}
		})
	})
	t.Run("Sharing", func(t *testing.T) {
		t.Parallel()
		eventstoretest.RunShared(t, store(func(*testing.T) string { return withPrefix(url, onShared().Prefix) }))
	})
	t.Run("Linearizability", func(t *testing.T) {
		t.Parallel()
		o := onShared()
		lineartest.Check(t, open(t, url, o), open(t, url, o), open(t, url, o))
	})
	t.Run("Times", func(t *testing.T) {
		t.Parallel()
		eventstoretest.KeepsRecordedTimes(t, open(t, url, onShared()))
	})
	t.Run("Tampering", func(t *testing.T) {
		t.Parallel()
		tamperForReal(t, url)
	})
}

// limited leaves out a test that appends more than its server takes, where that takes less than stand-ins do.
type limited struct {
	*kurrent.Log

	t *testing.T
}

var limitOfServer = regexp.MustCompile(`above the limit of (\d+) \(MaxAppendSize of the server\)`)

func (l limited) Append(ctx context.Context, b eventstore.Batch) (eventstore.Appended, error) {
	at, err := l.Log.Append(ctx, b)
	if errors.Is(err, eventstore.ErrTooLarge) {
		if found := limitOfServer.FindStringSubmatch(err.Error()); found != nil {
			if limit, _ := strconv.ParseInt(found[1], 10, 64); limit < options().MaxAppendBytes {
				l.t.Skipf("NOT TESTED: an append that large. Its server takes %d bytes: raise its MaxAppendSize to %d", limit, options().MaxAppendBytes)
			}
		}
	}
	return at, err
}

// onShared are options for a log of its own on a server that holds others.
func onShared() kurrent.Options {
	o := options()
	o.Prefix, o.NoPrefix = "test-"+uuid.NewString()+".", false
	o.Wait, o.Timeout = patience, patience // the server may be as loaded as this machine
	return o
}

func withPrefix(url, prefix string) string {
	separator := "?"
	if strings.Contains(url, "?") {
		separator = "&"
	}
	return url + separator + "streamPrefix=" + prefix
}

// tamperForReal does what an administrator can do to streams, and looks whether it is found.
func tamperForReal(t *testing.T, url string) {
	t.Helper()
	admin := administrator(t, url)
	limit := esdb.StreamMetadata{}
	limit.SetMaxCount(1)
	o := onShared()
	open(t, url, o) // it is made only where nobody else's streams are
	_, err := admin.SetStreamMetadata(within(t), o.Prefix+"probe", esdb.AppendToStreamOptions{}, limit)
	if err != nil {
		t.Skipf("NOT TESTED: tampering. This server lets nobody set the metadata of a stream: %v", err)
	}
	for name, act := range map[string]func(stream string) error{
		"it is cut to its last 1 events": func(stream string) error {
			_, err := admin.SetStreamMetadata(within(t), stream, esdb.AppendToStreamOptions{}, limit)
			return err
		},
		"it was deleted ($tb)": func(stream string) error {
			_, err := admin.DeleteStream(within(t), stream, esdb.DeleteStreamOptions{})
			return err
		},
		"it was deleted for ever": func(stream string) error {
			_, err := admin.TombstoneStream(within(t), stream, esdb.TombstoneStreamOptions{})
			return err
		},
	} {
		o := onShared()
		log := open(t, url, o)
		mustAppend(t, log, batch("s", 0, 3))
		if found := examine(t, log); len(found) != 0 {
			t.Fatalf("before anything was done: %q", found)
		}
		if err := act(o.Prefix + "s"); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if found := examine(t, log); !slices.ContainsFunc(found, func(f string) bool { return strings.Contains(f, name) }) {
			t.Errorf("found %q, want that %s", found, name)
		}
		var fault error
		for _, err := range open(t, url, o).ReadStream(within(t), "s", 0) {
			fault = err
		}
		if !errors.Is(fault, eventstore.ErrCorrupt) {
			t.Errorf("%s: reading ends with %v, want ErrCorrupt", name, fault)
		}
	}
}

// administrator is a client of the server beside the log.
func administrator(t *testing.T, url string) *esdb.Client {
	t.Helper()
	config, err := esdb.ParseConnectionString(url)
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// What is asked of a real server is asked of stand-ins for it here, in a child process, through that very variable: our
// server, and one that differs as EventStoreDB does. TestConformance asks them for all that is left out here.
func TestWhatIsAskedOfARealServerCanBeAsked(t *testing.T) {
	t.Parallel()
	if os.Getenv(envReal) != "" {
		t.Skip("this is that process, or a real server is asked")
	}
	large := func(o *esdbtest.ClusterOptions) { o.MaxAppendSize = 8 << 20 }
	// Linearizability has no lower level, and is long: one server is asked.
	const some = "^TestARealServer$/^(Conformance|Sharing|Times|Tampering)$/^(Contents|Snapshots|Features|OutlivesItsHandle|HandlesSeeEachOther)$"
	const every = "^TestARealServer$/.*/^(Contents|Snapshots|Features|OutlivesItsHandle|HandlesSeeEachOther)$"
	common := []string{"Conformance/Features", "Conformance/Contents/AreKeptOnce", "Sharing/HandlesSeeEachOther", "Times"}
	const huge = "Conformance/Contents/ComeBackAsTheyWere"
	for name, c := range map[string]struct {
		url, run      string
		passes, skips []string
	}{
		"ours":                          {newMemory(t).URL(), some, append(slices.Clone(common), huge), []string{"Tampering"}},
		"like EventStoreDB":             {esdbtest.StartFake(t, large).URL(), every, append(slices.Clone(common), huge, "Tampering", "Linearizability"), nil},
		"like a cluster of its default": {esdbtest.StartCluster(t, esdbtest.ClusterOptions{}).URL(), some, append(slices.Clone(common), "Tampering"), []string{huge}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
			defer cancel()
			child := exec.CommandContext(ctx, os.Args[0], "-test.v", "-test.run="+c.run)
			child.Env = append(os.Environ(), envReal+"="+c.url)
			out, err := child.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for what, names := range map[string][]string{"PASS": c.passes, "SKIP": c.skips} {
				for _, name := range names {
					if line := fmt.Sprintf("--- %s: TestARealServer/%s (", what, name); !strings.Contains(string(out), line) {
						t.Errorf("%s is not said to %s:\n%s", name, what, out)
					}
				}
			}
		})
	}
}
