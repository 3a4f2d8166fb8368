package acceptance_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/postgres"
	"github.com/gxpledger/gxpledger/projections/projectionstest"
	"github.com/gxpledger/gxpledger/projections/sqlite"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// pair is a home whose one log is projected twice: into its own SQLite file, and into PostgreSQL.
type pair struct {
	client
	url string // of the database
	db  string // --db
}

func newPair(t *testing.T) pair {
	t.Helper()
	url := pgtest.Start(t)
	p := pair{newClient(t), url, pgtest.With(url, "schema=some_tables")}
	p.run(t, "migrate", "up", "--db", p.db).wantCode(t, 0)
	return p
}

// server runs a command on the tables on PostgreSQL.
func (p pair) server(t *testing.T, args ...string) result {
	t.Helper()
	return p.run(t, append(args, "--db", p.db)...)
}

// dumps returns every row of every table, in both.
func (p pair) dumps(t *testing.T) (server, file string) {
	t.Helper()
	pg, err := postgres.Open(t.Context(), p.url, postgres.Options{Now: time.Now, Namespace: postgres.Namespace{Schema: "some_tables"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pg.Close() }()
	lite, err := sqlite.Open(t.Context(), filepath.Join(p.home, "tables.db"), sqlite.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lite.Close() }()
	dump := func(db projections.Database) string {
		var b strings.Builder
		for _, projection := range tables.All() {
			b.WriteString(projectionstest.Dump(t.Context(), t, db, projection))
		}
		return b.String()
	}
	return dump(pg), dump(lite)
}

// equal fails the test unless both hold the same to the byte.
func (p pair) equal(t *testing.T, when string) string {
	t.Helper()
	p.run(t, "scans").wantCode(t, 0) // brings the file up to date
	server, file := p.dumps(t)
	compare(t, when+" (oracle: SQLite)", strings.Split(server, "\n"), strings.Split(file, "\n"))
	if len(file) == 0 {
		t.Fatalf("%s: there are no rows", when)
	}
	return server
}

// Live at each revision, and rebuilt, tables on PostgreSQL are those of SQLite to the byte, which are what the
// oracles say.
func TestCorpusTablesOnPostgreSQLEqualThoseOfSQLite(t *testing.T) {
	t.Parallel()
	folder, clone := corpus(t)
	p := newPair(t)
	for _, tag := range tags() {
		p.server(t, "scan", clone, "--ref", tag, "--name", "corpus", "--links", "flag",
			"--evidence-key", filepath.Join(folder, "evidence-public-key.pem")).wantCode(t, 0)
		p.equal(t, tag)
		compare(t, tag, tableLines(t, openTables(t, p.home), repositoryID(t, p.home)), readOracle(t, folder, tag).lines())
	}
	p.server(t, "verify").wantCode(t, 0)
	p.server(t, "projections", "rebuild", "--all", "--reason", "prove that nothing changes").wantCode(t, 0)
	p.equal(t, "rebuilt")
	p.server(t, "verify").wantCode(t, 0)

	for _, command := range []string{
		"scans", "show requirements", "show stories", "show specs", "show evidence", "show risks", "show documents", "show links", "show findings",
		"show rejected", "show requirement REQ-001", "history REQ-001", "diff scan:1 scan:7", "diff scan:3 scan:4", "gaps", "audit --limit 20", "audit --action SCAN_COMPLETED",
		"log --limit 5", "projections status",
	} {
		args := append(strings.Fields(command), "--json")
		server, file := p.server(t, args...), p.run(t, args...)
		if command == "projections status" {
			server.wantCode(t, 0) // the builds are others
			continue
		}
		if server.code != file.code || server.stdout != file.stdout || server.code == 2 {
			t.Errorf("%s: exit codes %d and %d\non PostgreSQL: %.600s%s\nin SQLite: %.600s%s", command, server.code, file.code,
				server.stdout, server.stderr, file.stdout, file.stderr)
		}
	}
}

// What a hostile repository says is the same in both databases, whatever one of them could not hold.
func TestHostileFilesGiveTheSameTablesInBothDatabases(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	r := newRepo(t).context()
	long := strings.Repeat("wörd\u0301 \U0001F600 ", 8000)
	r.write(".gxp/requirements/REQ-001-a.md", "---\ngxp_id: \"REQ\\0-001\"\ntitle: \"a\\0b \\e[31m \\u202e\"\ngxp_risk_rating: \"HI\\0GH\"\n"+
		"description: \"x\\0y\"\nnested:\n  \"k\\0ey\": [\"v\\0\", \"\\\\u0000\", \"\\x01\"]\nvalidation_status: DRAFT\n---\n")
	r.write(".gxp/requirements/REQ-002-b.md", "---\ngxp_id: REQ-002\ntitle: "+strings.Repeat("x", 3000)+"\ndescription: \""+long[:60000]+"\"\n---\n")
	r.write(".gxp/user_stories/US-001.md", "---\ngxp_id: US-001\ntitle: \"'; DROP TABLE scans; --\"\nparent_id: \"REQ\\0-001\"\n---\n")
	r.write(".gxp/user_stories/US-002.md", "---\ngxp_id: [\x00]\n---\n")
	r.write(".gxp/evidence/EV-1.jws", "e\x00.y.z")
	r.write(".gxp/evidence/EV-2.jws", "eyJhbGciOiJFUzI1NiIsImtpZCI6ImFcdTAwMDBiIn0.eyJzcGVjX2lkIjoiU1BFQ1x1MDAwMCIsIm5vdGUiOiJcdWQ4MDAiLCJuIjoxLjBlMTB9.AAAA")
	r.write(".gxp/risk_assessment.log", "| ID | Date | Req | Risk |\n|---|---|---|---|\n| R\x001 | 2026 | REQ-002 | HIGH |\n")
	r.write(".gxp/adr/1.md", "# "+strings.Repeat("\\u0000", 50)+"\n")
	r.commit("Hostile \x1b[31m\u202e")
	p.server(t, "scan", r.dir, "--links", "flag", "--duplicates", "update").wantCode(t, 0)
	rows := p.equal(t, "hostile files")
	if strings.Contains(rows, "\x00") {
		t.Error("the rows hold a character NUL")
	}
	if !strings.Contains(rows, ".gxp/requirements/REQ-001-a.md") || !strings.Contains(rows, "control character") {
		t.Error("the file with escaped control characters is not told as rejected")
	}
	p.server(t, "verify").wantCode(t, 0)
	p.server(t, "projections", "rebuild", "--all", "--reason", "once more").wantCode(t, 0)
	p.equal(t, "hostile files, rebuilt")
}

// A user who may only read sees all that there is to see.
func TestAReaderOfPostgreSQLRunsTheReadingCommands(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	r := newRepo(t).fill(8)
	r.commit("Start")
	p.server(t, "scan", r.dir).wantCode(t, 0)
	reader := pair{p.client, p.url, pgtest.With(p.db, "options=-c%20role%3Dgxp_reader")} // as if a member of that role had connected
	reader.server(t, "show", "requirements").wantCode(t, 0)
	reader.server(t, "audit").wantCode(t, 0)
	if got := reader.server(t, "projections", "rebuild", "audit", "--reason", "x"); got.code != 1 || !strings.Contains(got.stderr, "cannot be written") {
		t.Errorf("rebuilding answers %d: %s", got.code, got.stderr)
	}
}
