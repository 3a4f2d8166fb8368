package acceptance_test

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tags are the revisions of the corpus, in order.
func tags() []string {
	return []string{
		"dev-01-1e19594", "dev-02-b44b48a", "dev-03-5797a6c", "dev-04-923dfbd", "dev-05-2692cf0", "dev-06-5259424", "dev-07-cbec5ad",
	}
}

// corpus returns the folder of the corpus and a bare clone of its bundle.
func corpus(t *testing.T) (folder, clone string) {
	t.Helper()
	folder = os.Getenv("GXPLEDGER_CORPUS")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "..", "..", "shared", "corpus")
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		t.Fatal(err)
	}
	bundle := filepath.Join(folder, "rosie-middleware-gxp.bundle")
	if _, err := os.Stat(bundle); err != nil {
		if os.Getenv("GXPLEDGER_CORPUS") != "" {
			t.Fatalf("GXPLEDGER_CORPUS names no corpus: %v", err)
		}
		t.Skipf("THE CORPUS IS NOT THERE: %v\nThis test replays a real .gxp/ history against an independent oracle and "+
			"proves nothing without it. Set GXPLEDGER_CORPUS to its folder.", err)
	}
	clone = filepath.Join(t.TempDir(), "corpus.git")
	git(t, t.TempDir(), "clone", "-q", "--bare", bundle, clone)
	return folder, clone
}

func (c client) scanTag(t *testing.T, clone, tag string, more ...string) result {
	t.Helper()
	return c.run(t, append([]string{"scan", clone, "--ref", tag, "--name", "corpus", "--links", "flag"}, more...)...)
}

func repositoryID(t *testing.T, home string) string {
	t.Helper()
	return one(t, openTables(t, home), "SELECT repository_id FROM repositories")
}

func TestCorpusInOrderInOneLog(t *testing.T) {
	t.Parallel()
	folder, clone := corpus(t)
	c := newClient(t)
	key := filepath.Join(folder, "evidence-public-key.pem")
	for _, tag := range tags() {
		c.scanTag(t, clone, tag, "--evidence-key", key).wantCode(t, 0)
		compare(t, tag+" after the ones before", tableLines(t, openTables(t, c.home), repositoryID(t, c.home)),
			readOracle(t, folder, tag).lines())
		checkSignatures(t, c, "valid")
	}
	checkHistoryOfEvidence(t, c)
	checkContents(t, c, clone)
	c.run(t, "verify").wantCode(t, 0)
}

func TestCorpusEachAlone(t *testing.T) {
	t.Parallel()
	folder, clone := corpus(t)
	for _, tag := range tags() {
		t.Run(tag, func(t *testing.T) {
			t.Parallel()
			c := newClient(t)
			c.scanTag(t, clone, tag).wantCode(t, 0)
			compare(t, tag, tableLines(t, openTables(t, c.home), repositoryID(t, c.home)), readOracle(t, folder, tag).lines())
			checkSignatures(t, c, "unverifiable")
			checkContents(t, c, clone)
		})
	}
}

// checkSignatures checks that every signature has that verdict and, where there are packages, their signature check too.
func checkSignatures(t *testing.T, c client, want string) {
	t.Helper()
	db := openTables(t, c.home)
	for _, r := range rows(t, db, `SELECT path, verdict, check_signature, reason FROM evidence`) {
		if r[1] != want || r[2] != "-" && r[2] != want {
			t.Errorf("%s: verdict %s, check %s (%s); want %s", r[0], r[1], r[2], r[3], want)
		}
	}
}

// checkHistoryOfEvidence: 58 packages were deleted in the last revision and single records overwritten in two.
func checkHistoryOfEvidence(t *testing.T, c client) {
	t.Helper()
	db := openTables(t, c.home)
	if n := one(t, db, `SELECT count(*) FROM artifact_versions WHERE kind = 'evidence_package' AND end_reason IN ('removed', 'moved')`); n != "58" {
		t.Errorf("%s packages ended, want the 58 that the repository deleted", n)
	}
	if n := one(t, db, `SELECT count(*) FROM artifact_versions WHERE kind = 'evidence_jws' AND version = 2 AND change = 'changed'`); n == "0" {
		t.Error("no single record of evidence was replaced; want those that the repository overwrote")
	}
	if n := one(t, db, `SELECT count(*) FROM artifact_versions v WHERE kind = 'evidence_jws' AND version > 1 AND NOT EXISTS
		(SELECT 1 FROM artifact_versions p WHERE p.repository_id = v.repository_id AND p.number = v.number
		 AND p.version = v.version - 1 AND p.content_sha256 = v.previous_sha256 AND p.ended_scan_id = v.scan_id)`); n != "0" {
		t.Errorf("%s replaced records do not name the version that they replaced", n)
	}
}

