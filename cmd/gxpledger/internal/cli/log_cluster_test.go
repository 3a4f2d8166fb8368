package cli_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
)

// Every command works while the nodes hold an election, and beside an index that is late.
func TestCommandsThroughElections(t *testing.T) {
	t.Parallel()
	c := esdbtest.StartCluster(t, esdbtest.ClusterOptions{Tick: 50 * time.Millisecond, Stale: 200 * time.Millisecond})
	c.Lag(esdbtest.Lag{Leader: 100 * time.Millisecond, Followers: 200 * time.Millisecond, AckFirst: true, Index: 100 * time.Millisecond})
	c.CatchUpEarly()
	d, r := newFixture(t), newRepo(t).story("US-001", "REQ-001").commit("Write it down")
	d.env["GXPLEDGER_LOG"] = c.URL()
	elections := 0
	elect := func() {
		elections++
		c.ElectAfter(200*time.Millisecond, elections%c.Size())
	}
	d.scan(r).wantCode(0)
	elect()
	d.scan(r.requirement("REQ-001", "Another title").commit("Change it"), "--json").wantCode(0).has(`"projected": true`)
	at := d.lastScan()
	commands := []string{
		"show requirements", "show requirements --as-of scan:1", "show requirements --as-of pos:" + at, "diff scan:1 scan:2", "diff scan:1 pos:" + at,
		"log", "log --after 1", "log --after " + at, "log --backwards --limit 2", "replay --to scan:1 --into one.db", "replay --to pos:" + at + " --into two.db",
		"verify",
	}
	for i, command := range commands {
		if i == 1 { // the other two go on, and it comes back when it leads no more
			old := c.Leader()
			old.Freeze()
			c.After(200*time.Millisecond, func() { c.Elect((elections + 1) % c.Size()) })
			d.through(command)
			old.Resume()
			continue
		}
		elect()
		d.through(command)
	}
	c.Node((elections + 1) % c.Size()).Freeze() // a follower
	d.through("log --after " + at)
	c.Node((elections + 1) % c.Size()).Resume()
	elect()
	moved := newFixture(t)
	d.bare(t.Context(), "log", "copy", "--from", c.URL(), "--to", "sqlite:"+moved.home, "--reason", "home").wantCode(0)
	moved.verify(0)
	back := esdbtest.StartFake(t)
	d.bare(t.Context(), "log", "copy", "--from", "sqlite:"+moved.home, "--to", back.URL(), "--reason", "back again").wantCode(0)
	again := newFixture(t)
	again.env["GXPLEDGER_LOG"] = back.URL()
	again.run("show", "requirements").wantCode(0).has("Another title")
	again.verify(0)
	if err := c.Judge(); err != nil {
		t.Error(err)
	}
}

// through runs a command that must end well, in the seconds that an election takes. Files that it makes are made anew each time.
func (d *fixture) through(command string) {
	d.t.Helper()
	args := strings.Fields(command)
	if i := slices.Index(args, "--into"); i >= 0 {
		args[i+1] = filepath.Join(d.t.TempDir(), args[i+1])
	}
	begin := time.Now()
	d.run(args...).wantCode(0)
	if took := time.Since(begin); took > 10*time.Second {
		d.t.Errorf("%s took %s", command, took)
	}
}

// lastScan returns the position of the last scan.
func (d *fixture) lastScan() string {
	d.t.Helper()
	var found struct {
		Position eventstore.Position `json:"position"`
	}
	got := d.run("log", "--type", "scan.completed", "--backwards", "--limit", "1", "--json").wantCode(0).stdout
	if err := json.Unmarshal([]byte(got), &found); err != nil || found.Position == 0 {
		d.t.Fatalf("%v: %s", err, got)
	}
	return fmt.Sprint(found.Position)
}

// No command fails within 10 seconds of an election, whether it begins then, or meets the election in the middle of what it reads or writes.
func TestNoCommandFailsWithinTenSecondsOfAnElection(t *testing.T) {
	t.Parallel()
	const election = 10 * time.Second // of the nodes' clock, which each request moves by two
	c := esdbtest.StartCluster(t, esdbtest.ClusterOptions{Tick: 2 * time.Second})
	d, r := newFixture(t), newRepo(t).story("US-001", "REQ-001").commit("Write it down")
	d.env["GXPLEDGER_LOG"] = c.URL()
	d.scan(r).wantCode(0)
	d.scan(r.requirement("REQ-001", "Another title").commit("Change it")).wantCode(0)
	at, local := d.lastScan(), newFixture(t)
	local.scan(r).wantCode(0)
	once := regexp.MustCompile("^(projections (pause|resume) |repository retire |log copy --from sqlite)") // a second time is an error
	elect := func() { c.ElectAfter(election, (c.Elections()+1)%c.Size()) }
	for _, command := range []string{
		"scan " + r.dir + " --name demo", "scans", "show requirements", "show requirements --as-of pos:" + at, "matrix", "diff scan:1 scan:2", "history REQ-001", "audit",
		"content .gxp/requirements/REQ-001.md", "log", "log --backwards", "log --after " + at, "verify", "projections status",
		"projections rebuild --all --reason again", "projections pause audit --reason wait", "projections resume audit --reason on",
		"replay --to scan:1 --into past.db", "log copy --from " + c.URL() + " --to sqlite:COPY --reason home",
		"log copy --from sqlite:" + local.home + " --to " + c.URL() + "&streamPrefix=copy- --reason there", "repository retire demo --reason done",
	} {
		for when, begin := range map[string]func(){
			"at its start": elect,
			"meanwhile": func() {
				var answers atomic.Int64
				c.Rewrite(func(m *api.ReadResp) []*api.ReadResp {
					if answers.Add(1) == 3 {
						elect()
					}
					return []*api.ReadResp{m}
				})
			},
		} {
			if when == "meanwhile" && once.MatchString(command) {
				continue
			}
			args := strings.Fields(strings.NewReplacer("COPY", t.TempDir(), "past.db", filepath.Join(t.TempDir(), "past.db")).Replace(command))
			before := c.Elections()
			begin()
			var got result
			if strings.HasPrefix(command, "log copy ") {
				got = d.bare(t.Context(), args...)
			} else {
				got = d.run(args...)
			}
			c.Rewrite(nil)
			if got.code != 0 {
				t.Errorf("%s, an election %s: exit code %d\n%s%s", command, when, got.code, got.stdout, got.stderr)
			}
			if c.Leader() == nil {
				c.Advance(election)
			}
			if c.Elections() == before {
				t.Errorf("%s met no election %s", command, when)
			}
		}
	}
	if err := c.Judge(); err != nil {
		t.Error(err)
	}
}

