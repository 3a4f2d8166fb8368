package cli_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"html"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

// hostileTitles try to act on a terminal, a page, a spreadsheet or whoever reads lines, as YAML writes them.
func hostileTitles() map[string]string {
	return map[string]string{
		"REQ-101": `"=cmd|' /C calc'!A0"`,
		"REQ-102": `"@SUM(1+1)*cmd|' /C calc'!A0"`,
		"REQ-103": `"+1+cmd|' /C calc'!A0"`,
		"REQ-104": `"-1-cmd|' /C calc'!A0"`,
		"REQ-105": `"\uFF1D1+1"`,
		"REQ-106": `"\t=1+1"`,
		"REQ-107": `"\r\n=1+1"`,
		"REQ-108": `"</td><script>alert(1)</script>"`,
		"REQ-109": `"</style><img src=x onerror=alert(1)>"`,
		"REQ-110": `"\" onmouseover=\"alert(1)"`,
		"REQ-111": `"Harmless\u202Egpj.exe\u2066"`,
		"REQ-112": `"{{.Policy}} <!-- --> <![CDATA["`,
		"REQ-113": `"two\nlines\u200bthree"`,
		"REQ-114": `"\",\"=1+1"`,
	}
}

// TestHostileTitlesAreOnlyTextInEveryFormatOfTheMatrix lets titles through a real file, scan, log and tables into each
// format (I13).
func TestHostileTitlesAreOnlyTextInEveryFormatOfTheMatrix(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t)
	for id, title := range hostileTitles() {
		r.requirement(id, title)
	}
	r.write(".gxp/user_stories/US-1.md", "---\ngxp_id: \"=US\"\ntitle: x\nparent_id: \"<b>REQ</b>\\u202e\"\n---\n").
		write(".gxp/specs/=SPEC.md", "---\ngxp_id: SPEC-1\ntitle: x\nparent_id: \"=US\"\nverification_tier: \"=1\"\n---\n").commit("Hostile")
	d.run("scan", r.dir, "--name", "=demo", "--actor", "tester@site", "--links", "flag").wantCode(0)
	for format, check := range map[string]func(*testing.T, string){
		"table": func(*testing.T, string) {}, "csv": checkHostileCSV, "json": checkHostileJSON, "html": checkHostilePage,
	} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			got := d.in(t).run("matrix", "--format", format).wantCode(0)
			if strings.ContainsFunc(strings.ReplaceAll(got.stdout, "\n", ""), func(c rune) bool {
				return unicode.In(c, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
			}) {
				t.Errorf("what acts on a terminal is in\n%q", got.stdout)
			}
			check(t, got.stdout)
		})
	}
	for _, command := range []string{"gaps", "gaps --format html", "gaps --format csv", "audit --format html", "search REQ-1 --format html", "search script"} {
		got := d.run(strings.Fields(command)...)
		if strings.ContainsAny(got.stdout, "\x1b\u202e\r\u2028") || len(got.stdout) == 0 {
			t.Errorf("hostile text, or none, of %s:\n%q", command, got.stdout)
		}
		if strings.HasSuffix(command, "html") {
			checkTags(t, got.stdout)
		}
	}
}

func checkHostileCSV(t *testing.T, text string) {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(records) != 1+len(hostileTitles())+2 { // REQ-001, which every repository has, and the story
		t.Fatalf("%d records, %v", len(records), err)
	}
	for _, record := range records {
		for _, cell := range record {
			if strings.IndexAny(cell, "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20") == 0 {
				t.Errorf("cell %q is a formula", cell)
			}
		}
	}
	if !strings.Contains(text, `"'=cmd|' /C calc'!A0"`) || !strings.Contains(text, `"'=US"`) || !strings.Contains(text, `"'=demo"`) {
		t.Errorf("titles are not what they were:\n%s", text)
	}
}

func checkHostileJSON(t *testing.T, text string) {
	t.Helper()
	var document struct {
		Artifacts []struct {
			GxPID string `json:"gxp_id"`
			Title string `json:"title"`
		} `json:"artifacts"`
	}
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"REQ-107": "\r\n=1+1", "REQ-108": "</td><script>alert(1)</script>", "REQ-111": "Harmless\u202egpj.exe\u2066",
	}
	for _, a := range document.Artifacts {
		if title, asked := want[a.GxPID]; asked && a.Title != title {
			t.Errorf("%s: JSON says %q, want %q", a.GxPID, a.Title, title)
		}
	}
}

