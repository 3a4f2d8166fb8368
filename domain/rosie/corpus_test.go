package rosie_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
)

// oracle is what an independent program found in one revision of the corpus.
type oracle struct {
	Counts    map[string]int
	Files     int
	Artifacts []oracleArtifact
	Links     map[string]int `json:"links_by_edge"`
	Risks     []struct {
		ID, Date, Req, Risk string
		Specs               []string
	} `json:"risk_entries"`
	Ignored   []string
	Anomalies [][]any
}

type oracleArtifact struct {
	Path, Kind, Blob, SHA256  string
	GxPID                     string `json:"gxp_id"`
	Parents                   [][]string
	Title, Risk, Tier, Status string
	Validation                string `json:"validation_status"`
	Assurance                 string `json:"assurance_status"`
	Size                      int64
	Keys                      []string
	Passed, Failed            *int
	Header                    struct{ Alg, Kid string }
	Members                   [][]any
	GitCommit                 string `json:"git_commit"`
	StateHash                 string `json:"system_state_hash"`
	Checks                    *oracleChecks
}

type oracleChecks struct {
	Alg, Kid     string
	Missing      []string
	HashMismatch []string `json:"hash_mismatch"`
	SizeMismatch []string `json:"size_mismatch"`
	Unlisted     []string
	Draft02      bool `json:"presence_draft02"`
	Draft03      bool `json:"presence_draft03"`
	SamePayload  bool `json:"jws_payload_equals_manifest"`
}

// corpus returns the directory of the real input, or skips the test and says so.
func corpus(t *testing.T) string {
	t.Helper()
	dir, given := os.LookupEnv("GXPLEDGER_CORPUS")
	if !given {
		dir = filepath.Join("..", "..", "..", "shared", "corpus")
	}
	if _, err := os.Stat(filepath.Join(dir, "rosie-middleware-gxp.bundle")); err != nil {
		if given {
			t.Fatalf("THE CORPUS IS NOT THERE: GXPLEDGER_CORPUS=%s: %v", dir, err)
		}
		t.Skipf("THE CORPUS IS NOT THERE, REAL INPUT IS NOT TESTED: set GXPLEDGER_CORPUS to its directory (looked in %s)", dir)
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	return absolute
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	run := exec.CommandContext(t.Context(), "git", args...)
	run.Dir = dir
	run.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull)
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// revisions checks every tag of the corpus out and returns the directories by tag.
func revisions(t *testing.T) map[string]string {
	t.Helper()
	source := corpus(t)
	base := t.TempDir()
	git(t, base, "clone", "--quiet", "--bare", filepath.Join(source, "rosie-middleware-gxp.bundle"), "bare")
	oracles, err := filepath.Glob(filepath.Join(source, "oracle-*.json"))
	if err != nil || len(oracles) != 7 {
		t.Fatalf("the corpus has %d oracles (%v), want 7", len(oracles), err)
	}
	dirs := make(map[string]string)
	for _, file := range oracles {
		tag := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "oracle-"), ".json")
		dirs[tag] = filepath.Join(base, tag)
		git(t, filepath.Join(base, "bare"), "-c", "core.autocrlf=false", "worktree", "add", "--quiet", "--detach", dirs[tag], tag)
	}
	return dirs
}

