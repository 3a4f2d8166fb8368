package rosie_test

import (
	"cmp"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
)

// entries reads a risk log and returns the file's artifact and those of its entries.
func entries(t *testing.T, text string) (file domain.Artifact, all []domain.Artifact) {
	t.Helper()
	f := unit(t, read(t, files{logPath: text}.fs(), rosie.Options{}), logPath)
	if f.Rejected != nil {
		t.Fatalf("rejected: %+v", f.Rejected)
	}
	for i, a := range f.Artifacts {
		equal(t, "place", a.Key, domain.Key{Path: logPath, Ordinal: i})
		equal(t, "content", a.Content.SHA256, hash(text))
	}
	equal(t, "kind of the file", f.Artifacts[0].Kind, domain.KindRiskLog)
	return f.Artifacts[0], f.Artifacts[1:]
}

// Both formats of one risk say the same.
func TestRiskEntriesInBothFormats(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, fields, links, title, status, id string }{
		"a line": {
			"[2026-02-05] RISK-001 | REQ-001 | Risk: HIGH | Impact: It breaks: badly | Mitigation: Mend it | Test Coverage: SPEC-001-001, SPEC-INF-002\n",
			`{"date":"2026-02-05","id":"RISK-001","req":"REQ-001","risk":"HIGH","impact":"It breaks: badly","mitigation":"Mend it","test_coverage":"SPEC-001-001, SPEC-INF-002"}`,
			"risk.req REQ-001, risk.spec SPEC-001-001, risk.spec SPEC-INF-002", "It breaks: badly", "", "",
		},
		"a line with a bar in a text": {
			"[2026-02-05] RISK-001 | INFRA | Risk: HIGH | Impact: a | b | Test Coverage: none",
			`{"date":"2026-02-05","id":"RISK-001","req":"INFRA","risk":"HIGH","impact":"a | b","test_coverage":"none"}`, "", "a | b", "", "",
		},
		"a line of several requirements": {
			"[] RISK-001 | REQ-001, REQ-002; REQ-001 | Risk Level: HIGH | Coverage: SPEC-1",
			`{"date":"","id":"RISK-001","req":"REQ-001, REQ-002; REQ-001","risk_level":"HIGH","coverage":"SPEC-1"}`,
			"risk.req REQ-001, risk.req REQ-002, risk.spec SPEC-1", "", "", "",
		},
		"a block": {
			"# Risks\n\nProse about risks.\n\n## RISK-001: It may break\n\n- **Date:** 2026-02-05\n- **Component:** REQ-001\n- **Risk Level:** HIGH\n" +
				"- **Description:** What\n  goes on\n- **Status:** In Review\n- **Test Coverage**: SPEC-1\n\n### More\n\n## Appendix\n\nMore prose.\n",
			`{"id":"RISK-001","date":"2026-02-05","component":"REQ-001","risk_level":"HIGH","description":"What\ngoes on","status":"In Review","test_coverage":"SPEC-1\n### More"}`,
			"risk.req REQ-001, risk.spec SPEC-1", "It may break", "In Review/in_review", "",
		},
		"a heading with a dash, labels in bold of every kind": {
			"##  RISK-INF-001 \u2013 Dash\n**Risk:** HIGH\n+ **Test Coverage** : SPEC-1\n* **Not closed: x\n- **1st:** y\n- url:http://x\n",
			`{"id":"RISK-INF-001","risk":"HIGH","test_coverage":"SPEC-1\n* **Not closed: x\n- **1st:** y\n- url:http://x"}`, "risk.spec SPEC-1", "Dash", "", "RISK-INF-001",
		},
		"a block with plain labels": {
			"## RISK-001\n* Risk: HIGH\nfree text\n- **Bold** words\n- not a label\n",
			`{"id":"RISK-001","risk":"HIGH\nfree text\n- **Bold** words\n- not a label"}`, "", "", "", "",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, all := entries(t, test.text)
			if len(all) != 1 {
				t.Fatalf("%d entries, want 1; findings %v", len(all), file.Findings)
			}
			a := all[0]
			equal(t, "kind and id", string(a.Kind)+" "+a.GxPID, "risk "+cmp.Or(test.id, "RISK-001"))
			equal(t, "fields", string(a.Fields), test.fields)
			equal(t, "links", showLinks(a), test.links)
			equal(t, "title", a.Title, test.title)
			equal(t, "status", showTerm(a.Status), test.status)
			if !strings.HasPrefix(showTerm(a.Risk), "HIGH") {
				t.Errorf("risk %v", a.Risk)
			}
			equal(t, "findings", codes(file.Findings), nil)
		})
	}
}

const goodLine = "[2026-02-05] RISK-001 | REQ-001 | Risk: HIGH | Impact: x\n"

