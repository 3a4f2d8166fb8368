package acceptance_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/cli"
	"github.com/gxpledger/gxpledger/projections/query"
)

// recordings are the corpus, scanned in order into one log, and the homes as they were behind each scan: logs that end
// there, with the tables that were live then.
type recordings struct {
	client
	then  []client
	scans []query.Scan
}

func recordCorpus(t *testing.T, folder, clone string) recordings {
	t.Helper()
	r := recordings{client: newClient(t)}
	key := filepath.Join(folder, "evidence-public-key.pem")
	for _, tag := range tags() {
		r.scanTag(t, clone, tag, "--evidence-key", key).wantCode(t, 0)
		then := newClient(t)
		if err := os.CopyFS(then.home, os.DirFS(r.home)); err != nil {
			t.Fatal(err)
		}
		r.then = append(r.then, then)
	}
	var listed struct{ Scans []query.Scan }
	r.json(t, &listed, "scans")
	r.scans = listed.Scans
	return r
}

// json runs a command with --json and decodes what it writes.
func (c client) json(t *testing.T, into any, args ...string) {
	t.Helper()
	got := c.run(t, append(args, "--json")...)
	if err := json.Unmarshal([]byte(got.stdout), into); err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(args, " "), err, got.stdout, got.stderr)
	}
}

// tableDigests is the digest of each table, as verify and replay write them.
type tableDigests struct {
	AsOf   query.Shown `json:"as_of"`
	Tables []struct {
		Projection string
		Tables     []struct {
			Table  string
			Rows   int
			SHA256 string
		}
	}
}

func (d tableDigests) lines() []string {
	var out []string
	for _, p := range d.Tables {
		for _, table := range p.Tables {
			out = append(out, fmt.Sprint(p.Projection, " ", table.Table, " ", table.Rows, " ", table.SHA256))
		}
	}
	return out
}

// TestCorpusAsOfEachRevision compares the past, as every form of a point names it, with the oracle, and with a log that
// ends there and tables that were live then: to the byte (I6).
func TestCorpusAsOfEachRevision(t *testing.T) {
	t.Parallel()
	folder, clone := corpus(t)
	r := recordCorpus(t, folder, clone)
	out := t.TempDir()
	for i, tag := range tags() {
		t.Run(tag, func(t *testing.T) {
			t.Parallel()
			scan := r.scans[i]
			var live tableDigests
			r.then[i].json(t, &live, "verify")
			forms := []string{
				fmt.Sprint("pos:", scan.Position), "commit:" + scan.Claims.Commit[:12], scan.RecordedAt.Format("2006-01-02T15:04:05.000000Z07:00"),
			}
			for n, when := range []string{fmt.Sprint("scan:", scan.Number), forms[i%len(forms)]} { // each form for some revision
				path := filepath.Join(out, fmt.Sprint(tag, n, ".db"))
				var made tableDigests
				r.json(t, &made, "replay", "--to", when, "--into", path)
				if got := made.AsOf; int64(got.Position) != scan.Position || len(got.Scans) != 1 || got.Scans[0].Scan != scan.Number {
					t.Errorf("%s is as of %+v, want scan %d at position %d", when, got, scan.Number, scan.Position)
				}
				compare(t, when+" (live tables in the place of the oracle)", made.lines(), live.lines())
				db := openTablesAt(t, path)
				compare(t, when, tableLines(t, db, one(t, db, "SELECT repository_id FROM repositories")), readOracle(t, folder, tag).lines())
			}
			sameAnswers(t, r, i)
		})
	}
}

// sameAnswers asks every reading command as of a scan, and a log that ends there.
func sameAnswers(t *testing.T, r recordings, i int) {
	t.Helper()
	when := fmt.Sprint("scan:", r.scans[i].Number)
	for _, command := range []string{
		"scans", "show requirements", "show stories", "show specs", "show evidence", "show risks", "show documents", "show links",
		"show findings", "show rejected", "show spec SPEC-001-001", "history SPEC-006-001", "gaps", "matrix", "audit",
		"content .gxp/requirements/REQ-001-repository-management.md",
	} {
		args := strings.Fields(command)
		var past, then map[string]json.RawMessage
		r.json(t, &past, append(slices.Clone(args), "--as-of", when)...)
		r.then[i].json(t, &then, args...)
		if past["as_of"] == nil {
			t.Errorf("%s --as-of %s does not say what it shows", command, when)
		}
		delete(past, "as_of")
		delete(then, "as_of")
		if len(past) == 0 || len(past) != len(then) {
			t.Errorf("%s: %d parts, want %d", command, len(past), len(then))
		}
		for name, want := range then {
			if !bytes.Equal(past[name], want) {
				t.Errorf("%s --as-of %s: %s is\n%.600s\nwant\n%.600s", command, when, name, past[name], want)
			}
		}
	}
}