// checkContents compares every stored content with the git blob of the same hash.
func checkContents(t *testing.T, c client, clone string) {
	t.Helper()
	db := openTables(t, c.home)
	known := map[string]bool{}
	for line := range strings.SplitSeq(git(t, clone, "cat-file", "--batch-check", "--batch-all-objects"), "\n") {
		if f := strings.Fields(line); len(f) == 3 && f[1] == "blob" {
			known[f[0]] = true
		}
	}
	seen := rows(t, db, `SELECT DISTINCT content_sha256, blob FROM artifact_versions UNION
		SELECT json_extract(m.value, '$.sha256'), json_extract(m.value, '$.blob') FROM artifact_versions v, json_each(v.members) m`)
	if len(seen) < 40 {
		t.Fatalf("only %d contents are named", len(seen))
	}
	log := openLog(t, c.home)
	for _, r := range seen {
		content, err := log.Content(t.Context(), r[0])
		if err != nil {
			t.Errorf("content %s: %v", r[0], err)
			continue
		}
		blob := sha1.New()
		_, _ = fmt.Fprintf(blob, "blob %d\x00", len(content))
		blob.Write(content)
		if id := hex.EncodeToString(blob.Sum(nil)); id != r[1] || !known[id] {
			t.Errorf("content %s is blob %s, the tables say %s; the repository has it: %v", r[0], id, r[1], known[id])
		}
	}
}

func TestCorpusUnderStrictFailsWithItsOneViolation(t *testing.T) {
	t.Parallel()
	_, clone := corpus(t)
	c := newClient(t)
	failed := c.run(t, "scan", clone, "--ref", "dev-03-5797a6c", "--name", "corpus").wantCode(t, 1)
	if !strings.Contains(failed.stderr+failed.stdout, "SPEC-006-001-001") {
		t.Errorf("the screen does not name the violation:\n%s%s", failed.stdout, failed.stderr)
	}
	if events := c.events(t); !slices.Equal(events, []string{"scan.failed.v2"}) {
		t.Errorf("log holds %v; want one scan.failed.v2 and no other trace", events)
	}
	violations := rows(t, openTables(t, c.home), `SELECT code, gxp_id, edge, target FROM scan_violations`)
	if fmt.Sprint(violations) != "[[wrong_kind SPEC-006-001-001 parent_id SPEC-006-001]]" {
		t.Errorf("violations %v; want the one of SPEC-006-001-001", violations)
	}
}

func TestCorpusStrictRefusesWhatTheOracleFindsBroken(t *testing.T) {
	t.Parallel()
	folder, clone := corpus(t)
	for _, tag := range tags() {
		t.Run(tag, func(t *testing.T) {
			t.Parallel()
			c, o := newClient(t), readOracle(t, folder, tag)
			code := 0
			if len(o.Broken) > 0 {
				code = 1
			}
			c.run(t, "scan", clone, "--ref", tag, "--name", "corpus").wantCode(t, code)
			var got, want []string
			for _, r := range rows(t, openTables(t, c.home), `SELECT path, gxp_id, edge, target, code FROM scan_violations`) {
				reason := map[string]string{"missing_parent": "missing", "wrong_kind": "wrong_kind"}[r[4]]
				got = append(got, strings.Join([]string{r[0], r[1], r[2], r[3], reason}, " "))
			}
			for _, b := range o.Broken {
				_, edge, _ := strings.Cut(b.Edge, ".")
				want = append(want, strings.Join([]string{b.Path, b.Child, edge, b.Missing, b.Reason}, " "))
			}
			compare(t, tag, got, want)
		})
	}
}