func checkHostilePage(t *testing.T, text string) {
	t.Helper()
	checkTags(t, text)
	for _, part := range []string{
		`<html lang="en">`, `<th scope="col"`, `<th scope="row"`, "<caption>", "=demo: scan 1", "&lt;script&gt;alert(1)&lt;/script&gt;", "@media print",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("the page lacks %s", part)
		}
	}
}

// checkTags checks that a page holds the tags of ours alone.
func checkTags(t *testing.T, text string) {
	t.Helper()
	tags := regexp.MustCompile(`<(/?[a-zA-Z!][a-zA-Z0-9]*)([^>]*)>`)
	known := strings.Fields("!DOCTYPE html head meta title style body header h1 h2 dl dt dd main table caption thead tbody tr th td span bdi div colgroup col section p pre strong")
	for _, m := range tags.FindAllStringSubmatch(text, -1) {
		name := strings.TrimPrefix(m[1], "/")
		if !strings.Contains(" "+strings.Join(known, " ")+" ", " "+name+" ") || regexp.MustCompile(`(?i)\son\w+\s*=|src\s*=|href\s*=|style\s*=`).MatchString(m[2]) {
			t.Errorf("the page holds the tag %s", m[0])
		}
	}
	if strings.Contains(text, "{{") && !strings.Contains(text, "{{.Policy}} &lt;!--") {
		t.Error("a title was taken for a template")
	}
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(text)
	policy := regexp.MustCompile(`Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(text)
	if style == nil || policy == nil {
		t.Fatal("the page has no style or policy")
	}
	sum := sha256.Sum256([]byte(style[1]))
	want := fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'", base64.StdEncoding.EncodeToString(sum[:]))
	if got := html.UnescapeString(policy[1]); got != want {
		t.Errorf("policy is %s, want %s: a browser would not apply the style", got, want)
	}
}

// TestStreamsOfServicesWithHostileNamesAreShownAndPassedOver: their names are text without controls, which may yet turn the
// direction of writing, or look like other columns. Tables, verify and scans pass over them.
func TestStreamsOfServicesWithHostileNamesAreShownAndPassedOver(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("One")
	d.scan(r).wantCode(0)
	log, err := sqlite.Open(t.Context(), filepath.Join(d.home, "log.db"), sqlite.Options{Now: d.now})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{
		"orders  repository-1  ada", "orders\u202e\u2066", "orders\u2028x", "größe", "repository\u20111", "engine\u200b", strings.Repeat("😀", 256), "<b>=1",
	}
	for _, name := range names {
		b := eventstoretest.NewBatch(eventstore.StreamID(name), eventstore.NoStream(), "w", 0, 1)
		b.Events[0].Type = name
		if _, err := log.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	text := d.run("log").wantCode(0).stdout
	for _, want := range []string{`"orders  repository-1  ada"  "orders  repository-1  ada"`, `  orders\u202e\u2066  `, "  größe  "} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in\n%s", want, text)
		}
	}
	if strings.ContainsFunc(strings.ReplaceAll(text, "\n", ""), func(c rune) bool {
		return unicode.In(c, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
	}) {
		t.Errorf("what acts on a terminal is in\n%q", text)
	}
	for _, name := range names {
		var line struct {
			Stream string `json:"stream"`
			Type   string `json:"type"`
		}
		one := d.run("log", "--json", "--stream", name).wantCode(0).stdout
		if err := json.Unmarshal([]byte(one), &line); err != nil || line.Stream != name || line.Type != name {
			t.Errorf("the stream %q is shown as %q, %v", name, one, err)
		}
	}
	d.scan(r.requirement("REQ-9", "nine").commit("Two")).wantCode(0)
	d.run("projections", "rebuild", "--all", "--reason", "x").wantCode(0)
	if audit := d.run("audit").wantCode(0).stdout; strings.Contains(audit, "größe") {
		t.Errorf("the audit trail has events of services:\n%s", audit)
	}
	d.verify(0)
}
