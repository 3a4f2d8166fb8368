package cli_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/internal/race"
)

// foreign are texts that no other encoding than UTF-8 holds all of.
const foreign = "Größe ≤ 5 µm – 温度 ✓ 😀"

// settingsSweep is a database with tables and a log, another one for a copy, and what every command shows of them.
type settingsSweep struct {
	t          *testing.T
	r          repo
	log, other string // addresses
	d          *fixture

	written, shown string // without any setting
}

// volatile is what differs between two databases with the same record.
var volatile = regexp.MustCompile(`gxpledger_test_[0-9a-z]+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|postgres://\S*|"payload_sha256": "[0-9a-f]{64}"`)

// show runs a command and returns what it shows.
func (s *settingsSweep) show(args ...string) string {
	s.t.Helper()
	got := s.d.run(args...).wantCode(0)
	return fmt.Sprintf("$ %s\n%s%s\n", args[0], volatile.ReplaceAllString(got.stdout, "X"), volatile.ReplaceAllString(got.stderr, "X"))
}

// write runs every command that writes to a server.
func (s *settingsSweep) write() string {
	s.t.Helper()
	s.d = newFixture(s.t)
	s.d.env["GXPLEDGER_LOG"], s.d.env["GXPLEDGER_DB"] = s.log, s.log
	out := s.show("migrate", "up", "--json")
	out += s.show("scan", s.r.dir, "--name", "demo", "--actor", "tester@site", "--links", "flag", "--reason", foreign)
	out += s.show("projections", "rebuild", "artifacts", "--reason", foreign, "--actor", "tester@site")
	exported := digestLines(s.d.run("replay", "--to", "scan:1", "--into", pgtest.With(s.log, "schema=audit")).wantCode(0))
	if file := digestLines(s.d.run("replay", "--to", "scan:1", "--into", filepath.Join(s.t.TempDir(), "past.db")).wantCode(0)); exported != file {
		s.t.Errorf("exported tables are\n%s\nthose in a file are\n%s", exported, file)
	}
	out += s.show("migrate", "up", "--log", s.other)
	return out + s.show("log", "copy", "--from", s.log, "--to", s.other, "--reason", foreign, "--actor", "tester@site")
}

// read runs commands that read from a server.
func (s *settingsSweep) read() string {
	s.t.Helper()
	var out strings.Builder
	for _, command := range []string{
		"migrate status --json", "show requirements --json", "matrix --json", "audit --json", "projections status", "verify", "log --json",
	} {
		out.WriteString(s.show(strings.Fields(command)...))
	}
	return out.String() + s.show("log", "--json", "--log", s.other)
}

// startClosed makes a database to which not everybody may connect, so that nothing is said of roles that other databases share.
func startClosed(t *testing.T) (address string) {
	t.Helper()
	address = pgtest.Start(t)
	execute(t, address, "DO $$ BEGIN EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', current_database()); END $$")
	return address
}

// sweep compares what commands show under settings with what they show without. The settings are given to an address by give,
// which returns the address to use; switches are for PGOPTIONS.
func (s *settingsSweep) sweep(t *testing.T, give func(admin, address string) string, switches string) {
	t.Helper()
	admin := pgtest.Start(t)
	plain := settingsSweep{t: t, r: s.r, log: startClosed(t), other: startClosed(t)}
	pgtest.Trap(t, plain.log)
	pgtest.Trap(t, plain.other)
	under := plain
	under.log, under.other = give(admin, plain.log), give(admin, plain.other)
	t.Setenv("PGOPTIONS", switches)
	same(t, "commands that write", under.write(), s.written)
	same(t, "commands that read", under.read(), s.shown)
	t.Setenv("PGOPTIONS", "")
	pgtest.ResetSettings(t, admin, plain.log)
	pgtest.ResetSettings(t, admin, plain.other)
	plain.d = under.d
	plain.d.env["GXPLEDGER_LOG"], plain.d.env["GXPLEDGER_DB"] = plain.log, plain.log
	for _, command := range []string{"show requirements --json", "verify", "log --json"} {
		if got := plain.show(strings.Fields(command)...); !strings.Contains(s.shown, got) {
			t.Errorf("others are shown\n%s", got)
		}
	}
}

// same fails the test at the first line that differs.
func same(t *testing.T, what, got, want string) {
	t.Helper()
	lines, wanted := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(lines), len(wanted)) {
		if lines[i] != wanted[i] {
			t.Fatalf("%s show\n%s\nwant\n%s", what, lines[i], wanted[i])
		}
	}
	if len(lines) != len(wanted) {
		t.Errorf("%s show %d lines, want %d", what, len(lines), len(wanted))
	}
}