func readOracle(t *testing.T, tag string) oracle {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(corpus(t), "oracle-"+tag+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var o oracle
	if err := json.Unmarshal(data, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func corpusKey(t *testing.T) rosie.Key {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(corpus(t), "evidence-public-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := rosie.ParseKey(pem)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func scanDate() time.Time { return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC) }

// openDir opens a directory so that nothing in it leads out of it.
func openDir(t *testing.T, dir string) *os.Root {
	t.Helper()
	opened, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	return opened
}

// Everything that the oracle of a real revision lists is read, and nothing else.
func TestReadAgreesWithTheOracleOfEveryRevision(t *testing.T) {
	t.Parallel()
	key := corpusKey(t)
	for tag, dir := range revisions(t) {
		t.Run(tag, func(t *testing.T) {
			t.Parallel()
			want := readOracle(t, tag)
			tree, err := rosie.Read(t.Context(), openDir(t, dir).FS(), rosie.Options{Keys: []rosie.Key{key}, At: scanDate()})
			if err != nil {
				t.Fatal(err)
			}
			if len(tree.Faults) > 0 {
				t.Errorf("faults: %v", tree.Faults)
			}
			got := byPath(t, tree)
			for _, a := range want.Artifacts {
				compareArtifact(t, got[a.Path], a)
				delete(got, a.Path)
			}
			for path := range got {
				t.Errorf("%s was read and is not in the oracle", path)
			}
			equal(t, "ignored files", tree.Ignored, want.Ignored)
			compareRisks(t, tree, want)
			compareAnomalies(t, tree, want)
			compareContents(t, tree, want)
			compareLinks(t, tree, want)
			comparePlace(t, tag, tree)
		})
	}
}

func byPath(t *testing.T, tree rosie.Tree) map[string]domain.Artifact {
	t.Helper()
	got := make(map[string]domain.Artifact)
	for _, f := range tree.Files {
		if f.Rejected != nil {
			t.Errorf("%s is rejected: %s", f.Path, f.Rejected.Message)
			continue
		}
		if f.Unchanged || len(f.Artifacts) == 0 {
			t.Errorf("%s has no artifact", f.Path)
			continue
		}
		got[f.Path] = f.Artifacts[0]
	}
	return got
}

func compareArtifact(t *testing.T, got domain.Artifact, want oracleArtifact) {
	t.Helper()
	about := func(what string) string { return want.Path + ": " + what }
	equal(t, about("kind"), string(got.Kind), want.Kind)
	equal(t, about("gxp_id"), got.GxPID, want.GxPID)
	equal(t, about("title"), got.Title, want.Title)
	equal(t, about("risk"), raw(got.Risk), want.Risk)
	equal(t, about("tier"), raw(got.Tier), want.Tier)
	equal(t, about("status"), raw(got.Status), want.Status)
	equal(t, about("validation status"), raw(got.ValidationStatus), want.Validation)
	equal(t, about("assurance status"), raw(got.AssuranceStatus), want.Assurance)
	equal(t, about("sha256"), got.Content.SHA256, want.SHA256)
	if want.Kind != "risk_log" {
		equal(t, about("links"), links(got), parents(want))
	}
	if want.Keys != nil {
		equal(t, about("keys"), slices.Sorted(maps.Keys(fields(t, got))), want.Keys)
	}
	switch got.Kind {
	case domain.KindEvidenceJWS:
		compareSingle(t, got, want)
	case domain.KindEvidencePackage:
		comparePackage(t, got, want)
	default:
	}
	if got.Kind != domain.KindEvidencePackage {
		equal(t, about("blob"), got.Content.Blob, want.Blob)
		equal(t, about("size"), got.Content.Size, want.Size)
		equal(t, about("digest"), got.Digest, want.SHA256)
	}
}

func compareSingle(t *testing.T, got domain.Artifact, want oracleArtifact) {
	t.Helper()
	equal(t, want.Path+": signature", got.Evidence.Signature.Verdict, domain.VerdictValid)
	equal(t, want.Path+": alg", got.Evidence.Signature.Algorithm, want.Header.Alg)
	equal(t, want.Path+": kid", got.Evidence.Signature.KeyID, want.Header.Kid)
	equal(t, want.Path+": passed", got.Evidence.Tests.Passed, *want.Passed)
	equal(t, want.Path+": failed", got.Evidence.Tests.Failed, *want.Failed)
	if got.Evidence.Signature.Expired || got.Evidence.Signature.IssuedAt == nil || got.Evidence.GitCommit == "" {
		t.Errorf("%s: claims: %+v", want.Path, got.Evidence)
	}
}

func comparePackage(t *testing.T, got domain.Artifact, want oracleArtifact) {
	t.Helper()
	var members [][]any
	for _, m := range got.Members {
		members = append(members, []any{m.Path, float64(m.Size), m.SHA256})
	}
	equal(t, want.Path+": members", members, want.Members)
	equal(t, want.Path+": git commit", got.Evidence.GitCommit, want.GitCommit)
	equal(t, want.Path+": state hash", got.Evidence.StateHash, want.StateHash)
	equal(t, want.Path+": kid", got.Evidence.Signature.KeyID, want.Checks.Kid)
	if got.Evidence.Tests == nil || got.Evidence.Tests.Passed == 0 {
		t.Errorf("%s: no test totals", want.Path)
	}
	checks := got.Evidence.Checks
	equal(t, want.Path+": number of checks", len(checks), 4)
	equal(t, want.Path+": presence", checks[0].Verdict, verdict(want.Checks.Draft02 || want.Checks.Draft03))
	equal(t, want.Path+": signature", checks[1].Verdict, verdict(want.Checks.SamePayload))
	equal(t, want.Path+": integrity", checks[2].Verdict,
		verdict(len(want.Checks.Missing)+len(want.Checks.HashMismatch)+len(want.Checks.SizeMismatch) == 0))
	equal(t, want.Path+": completeness", checks[3].Verdict, verdict(len(want.Checks.Unlisted) == 0))
	equal(t, want.Path+": missing files", problems(checks[2], "missing_file"), want.Checks.Missing)
	equal(t, want.Path+": unlisted files", problems(checks[3], "unlisted_file"), want.Checks.Unlisted)
}

func verdict(ok bool) domain.Verdict {
	if ok {
		return domain.VerdictValid
	}
	return domain.VerdictInvalid
}

func problems(check domain.Check, code string) []string {
	var paths []string
	for _, p := range check.Problems {
		if p.Code == code {
			paths = append(paths, p.Path)
		}
	}
	return paths
}

func compareRisks(t *testing.T, tree rosie.Tree, want oracle) {
	t.Helper()
	var got []domain.Artifact
	for _, f := range tree.Files {
		if f.Path == ".gxp/risk_assessment.log" {
			got = f.Artifacts[1:]
		}
	}
	equal(t, "risk entries", len(got), len(want.Risks))
	for i, w := range want.Risks {
		a := got[i]
		columns := fields(t, a)
		equal(t, w.ID+": kind, place and id", fmt.Sprint(a.Kind, a.Ordinal, a.GxPID), fmt.Sprint(domain.KindRisk, i+1, w.ID))
		equal(t, w.ID+": date", columns["date"], any(w.Date))
		equal(t, w.ID+": req", columns["req"], any(w.Req))
		equal(t, w.ID+": risk", raw(a.Risk), w.Risk)
		var declared []string
		if strings.HasPrefix(w.Req, "REQ-") {
			declared = append(declared, "risk.req "+w.Req)
		}
		for _, spec := range w.Specs {
			declared = append(declared, "risk.spec "+spec)
		}
		equal(t, w.ID+": links", links(a), declared)
		if a.Title == "" || columns["impact"] == nil || columns["mitigation"] == nil || len(a.Digest) != 64 {
			t.Errorf("%s: incomplete: %+v", w.ID, a)
		}
	}
}

// The anomalies that the oracle names are list items that are maps; no artifact has another finding but these and the
// missing field that the notes of the corpus name.
func compareAnomalies(t *testing.T, tree rosie.Tree, want oracle) {
	t.Helper()
	listed := make(map[string]bool)
	for _, anomaly := range want.Anomalies {
		listed[fmt.Sprint(anomaly[0])] = true
	}
	found := make(map[string]bool)
	for _, f := range tree.Files {
		for _, a := range f.Artifacts {
			for _, finding := range a.Findings {
				if finding.Code == domain.FindingListItem {
					found[f.Path] = true
					continue
				}
				t.Errorf("%s: unexpected finding: %+v", f.Path, finding)
			}
		}
	}
	equal(t, "list items that are maps", found, listed)
}

func compareContents(t *testing.T, tree rosie.Tree, want oracle) {
	t.Helper()
	contents := make(map[string]int)
	for _, c := range tree.Contents {
		contents[c.SHA256]++
	}
	for _, a := range want.Artifacts {
		if contents[a.SHA256] != 1 {
			t.Errorf("%s: its bytes are there %d times, want once", a.Path, contents[a.SHA256])
		}
		for _, m := range a.Members {
			if contents[fmt.Sprint(m[2])] != 1 {
				t.Errorf("%s/%s: its bytes are there %d times, want once", a.Path, m[0], contents[fmt.Sprint(m[2])])
			}
		}
	}
}

func compareLinks(t *testing.T, tree rosie.Tree, want oracle) {
	t.Helper()
	got := make(map[string]int)
	for _, f := range tree.Files {
		for _, a := range f.Artifacts {
			for _, l := range a.Links {
				got[edgeName(a.Kind, l.Edge)]++
			}
		}
	}
	equal(t, "links by edge", got, want.Links)
}

// edgeName is the oracle's name for an edge.
func edgeName(kind domain.Kind, edge domain.Edge) string {
	switch kind {
	case domain.KindEvidenceJWS, domain.KindEvidencePackage:
		return "evidence." + string(edge)
	case domain.KindRisk:
		return string(edge)
	default:
		return string(kind) + "." + string(edge)
	}
}

// The tree itself has nothing to remark on.
func comparePlace(t *testing.T, tag string, tree rosie.Tree) {
	t.Helper()
	if len(tree.Findings) > 0 {
		t.Errorf("%s: findings of the tree: %+v", tag, tree.Findings)
	}
	for _, f := range tree.Files {
		stamp := rosie.Stamp(nil)
		if strings.HasPrefix(f.Path, ".gxp/evidence/") {
			stamp = rosie.Stamp([]rosie.Key{corpusKey(t)})
		}
		equal(t, f.Path+": stamp", f.Stamp, stamp)
	}
}

// Without the key nothing can be said of a signature; with one byte changed it is not valid.
func TestCorpusSignaturesWithoutTheKeyAndWithAFlippedByte(t *testing.T) {
	t.Parallel()
	dir := revisions(t)["dev-07-cbec5ad"]
	key := corpusKey(t)
	fsys := openDir(t, dir).FS()
	tree, err := rosie.Read(t.Context(), fsys, rosie.Options{At: scanDate()})
	if err != nil {
		t.Fatal(err)
	}
	damaged := fstest.MapFS{".gxp/system_context.md": {Data: []byte("---\nproject_name: x\ngxp_risk_rating: LOW\n---\n")}}
	seen := 0
	for _, f := range tree.Files {
		a := f.Artifacts[0]
		if a.Evidence == nil {
			continue
		}
		seen++
		equal(t, f.Path+": verdict without a key", a.Evidence.Signature.Verdict, domain.VerdictUnverifiable)
		for _, c := range tree.Contents {
			if a.Kind == domain.KindEvidenceJWS && c.SHA256 == a.Content.SHA256 {
				damaged[f.Path] = &fstest.MapFile{Data: flipped(c.Bytes, seen)}
			}
		}
	}
	equal(t, "pieces of evidence", seen, 68+43)
	tree, err = rosie.Read(t.Context(), damaged, rosie.Options{Keys: []rosie.Key{key}, At: scanDate()})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range tree.Files {
		if f.Path == ".gxp/system_context.md" {
			continue
		}
		if f.Rejected != nil {
			t.Errorf("%s: rejected: %s", f.Path, f.Rejected.Message)
			continue
		}
		equal(t, f.Path+": verdict with a flipped byte", f.Artifacts[0].Evidence.Signature.Verdict, domain.VerdictInvalid)
	}
}

// flipped changes one character of the signature, a different place for each n.
func flipped(token []byte, n int) []byte {
	changed := slices.Clone(token)
	dot := strings.LastIndexByte(string(token), '.')
	at := dot + 1 + n%(len(token)-dot-1)
	if changed[at] == 'A' {
		changed[at] = 'B'
	} else {
		changed[at] = 'A'
	}
	return changed
}

// A second reading against what the first one gave reads no file that the file system names.
func TestCorpusIsUnchangedAgainstItself(t *testing.T) {
	t.Parallel()
	fsys := openDir(t, revisions(t)["dev-07-cbec5ad"]).FS()
	options := rosie.Options{Keys: []rosie.Key{corpusKey(t)}, At: scanDate()}
	first, err := rosie.Read(context.WithoutCancel(t.Context()), fsys, options)
	if err != nil {
		t.Fatal(err)
	}
	held := make(map[string]bool)
	for _, f := range first.Files {
		held[f.Path+f.Blob+f.Stamp] = true
	}
	options.Known = func(path, blob, stamp string) bool { return held[path+blob+stamp] }
	second, err := rosie.Read(t.Context(), fsys, options)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range second.Files {
		if !f.Unchanged || len(f.Artifacts) > 0 {
			t.Errorf("%s is read as changed", f.Path)
		}
	}
	equal(t, "units", len(second.Files), len(first.Files))
	equal(t, "contents of an unchanged tree", len(second.Contents), 0)
	equal(t, "ignored files", second.Ignored, first.Ignored)
	options.Keys = nil
	third, err := rosie.Read(t.Context(), fsys, options)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range third.Files {
		equal(t, f.Path+": read again with other keys", !f.Unchanged, strings.HasPrefix(f.Path, ".gxp/evidence/"))
	}
}

func raw(term *domain.Term) string {
	if term == nil {
		return ""
	}
	return term.Raw
}

func links(a domain.Artifact) []string {
	var all []string
	for _, l := range a.Links {
		all = append(all, string(l.Edge)+" "+l.Target)
	}
	return all
}

// parents are the links that the oracle lists, with the edges as domain names them.
func parents(a oracleArtifact) []string {
	var all []string
	for _, p := range a.Parents {
		_, edge, _ := strings.Cut(p[0], ".")
		all = append(all, cmp.Or(edge, p[0])+" "+p[1])
	}
	return all
}

func fields(t *testing.T, a domain.Artifact) map[string]any {
	t.Helper()
	all := make(map[string]any)
	if a.Fields == nil {
		return all
	}
	if err := json.Unmarshal(a.Fields, &all); err != nil {
		t.Errorf("%s: the fields are not JSON: %v", a.Key, err)
	}
	return all
}
