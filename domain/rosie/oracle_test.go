package rosie_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
)

// oracle is what an independent program found in one revision of the corpus.
type oracle struct {
	Artifacts []oracleArtifact `json:"artifacts"`
	Links     map[string]int   `json:"links_by_edge"`
	Risks     []struct {
		ID    string   `json:"id"`
		Date  string   `json:"date"`
		Req   string   `json:"req"`
		Risk  string   `json:"risk"`
		Specs []string `json:"specs"`
	} `json:"risk_entries"`
	Ignored   []string `json:"ignored"`
	Anomalies [][]any  `json:"anomalies"`
}

type oracleArtifact struct {
	Path       string     `json:"path"`
	Kind       string     `json:"kind"`
	Blob       string     `json:"blob"`
	SHA256     string     `json:"sha256"`
	Size       int64      `json:"size"`
	GxPID      string     `json:"gxp_id"`
	Parents    [][]string `json:"parents"`
	Title      string     `json:"title"`
	Risk       string     `json:"risk"`
	Tier       string     `json:"tier"`
	Status     string     `json:"status"`
	Validation string     `json:"validation_status"`
	Assurance  string     `json:"assurance_status"`
	Keys       []string   `json:"keys"`
	Passed     *int       `json:"passed"`
	Failed     *int       `json:"failed"`
	Header     struct {
		Alg string `json:"alg"`
		Kid string `json:"kid"`
	} `json:"header"`
	Members   [][]any       `json:"members"`
	GitCommit string        `json:"git_commit"`
	StateHash string        `json:"system_state_hash"`
	Checks    *oracleChecks `json:"checks"`
}

type oracleChecks struct {
	Kid          string   `json:"kid"`
	Missing      []string `json:"missing"`
	HashMismatch []string `json:"hash_mismatch"`
	SizeMismatch []string `json:"size_mismatch"`
	Unlisted     []string `json:"unlisted"`
	Draft02      bool     `json:"presence_draft02"`
	Draft03      bool     `json:"presence_draft03"`
	SamePayload  bool     `json:"jws_payload_equals_manifest"`
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
	if got.Kind == domain.KindEvidenceJWS {
		compareSingle(t, got, want)
	}
	if got.Kind == domain.KindEvidencePackage {
		comparePackage(t, got, want)
	} else {
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
	equal(t, want.Path+": passed", got.Evidence.Results.Totals.Passed, *want.Passed)
	equal(t, want.Path+": failed", got.Evidence.Results.Totals.Failed, *want.Failed)
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
	if got.Evidence.Results.Totals == nil || got.Evidence.Results.Totals.Passed == 0 {
		t.Errorf("%s: no test totals", want.Path)
	}
	checks := got.Evidence.Checks
	equal(t, want.Path+": number of checks", len(checks), 4)
	equal(t, want.Path+": presence", checks[0].Verdict, verdictOf(count(!want.Checks.Draft02 && !want.Checks.Draft03)))
	equal(t, want.Path+": signature", checks[1].Verdict, verdictOf(count(!want.Checks.SamePayload)))
	equal(t, want.Path+": integrity", checks[2].Verdict,
		verdictOf(len(want.Checks.Missing)+len(want.Checks.HashMismatch)+len(want.Checks.SizeMismatch)))
	equal(t, want.Path+": completeness", checks[3].Verdict, verdictOf(len(want.Checks.Unlisted)))
	equal(t, want.Path+": missing files", problems(checks[2], "missing_file"), want.Checks.Missing)
	equal(t, want.Path+": unlisted files", problems(checks[3], "unlisted_file"), want.Checks.Unlisted)
}

// verdictOf is what a check that finds so many faults must come to.
func verdictOf(faults int) domain.Verdict {
	if faults == 0 {
		return domain.VerdictValid
	}
	return domain.VerdictInvalid
}

func count(faults ...bool) int {
	n := 0
	for _, fault := range faults {
		if fault {
			n++
		}
	}
	return n
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
	switch table := kind.Info().Table; {
	case kind == domain.KindRisk:
		return string(edge)
	case table == "evidence":
		return table + "." + string(edge)
	}
	return string(kind) + "." + string(edge)
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