// TestNoSettingOfAServerChangesWhatCommandsDo: whatever gives every session settings with which something would go wrong, all
// commands do and show what they do without, and what was recorded under them is the same record for everybody.
func TestNoSettingOfAServerChangesWhatCommandsDo(t *testing.T) { //nolint:paralleltest // it changes the environment of the process
	if race.Enabled {
		t.Skip("a sweep that test:large makes without the race detector: nothing in it runs at the same time")
	}
	settings := pgtest.Hostile()
	for _, newer := range []string{"transaction_timeout", "restrict_nonsystem_relation_kind"} {
		delete(settings, newer) // an older server does not take them; see package pg
	}
	r := newRepo(t).requirement("REQ-002", foreign).story("US-001", "REQ-001").story("US-002", "REQ-404").spec("SPEC-001", "US-001").
		write(".gxp/evidence/EV-SPEC-001.jws", unsigned).commit("Write it down: " + foreign)
	s := &settingsSweep{t: t, r: r, log: startClosed(t), other: startClosed(t)}
	s.written, s.shown = s.write(), s.read()
	if !strings.Contains(s.shown, "温度") {
		t.Fatalf("the record does not hold what is tried:\n%s", s.shown)
	}
	role := "other_" + strings.ToLower(rand.Text())
	execute(t, s.log, "CREATE ROLE "+role+" SUPERUSER")
	t.Cleanup(func() { execute(t, s.log, "DROP ROLE "+role) })
	// Package pg tries each way with each parameter.
	t.Run("database", func(t *testing.T) { //nolint:paralleltest // see above
		s.sweep(t, func(admin, address string) string {
			pgtest.SettingOverrides()["role"](t, admin, address, map[string]string{"role": role}) // and the user acts as somebody else
			address = pgtest.With(address, "default_query_exec_mode=simple_protocol&statement_cache_capacity=0&pool_max_conns=5")
			return pgtest.SettingOverrides()["database"](t, admin, address, settings)
		}, "")
	})
	t.Run("PGOPTIONS", func(t *testing.T) { //nolint:paralleltest // see above
		s.sweep(t, func(_, address string) string { return address }, pgtest.Switches(settings))
	})
}

// TestALogIsReadWhateverTheEncodingOfASession: what was recorded plainly is read by sessions of another encoding and goes on
// under it, and the other way round.
func TestALogIsReadWhateverTheEncodingOfASession(t *testing.T) {
	t.Parallel()
	admin := pgtest.Start(t)
	latin := map[string]string{"client_encoding": "LATIN1"}
	r := newRepo(t).requirement("REQ-002", foreign).commit("Write it down: " + foreign)
	for _, first := range []map[string]string{nil, latin} {
		d, log := newFixture(t), pgtest.Start(t)
		as := func(settings map[string]string) {
			pgtest.ResetSettings(t, admin, log)
			d.env["GXPLEDGER_LOG"] = pgtest.SettingOverrides()["database"](t, admin, log, settings)
		}
		as(first)
		d.run("migrate", "up").wantCode(0)
		d.scan(r, "--reason", foreign).wantCode(0)
		want := d.run("log", "--json").wantCode(0).stdout
		if !strings.Contains(want, foreign) {
			t.Fatalf("the log does not hold what is tried:\n%s", want)
		}
		if first == nil {
			as(latin)
		} else {
			as(nil)
		}
		same(t, "sessions of another encoding", d.run("log", "--json").wantCode(0).stdout, want)
		d.run("verify").wantCode(0)
		d.scan(r, "--reason", foreign).wantCode(0)
		if got := d.run("log", "--json").wantCode(0).stdout; !strings.HasPrefix(got, want) || strings.Count(got, foreign) <= strings.Count(want, foreign) {
			t.Errorf("after another scan the log is\n%s", got)
		}
	}
}

// TestASerializableDefaultDoesNotKeepAStandbyFromAnswering: a hot standby refuses transactions that are serializable.
func TestASerializableDefaultDoesNotKeepAStandbyFromAnswering(t *testing.T) {
	t.Parallel()
	primary := pgtest.NewCluster(t)
	standby := primary.Standby(t)
	d, r := newFixture(t), newRepo(t).commit("Write it down")
	use := func(c *pgtest.Cluster) {
		d.env["GXPLEDGER_LOG"], d.env["GXPLEDGER_DB"] = c.URL("postgres"), c.URL("postgres")
	}
	use(primary)
	d.run("migrate", "up").wantCode(0)
	d.scan(r).wantCode(0)
	var want []string
	commands := []string{"show requirements --json", "log --json", "migrate status"}
	for _, command := range commands {
		want = append(want, d.run(strings.Fields(command)...).wantCode(0).stdout)
	}
	// It is answered when the standby shows it.
	execute(t, primary.URL("postgres"), "SET synchronous_commit = remote_apply", "ALTER DATABASE postgres SET default_transaction_isolation = serializable")
	use(standby)
	for i, command := range commands {
		got := d.run(strings.Fields(command)...).wantCode(0).stdout
		same(t, command, strings.ReplaceAll(got, standby.Address(), primary.Address()), want[i])
	}
	// The rows are compared. Comparing what is around them makes temporary tables, which a standby refuses.
	checkUnknown(t, d)
	delete(d.env, "GXPLEDGER_DB")
	d.verify(0)
}

// checkUnknown fails the test unless verify has compared the rows of all tables and can say nothing of what is around them.
func checkUnknown(t *testing.T, d *fixture) {
	t.Helper()
	var document struct {
		Sound  bool `json:"intact"`
		Tables []struct {
			Projection string `json:"projection"`
		} `json:"tables"`
		Faults  []any `json:"faults"`
		Unknown []struct {
			Code   string `json:"code"`
			Text   string `json:"text"`
			Remedy string `json:"remedy"`
		} `json:"unknown"`
	}
	got := d.run("verify", "--json").wantCode(3)
	if err := json.Unmarshal([]byte(got.stdout), &document); err != nil {
		t.Fatalf("%v: %s", err, got.stdout)
	}
	if document.Sound || len(document.Faults) != 0 || len(document.Tables) != 3 || len(document.Unknown) != 3 {
		t.Errorf("verify on a standby: %s", got.stdout)
	}
	screen := d.run("verify").wantCode(3).stdout
	if !strings.Contains(screen, "3 checks could not be made: the result is unknown.") || strings.Contains(screen, "fault") || strings.Contains(screen, "No fault") {
		t.Errorf("verify on a standby: %s", screen)
	}
}
