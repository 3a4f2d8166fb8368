package rosie_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/gxpledger/gxpledger/domain"
)

// example is a Markdown text and the HTML that it must become, of a published suite.
type example struct {
	Markdown string `json:"markdown"`
	HTML     string `json:"html"`
	Example  int    `json:"example"`
}

// suites are the examples of the CommonMark specification and of GitHub's tables, strikethrough and task lists, as goldmark's
// module carries them.
func suites(t *testing.T) map[string]example {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/yuin/goldmark").Output()
	if err != nil {
		t.Fatalf("find goldmark: %v", err)
	}
	dir := strings.TrimSpace(string(out))
	data, err := os.ReadFile(filepath.Join(dir, "_test", "spec.json"))
	if err != nil {
		t.Fatal(err)
	}
	var spec []example
	if err := json.Unmarshal(data, &spec); err != nil {
		t.Fatal(err)
	}
	all := make(map[string]example)
	for _, e := range spec {
		all[fmt.Sprintf("CommonMark %d", e.Example)] = e
	}
	for _, name := range []string{"table", "strikethrough", "tasklist"} {
		data, err := os.ReadFile(filepath.Join(dir, "extension", "_test", name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		for i, part := range strings.Split(string(data), "//= = =") {
			pieces := strings.Split(part, "//- - -")
			if len(pieces) == 3 {
				text := func(piece string) string {
					_, rest, _ := strings.Cut(piece, "\n")
					return rest
				}
				all[fmt.Sprintf("%s %d", name, i+1)] = example{Markdown: text(pieces[1]), HTML: text(pieces[2])}
			}
		}
	}
	if len(all) < 670 {
		t.Fatalf("only %d examples: the suites are not where they were", len(all))
	}
	return all
}

// rendered is the top of a page that a suite expects.
func rendered(t *testing.T, text string) []*html.Node {
	t.Helper()
	page, err := html.Parse(strings.NewReader("<!doctype html><html><body>" + text))
	if err != nil {
		t.Fatal(err)
	}
	var top []*html.Node
	for node := page.LastChild.LastChild.FirstChild; node != nil; node = node.NextSibling {
		top = append(top, node)
	}
	return top
}

func textOf(node *html.Node) string {
	if node.Type == html.TextNode {
		return node.Data
	}
	all := ""
	for child := node.FirstChild; child != nil; child = child.NextSibling {
		all += textOf(child)
	}
	return all
}

// shown is a text as one line.
func shown(text string) string {
	return strings.Trim(strings.ReplaceAll(strings.Trim(text, " \n"), "\n", " "), " ")
}

var (
	rawHeading = regexp.MustCompile(`(?i)<h[1-6]|<p|<li|<div|<td|<table|<del|<ins|<a|<[a-z]`)
	headingTag = regexp.MustCompile(`^h[1-6]$`)
)

// Titles are the first heading of the first level that the published rendering of each example shows.
func TestTitlesAgreeWithTheCommonMarkAndGFMSuites(t *testing.T) {
	t.Parallel()
	titled := 0
	for name, e := range suites(t) {
		want := ""
		for _, node := range rendered(t, e.HTML) {
			if node.Data == "h1" && want == "" && !strings.Contains(strings.ToLower(e.Markdown), "<h1") {
				want = shown(textOf(node))
			}
		}
		if want != "" {
			titled++
		}
		for ends, text := range map[string]string{"LF": e.Markdown, "CRLF": strings.ReplaceAll(e.Markdown, "\n", "\r\n"), "CR": strings.ReplaceAll(e.Markdown, "\n", "\r")} {
			a := readOne(t, reqPath, "---\ngxp_id: R\n---\n"+text)
			equal(t, fmt.Sprintf("%s with %s: %q", name, ends, e.Markdown), a.Title, want)
		}
	}
	if titled < 18 {
		t.Errorf("only %d examples have a title", titled)
	}
}

// States are the first line of text below the heading, by the published rendering of each example.
func TestStatesAgreeWithTheCommonMarkSuite(t *testing.T) {
	t.Parallel()
	compared := 0
	for name, e := range suites(t) {
		if rawHeading.MatchString(e.Markdown) || strings.Contains(e.Markdown, "<!") || !strings.HasPrefix(name, "CommonMark") {
			continue // the rendering does not tell what is Markdown and what HTML; rows of tables and struck text are text to us
		}
		compared++
		want := ""
		for _, node := range rendered(t, e.HTML) {
			if headingTag.MatchString(node.Data) {
				break
			}
			if want = firstLineOf(node); want != "" {
				break
			}
		}
		a := readOne(t, ".gxp/adr/ADR-1.md", "# T\n\n## Status\n\n"+e.Markdown)
		equal(t, fmt.Sprintf("%s: %q", name, e.Markdown), raw(a.Status), cutTerm(want))
	}
	if compared < 400 {
		t.Errorf("only %d examples were compared", compared)
	}
}

func cutTerm(s string) string {
	if runes := []rune(s); len(runes) > 100 {
		return string(runes[:99]) + "…"
	}
	return s
}

// firstLineOf is the first line of a paragraph or list item below a node. Code and headings have none.
func firstLineOf(node *html.Node) string {
	if node.Data == "pre" || headingTag.MatchString(node.Data) {
		return ""
	}
	if node.Data == "p" || node.Data == "li" {
		own := ""
		for child := node.FirstChild; child != nil; child = child.NextSibling {
			if headingTag.MatchString(child.Data) {
				continue
			}
			if slices.Contains([]string{"p", "ul", "ol", "blockquote", "pre", "hr"}, child.Data) {
				break
			}
			own += textOf(child)
		}
		for line := range strings.Lines(own) {
			if line = strings.TrimSpace(line); line != "" {
				return line
			}
		}
	}
	for child := node.FirstChild; child != nil; child = child.NextSibling {
		if line := firstLineOf(child); line != "" {
			return line
		}
	}
	return ""
}

// The entries of a risk log are the headings that the published rendering shows, with the ids put in for a word of the
// examples; every other mention is a finding.
func TestRiskHeadingsAgreeWithTheCommonMarkSuite(t *testing.T) {
	t.Parallel()
	word := regexp.MustCompile(`(?i)\bfoo\b`)
	with := 0
	for name, e := range suites(t) {
		if n := len(word.FindAllString(e.Markdown, -1)); n == 0 || n != len(word.FindAllString(e.HTML, -1)) || rawHeading.MatchString(e.Markdown) || !strings.HasPrefix(name, "CommonMark") {
			continue
		}
		text := "## RISK-001: first\n- **Risk:** LOW\n\n# Other\n\n" + numberedIDs(word, e.Markdown)
		want := 0
		for _, node := range rendered(t, numberedIDs(word, e.HTML)) {
			if headingTag.MatchString(node.Data) && regexp.MustCompile(`^RISK-\d+($|\s*[:–—-])`).MatchString(shown(textOf(node))) {
				want++
			}
		}
		with += want
		_, all := entries(t, text)
		equal(t, fmt.Sprintf("%s: %q", name, text), len(all)-1, want)
	}
	if with < 15 {
		t.Errorf("only %d headings", with)
	}
}

// numberedIDs puts the ids RISK-002, RISK-003 and so on in the place of a word.
func numberedIDs(word *regexp.Regexp, text string) string {
	n := 1
	return word.ReplaceAllStringFunc(text, func(string) string {
		n++
		return fmt.Sprintf("RISK-%03d", n)
	})
}

// What GitHub takes for no heading gives no title, what it takes for one does.
func TestTitlesComeFromHeadingsAlone(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"# T ##\n": "T", "#\tT\n": "T", "T\n===\n": "T", "T\nU\n=\n": "T U", "   # T\n": "T", "# `a` *b* \\*c\\* &amp; [d](e)\n": "a b *c* & d",
		"# T <!-- draft -->\n": "T", "#\n# T\n": "T", "#T\n": "", "####### T\n": "", "    # T\n": "", "\t# T\n": "", "<!--\n# T\n-->\n": "",
		"<!-- # T -->\n": "", "<pre>\n# T\n</pre>\n": "", "<h1>T</h1>\n": "", "<div>\n# T\n</div>\n": "", "```\n# T\n```\n": "", "~~~\n# T\n": "",
		"1. ```\n# T\n": "T", "````\n```\n````\n# T\n": "T", "```\n``` x\n# no\n```\n# T\n": "T", "```x``` y\n# T\n": "T", "> # T\n": "", "- # T\n": "",
		"# T\r## x\r": "T", "| a |\n|---|\n===\n": "", "| a | b |\n===\n": "| a | b |", "[a]: b\nT\n===\n": "T",
	} {
		equal(t, text, readOne(t, reqPath, "---\ngxp_id: R\n---\n"+text).Title, want)
	}
	for text, want := range map[string]string{
		"## Status\nAccepted\n": "Accepted", "Status\n---\nAccepted\n": "Accepted", "## Status ##\n* Accepted\n": "Accepted", "## **Status**\n**Accepted**\n": "Accepted",
		"## Status\n<!-- Draft -->\nAccepted\n": "Accepted", "## Status\n<!-- Draft -->\n\nAccepted\n": "Accepted", "## Status\n    Draft\n\nAccepted\n": "Accepted",
		"## Status\n```\nDraft\n```\nAccepted\n": "Accepted", "####### Status\nAccepted\n": "", "<!--\n## Status\nDraft\n-->\n": "", "    ## Status\n    Draft\n": "",
		"## Status\n## Next\nText\n": "", "## Status\nAccepted\nsince May\n": "Accepted", "<pre>\n## Status\nDraft\n</pre>\n": "",
	} {
		equal(t, text, raw(readOne(t, ".gxp/adr/ADR-1.md", "# T\n\n"+text).Status), want)
	}
	a := readOne(t, ".gxp/adr/ADR-1.md", "# T\n## Status\n- "+strings.Repeat("x", 101)+"\n")
	equal(t, "a long state", codes(a.Findings), []string{domain.FindingCut})
}
