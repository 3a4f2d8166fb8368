package rosie_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
)

// fuzzed reads a repository twice and checks what must hold of any content: the same both times, texts that can be
// stored, places that are in the file, sizes that are bounded.
func fuzzed(t *testing.T, repository files, path string, options rosie.Options) domain.File {
	t.Helper()
	tree := read(t, repository.fs(), options)
	f := unit(t, tree, path)
	again := unit(t, read(t, repository.fs(), options), path)
	first, second := stored(t, f), stored(t, again)
	if !bytes.Equal(first, second) {
		t.Fatalf("two readings differ:\n%s\n%s", first, second)
	}
	size := len(path)
	for _, text := range repository {
		size += len(text)
	}
	if len(first) > 64<<10+200*size {
		t.Fatalf("%d bytes became %d", size, len(first))
	}
	if (f.Rejected == nil) == (len(f.Artifacts) == 0) {
		t.Fatalf("neither or both of artifact and rejection: %s", first)
	}
	for i, a := range f.Artifacts {
		checkArtifact(t, i, a)
	}
	if r := f.Rejected; r != nil && (r.Message == "" || !utf8.ValidString(r.Message) || len(r.Message) > 4*500 || strings.ContainsAny(r.Message, "\r\n\x1b")) {
		t.Fatalf("message %q", r.Message)
	}
	return f
}

// stored is what an event keeps of a file.
func stored(t *testing.T, f domain.File) []byte {
	t.Helper()
	artifacts, err := json.Marshal(f.Artifacts)
	if err != nil {
		t.Fatalf("the artifacts cannot be stored: %v", err)
	}
	rejection, err := json.Marshal(f.Rejected)
	if err != nil {
		t.Fatalf("the rejection cannot be stored: %v", err)
	}
	return append(artifacts, rejection...)
}

func checkArtifact(t *testing.T, ordinal int, a domain.Artifact) {
	t.Helper()
	if a.Ordinal != ordinal || len(a.Digest) != 64 || len(a.Content.SHA256) != 64 {
		t.Fatalf("artifact %+v", a)
	}
	if a.Fields != nil {
		var object map[string]any
		if err := json.Unmarshal(a.Fields, &object); err != nil {
			t.Fatalf("fields %s: %v", a.Fields, err)
		}
		if again, err := json.Marshal(a.Fields); err != nil || !bytes.Equal(again, a.Fields) {
			t.Fatalf("fields change when they are stored: %s, then %s (%v)", a.Fields, again, err)
		}
	}
	for what, text := range map[string]string{"title": a.Title, "id": a.GxPID} {
		if utf8.RuneCountInString(text) > 500 || !utf8.ValidString(text) {
			t.Fatalf("%s %q", what, text)
		}
	}
	seen := make(map[domain.Link]bool)
	for _, l := range a.Links {
		if l.Target == "" || seen[l] || len(domain.Targets(a.Kind, l.Edge)) == 0 {
			t.Fatalf("link %+v", l)
		}
		seen[l] = true
	}
}

// place checks that a rejection points into the text.
func place(t *testing.T, text string, r *domain.Rejection) {
	t.Helper()
	lines := strings.Split(text, "\n")
	if r.Line < 1 || r.Line > len(lines)+1 {
		t.Fatalf("line %d of %d: %s", r.Line, len(lines), r.Message)
	}
	if r.Line <= len(lines) && r.Column > utf8.RuneCountInString(lines[r.Line-1])+2 {
		t.Fatalf("column %d in %q: %s", r.Column, lines[r.Line-1], r.Message)
	}
}

func FuzzFrontMatter(f *testing.F) {
	for _, text := range []string{
		"gxp_id: SPEC-001\ntitle: \"A spec\"\nparent_id: US-001\nverification_tier: OQ\n",
		"gxpId: SPEC-2\nimplements: [US-1, US-2]\nsatisfies:\n  - REQ-1\n  - a: b\nrisk:\n  overall: HIGH\n",
		"title: |\n  one\n  two\nlist: []\nnothing: ~\n# comment\n'quoted key': \"\\u00e9\\0\"\n",
		"a: &x 1\nb: *x\n", "<<: {a: 1}\n", "a: !!str b\n", "a: 1\n...\nb: 2\n", "? [a]\n: b\n", "a: 1\na: 2\n",
		"a: [[[[[[[[", "- a\n", "\t", "", "a: one: two\n", "%TAG ! x\n", "a:\n- # c\n - b\n# d\n\n# e\n", "\xff", "a: \u2028b: c\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, matter string) {
		text := "---\n" + matter + "\n---\n# Heading\n"
		file := fuzzed(t, files{specPath: text}, specPath, rosie.Options{})
		if file.Rejected != nil {
			place(t, text, file.Rejected)
			return
		}
		fuzzed(t, files{specPath: matter}, specPath, rosie.Options{})
	})
}