// TestCorpusStepsAddUpToTheDiff compares what the scans changed one by one with the trees of the oracle at their ends.
func TestCorpusStepsAddUpToTheDiff(t *testing.T) {
	t.Parallel()
	folder, clone := corpus(t)
	r := recordCorpus(t, folder, clone)
	steps := json.NewDecoder(strings.NewReader(r.run(t, "replay", "--follow-scans", "--json").wantCode(t, 0).stdout))
	held := map[string]string{} // path to sha256
	for _, tag := range tags() {
		var step query.Step
		if err := steps.Decode(&step); err != nil {
			t.Fatal(err)
		}
		if step.Scan.Claims.Ref != tag {
			t.Fatalf("step %d is of %s, want %s", step.Scan.Number, step.Scan.Claims.Ref, tag)
		}
		now := map[string]string{}
		for _, a := range readOracle(t, folder, tag).Artifacts {
			now[a.Path] = a.SHA256 + fmt.Sprint(a.Members)
		}
		told := map[string]string{}
		for _, a := range step.Artifacts {
			if a.Kind != "risk" {
				told[a.Path] = a.What
			}
			if a.MovedFrom != "" {
				told[a.MovedFrom] = "moved away"
			}
		}
		for path := range joined(held, now) {
			if (held[path] != now[path]) != (told[path] != "") {
				t.Errorf("%s: %s is told as %q; the oracle says that it was %.20q and is %.20q", tag, path, told[path], held[path], now[path])
			}
		}
		held = now
	}
	if steps.More() {
		t.Error("there are more steps than scans")
	}
}

func joined(a, b map[string]string) map[string]bool {
	all := map[string]bool{}
	for k := range a {
		all[k] = true
	}
	for k := range b {
		all[k] = true
	}
	return all
}

// TestCorpusCancelledReplayLeavesNothing cancels a replay at many moments of its work.
func TestCorpusCancelledReplayLeavesNothing(t *testing.T) {
	t.Parallel()
	folder, clone := corpus(t)
	c := newClient(t)
	for _, tag := range tags()[:4] {
		c.scanTag(t, clone, tag, "--evidence-key", filepath.Join(folder, "evidence-public-key.pem")).wantCode(t, 0)
	}
	out := t.TempDir()
	path := filepath.Join(out, "past.db")
	cancelled := 0
	for asked := 1; ; asked += asked/2 + 1 {
		ctx, cancel := context.WithCancel(t.Context())
		watched := &countdown{Context: ctx, cancel: cancel}
		watched.left.Store(int64(asked))
		code := cli.Run(watched, []string{"replay", "--to", "scan:4", "--into", path, "--home", c.home}, strings.NewReader(""), io.Discard, io.Discard)
		cancel()
		entries, err := os.ReadDir(out)
		if err != nil {
			t.Fatal(err)
		}
		if code == 0 {
			if len(entries) != 1 {
				t.Errorf("finished, and there are %v", entries)
			}
			break
		}
		if cancelled++; len(entries) != 0 {
			t.Fatalf("cancelled at the %d-th look, and there are %v", asked, entries)
		}
	}
	if cancelled < 5 {
		t.Errorf("only %d replays were cancelled", cancelled)
	}
}

// countdown is a context that is cancelled when it has been looked at so many times.
type countdown struct {
	context.Context //nolint:containedctx // it is one
	left            atomic.Int64
	cancel          context.CancelFunc
}

func (c *countdown) look() {
	if c.left.Add(-1) == 0 {
		c.cancel()
	}
}

func (c *countdown) Done() <-chan struct{} {
	c.look()
	return c.Context.Done()
}

func (c *countdown) Err() error {
	c.look()
	return c.Context.Err()
}

// TestKilledReplaysAreWholeOrAbsent kills the real binary at random moments of a replay. What is at the place is whole.
func TestKilledReplaysAreWholeOrAbsent(t *testing.T) {
	t.Parallel()
	gxpledger := binary(t)
	r := newRepo(t).fill(400)
	r.commit("Start")
	c := newClient(t)
	c.runBinary(t, gxpledger, r.dir)
	path := filepath.Join(t.TempDir(), "past.db")
	replay := func() *exec.Cmd {
		return exec.CommandContext(t.Context(), gxpledger, "replay", "--to", "scan:1", "--into", path, "--home", c.home)
	}
	lasts, _ := shoot(t, replay(), time.Hour)
	const kills, most = 10, 100
	for killed, tried := 0, 0; killed < kills; tried++ {
		if tried == most {
			t.Fatalf("only %d of %d replays were killed before they ended", killed, most)
		}
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if _, dead := shoot(t, replay(), rand.N(lasts*6/5)); dead {
			killed++
		}
		if _, err := os.Stat(path); err != nil {
			continue
		}
		db := openTablesAt(t, path)
		if got := one(t, db, "SELECT count(*) FROM requirements") + one(t, db, "SELECT as_of FROM about") + one(t, db, "PRAGMA integrity_check"); got != "100scan:1ok" {
			t.Fatalf("a replay that was killed left %s", got)
		}
	}
}
