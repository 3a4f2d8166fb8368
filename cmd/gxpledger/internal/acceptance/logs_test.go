package acceptance_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/cli"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
	"github.com/gxpledger/gxpledger/eventstore/kurrent"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/eventstore/postgres"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

// station runs commands on one log and one home, one a minute of a clock that stands still while a command runs: what
// two stations record at the same minutes has the same times.
type station struct {
	client

	log     string // address; "" for the SQLite log of the home
	minutes atomic.Int64
}

// now is the time of the command that runs, also for the server of the log, where that keeps the time.
func (s *station) now() time.Time {
	return time.Date(2026, 3, 1, 12, int(s.minutes.Load()), 0, 0, time.UTC)
}

func (s *station) run(t *testing.T, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	defer s.minutes.Add(1)
	system := cli.System{
		Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr,
		Env: func(string) (string, bool) { return "", false }, Now: s.now,
	}
	args = append(args, "--home", s.home)
	if s.log != "" {
		args = append(args, "--log", s.log)
	}
	code := system.Run(t.Context(), args)
	return result{args: args, code: code, stdout: stdout.String(), stderr: stderr.String()}
}

// corpusKey is the key that verifies the evidence of the corpus.
const corpusKey = "01b8faf840c169ff86705b9484e9a389510e22251991df8b65377c1b46e47ab3"

// replay records the corpus, by a key that is trusted before and revoked behind it, and a failure before anything is known.
func (s *station) replay(t *testing.T, folder, clone string) {
	t.Helper()
	scan := func(ref string) result {
		return s.run(t, "scan", clone, "--ref", ref, "--name", "corpus", "--links", "flag", "--actor", "tester")
	}
	scan("mistyped").wantCode(t, 1)
	s.run(t, "keys", "trust", filepath.Join(folder, "evidence-public-key.pem"), "--name", "corpus", "--reason", "to see", "--actor", "tester").wantCode(t, 0)
	for _, tag := range tags() {
		scan(tag).wantCode(t, 0)
	}
	s.run(t, "keys", "revoke", corpusKey, "--reason", "to see", "--actor", "tester").wantCode(t, 0)
	s.run(t, "verify").wantCode(t, 0)
}

// open opens the log of the station beside the commands that use it.
func (s *station) open(t *testing.T) eventstore.Log {
	t.Helper()
	switch {
	case s.log == "":
		return openLog(t, s.home)
	case strings.HasPrefix(s.log, "esdb"):
		return opened(t, func() (eventstore.Log, error) {
			return kurrent.OpenReadOnly(t.Context(), s.log, kurrent.Options{Now: time.Now})
		})
	default:
		return opened(t, func() (eventstore.Log, error) {
			return postgres.Open(t.Context(), s.log, postgres.Options{Now: time.Now})
		})
	}
}

func opened(t *testing.T, open func() (eventstore.Log, error)) eventstore.Log {
	t.Helper()
	log, err := open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log
}

// stations are one for each log that there is: those that commands open, and a server of the EventStoreDB protocol over
// each that it can serve, and one that differs as EventStoreDB does.
func stations(t *testing.T) map[string]*station {
	t.Helper()
	all := map[string]*station{}
	add := func(name string, address func(s *station) string) {
		s := &station{client: newClient(t)}
		s.log = address(s)
		all[name] = s
	}
	served := func(t *testing.T, log eventstore.Log, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return esdbtest.Start(t, log).URL()
	}
	add("SQLite", func(*station) string { return "" })
	add("PostgreSQL", func(*station) string { return onPostgres(t) })
	add("KurrentDB over memory", func(s *station) string { return served(t, memory.New(s.now), nil) })
	add("KurrentDB over SQLite", func(s *station) string {
		log, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "log.db"), sqlite.Options{Now: s.now})
		return served(t, log, err)
	})
	add("KurrentDB over PostgreSQL", func(s *station) string {
		log, err := postgres.Open(t.Context(), onPostgres(t), postgres.Options{Now: s.now})
		return served(t, log, err)
	})
	add("like EventStoreDB", func(*station) string { return esdbtest.StartFake(t).URL() })
	return all
}

