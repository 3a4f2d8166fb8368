package rosie_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
)

// An id that does not show all that it holds gets a finding, as a gxp_id and as the target of a link.
func TestOddIDsGetAFinding(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]string{
		"a blank behind": "A19 ", "a blank before": " A19", "NBSP": "A\u00a019", "NBSP behind": "A19\u00a0", "a line end": "A19\n",
		"a tab": "A\t19", "two blanks": "A  19", "an ideographic space": "A\u300019", "from parts": "A\u030a19", "only a blank": " ",
		"U+200B": "A\u200b19", "U+202E": "A\u202e19", "U+034F": "A\u034f19", "U+FE0F": "A\ufe0f19", "U+2800": "A\u280019",
		"U+00AD": "A\u00ad19", "U+3164": "A\u316419", "U+200D": "A\u200d19", "U+E0041": "A\U000e004119", "U+E0100": "A\U000e010019", "U+2060": "A\u206019",
	} {
		checkOddID(t, name, id, domain.FindingOddID, domain.FindingOddID)
	}
	for _, id := range []string{"A19", "REQ-001", "REQ 001", "Ångström-1", "監査ログ-1", "نیاز-۱", "आवश्यकता", "REQ_1.2/3", "😀"} {
		checkOddID(t, id, id)
	}
}

func checkOddID(t *testing.T, name, id string, want ...string) {
	t.Helper()
	quoted := yamlQuoted(id)
	a := readOne(t, specPath, "---\ngxp_id: "+quoted+"\ntitle: T\ntier: OQ\nparent_id: [US-1, "+quoted+"]\n---\n")
	equal(t, name+": kept as it is", a.GxPID, id)
	equal(t, name+": link", a.Links[len(a.Links)-1].Target, id)
	equal(t, name+": findings", codes(a.Findings), want)
	for _, f := range a.Findings {
		if strings.ContainsFunc(f.Text, func(r rune) bool { return r > '~' || r < ' ' }) {
			t.Errorf("%s: the finding %q shows the character itself", name, f.Text)
		}
	}
}

// yamlQuoted writes a text as YAML and JSON both read it.
func yamlQuoted(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r > 0xffff:
			fmt.Fprintf(&b, "%c", r)
		case r < ' ' || r > '~':
			fmt.Fprintf(&b, "\\u%04x", r)
		default:
			b.WriteRune(r)
		}
	}
	return `"` + b.String() + `"`
}

// Block scalars keep their line end, and evidence is held to the same rule.
func TestOddIDsInOtherForms(t *testing.T) {
	t.Parallel()
	a := readOne(t, reqPath, "---\ngxp_id: |\n  REQ-1\ntitle: T\nrisk: LOW\nparent_id: >\n  REQ-2\n---\n")
	equal(t, "block scalars", codes(a.Findings), []string{"odd_id", "odd_id"})
	s := newSigner(t)
	options := s.options()
	single := artifact(t, read(t, files{jwsPath: s.sign(t, `{"gxp_id":"EV\u200b-1","spec_id":"SPEC-1 ","test_results":{"passed":1,"failed":0}}`)}.fs(), options), jwsPath)
	equal(t, "evidence", codes(single.Findings)[:2], []string{"odd_id", "odd_id"})
	equal(t, "the name of a file", codes(readOne(t, ".gxp/adr/e\u0301.md", "# T\n## Status\nAccepted\n").Findings), []string{"odd_id"})
}

// Every character of Unicode: an id with it in the middle has a finding just when it does not show (I17).
func TestEveryInvisibleCharacterInAnIDIsFound(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("---\ngxp_id: S\ntitle: T\ntier: OQ\nparent_id:\n")
	var all []rune
	for r := rune(0xa0); r < 0xe1000; r++ {
		if unicode.In(r, unicode.Cf, unicode.Zs, unicode.Co, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) &&
			r != 0xfeff && (r < 0xe000 || r >= 0xf8f0) && (r <= 0xe0200 || r >= 0xe0ff0) && r < 0xf0000 {
			all = append(all, r)
			fmt.Fprintf(&text, "  - \"A%cB\"\n", r)
		}
	}
	text.WriteString("---\n")
	a := readOne(t, specPath, text.String())
	if len(all) < 500 || len(a.Findings) != len(all) {
		t.Errorf("%d findings for %d characters", len(a.Findings), len(all))
	}
}