func TestCorpusSignatureWithOneByteFlippedIsInvalid(t *testing.T) {
	t.Parallel()
	folder, clone := corpus(t)
	work := t.TempDir()
	git(t, work, "clone", "-q", "-b", "dev", clone, ".")
	single := filepath.Join(work, ".gxp", "evidence", "EV-SPEC-001-001.jws")
	packages, err := filepath.Glob(filepath.Join(work, ".gxp", "evidence", "packages", "*", "manifest.jws"))
	if err != nil || len(packages) == 0 {
		t.Fatalf("no packages: %v", err)
	}
	for _, path := range []string{single, packages[0]} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		flip(data)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git(t, work, "commit", "-q", "-a", "-m", "Flip a byte in two signatures")
	c := newClient(t)
	c.run(t, "scan", work, "--name", "corpus", "--links", "flag",
		"--evidence-key", filepath.Join(folder, "evidence-public-key.pem")).wantCode(t, 0)
	got := rows(t, openTables(t, c.home), `SELECT path, check_signature FROM evidence WHERE verdict = 'invalid' ORDER BY path`)
	relative, _ := filepath.Rel(work, filepath.Dir(packages[0]))
	want := [][]string{{".gxp/evidence/EV-SPEC-001-001.jws", "-"}, {filepath.ToSlash(relative), "invalid"}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("invalid are %v, want %v", got, want)
	}
}

// flip changes one character in the middle of the signature of a compact JWS.
func flip(jws []byte) {
	at := strings.LastIndexByte(string(jws), '.') + 20
	if jws[at] == 'A' {
		jws[at] = 'B'
		return
	}
	jws[at] = 'A'
}

func TestCorpusRebuiltTablesEqualTheLiveOnes(t *testing.T) {
	t.Parallel()
	folder, clone := corpus(t)
	c := newClient(t)
	for _, tag := range tags() {
		c.scanTag(t, clone, tag, "--evidence-key", filepath.Join(folder, "evidence-public-key.pem")).wantCode(t, 0)
	}
	before := c.digests(t)
	c.run(t, "projections", "rebuild", "--all", "--reason", "prove that nothing changes").wantCode(t, 0)
	after := c.digests(t)
	delete(before, "audit_log") // the rebuild is itself an act that the audit trail tells of
	delete(after, "audit_log")
	if len(before) < 10 || fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("digests before %v\nafter %v", before, after)
	}
	c.run(t, "verify").wantCode(t, 0)
}

// digests returns every row of every table, by table, in the order of all columns.
func (c client) digests(t *testing.T) map[string]string {
	t.Helper()
	db := openTables(t, c.home)
	out := map[string]string{}
	for _, v := range rows(t, db, `SELECT name FROM sqlite_schema WHERE type = 'view'`) {
		var lines []string
		for _, r := range rows(t, db, `SELECT * FROM "`+v[0]+`"`) { //nolint:unqueryvet // all columns are the point
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

// The seven revisions are one command, without a flag of policy, once the repository has it.
func TestCorpusIsOneHistory(t *testing.T) {
	t.Parallel()
	folder, clone := corpus(t)
	c := newClient(t)
	c.run(t, "repository", "add", "corpus", "--main-line", "dev", "--links", "flag", "--reason", "migration").wantCode(t, 0)
	c.run(t, "scan", clone, "--ref", "dev", "--name", "corpus", "--history").wantCode(t, 0)
	db := openTables(t, c.home)
	if n := one(t, db, `SELECT count(*) FROM scans WHERE outcome = 'completed'`); n != fmt.Sprint(len(tags())) {
		t.Errorf("%s scans completed, want one for each of %d revisions", n, len(tags()))
	}
	if n := one(t, db, `SELECT count(*) FROM scans WHERE relation = 'descendant'`); n != fmt.Sprint(len(tags())-1) {
		t.Errorf("%s scans continue from the one before, want all but the first", n)
	}
	last := tags()[len(tags())-1]
	compare(t, "the last of the history", tableLines(t, db, repositoryID(t, c.home)), readOracle(t, folder, last).lines())
	again := c.run(t, "scan", clone, "--ref", "dev", "--name", "corpus", "--history").wantCode(t, 0)
	if !strings.Contains(again.stdout, "Nothing to record") {
		t.Errorf("again it shows %q", again.stdout)
	}
	c.run(t, "diff", tags()[0], tags()[2]).wantCode(t, 0)
	c.run(t, "verify").wantCode(t, 0)
}
