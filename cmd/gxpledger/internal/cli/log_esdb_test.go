package cli_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/cli"
	"github.com/gxpledger/gxpledger/eventstore/esdbserver"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
	"github.com/gxpledger/gxpledger/eventstore/memory"
)

// onEventStoreDB returns the address of a server that keeps a new log.
func onEventStoreDB(t *testing.T, set ...func(*esdbserver.Options)) string {
	t.Helper()
	return esdbtest.Start(t, memory.New(time.Now), set...).URL()
}

// A user who outgrows one machine changes --log, and nothing else in how they work. The servers are ours, and one that
// differs from it as EventStoreDB does: positions there have gaps.
func TestALogOnEventStoreDBIsUsedByEveryCommand(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T) string{
		"ours": func(t *testing.T) string {
			t.Helper()
			return onEventStoreDB(t)
		},
		"like EventStoreDB": func(t *testing.T) string {
			t.Helper()
			return esdbtest.StartFake(t).URL()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			useEveryCommand(t, start(t))
		})
	}
}

func useEveryCommand(t *testing.T, address string) {
	t.Helper()
	d, r := newFixture(t), newRepo(t).story("US-001", "REQ-001").spec("SPEC-001", "US-001").commit("Write it down")
	d.env["GXPLEDGER_LOG"] = address
	d.run("verify").wantCode(1).says("there is no log at " + address)
	d.scan(r, "--reason", "to see").wantCode(0)
	d.scan(r.requirement("REQ-001", "Another title").commit("Change it")).wantCode(0)
	if _, err := os.Stat(filepath.Join(d.home, "log.db")); !os.IsNotExist(err) {
		t.Errorf("there is a SQLite log in the home beside the one on the server: %v", err)
	}
	for _, command := range []string{
		"scans", "show requirements", "history REQ-001", "diff scan:1 scan:2", "audit", "log", "log --backwards --limit 2",
		"log --type scan.completed", "content .gxp/requirements/REQ-001.md", "projections status", "verify", "migrate status", "migrate up",
	} {
		d.run(strings.Fields(command)...).wantCode(0)
	}
	d.run("gaps").wantCode(3).has("SPEC-001")
	d.run("history", "REQ-001").wantCode(0).has("Another title")
	if got := d.run("projections", "status").wantCode(0).stdout; strings.Count(got, "live") != 3 {
		t.Errorf("status is\n%s\nwant three live projections", got)
	}
	d.run("projections", "rebuild", "--all", "--reason", "see that it works").wantCode(0)
	d.verify(0)

	elsewhere := newFixture(t) // another machine has nothing but the address
	elsewhere.run("show", "requirements", "--log", address).wantCode(0).has("Another title")
	elsewhere.run("verify", "--log", address).wantCode(0)
	elsewhere.scan(r, "--log", address).wantCode(0)

	d.run("repository", "retire", "demo", "--reason", "done", "--actor", "admin").wantCode(0)
	d.run("repository", "retire", "demo", "--reason", "again").wantCode(1).says("was retired", "nothing was recorded")
	d.scan(r).wantCode(1)
	d.verify(0)
	moved := newFixture(t)
	d.bare(t.Context(), "log", "copy", "--from", address, "--to", "sqlite:"+moved.home, "--reason", "home again", "--checkpoint", "1000000").
		wantCode(0).has("Checkpoint  a reader at position 1000000 of the source continues after position")
	moved.verify(0)
}

// The log is followed while another process records.
func TestALogOnEventStoreDBIsFollowed(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("Write it down")
	d.env["GXPLEDGER_LOG"] = onEventStoreDB(t)
	d.scan(r).wantCode(0)
	lines, stop := d.follow("log", "--follow", "--json")
	for _, want := range []string{"repository.registered.v1", "artifact.parsed.v2", "artifact.parsed.v2", "scan.completed.v2"} {
		if got := lines(); got != want {
			t.Fatalf("the follower shows %s, want %s", got, want)
		}
	}
	d.scan(r).wantCode(0)
	if got := lines(); got != "scan.completed.v2" {
		t.Errorf("the follower shows %s of the scan beside it", got)
	}
	if code := stop(); code != 0 {
		t.Errorf("the follower ended with %d", code)
	}
}

// follow starts a command that writes one JSON document a line, and gives the type in each.
func (d *fixture) follow(args ...string) (line func() string, stop func() int) {
	d.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(d.t.Context()))
	d.t.Cleanup(cancel)
	read, write := io.Pipe()
	d.t.Cleanup(func() { _ = read.Close() })
	now, code := d.now(), make(chan int, 1)
	env := map[string]string{"GXPLEDGER_LOG": d.env["GXPLEDGER_LOG"]}
	system := cli.System{
		Silence: time.Hour, // a loaded machine is no other process
		Stdin:   strings.NewReader(""), Stdout: write, Stderr: io.Discard, Now: func() time.Time { return now },
		Env: func(name string) (string, bool) { value, ok := env[name]; return value, ok },
	}
	go func() {
		code <- system.Run(ctx, append(args, "--home", d.home))
		_ = write.Close()
	}()
	lines := json.NewDecoder(read)
	return func() string {
			var one struct {
				Type string `json:"type"`
			}
			if err := lines.Decode(&one); err != nil {
				return err.Error()
			}
			return one.Type
		}, func() int {
			cancel()
			return <-code
		}
}

