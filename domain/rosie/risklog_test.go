package rosie_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

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
			`{"id":"RISK-001","date":"2026-02-05","component":"REQ-001","risk_level":"HIGH","description":"What\ngoes on","status":"In Review","test_coverage":"SPEC-1","note":"### More"}`,
			"risk.req REQ-001, risk.spec SPEC-1", "It may break", "In Review/in_review", "",
		},
		"a heading with a dash, labels in bold of every kind": {
			"##  RISK-INF-001 \u2013 Dash\n**Risk:** HIGH\n+ **Test Coverage** : SPEC-1\n* **Not closed: x\n- **1st:** y\n- url:http://x\n",
			`{"id":"RISK-INF-001","risk":"HIGH","test_coverage":"SPEC-1","note":"* **Not closed: x\n- **1st:** y\n- url:http://x"}`, "risk.spec SPEC-1", "Dash", "", "RISK-INF-001",
		},
		"a block with plain labels": {
			"## RISK-001\n* Risk: HIGH\nfree text\n- **Bold** words\n- not a label\n",
			`{"id":"RISK-001","risk":"HIGH","note":"free text\n- **Bold** words\n- not a label"}`, "", "", "", "",
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
			equal(t, "risk", showTerm(a.Risk), "HIGH/high")
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

// An example in a code block is no entry, and is not passed over without a word.
func TestRiskLogInCodeBlock(t *testing.T) {
	t.Parallel()
	file, all := entries(t, "```\n## RISK-999: example\n```\n## RISK-001: real\n- **Risk:** LOW\n~~~\n[d] RISK-998 | x\n~~~\n")
	equal(t, "entries", len(all), 1)
	equal(t, "id", all[0].GxPID, "RISK-001")
	equal(t, "findings", linesOf(file), []int{2, 7})
}

func linesOf(a domain.Artifact) []int {
	var lines []int
	for _, f := range a.Findings {
		lines = append(lines, f.Line)
	}
	return lines
}

// Behind an entry with its fields, whatever names another risk is an entry of its own or a finding on its line, and changes
// nothing about the entry before (I18).
func TestNothingVanishesIntoTheEntryBefore(t *testing.T) {
	t.Parallel()
	const first = "## RISK-001: one\n- **Risk Level:** LOW\n- **Mitigation:** none\n"
	for name, test := range map[string]struct {
		text    string
		entries string // id and risk of those behind the first
		lines   []int  // of findings, the first entry being on lines 1 to 3
	}{
		"a line without a date":       {"RISK-002 | REQ-001 | Risk: HIGH\n", "RISK-002 HIGH", []int{4}},
		"the same behind a blank":     {"\nRISK-002 | REQ-001 | Risk: HIGH\n", "RISK-002 HIGH", []int{5}},
		"a line with a date":          {"[2026-02-05] RISK-002 | REQ-001 | Risk: HIGH\n", "RISK-002 HIGH", nil},
		"an indented line":            {"  RISK-002 | REQ-001 | Risk: HIGH\n", "RISK-002 HIGH", []int{4}},
		"the third level":             {"### RISK-003: three\n- **Risk Level:** HIGH\n", "RISK-003 HIGH", nil},
		"the sixth level":             {"###### RISK-003\n- **Risk Level:** HIGH\n", "RISK-003 HIGH", nil},
		"the first level":             {"# RISK-003\n- **Risk Level:** HIGH\n", "RISK-003 HIGH", nil},
		"the first level alone":       {"# RISK-003\n", "RISK-003 ", []int{4}},
		"no blank behind the marks":   {"##RISK-004\n- **Risk Level:** HIGH\n", "", []int{4}},
		"seven marks":                 {"####### RISK-004\n- **Risk Level:** HIGH\n", "", []int{4}},
		"an id in lower case":         {"## risk-001\n- **Risk Level:** HIGH\n", "", []int{4}},
		"an id of another scheme":     {"## R-001\n- **Risk Level:** HIGH\n", "", []int{4}},
		"an id with an underscore":    {"## RISK_002: two\n- **Risk Level:** HIGH\n", "", []int{4}},
		"an id with a blank":          {"## RISK 002: two\n- **Risk Level:** HIGH\n", "", []int{4}},
		"an id with an en dash":       {"## RISK\u2013002: two\n- **Risk Level:** HIGH\n", "", []int{4}},
		"a row of a table":            {"\n| RISK | Level |\n|---|---|\n| RISK-005 | HIGH |\n", "", []int{7}},
		"a row right behind":          {"| RISK-005 | HIGH |\n", "", []int{4}},
		"a setext heading":            {"\nRISK-006: six\n---\n- **Risk Level:** HIGH\n", "RISK-006 HIGH", nil},
		"a setext heading, first":     {"\nRISK-006: six\n===\n- **Risk Level:** HIGH\n", "RISK-006 HIGH", nil},
		"an unclosed fence":           {"```\n## RISK-007: seven\n- **Risk Level:** HIGH\n", "", []int{5}},
		"a fence in a list":           {"1. ```\n## RISK-007: seven\n- **Risk Level:** HIGH\n", "RISK-007 HIGH", nil},
		"code at the start of a line": {"\n```x``` is code\n\n## RISK-007: seven\n- **Risk Level:** HIGH\n", "RISK-007 HIGH", nil},
		"three in four":               {"````\n```\n````\n## RISK-007: seven\n- **Risk Level:** HIGH\n", "RISK-007 HIGH", nil},
		"an info string at the end":   {"```\nx\n``` end\n```\n## RISK-007: seven\n- **Risk Level:** HIGH\n", "RISK-007 HIGH", nil},
		"indented code":               {"\n    ## RISK-008: eight\n", "", []int{5}},
		"a comment":                   {"<!-- RISK-008: eight -->\n", "", []int{4}},
		"a comment of lines":          {"\n<!--\n## RISK-008: eight\n- **Risk Level:** HIGH\n-->\n", "", []int{6}},
		"preformatted text":           {"\n<pre>\n## RISK-008: eight\n</pre>\n", "", []int{6}},
		"a lone CR":                   {"- **Status:** OPEN\r## RISK-009: nine\r- **Risk Level:** HIGH\r", "RISK-009 HIGH", nil},
		"in a quote":                  {"\n> ## RISK-009: nine\n", "", []int{5}},
		"an item of the list":         {"- RISK-009: nine\n", "", []int{4}},
		"a heading in the list":       {"- ## RISK-009: nine\n", "", []int{4}},
		"bold":                        {"\n**RISK-009: nine**\n\n- **Risk Level:** HIGH\n", "", []int{5}},
		"a line of its own":           {"\nRISK-009\n", "", []int{5}},
		"closing marks":               {"## RISK-010: ten ##\n- **Risk Level:** HIGH\n", "RISK-010 HIGH", nil},
		"a tab behind the marks":      {"##\tRISK-010\n- **Risk Level:** HIGH\n", "RISK-010 HIGH", nil},
		"an indented heading":         {"\n# Other\n   ## RISK-010\n- **Risk Level:** HIGH\n", "RISK-010 HIGH", nil},
		"a heading in the item":       {"   ## RISK-010\n- **Risk Level:** HIGH\n", "", []int{4}},
		"a linked id":                 {"## [RISK-010](x.md): ten\n- **Risk Level:** HIGH\n", "RISK-010 HIGH", nil},
		"an emphasised id":            {"## **RISK-010**: ten\n- **Risk Level:** HIGH\n", "RISK-010 HIGH", nil},
		"words behind the id":         {"## RISK-010 and others\n- **Risk Level:** HIGH\n", "", []int{4}},
		"another section":             {"## Other\n\nSee RISK-011.\n", "", []int{6}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, all := entries(t, first+test.text)
			equal(t, "the entry before", all[0].GxPID+" "+showTerm(all[0].Risk)+" "+fmt.Sprint(fields(t, all[0])["mitigation"]), "RISK-001 LOW/low none")
			var got []string
			for _, a := range all[1:] {
				got = append(got, a.GxPID+" "+raw(a.Risk))
			}
			equal(t, "entries", strings.Join(got, ", "), test.entries)
			equal(t, "lines of findings", linesOf(file), test.lines)
		})
	}
}