// A line that cannot be read is remarked on with its number; the others are read.
func TestMalformedRiskLines(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text  string
		lines []int
		codes []string
	}{
		"words between entries":  {"# c\n" + goodLine + "what is this\n", []int{3}, []string{"malformed"}},
		"no id":                  {goodLine + "[2026-02-05] REQ-001 | Risk: HIGH\n", []int{2}, []string{"malformed"}},
		"no columns":             {goodLine + "[2026-02-05] RISK-002\n", []int{2}, []string{"malformed"}},
		"an id twice":            {goodLine + "\n" + goodLine, []int{3}, []string{"repeated"}},
		"no level":               {"[2026-02-05] RISK-001 | REQ-001 | Impact: x\n", []int{1}, []string{"missing_field"}},
		"a heading without id":   {"## RISK-001\n- **Risk:** LOW\n## RISK-: x\n", []int{3}, []string{"malformed"}},
		"a heading run together": {"## RISK-001\n- **Risk:** LOW\n## RISK-002_x: y\n", []int{3}, []string{"malformed"}},
		"a heading misspelt":     {"## RISK-001\n- **Risk:** LOW\n## RISK 002\n", []int{3}, []string{"malformed"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, all := entries(t, test.text)
			if len(all) == 0 {
				t.Error("no entry was read")
			}
			var lines []int
			for _, f := range file.Findings {
				lines = append(lines, f.Line)
			}
			equal(t, "codes", codes(file.Findings), test.codes)
			equal(t, "lines", lines, test.lines)
		})
	}
}

func TestRiskLogWithoutAnyEntry(t *testing.T) {
	t.Parallel()
	_, all := entries(t, "# only comments\n\n# so far\n")
	equal(t, "entries of a log of comments", len(all), 0)
	r := rejected(t, logPath, "# comment\n\nwhat is this\nand this\n")
	equal(t, "line", r.Line, 3)
	equal(t, "kind", r.Kind, domain.KindRiskLog)
	equal(t, "not UTF-8", rejected(t, logPath, goodLine+"\xff").Line, 2)
}

// An example in a code block is no entry.
func TestRiskLogInCodeBlock(t *testing.T) {
	t.Parallel()
	file, all := entries(t, "```\n## RISK-999: example\n```\n## RISK-001: real\n- **Risk:** LOW\n~~~\n[d] RISK-998 | x\n~~~\n")
	equal(t, "entries", len(all), 1)
	equal(t, "id", all[0].GxPID, "RISK-001")
	equal(t, "findings", file.Findings, nil)
}

// The digest of an entry follows its own text and nothing around it, so that a change elsewhere is not a change of it.
func TestRiskDigestCoversTheEntryAlone(t *testing.T) {
	t.Parallel()
	_, before := entries(t, "# c\n"+goodLine+strings.ReplaceAll(goodLine, "001", "002"))
	_, after := entries(t, goodLine+"\n# moved\n\n"+strings.ReplaceAll(goodLine, "001", "002")+"\n")
	equal(t, "digest of an entry that moved", after[1].Digest, before[1].Digest)
	_, changed := entries(t, goodLine+strings.ReplaceAll(strings.ReplaceAll(goodLine, "001", "002"), "x", "y"))
	equal(t, "digest of the other entry", changed[0].Digest, before[0].Digest)
	if changed[1].Digest == before[1].Digest {
		t.Error("an entry with another text has the same digest")
	}
	file, _ := entries(t, goodLine)
	equal(t, "digest of the file", file.Digest, hash(goodLine))
	_, block := entries(t, "## RISK-001: t\n- **Risk:** LOW\n\n\n## RISK-002: u\n- **Risk:** LOW\n")
	_, spaced := entries(t, "## RISK-001: t\n\n- **Risk:** LOW\n## RISK-002: u\n- **Risk:** LOW\n")
	equal(t, "digest of a block with other blank lines", spaced[0].Digest, block[0].Digest)
}

// An entry is kept up to a size; beyond it the file's bytes tell, and a finding says so.
func TestLongRiskEntry(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"many labels":      "## RISK-001: x\n- Risk: LOW\n" + labels(100),
		"a label repeated": "## RISK-001: x\n- Risk: LOW\n" + strings.Repeat("- Impact: and so on and on\n", 2000),
		"one long column":  "[d] RISK-001 | INFRA | Risk: LOW | Impact: " + strings.Repeat("x", 20_000),
	} {
		file, all := entries(t, text)
		equal(t, name+": findings", codes(file.Findings), []string{"cut"})
		if kept := fields(t, all[0]); len(kept) > 50 || len(all[0].Fields) > 20_000 {
			t.Errorf("%s: %d fields, %d bytes", name, len(kept), len(all[0].Fields))
		}
	}
}
