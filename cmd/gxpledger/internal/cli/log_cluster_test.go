package cli_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

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
