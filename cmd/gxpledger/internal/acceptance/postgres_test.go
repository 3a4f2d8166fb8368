package acceptance_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/cli"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/eventstore/postgres"
)

// station runs commands on one log and one home, one a minute of a clock that stands still while a command runs: what
// two stations record at the same minutes has the same times.
type station struct {
	client
	log     string // address; "" for the SQLite log of the home
	minutes int
}

func (s *station) run(t *testing.T, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	now := time.Date(2026, 3, 1, 12, s.minutes, 0, 0, time.UTC)
	s.minutes++
	system := cli.System{
		Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr,
		Env: func(string) (string, bool) { return "", false }, Now: func() time.Time { return now },
	}
	args = append(args, "--home", s.home, "--log", s.log)
	code := system.Run(t.Context(), args)
	return result{args: args, code: code, stdout: stdout.String(), stderr: stderr.String()}
}

// onPostgres returns the address of a new log.
func onPostgres(t *testing.T) string {
	t.Helper()
	address := pgtest.Start(t)
	c := newClient(t)
	c.run(t, "migrate", "up", "--log", address).wantCode(t, 0)
	return address
}

// replay records the corpus.
func (s *station) replay(t *testing.T, folder, clone string) {
	t.Helper()
	for _, tag := range tags() {
		s.run(t, "scan", clone, "--ref", tag, "--name", "corpus", "--links", "flag", "--actor", "tester",
			"--evidence-key", filepath.Join(folder, "evidence-public-key.pem")).wantCode(t, 0)
	}
	s.run(t, "verify").wantCode(t, 0)
}

// TestCorpusTablesAreTheSameFromPostgreSQLAndSQLite compares every column of every row of every table, and every event.
// Nothing is left out: the clocks are the same, and so must the times be. Two recordings of the same differ in the ids of
// scans, which are drawn at random, and in what is derived from them: ids of events, and the hashes of those events that
// name their scan. Each of these is replaced by its place in its log; the events behind the hashes are compared too.
func TestCorpusTablesAreTheSameFromPostgreSQLAndSQLite(t *testing.T) {
	t.Parallel()
	folder, clone := corpus(t)
	embedded := &station{client: newClient(t)}
	shared := &station{client: newClient(t), log: onPostgres(t)}
	embedded.replay(t, folder, clone)
	shared.replay(t, folder, clone)
	want := inPlaces(t, embedded.digests(t), openLog(t, embedded.home))
	got := inPlaces(t, shared.digests(t), openPostgres(t, shared.log))
	if len(want) < 15 || strings.Count(want["artifact_versions"], "\n") < 40 || strings.Count(want["scans"], "\n") != len(tags())-1 {
		t.Fatalf("there are %d tables: the corpus was not recorded", len(want))
	}
	if len(got) != len(want) {
		t.Errorf("%d tables from PostgreSQL, %d from SQLite", len(got), len(want))
	}
	for name, rows := range want {
		compare(t, name+" (oracle: from SQLite)", strings.Split(got[name], "\n"), strings.Split(rows, "\n"))
	}
}

// inPlaces returns tables, and the events of their log as one more, with each random id replaced by where it is first.
func inPlaces(t *testing.T, tables map[string]string, log eventstore.Log) map[string]string {
	t.Helper()
	var events, places []string
	seen := map[string]bool{}
	name := func(random, format string, at eventstore.Position) {
		if random != "" && !seen[random] {
			seen[random] = true
			places = append(places, random, fmt.Sprintf(format, at))
		}
	}
	for r, err := range log.Read(t.Context(), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		name(r.ID.String(), "event-%d", r.Position)
		name(r.Meta.Scan, "scan-of-event-%d", r.Position)
		name(fmt.Sprintf("%x", sha256.Sum256(r.Data)), "hash-of-event-%d", r.Position)
		meta, err := json.Marshal(r.Meta)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, fmt.Sprintln(r.Position, r.Stream, r.Revision, r.RecordedAt, r.ID, r.Type, string(r.Data), string(meta)))
	}
	replaced := map[string]string{}
	all := strings.NewReplacer(places...)
	for name, rows := range tables {
		replaced[name] = all.Replace(rows)
	}
	replaced["the log itself"] = all.Replace(strings.Join(events, ""))
	return replaced
}

func openPostgres(t *testing.T, address string) eventstore.Log {
	t.Helper()
	log, err := postgres.Open(t.Context(), address, postgres.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log
}

// TestTwoHomesScanIntoOneLogOnPostgreSQL: two machines record at the same time, one and the same repository and one of
// their own each. Every scan lands, with a number of its own, and both see the same.
func TestTwoHomesScanIntoOneLogOnPostgreSQL(t *testing.T) {
	t.Parallel()
	address := onPostgres(t)
	shared := newRepo(t).fill(30)
	shared.commit("Start")
	homes := []client{newClient(t), newClient(t)}
	const rounds = 3
	done := make(chan result)
	for i, home := range homes {
		own := newRepo(t).fill(10 + i)
		own.commit("Start")
		go func() {
			for range rounds {
				done <- home.run(t, "scan", shared.dir, "--name", "shared", "--log", address)
			}
		}()
		go func() { done <- home.run(t, "scan", own.dir, "--name", fmt.Sprintf("own-%d", i), "--log", address) }()
	}
	for range len(homes) * (rounds + 1) {
		if got := <-done; got.code != 0 {
			t.Errorf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
		}
	}
	var seen []string
	for _, home := range homes {
		home.run(t, "verify", "--log", address).wantCode(t, 0)
		got := rows(t, openTables(t, home.home), `SELECT r.name, s.number FROM scans s JOIN repositories r USING (repository_id)
			ORDER BY r.name, s.number`)
		if fmt.Sprint(got) != "[[own-0 1] [own-1 1] [shared 1] [shared 2] [shared 3] [shared 4] [shared 5] [shared 6]]" {
			t.Errorf("scans %v", got)
		}
		all := home.digests(t)
		names := make([]string, 0, len(all))
		for name := range all {
			names = append(names, name+"\n"+all[name])
		}
		slices.Sort(names)
		seen = append(seen, strings.Join(names, "\n"))
	}
	if seen[0] != seen[1] {
		t.Error("the two homes show different tables of one log")
	}
}
