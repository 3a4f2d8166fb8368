package cli_test

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/eventstore/postgres"
)

const password = "s3cret:Über/pass@word"

// withPassword returns an address with another user and that password.
func withPassword(t *testing.T, address, user, password string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(user, password)
	return u.String()
}

// made returns the address of a new log on PostgreSQL.
func made(t *testing.T) string {
	t.Helper()
	address := pgtest.Start(t)
	if err := postgres.Up(t.Context(), address, postgres.Namespace{}); err != nil {
		t.Fatal(err)
	}
	return address
}

// keepsSecret checks that a command showed nothing of the password and that nothing below the home holds it.
func (d *fixture) keepsSecret(r result) result {
	d.t.Helper()
	secrets := []string{password, url.PathEscape(password), url.QueryEscape(password), url.UserPassword("", password).String()[1:], "s3cret"}
	holds := func(text string) bool {
		return slices.ContainsFunc(secrets, func(s string) bool { return strings.Contains(text, s) })
	}
	if holds(r.stdout + r.stderr) {
		d.t.Errorf("%q shows the password:\n%s%s", r.args, r.stdout, r.stderr)
	}
	_ = filepath.WalkDir(d.home, func(path string, entry os.DirEntry, _ error) error {
		if data, err := os.ReadFile(path); err == nil && holds(string(data)) {
			d.t.Errorf("%s holds the password", path)
		}
		return nil
	})
	return r
}

func TestALogOnPostgreSQLIsUsedByEveryCommand(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).story("US-001", "REQ-001").commit("Write it down")
	d.env["GXPLEDGER_LOG"] = made(t)
	d.scan(r).wantCode(0)
	if _, err := os.Stat(filepath.Join(d.home, "log.db")); !os.IsNotExist(err) {
		t.Errorf("there is a SQLite log in the home beside the one on the server: %v", err)
	}
	for _, command := range []string{
		"scans", "show requirements", "history REQ-001", "audit", "log", "projections status", "verify", "matrix --as-of 2026-03-01",
		"scans --as-of pos:2", "diff scan:1 2026-03-01", "replay --follow-scans", "replay --to scan:1 --into " + filepath.Join(t.TempDir(), "past.db"),
	} {
		d.run(strings.Fields(command)...).wantCode(0)
	}
	d.run("projections", "rebuild", "--all", "--reason", "see that it works").wantCode(0)
	elsewhere := newFixture(t) // another machine has nothing but the address
	elsewhere.run("show", "requirements", "--log", d.env["GXPLEDGER_LOG"]).wantCode(0).has("REQ-001")
	elsewhere.run("verify", "--log", d.env["GXPLEDGER_LOG"]).wantCode(0)
}

func (r result) has(text string) {
	r.t.Helper()
	if !strings.Contains(r.stdout, text) {
		r.t.Errorf("%q shows\n%s\nwant %s in it", r.args, r.stdout, text)
	}
}

func TestPasswordsAreNeitherShownNorStored(t *testing.T) {
	t.Parallel()
	server := made(t)
	unreachable := "postgres://" + url.UserPassword("ada", password).String() + "@127.0.0.1:1/gxp"
	inQuery := "postgres://ada@127.0.0.1:1/gxp?sslmode=disable&password=" + url.QueryEscape(password)
	r := newRepo(t).commit("Write it down")
	for name, c := range map[string]struct{ address, says string }{
		"wrong password":   {withPassword(t, server, "nobody-here", password), "password authentication failed"},
		"unreachable host": {unreachable, "127.0.0.1:1"},
		"two hosts":        {strings.Replace(unreachable, ":1/", ":1,127.0.0.1:2/", 1) + "?target_session_attrs=read-write", "127.0.0.1:1,127.0.0.1:2"},
		"in a parameter":   {inQuery, "127.0.0.1:1"},
		"wrong parameter":  {unreachable + "?sslmode=nonsense", "sslmode"},
		"no such database": {strings.Replace(server, "?", "_not?", 1), "does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newFixture(t)
			d.env["GXPLEDGER_LOG"] = c.address
			d.keepsSecret(d.run("verify", "--verbose")).wantCode(1).says("the log at postgres://", c.says)
			d.keepsSecret(d.scan(r, "--verbose")).wantCode(1).says(c.says, "nothing was recorded")
			d.keepsSecret(d.scan(r, "--json")).wantCode(1)
			d.keepsSecret(d.run("log", "--help")).wantCode(0)
		})
	}
}

// An address that names a primary and its standby leads to the one that takes writes.
func TestAnAddressOfSeveralServers(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("Write it down")
	d.env["GXPLEDGER_LOG"] = pgtest.With(strings.Replace(made(t), "@", "@127.0.0.1:1,", 1), "target_session_attrs=read-write")
	d.scan(r).wantCode(0)
	d.verify(0)
}

func TestAnAddressThatNoLogCanBeAtIsRefused(t *testing.T) {
	t.Parallel()
	r := newRepo(t).commit("Write it down")
	for address, says := range map[string]string{
		"mysql://ada:" + url.PathEscape(password) + "@host/gxp": "cannot open mysql addresses",
		"mysql://ada:" + password + "@host/gxp":                 "--log",
		"postgres://ada:s3cret#word@host/gxp":                   "--log",
		"postgres://ada:12/s3cret@host/gxp":                     "percent-encode",
		"postgres://ada:12?s3cret@host/gxp":                     "percent-encode",
		"postgres://ada:12#s3cret@host/gxp":                     "percent-encode",
		"postgres://ada:s3cret%zz@host/gxp":                     "cannot read the address",
		"/var/lib/gxp.db":                                       "--home FOLDER",
		"host=db password=s3cret":                               "--home FOLDER",
	} {
		d := newFixture(t)
		for _, args := range [][]string{{"scan", r.dir}, {"show", "specs"}, {"log"}, {"verify"}} {
			d.keepsSecret(d.run(append(args, "--log", address)...)).wantCode(2).says(says)
		}
		if _, err := os.Stat(d.home); !os.IsNotExist(err) {
			t.Errorf("%s: a home was made: %v", address, err)
		}
	}
}

func TestALogThatWasNotMadeSaysWhatToRun(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.run("show", "specs", "--log", pgtest.Start(t)).wantCode(1).says("gxpledger migrate up")
}

// TestAForgottenLogBeginsNoSecondHistory: without --log, a home whose tables are of a log elsewhere is refused (I14).
func TestAForgottenLogBeginsNoSecondHistory(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("Write it down")
	d.scan(r, "--log", made(t)).wantCode(0)
	d.scan(r).wantCode(1).says("log.db is missing", "--log", "--home", "nothing was recorded")
	d.run("log").wantCode(1).says("log.db is missing")
	d.run("show", "specs").wantCode(1).says("log.db is missing", "--log")
	other := made(t)
	d.scan(r, "--log", other).wantCode(1).says("were built from another log")
	d.run("log", "--log", other).wantCode(0).has("The log is empty")
}
