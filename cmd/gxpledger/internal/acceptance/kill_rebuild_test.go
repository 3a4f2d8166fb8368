package acceptance_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestKilledRebuildsLeaveTheTablesAndATrail kills the real binary at forty random moments of a rebuild, while scans go
// on. Readers keep whole tables, the next rebuild needs no handwork, and the audit trail says of each what came of it: a
// build that was put in front of readers has its act (I5, I7, I8).
func TestKilledRebuildsLeaveTheTablesAndATrail(t *testing.T) {
	t.Parallel()
	gxpledger := binary(t)
	r := newRepo(t).fill(100)
	r.commit("Start")
	c := newClient(t)
	c.runBinary(t, gxpledger, r.dir)

	const kills, most = 40, 400
	rebuild := func(reason string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), gxpledger, "projections", "rebuild", "artifacts", "--reason", reason, "--home", c.home)
		cmd.Env = append(os.Environ(), "GXPLEDGER_LEASE=100ms")
		return cmd
	}
	lasts, _ := shoot(t, rebuild("to see how long it takes"), time.Hour)
	killed, tried := 0, 0
	swapped := map[string]bool{} // reasons of rebuilds that readers saw the outcome of
	for build := c.activeBuild(t); killed < kills; {
		if tried++; tried > most {
			t.Fatalf("only %d of %d rebuilds were killed before they ended: the moments prove nothing", killed, most)
		}
		reason := fmt.Sprintf("attempt %d", tried)
		if took, dead := shoot(t, rebuild(reason), rand.N(lasts*5/4)); dead {
			killed++
		} else {
			lasts = took
		}
		if now := c.activeBuild(t); now != build {
			swapped[reason], build = true, now
		}
		if tried%25 == 0 {
			r.requirement("REQ-00001", fmt.Sprintf("LOW %d", tried)).commit("Change one")
			c.runBinary(t, gxpledger, r.dir)
			c.run(t, "verify").wantCode(t, 0)
		}
	}
	shoot(t, rebuild("the last"), time.Hour)
	c.run(t, "verify").wantCode(t, 0)
	t.Logf("killed %d of %d rebuilds, %d had swapped", killed, tried, len(swapped))
	c.checkTrail(t, swapped)
}

// activeBuild returns the number of the build of artifacts that readers see.
func (c client) activeBuild(t *testing.T) int {
	t.Helper()
	var out struct {
		Projections []struct {
			Name  string `json:"name"`
			Build int    `json:"build"`
		} `json:"projections"`
	}
	// It ends with 3 where others have been behind for long, which on a slow machine they are.
	if err := json.Unmarshal([]byte(c.run(t, "projections", "status", "--json").stdout), &out); err != nil {
		t.Fatal(err)
	}
	for _, p := range out.Projections {
		if p.Name == "artifacts" {
			return p.Build
		}
	}
	t.Fatal("there is no projection artifacts")
	return 0
}

// checkTrail compares the acts of rebuilding in the log with what readers saw.
func (c client) checkTrail(t *testing.T, swapped map[string]bool) {
	t.Helper()
	var out struct {
		Audit []struct {
			Reason  string `json:"reason"`
			Outcome string `json:"outcome"`
		} `json:"audit"`
	}
	if err := json.Unmarshal([]byte(c.run(t, "audit", "--action", "ADMIN_PROJECTION_REBUILD", "--limit", "10000", "--json").wantCode(t, 0).stdout), &out); err != nil {
		t.Fatal(err)
	}
	acts := map[string]string{}
	for _, e := range out.Audit {
		if acts[e.Reason] != "" {
			t.Errorf("%s is recorded twice", e.Reason)
		}
		acts[e.Reason] = e.Outcome
	}
	for reason := range swapped {
		if acts[reason] != "succeeded" {
			t.Errorf("%s was put in front of readers, the trail says %q", reason, acts[reason])
		}
	}
	for reason, outcome := range acts {
		last := reason == "the last" || reason == "to see how long it takes"
		if want := "interrupted"; outcome != want && !swapped[reason] && !last {
			t.Errorf("%s is recorded as %s, want %s", reason, outcome, want)
		}
	}
}
