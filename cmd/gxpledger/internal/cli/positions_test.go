package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

// onSparse is the fixture of recorded, over a log whose positions are tokens: event n stands at position 4096 + 137n, so that
// scan 1 ends at 5877, scan 2 at 6836 and scan 3, which failed, at 6973. There are no tables yet.
func onSparse(t *testing.T) *fixture {
	t.Helper()
	d, _ := recorded(t)
	log, err := sqlite.Open(t.Context(), filepath.Join(d.home, "log.db"), sqlite.Options{Now: d.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	for _, name := range []string{"tables.db", "tables.db-wal", "tables.db-shm"} {
		if err := os.Remove(filepath.Join(d.home, name)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	d.log = eventstoretest.NewSparse(t, log, 137)
	return d
}

// TestANumberThatAPersonTypesIsNoPosition holds I19: a log is only asked at positions that it gave. A number means the last
// event at or before it.
func TestANumberThatAPersonTypesIsNoPosition(t *testing.T) {
	t.Parallel()
	d := onSparse(t)
	for _, round := range []string{"without tables", "with tables"} {
		for when, want := range map[string]int{
			"pos:4233": 5877, // the first event, and the batch that it is of
			"pos:5876": 5877,
			"pos:5877": 5877,
			"pos:5878": 5877,
			"pos:6013": 5877,
			"pos:6014": 6836,
			"pos:6835": 6836,
			"pos:6972": 6836,
			"pos:6973": 6973,

			"2026-03-01T12:00:00Z": 5877,
			"2026-03-01T12:00:59Z": 5877,
			"2026-03-01T12:01:30Z": 6836,
			"2026-03-01":           6973,
		} {
			var s shown
			if err := json.Unmarshal([]byte(d.run("show", "requirements", "--as-of", when, "--json").wantCode(0).stdout), &s); err != nil {
				t.Fatal(err)
			}
			if s.AsOf == nil || s.AsOf.Position != want || s.AsOf.Head != 6973 {
				t.Errorf("%s, %s: shows %+v, want position %d of 6973", round, when, s.AsOf, want)
			}
		}
		d.run("show", "requirements", "--as-of", "pos:4232").wantCode(1).says("no event at or before", "the first event is at position 4233")
		d.run("show", "requirements", "--as-of", "pos:6974").wantCode(1).says("no position", "the last at position 6973")
		d.run("show", "requirements", "--as-of", "2026-02-28").wantCode(1).says("no event recorded at or before")
		for after, want := range map[string]int{
			"0": 21, "1": 21, "4232": 21, "4233": 20, "4234": 20, "5877": 8, "5900": 8, "6972": 1, "6973": 0, "6974": 0, "18446744073709551615": 0,
		} {
			for _, more := range []string{"", "--backwards"} {
				args := strings.Fields("log --json --after " + after + " " + more)
				if got := strings.Count(d.run(args...).wantCode(0).stdout, "\n"); got != want {
					t.Errorf("%s, %q: %d events, want %d", round, args, got, want)
				}
			}
		}
		if got := strings.Count(d.run(strings.Fields("log --json --follow --after 5900 --limit 8")...).wantCode(0).stdout, "\n"); got != 8 {
			t.Errorf("%s: a follower sees %d events, want 8", round, got)
		}
		d.run("scans").wantCode(0) // makes the tables
	}
}

// TestNoCommandMakesUpAPosition holds I19.
func TestNoCommandMakesUpAPosition(t *testing.T) {
	t.Parallel()
	d := onSparse(t)
	into := filepath.Join(t.TempDir(), "past.db")
	for _, command := range []string{
		"show requirements --as-of scan:1", "show requirements --as-of scan:2", "show requirements --as-of commit:7b2f85981c82",
		"diff pos:5900 scan:2", "diff scan:1 2026-03-01T12:01:00Z", "replay --to pos:5900 --into " + into, "replay --to scan:2 --force --into " + into,
		"replay --follow-scans", "replay --follow-scans --from scan:2", "log --backwards --limit 3", "audit", "history REQ-002",
		"content .gxp/requirements/REQ-002.md --as-of pos:6000", "content .gxp/requirements/REQ-009.md", "content .gxp/requirements/REQ-001.md --scan 2",
		"projections status", "projections builds", "projections rebuild --all --reason again", "verify", "scans",
	} {
		d.run(strings.Fields(command)...).wantCode(0)
	}
}