// What a link field holds and no link is made of gets a finding each.
func TestEveryItemOfALinkFieldIsALinkOrAFinding(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	const twice = " bad_link" + " bad_link"
	for list, want := range map[string]string{
		`["REQ-1", ["REQ-404"], null]`: "REQ-1" + twice,
		`[]`:                           "",
		`null`:                         "",
		`""`:                           "bad_link",
		`["", "REQ-1"]`:                "REQ-1 bad_link",
		`[[], [["REQ-1"]], 1, true]`:   "1 true" + twice,
		`{"a": "REQ-1"}`:               "bad_link",
		`[{"a": "REQ-1"}, "REQ-2"]`:    "REQ-2 list_item",
	} {
		a := readOne(t, reqPath, "---\ngxp_id: R\ntitle: T\nrisk: LOW\nparent_id: "+list+"\n---\n")
		equal(t, "YAML "+list, outcome(a), want)
		for _, f := range a.Findings {
			equal(t, list+": line", f.Line, 5)
		}
		single := artifact(t, read(t, files{jwsPath: s.sign(t, `{"gxp_id":"EV","spec_id":`+list+`,"test_results":{"passed":1,"failed":0}}`)}.fs(), s.options()), jwsPath)
		single.Findings = onlyOf(single.Findings, domain.FindingBadLink)
		equal(t, "JSON "+list, outcome(single), strings.ReplaceAll(want, "list_item", "bad_link"))
	}
}

func onlyOf(findings []domain.Finding, code string) []domain.Finding {
	var kept []domain.Finding
	for _, f := range findings {
		if f.Code == code {
			kept = append(kept, f)
		}
	}
	return kept
}

func outcome(a domain.Artifact) string {
	var all []string
	for _, l := range a.Links {
		all = append(all, l.Target)
	}
	return strings.Join(append(all, codes(a.Findings)...), " ")
}

// Ids and targets are compared whole or not at all (I17): two that differ after the limit are two, and none is the id that
// they begin with.
func TestLongIDsAreNeverCompared(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	start := strings.Repeat("x", 200)
	head := "---\ntitle: T\nrisk: LOW\ntier: OQ\ngxp_id: "
	repository := files{
		".gxp/requirements/a.md":       head + start + "\n---\n",
		".gxp/requirements/b.md":       head + start + "1\n---\n",
		".gxp/requirements/c.md":       head + start + "2\nparent_id: [" + start + "1, " + start + "2, " + start + "]\n---\n",
		".gxp/adr/" + start + "1.md":   "# T\n## Status\nAccepted\n",
		jwsPath:                        s.sign(t, `{"gxp_id":"`+start+`1","spec_id":"`+start+`1"}`),
		packagePath + "/metadata.json": `{"package_id":"` + start + `1","spec_id":"` + start + `1"}`,
		logPath:                        "[d] RISK-" + start + "1 | REQ-" + start + "1 | Risk: LOW\n[d] RISK-" + start + "2 | REQ-" + start + "2 | Risk: LOW\n",
	}
	tree := read(t, repository.fs(), s.options())
	equal(t, "just short enough", artifact(t, tree, ".gxp/requirements/a.md").GxPID, start)
	for _, f := range tree.Files {
		for _, a := range f.Artifacts {
			if strings.HasSuffix(f.Path, "/a.md") || a.Kind == domain.KindRiskLog || f.Path == contextPath {
				continue
			}
			equal(t, a.String()+": id", a.GxPID, "")
			equal(t, a.String()+": findings", len(onlyOf(a.Findings, domain.FindingIDTooLong)), 1)
			for _, l := range a.Links {
				if l.Target == start {
					continue
				}
				if len([]rune(l.Target)) <= 200 || !strings.Contains(l.Target, "… sha256:") {
					t.Errorf("%s: the target %q could be an id", a.Key, l.Target)
				}
			}
		}
	}
	equal(t, "links that differ late", len(artifact(t, tree, ".gxp/requirements/c.md").Links), 3)
	equal(t, "an id twice", len(onlyOf(unit(t, tree, logPath).Artifacts[0].Findings, domain.FindingRepeated)), 0)
}

// Of two texts, in whatever field, what is kept is equal only when they are.
func TestPropertyWhatIsCutEqualsNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		start := strings.Repeat("é", rapid.IntRange(95, 210).Draw(rt, "runes"))
		one, two := start+rapid.StringMatching(`[a-c…]{0,3}`).Draw(rt, "one"), start+rapid.StringMatching(`[a-c…]{0,3}`).Draw(rt, "two")
		read := func(text string) domain.Artifact {
			tree, err := rosie.Read(t.Context(), files{specPath: "---\ngxp_id: " + strconv.Quote(text) + "\nparent_id: " + strconv.Quote(text) + "\n---\n"}.fs(), rosie.Options{})
			if err != nil {
				rt.Fatal(err)
			}
			for _, f := range tree.Files {
				if f.Path == specPath {
					return f.Artifacts[0]
				}
			}
			rt.Fatal("not read")
			return domain.Artifact{}
		}
		a, b := read(one), read(two)
		if (a.Links[0] == b.Links[0]) != (one == two) {
			rt.Fatalf("the links of %q and %q are %q and %q", one, two, a.Links[0].Target, b.Links[0].Target)
		}
		if a.GxPID != "" && (a.GxPID == b.GxPID) != (one == two) || a.GxPID != "" && a.GxPID != one || one != two && a.GxPID == b.Links[0].Target {
			rt.Fatalf("the ids of %q and %q are %q and %q", one, two, a.GxPID, b.GxPID)
		}
	})
}