// TestCorpusTablesAreTheSameFromEveryLog compares every column of every row of every table, and every event. The clocks
// are the same, and so must the times be. What may differ is replaced by its place in its log: ids of scans, which are
// drawn at random, and what is derived from them (ids of events, and the hashes of those events that name their scan: the
// events behind the hashes are compared too); and positions, which have gaps on an EventStoreDB. In the SQL logs they have
// none, which is checked.
func TestCorpusTablesAreTheSameFromEveryLog(t *testing.T) {
	t.Parallel()
	folder, clone := corpus(t)
	all := stations(t)
	oracle := all["SQLite"]
	oracle.replay(t, folder, clone)
	want := oracle.places(t)
	if len(want) < 15 || strings.Count(want["artifact_versions"], "\n") < 40 || strings.Count(want["scans"], "\n") != len(tags())-1 {
		t.Fatalf("there are %d tables: the corpus was not recorded", len(want))
	}
	delete(all, "SQLite")
	for name, s := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.replay(t, folder, clone)
			got := s.places(t)
			if len(got) != len(want) {
				t.Errorf("%d tables, %d from SQLite", len(got), len(want))
			}
			for table, rows := range want {
				compare(t, table+" (oracle: from SQLite)", strings.Split(got[table], "\n"), strings.Split(rows, "\n"))
			}
		})
	}
}

// places returns the rows of every table, and the events of the log as one more, with what differs between two recordings
// of the same replaced by its place in the log.
func (s *station) places(t *testing.T) map[string]string {
	t.Helper()
	log := s.open(t)
	var events, random []string
	seen, places := map[string]bool{}, map[string]string{"-": "-"}
	name := func(text, format string, at int) {
		if text != "" && !seen[text] {
			seen[text] = true
			random = append(random, text, fmt.Sprintf(format, at))
		}
	}
	at := 0
	for r, err := range log.Read(t.Context(), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		at++
		if log.Features().DensePositions && int(r.Position) != at {
			t.Fatalf("event %d has position %d", at, r.Position)
		}
		places[strconv.FormatUint(uint64(r.Position), 10)] = fmt.Sprint("event ", at)
		name(r.ID.String(), "event-%d", at)
		name(r.Meta.Scan, "scan-of-event-%d", at)
		name(fmt.Sprintf("%x", sha256.Sum256(r.Data)), "hash-of-event-%d", at)
		meta, err := json.Marshal(r.Meta)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, fmt.Sprintln(at, r.Stream, r.Revision, r.RecordedAt, r.ID, r.Type, string(r.Data), string(meta)))
	}
	replaced := map[string]string{}
	all := strings.NewReplacer(random...)
	for table, rows := range s.dump(t, places) {
		replaced[table] = all.Replace(rows)
	}
	replaced["the log itself"] = all.Replace(strings.Join(events, ""))
	return replaced
}

// dump returns every row of every table, by table, in the order of all columns, with the positions in columns of such
// replaced by their places.
func (s *station) dump(t *testing.T, places map[string]string) map[string]string {
	t.Helper()
	db := openTables(t, s.home)
	out := map[string]string{}
	for _, v := range rows(t, db, `SELECT name FROM sqlite_schema WHERE type = 'view'`) {
		columns := rows(t, db, `SELECT name FROM pragma_table_info(?)`, v[0])
		var lines []string
		for _, r := range rows(t, db, `SELECT * FROM "`+v[0]+`"`) { //nolint:unqueryvet // all columns are the point
			for i, column := range columns {
				if !slices.Contains([]string{"position", "ended_position", "sequence"}, column[0]) {
					continue
				}
				place, known := places[r[i]]
				if !known {
					t.Fatalf("%s.%s is %s, which is no position of the log", v[0], column[0], r[i])
				}
				r[i] = place
			}
			line, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, string(line))
		}
		slices.Sort(lines)
		out[v[0]] = strings.Join(lines, "\n")
	}
	return out
}