// A server of gxpledger serves a log that is on another server, from one binary: it holds the adapter and the server.
func TestALogOnEventStoreDBIsServed(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("Write it down")
	d.env["GXPLEDGER_LOG"] = onEventStoreDB(t)
	d.scan(r).wantCode(0)
	s := d.serve("--esdb-writable", "orders-")
	client := dial(t, s.address())
	if err := appendEvent(t, client, "orders-1"); err != nil {
		t.Error(err)
	}
	if err := appendEvent(t, client, "repository-1"); err == nil {
		t.Error("a client appended to a stream of the engine")
	}
	d.run("log", "--stream", "orders-").wantCode(0).has("order-placed")
	d.verify(0)

	// What is served is read through the log behind it, and written to as well.
	beyond := newFixture(t)
	beyond.env["GXPLEDGER_LOG"] = s.address()
	beyond.run("log").wantCode(1).says("there is no log at", "the log behind it")
	beyond.scan(r).wantCode(1).says("cannot use the log at", "refuses", "the log behind it", "nothing was recorded")
	s.refused(2)
}

func TestProblemsOfAServerAreReported(t *testing.T) {
	t.Parallel()
	r := newRepo(t).commit("Write it down")
	cert, key := certificate(t)
	secure := onEventStoreDB(t, func(o *esdbserver.Options) {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		o.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
		o.Authenticate = func(_ context.Context, user, given string) error {
			if user == "ada" && given == password {
				return nil
			}
			return esdbserver.ErrNotAuthenticated
		}
	})
	as := func(user, word string) string {
		return strings.Replace(secure, "esdb://", "esdb://"+url.UserPassword(user, word).String()+"@", 1)
	}
	const soon = "&defaultDeadline=1500"
	trusted := "?tlsCaFile=" + url.QueryEscape(cert)
	right := newFixture(t)
	right.env["GXPLEDGER_LOG"] = as("ada", password) + trusted
	right.keepsSecret(right.scan(r, "--verbose")).wantCode(0)
	right.keepsSecret(right.run("verify", "--verbose")).wantCode(0)
	right.keepsSecret(right.run("migrate", "status")).wantCode(0).has("esdb://ada:xxxxx@")
	plain := onEventStoreDB(t)
	for name, c := range map[string]struct {
		address string
		says    []string
	}{
		"a wrong password":        {as("eve", password) + trusted, []string{"server refuses", "a user who may read"}},
		"no user":                 {secure + trusted, []string{"server refuses"}},
		"a server that is down":   {"esdb://" + url.UserPassword("ada", password).String() + "@127.0.0.1:1?tls=false" + soon, []string{"refused", "check that the server runs"}},
		"an unknown authority":    {as("ada", password) + "?" + soon[1:], []string{"certificate", "tlsCaFile"}},
		"TLS where there is none": {strings.Replace(plain, "tls=false", "tls=true", 1) + soon, []string{"does not speak TLS", "write tls=false"}},
		"none where there is TLS": {secure + "?tls=false" + soon, []string{"speaks TLS", "remove tls=false"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newFixture(t)
			d.env["GXPLEDGER_LOG"] = c.address
			d.keepsSecret(d.run("verify", "--verbose", "--wait", "1s")).wantCode(1).says(append(c.says, "the log at esdb://")...)
			d.keepsSecret(d.scan(r, "--verbose", "--wait", "1s")).wantCode(1).says(append(c.says, "nothing was recorded", "the failure is spooled in")...)
			d.keepsSecret(d.scan(r, "--json", "--wait", "1s")).wantCode(1)
			to := []string{"log", "copy", "--from", "sqlite:" + d.home, "--to", c.address, "--reason", "x", "--wait", "1s"}
			d.keepsSecret(d.bare(t.Context(), to...)).wantCode(1)
		})
	}
}