// A scan that is in the log ends with 0, and says that the tables will follow, where reads of the log stall behind its append.
// A scan that is in the log ends with 0, and says that the tables do not show it yet, where reads of the log stall behind its append.
func TestAScanEndsWhenItsLogIsNotReadAnyMore(t *testing.T) {
	t.Parallel()
	f := esdbtest.StartFake(t)
	d, r := newFixture(t), newRepo(t).commit("Write it down")
	d.env["GXPLEDGER_LOG"] = f.URL() + "&defaultDeadline=500"
	d.patience = time.Second
	d.scan(r).wantCode(0)
	before, stalled := len(f.Committed()), make(chan struct{})
	f.Rewrite(func(m *api.ReadResp) []*api.ReadResp {
		if len(f.Committed()) > before {
			<-stalled
		}
		return []*api.ReadResp{m}
	})
	release := sync.OnceFunc(func() { close(stalled) })
	t.Cleanup(release)
	got := d.scan(r, "--json", "--wait", "1s").wantCode(0)
	if !strings.Contains(got.stderr, "scan 2 was recorded; the tables do not show it yet: ") {
		t.Errorf("it says %q", got.stderr)
	}
	var done struct {
		Outcome   string `json:"outcome"`
		Projected *bool  `json:"projected"`
	}
	if err := json.Unmarshal([]byte(got.stdout), &done); err != nil || done.Outcome != "completed" || done.Projected == nil || *done.Projected {
		t.Errorf("%v: %s", err, got.stdout)
	}
	release()
	if got := d.run("scans").wantCode(0).stdout; strings.Count(got, " completed ") != 2 {
		t.Errorf("the tables did not follow:\n%s", got)
	}
}

// Without a quorum a scan fails when the time to wait is over, and nobody is told that somebody stopped it.
func TestAScanWithoutAQuorumWasNotStopped(t *testing.T) {
	t.Parallel()
	c := esdbtest.StartCluster(t, esdbtest.ClusterOptions{Tick: 50 * time.Millisecond})
	d, r := newFixture(t), newRepo(t).commit("Write it down")
	d.env["GXPLEDGER_LOG"] = c.URL()
	d.scan(r).wantCode(0)
	c.Node(1).Kill()
	c.Node(2).Kill()
	c.NoLeader()
	got := d.scan(r, "--wait", "500ms").wantCode(1).says("no leader")
	if strings.Contains(got.stderr, "stopped") || strings.Contains(got.stderr, "another process") {
		t.Errorf("it says %q", got.stderr)
	}
}

// A person at a terminal is told what a command waits for, in one line, which is erased before anything else is shown there. Neither a
// pipe nor a program reads of it.
func TestACommandThatWaitsForTheServerOfItsLogSaysSo(t *testing.T) {
	t.Parallel()
	c := esdbtest.StartCluster(t, esdbtest.ClusterOptions{Tick: 50 * time.Millisecond})
	d, r := newFixture(t), newRepo(t).commit("Write it down")
	d.env["GXPLEDGER_LOG"] = c.URL()
	d.scan(r).wantCode(0)
	clock := d.now()
	d.now = func() time.Time { // each look at it takes seconds
		clock = clock.Add(2 * time.Second)
		return clock
	}
	terminal := &render.Terminal{Width: 80, Live: true}
	lines := regexp.MustCompile(`^(\r\x1b\[K(waiting for [^\r\n\x1b]+)?)+`)
	waits := regexp.MustCompile(`waiting for the log's server, \d+ s of 30: [^\r]*no leader`)
	for name, test := range map[string]struct {
		terminal *render.Terminal
		args     []string
	}{
		"a terminal":           {terminal, nil},
		"a program's terminal": {terminal, []string{"--json"}},
		"a pipe":               {nil, nil},
		"a program":            {nil, []string{"--json"}},
	} {
		d.terminal = test.terminal
		c.ElectAfter(500*time.Millisecond, c.Elections()%c.Size())
		got := d.run(append([]string{"show", "requirements"}, test.args...)...).wantCode(0)
		if strings.Contains(got.stdout, "waiting") || strings.Contains(got.stdout, "\x1b") {
			t.Errorf("%s: standard output is %q", name, got.stdout)
		}
		told := got.stderr
		if test.terminal != nil {
			erased := lines.FindString(told)
			if !waits.MatchString(erased) || !strings.HasSuffix(erased, "\r\x1b[K") {
				t.Errorf("%s: standard error begins with %q, want a line that tells what is waited for, and is erased", name, told)
			}
			told = strings.TrimPrefix(told, erased)
		}
		if strings.Contains(told, "waiting") || strings.Contains(told, "\x1b") {
			t.Errorf("%s: standard error goes on with %q", name, told)
		}
	}
}
