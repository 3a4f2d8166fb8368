package acceptance_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// oracle is what an independent program found in one revision of the corpus; see the README beside it.
type oracle struct {
	Revision  string           `json:"rev"`
	Files     int              `json:"files"`
	Counts    map[string]int   `json:"counts"`
	Artifacts []oracleArtifact `json:"artifacts"`
	Links     map[string]int   `json:"links_by_edge"`
	Total     int              `json:"links_total"`
	Broken    []struct {
		Child   string `json:"child"`
		Edge    string `json:"edge"`
		Kind    string `json:"kind"`
		Missing string `json:"missing_parent"`
		Path    string `json:"path"`
		Reason  string `json:"reason"`
	} `json:"broken_links"`
	Duplicates []json.RawMessage    `json:"duplicates"`
	Anomalies  [][2]json.RawMessage `json:"anomalies"`
	Ignored    []string             `json:"ignored"`
	Risks      []struct {
		ID    string   `json:"id"`
		Date  string   `json:"date"`
		Req   string   `json:"req"`
		Risk  string   `json:"risk"`
		Specs []string `json:"specs"`
	} `json:"risk_entries"`
}

type oracleArtifact struct {
	Path       string     `json:"path"`
	Kind       string     `json:"kind"`
	GxPID      *string    `json:"gxp_id"`
	ID         *string    `json:"id"`
	Version    *string    `json:"version"`
	Title      *string    `json:"title"`
	Risk       *string    `json:"risk"`
	Tier       *string    `json:"tier"`
	Status     *string    `json:"status"`
	Validation *string    `json:"validation_status"`
	Assurance  *string    `json:"assurance_status"`
	SHA256     string     `json:"sha256"`
	Blob       string     `json:"blob"`
	Size       int64      `json:"size"`
	Keys       []string   `json:"keys"`
	Parents    [][]string `json:"parents"`
	Passed     *int       `json:"passed"`
	Failed     *int       `json:"failed"`
	Header     *struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
	} `json:"header"`
	Members   [][3]any `json:"members"`
	Commit    string   `json:"git_commit"`
	StateHash string   `json:"system_state_hash"`
	Checks    *struct {
		Algorithm string   `json:"alg"`
		KeyID     string   `json:"kid"`
		Hash      []string `json:"hash_mismatch"`
		Size      []string `json:"size_mismatch"`
		Missing   []string `json:"missing"`
		Unlisted  []string `json:"unlisted"`
		Payload   bool     `json:"jws_payload_equals_manifest"`
		Draft02   bool     `json:"presence_draft02"`
		Draft03   bool     `json:"presence_draft03"`
	} `json:"checks"`
}

func readOracle(t *testing.T, corpus, tag string) oracle {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(corpus, "oracle-"+tag+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var o oracle
	if err := json.Unmarshal(data, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// lines says everything that the oracle lists, one fact a line, as tableLines says it of the tables.
func (o oracle) lines() []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	members := 0
	for _, a := range o.Artifacts {
		out = append(out, a.lines()...)
		members += max(len(a.Members), 1)
	}
	if len(o.Duplicates) > 0 {
		say("duplicates %d", len(o.Duplicates))
	}
	for kind, n := range o.Counts {
		say("count %s %d", kind, n)
	}
	for edge, n := range o.Links {
		say("edge %s %d", edge, n)
	}
	for _, b := range o.Broken {
		say("broken %s %s %s %s -> %s: %s", b.Kind, b.Path, b.Child, b.Edge, b.Missing, b.Reason)
	}
	for _, a := range o.Anomalies {
		say("list_item %s", strings.Trim(string(a[0]), `"`))
	}
	for _, r := range o.Risks {
		say("risk %s date %s req %s level %s specs %v", r.ID, r.Date, r.Req, r.Risk, r.Specs)
	}
	say("links %d", o.Total)
	say("files %d", members)
	slices.Sort(out)
	return out
}

func (a oracleArtifact) lines() []string {
	var out []string
	say := func(format string, args ...any) {
		out = append(out, fmt.Sprintf("%s %s", a.Path, fmt.Sprintf(format, args...)))
	}
	say("kind %s", a.Kind)
	say("gxp_id %s", text(a.GxPID))
	say("title %s", text(a.Title))
	say("risk %s", text(a.Risk))
	say("tier %s", text(a.Tier))
	say("statuses %s, %s, %s", text(a.Status), text(a.Validation), text(a.Assurance))
	say("sha256 %s", a.SHA256)
	if a.Blob != "" {
		say("blob %s size %d", a.Blob, a.Size)
	}
	if a.Keys != nil && a.Kind != "adr" {
		keys := slices.Sorted(slices.Values(a.Keys))
		say("keys %v", keys)
	}
	if a.ID != nil {
		say("id %s version %s", *a.ID, text(a.Version))
	}
	for _, p := range a.Parents {
		say("link %s -> %s", p[0], p[1])
	}
	if a.Header != nil {
		say("signed alg %s kid %s passed %d failed %d", a.Header.Algorithm, a.Header.KeyID, *a.Passed, *a.Failed)
	}
	if a.Checks != nil {
		out = append(out, a.packageLines()...)
	}
	return out
}

func (a oracleArtifact) packageLines() []string {
	var out []string
	say := func(format string, args ...any) {
		out = append(out, fmt.Sprintf("%s %s", a.Path, fmt.Sprintf(format, args...)))
	}
	for _, m := range a.Members {
		say("member %v size %v sha256 %v", m[0], m[1], m[2])
	}
	c := a.Checks
	signer := ""
	if c.Draft02 {
		signer = "manifest.jws"
	}
	if c.Draft03 {
		signer = "signature.jws"
	}
	say("package alg %s kid %s commit %s state %s signer %s", c.Algorithm, c.KeyID, a.Commit, a.StateHash, signer)
	say("payload is the manifest: %v", c.Payload)
	for code, paths := range map[string][]string{
		"missing_file": c.Missing, "hash_mismatch": c.Hash, "size_mismatch": c.Size, "unlisted_file": c.Unlisted,
	} {
		for _, path := range paths {
			say("problem %s %s", code, path)
		}
	}
	return out
}

func text(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}

// compare fails with the lines that one side has and the other has not.
func compare(t *testing.T, what string, got, want []string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	missing, extra := difference(want, got), difference(got, want)
	if len(missing)+len(extra) == 0 {
		return
	}
	show := func(title string, lines []string) string {
		if len(lines) > 12 {
			lines = append(lines[:12:12], fmt.Sprintf("... and %d more", len(lines)-12))
		}
		return title + ":\n  " + strings.Join(lines, "\n  ")
	}
	t.Errorf("%s: tables and oracle differ\n%s\n%s", what, show("oracle alone", missing), show("tables alone", extra))
}

// difference returns the lines of a that b lacks, counting repetitions.
func difference(a, b []string) []string {
	have := map[string]int{}
	for _, l := range b {
		have[l]++
	}
	var out []string
	for _, l := range a {
		if have[l] == 0 {
			out = append(out, l)
			continue
		}
		have[l]--
	}
	return out
}