func FuzzJWS(f *testing.F) {
	s := newSigner(f)
	f.Add(`{"alg":"ES256","kid":"k"}`, `{"gxp_id":"EV-1","spec_id":"SPEC-1","iat":1,"exp":2}`, "AAAA", ".")
	f.Add(`{"alg":"none"}`, `{"test_results":{"passed":1,"test_cases":[]}}`, "", ".")
	f.Add(`{"alg":"HS256","jwk":{}}`, `{"exp":1e400,"iat":-0.5}`, "x", "..")
	f.Add(`{"alg":"ES256","alg":"none"}`, `{"a":[{"b":[null,true,"\ud800"]}]}`, "AA", ".\n")
	f.Add(`[]`, `"text"`, "-_", "")
	f.Fuzz(func(t *testing.T, header, payload, signature, separator string) {
		encode := base64.RawURLEncoding.EncodeToString
		compact := encode([]byte(header)) + separator + encode([]byte(payload)) + separator + encode([]byte(signature))
		file := fuzzed(t, files{jwsPath: compact}, jwsPath, s.options())
		if file.Rejected != nil {
			if separator == "." && signature != "" && agreed(header) && agreed(payload) {
				t.Fatalf("rejected: %s", file.Rejected.Message)
			}
			return
		}
		if separator != "." || !json.Valid([]byte(payload)) || !json.Valid([]byte(header)) {
			t.Fatal("accepted what is no JWS of JSON")
		}
		if file.Artifacts[0].Evidence.Signature.Verdict != domain.VerdictInvalid {
			t.Fatalf("a made-up signature is %s", file.Artifacts[0].Evidence.Signature.Verdict)
		}
	})
}

var oddJSON = regexp.MustCompile(`is repeated|more than \d+|not a JSON object|gives a control character|half of a surrogate pair`)

// agreed reports whether the standard library reads a text as an object that no rule of ours refuses.
func agreed(text string) bool {
	var object map[string]any
	if !utf8.ValidString(text) || json.Unmarshal([]byte(text), &object) != nil || object == nil {
		return false
	}
	plain, err := json.Marshal(object)
	return err == nil && strings.Count(string(plain), ":") == strings.Count(text, ":") && !strings.Contains(text, "[[")
}

// FuzzManifest compares the parser for JSON with the standard library's: what that one refuses, this one does, and
// what this one refuses beside that is a rule of its own.
func FuzzManifest(f *testing.F) {
	for _, text := range []string{
		`{"files":[{"path":"metadata.json","sha256":"00","size_bytes":2}]}`,
		`{"files":{"metadata.json":"sha256:00","../x":"y","/etc/passwd":"z"}}`,
		`{"files":[{"path":"a"},{"path":"A"},{},null,1,"x",[]],"file_count":1e3}`,
		`{"files":{"\u0000":"","a\\b":{"hash":1}}}`,
		`{"a":1,"a":2}`, `{"a":-0.5E+7,"b":01}`, `{"a":[1,]}`, `{"a":"\x"}`, `{"a" 1}`, `[]`, ``, ` {} `, `{}{}`, "\ufeff{}", "{\"a\":\"\t\"}",
		strings.Repeat(`{"a":`, 40), `{"a":tru}`, `{"a":-}`, `{"a":1.}`, `{"a":1e}`, `"\ud800"`, `{"":nullx}`,
	} {
		f.Add(text)
	}
	s := newSigner(f)
	f.Fuzz(func(t *testing.T, manifest string) {
		repository := placed(map[string]string{"metadata.json": `{"package_id":"P"}`, "manifest.json": manifest})
		file := fuzzed(t, repository, packagePath, s.options())
		valid := utf8.ValidString(manifest) && json.Valid([]byte(strings.TrimPrefix(manifest, "\ufeff")))
		if file.Rejected == nil {
			if !valid {
				t.Fatalf("%q is no JSON and was accepted", manifest)
			}
			return
		}
		place(t, manifest, file.Rejected)
		if valid && !oddJSON.MatchString(file.Rejected.Message) {
			t.Fatalf("%q is JSON and was refused: %s", manifest, file.Rejected.Message)
		}
	})
}

func FuzzRiskLog(f *testing.F) {
	for _, text := range []string{
		"# comment\n\n[2026-02-05] RISK-001 | REQ-001 | Risk: HIGH | Impact: a | b | Test Coverage: SPEC-1, SPEC-2\n",
		"[] RISK-1 |", "[x] RISK-1 | a: b | a: c | : | Risk:\n[x] RISK-1 | \n", "[2026] REQ-1 | x\nwords\n",
		"# Risks\nprose\n## RISK-001: title\n- **Date:** 2026-02-05\n- **Risk Level:** LOW\n  more\n### deeper\n## Other\n- **Risk:** HIGH\n",
		"## RISK-001\n```\n## RISK-002\n", "## RISK 1\n## RISK-\n", "\ufeff## RISK-1 — x\r\n* Risk: y\r\n", "\xff", "",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file := fuzzed(t, files{logPath: text}, logPath, rosie.Options{})
		if file.Rejected != nil {
			place(t, text, file.Rejected)
			return
		}
		for _, finding := range file.Artifacts[0].Findings {
			if finding.Line > strings.Count(text, "\n")+strings.Count(text, "\r")+1 {
				t.Fatalf("finding on line %d: %+v", finding.Line, finding)
			}
		}
		for _, a := range file.Artifacts[1:] {
			if a.Kind != domain.KindRisk || !strings.HasPrefix(a.GxPID, "RISK-") || !strings.Contains(text, a.GxPID) {
				t.Fatalf("entry %s", fmt.Sprint(a))
			}
		}
	})
}