// A rating is one line; what is below it, in its list item or behind it, is not part of it.
func TestAValueEndsWithItsItem(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, risk, fields string }{
		"prose behind a blank":   {"- **Risk Level:** HIGH\n\nProse below.\n", "HIGH", `{"id":"RISK-001","risk_level":"HIGH","note":"Prose below."}`},
		"prose right below":      {"- **Risk Level:** HIGH\nProse below.\n", "HIGH", `{"id":"RISK-001","risk_level":"HIGH","note":"Prose below."}`},
		"an indented line":       {"- **Risk Level:** HIGH\n  because of x\n", "HIGH", `{"id":"RISK-001","risk_level":"HIGH","note":"because of x"}`},
		"a paragraph":            {"**Risk Level:** HIGH\nand more\n", "HIGH", `{"id":"RISK-001","risk_level":"HIGH","note":"and more"}`},
		"emphasis":               {"- **Risk Level:** **HIGH**\n", "HIGH", `{"id":"RISK-001","risk_level":"**HIGH**"}`},
		"another value goes on":  {"- **Risk:** HIGH\n- **Impact:** a\n  b\n\n  c\n- d\n\ne\n", "HIGH", `{"id":"RISK-001","risk":"HIGH","impact":"a\nb\nc","note":"- d\ne"}`},
		"a related risk":         {"- **Risk:** HIGH\n- **Related:**\n  - RISK-002\n  - RISK-003: x\n", "HIGH", `{"id":"RISK-001","risk":"HIGH","related":"- RISK-002\n- RISK-003: x"}`},
		"code":                   {"- **Risk:** HIGH\n\n```\n- **Risk:** LOW\n```\n", "HIGH", `{"id":"RISK-001","risk":"HIGH","note":"- **Risk:** LOW"}`},
		"a comment":              {"<!--\n- **Risk:** LOW\n-->\n\n- **Risk:** HIGH\n", "HIGH", `{"id":"RISK-001","risk":"HIGH"}`},
		"twice the same":         {"- **Risk:** HIGH\n- **Risk Level:** high\n", "HIGH", `{"id":"RISK-001","risk":"HIGH","risk_level":"high"}`},
		"two that differ":        {"- **Risk:** LOW\n- **Risk:** HIGH\n", "", `{"id":"RISK-001","risk":"LOW\nHIGH"}`},
		"two under other labels": {"- **Risk:** LOW\n- **Risk Level:** HIGH\n", "", `{"id":"RISK-001","risk":"LOW","risk_level":"HIGH"}`},
		"none":                   {"- **Risk:**\n", "", `{"id":"RISK-001","risk":""}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, all := entries(t, "## RISK-001\n"+test.text)
			equal(t, "entries", len(all), 1)
			equal(t, "risk", raw(all[0].Risk), test.risk)
			equal(t, "fields", string(all[0].Fields), test.fields)
			equal(t, "findings", len(file.Findings), map[bool]int{true: 1, false: 0}[test.risk == ""])
		})
	}
}

// For any log: each line that names a risk is part of an entry, which holds the name, or has a finding (I18).
func TestPropertyEveryNamedRiskIsInAnEntryOrAFinding(t *testing.T) {
	t.Parallel()
	names := []string{"RISK-001", "RISK-002", "RISK-INF-003", "RISK_004", "RISK 005", "risk-006", "R-007", "Risk-8", "RISK-9A"}
	frames := []string{
		"## %s: t", "# %s", "### %s", "##%s", "####### %s", "%s | REQ-1 | Risk: HIGH", "[2026-01-01] %s | REQ-1 | Risk: LOW | Impact: %s", "| %s | HIGH |",
		"- **Mitigation:** see %s", "- %s", "- %s: x", "  %s goes on", "%s goes on", "%s", "see %s.", "> %s", "1. ```\n%s", "```\n%s", "~~~~ %s", "    %s",
		"\t%s", "<!-- %s -->", "<!--\n%s", "<pre>\n%s", "-->", "```", "~~~~", "</pre>", "%s\n---", "%s\n===", "", "", "- **Risk:** HIGH", "* * *", "`%s`", "**%s**: x",
		"[%s]: x", "[x]: y '%s'", "![%s](x)", "## [%s](x): t", "- ## %s: t", "\\%s", "- **Note:** a\n  - %s\n\n      %s", "# Notes on %s", "text\r%s\rmore", "## a\rb %s",
	}
	rapid.Check(t, func(rt *rapid.T) {
		var lines []string
		for range rapid.IntRange(1, 12).Draw(rt, "lines") {
			line := rapid.SampledFrom(frames).Draw(rt, "frame")
			for strings.Contains(line, "%s") {
				line = strings.Replace(line, "%s", rapid.SampledFrom(names).Draw(rt, "name"), 1)
			}
			lines = append(lines, line)
		}
		text := strings.Join(lines, rapid.SampledFrom([]string{"\n", "\n", "\r\n", "\n\n", "\r"}).Draw(rt, "end")) + "\n"
		tree, err := rosie.Read(t.Context(), files{logPath: text}.fs(), rosie.Options{})
		if err != nil {
			rt.Fatal(err)
		}
		f := tree.Files[slices.IndexFunc(tree.Files, func(f domain.File) bool { return f.Path == logPath })]
		if f.Rejected != nil {
			return // the whole log has a word
		}
		kept := ""
		for _, a := range f.Artifacts[1:] {
			kept += a.Title + " " + strings.Join(strings.Fields(string(a.Fields)), " ") + "\n"
		}
		noted := linesOf(f.Artifacts[0])
		for i, line := range strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "\n") {
			for _, name := range names {
				if strings.Contains(line, name) && !strings.Contains(kept, name) && !slices.Contains(noted, i+1) {
					rt.Fatalf("line %d names %s, and no entry nor finding does:\n%s", i+1, name, text)
				}
			}
		}
	})
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