func TestAnAddressThatNoEventStoreDBCanBeAtIsRefused(t *testing.T) {
	t.Parallel()
	r := newRepo(t).commit("Write it down")
	secret := url.UserPassword("", password).String()[1:]
	for address, says := range map[string]string{
		"esdb://ada:" + secret + "@host:port":                        "cannot read the address",
		"esdb://ada:" + secret + "@host:99999":                       "from 1 to 65535",
		"esdb://ada:" + secret + "@":                                 "host",
		"esdb://:" + secret + "@host":                                "want user:password",
		"esdb://ada:" + secret + "@host?tls=perhaps":                 "true or false",
		"esdb://ada:" + secret + "@host?tls=false":                   "clear text",
		"esdb+discover://ada:" + secret + "@host?tls=false":          "clear text",
		"esdb://ada:" + secret + "@host?tlsVerfyCert=false":          "there is no parameter",
		"esdb://ada:" + secret + "@host?tls=true&TLS=true":           "twice",
		"esdb://ada:" + secret + "@host?maxAppendSize=lots":          "number of bytes",
		"esdb://ada:" + secret + "@host?defaultDeadline=soon":        "milliseconds",
		"esdb://ada:" + secret + "@host?streamPrefix=%24system":      "not beginning with $",
		"esdb://ada:" + secret + "@host?tlsCaFile=/not/there.pem":    "/not/there.pem",
		"esdb://ada:" + secret + "@host/path":                        "path",
		"esdb://ada:s3cret@word@host":                                "percent-encoded",
		"esdb://ada:s3cret/word@host":                                "percent-encode",
		"kurrentdb://ada:" + secret + "@host":                        "write esdb:// instead",
		"kurrentdb+discover://ada:" + secret + "@host":               "write esdb+discover:// instead",
		"esdb:/ada:s3cret":                                           "not an address",
		"esdb://ada:" + secret + "@host:2113,other:x,third:2113":     "port",
		"esdb://ada:" + secret + "@host:2113?nodePreference=whoever": "want leader",
	} {
		d := newFixture(t)
		for _, args := range [][]string{{"scan", r.dir}, {"show", "specs"}, {"log"}, {"verify"}, {"migrate", "up"}} {
			d.keepsSecret(d.run(append(args, "--log", address)...)).wantCode(2).says(says)
		}
		d.keepsSecret(d.bare(t.Context(), "log", "copy", "--from", address, "--to", "sqlite:"+d.home, "--reason", "x")).wantCode(2).says("--from", says)
		if _, err := os.Stat(d.home); !os.IsNotExist(err) {
			t.Errorf("%s: a home was made: %v", address, err)
		}
	}
}

// Two logs on one server, each with a prefix of its own, know nothing of each other.
func TestLogsShareAServer(t *testing.T) {
	t.Parallel()
	address := esdbtest.StartFake(t).URL()
	r := newRepo(t).commit("Write it down")
	mine, theirs := newFixture(t), newFixture(t)
	mine.env["GXPLEDGER_LOG"], theirs.env["GXPLEDGER_LOG"] = address+"&streamPrefix=mine-", address+"&STREAMPREFIX=theirs-"
	mine.scan(r).wantCode(0)
	theirs.run("scans").wantCode(1).says("there is no log at", "streamPrefix")
	theirs.scan(r).wantCode(0)
	for _, d := range []*fixture{mine, theirs} {
		if v := d.verify(0); v.Log.Events != 4 {
			t.Errorf("%d events, want the 4 of one scan", v.Log.Events)
		}
	}
}

// On a server that others use, a log that says nothing of a prefix is whole, whatever they write, beside it or below its
// prefix; what is below is named by verify.
func TestALogBesideOtherApplications(t *testing.T) {
	t.Parallel()
	f := esdbtest.StartFake(t)
	f.Put("orders-1", 0, "placed", []byte("{}"), nil)
	d, r := newFixture(t), newRepo(t).commit("Write it down")
	d.env["GXPLEDGER_LOG"] = f.URL()
	d.scan(r).wantCode(0)
	f.Put("orders-1", 1, "placed", []byte("{}"), nil)
	f.Put("gxpledger.orders-1", 0, "placed", []byte("{}"), nil)
	d.run("show", "specs").wantCode(0)
	if v := d.verify(0); v.Log.Events != 4 || len(v.Warnings) != 1 || v.Warnings[0].Code != "foreign_stream" {
		t.Errorf("%d events and warnings %+v, want the 4 of one scan and one of a foreign stream", v.Log.Events, v.Warnings)
	}
	screen := d.run("verify").wantCode(0)
	for _, text := range []string{`stream "gxpledger.orders-1"`, "another application", "No faults found"} {
		screen.has(text)
	}
	f.ResetRequests()
	d.run("log", "--backwards", "--limit", "1").wantCode(0)
	if q := f.Requests(); q.Unfiltered > 0 || q.Events > 20 {
		t.Errorf("one event backwards costs %d reads without a filter, and %d events", q.Unfiltered, q.Events)
	}
	for address, says := range map[string]string{
		f.URL() + "&streamPrefix=":               "without a prefix all streams of the server are the log's",
		f.URL() + "&streamPrefix=gxpledger.sub-": `with prefix "gxpledger."`,
		f.URL() + "&streamPrefix=gxp":            `with prefix "gxpledger."`,
	} {
		other := newFixture(t)
		other.env["GXPLEDGER_LOG"] = address
		other.scan(r).wantCode(1).says("cannot use the log at", "make a log", says)
	}
}

// What a server does not take is refused before it is sent, with the setting that raises the limit; the failure is
// recorded.
func TestAScanThatIsTooLargeForTheServer(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("Write it down")
	d.env["GXPLEDGER_LOG"] = onEventStoreDB(t) + "&maxAppendSize=2500"
	d.scan(r).wantCode(1).says("limit of 2500", "MAX_APPEND_SIZE", "maxAppendSize of the connection string")
	d.run("log").wantCode(0).has("scan.failed")
	d.env["GXPLEDGER_LOG"] = strings.Replace(d.env["GXPLEDGER_LOG"], "2500", "100000", 1)
	d.scan(r).wantCode(0)
}
