package cli_test

import (
	"encoding/csv"
	"encoding/json"
	"html"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/cli"
)

// answers are the commands that answer from what scans recorded, with what they are asked in the sweep. A command that is
// neither here nor in notAnswers fails the sweep: see TestEveryCommandIsSweptOrNoAnswer.
func answers() map[string][]string {
	return map[string][]string{
		"scans":           {"scans", "scans --failed"},
		"repository list": {"repository list"},
		"repository show": {"repository show demo"},
		"keys list":       {"keys list"},
		"show": {
			"show requirements", "show requirement REQ-001", "show context", "show stories", "show specs", "show evidence", "show risks",
			"show documents", "show adr", "show vendor", "show links", "show findings", "show rejected", "show ignored",
		},
		"history": {"history REQ-001", "history REQ-001 --format csv", "history REQ-001 --format html"},
		"diff":    {"diff scan:1 scan:2", "diff scan:1 scan:2 --format html"},
		"gaps":    {"gaps", "gaps --fail-on failed", "gaps --retired", "gaps --format csv", "gaps --format html"},
		"search":  {"search first", "search first --format csv", "search first --format html"},
		"matrix":  {"matrix", "matrix --format csv", "matrix --format html"},
		"replay":  {"replay --follow-scans"},
		"audit":   {"audit", "audit --limit 1", "audit --format html"},
		"content": {"content .gxp/requirements/REQ-001.md"},
		"log":     {"log", "log --backwards --limit 1"},
	}
}

// notAnswers are the commands that say nothing about the artifacts of repositories, and why.
func notAnswers() map[string]string {
	return map[string]string{
		"scan":                "says itself what it recorded",
		"check":               "of a revision that it reads itself",
		"init":                "of a revision that it reads itself",
		"new":                 "writes a file",
		"repository":          "chooses a command",
		"keys":                "chooses a command",
		"keys trust":          "says itself what it recorded",
		"keys revoke":         "says itself what it recorded",
		"relay":               "chooses a command",
		"relay add":           "says itself what it recorded",
		"relay retry":         "says itself what it recorded",
		"relay skip":          "says itself what it recorded",
		"relay redeliver":     "says itself what it recorded",
		"relay remove":        "says itself what it recorded",
		"relay run":           "of relays, and of no artifact",
		"relay status":        "of relays, and of no artifact",
		"repository add":      "says itself what it recorded",
		"repository set":      "says itself what it recorded",
		"repository rename":   "says itself what it recorded",
		"repository retire":   "says itself what it recorded",
		"completion":          "of shells",
		"manual":              "of the commands",
		"migrate":             "of schemas",
		"migrate up":          "of schemas",
		"migrate plan":        "of schemas",
		"migrate status":      "of schemas",
		"export":              "writes a folder, whose documents are those of others",
		"serve":               "of health and metrics",
		"config":              "chooses a command",
		"config print":        "of settings",
		"config schema":       "of settings",
		"contract":            "chooses a command",
		"contract list":       "of the binary",
		"contract show":       "of the binary",
		"backup":              "chooses a command",
		"backup create":       "of the log",
		"backup verify":       "of the log",
		"backup restore":      "of the log",
		"doctor":              "of this machine",
		"version":             "of the binary",
		"help":                "of commands",
		"log copy":            "of two logs",
		"projections":         "chooses a command",
		"projections status":  "of builds",
		"projections builds":  "of builds",
		"projections run":     "of builds",
		"projections rebuild": "of builds",
		"projections cancel":  "of builds",
		"projections pause":   "of builds",
		"projections resume":  "of builds",
		"projections skip":    "of builds",
		"projections prune":   "of builds",
		"verify":              "of the log and the tables",
	}
}

func TestEveryCommandIsSweptOrNoAnswer(t *testing.T) {
	t.Parallel()
	var walk func(prefix string, cmd *cobra.Command)
	seen := map[string]bool{}
	walk = func(prefix string, cmd *cobra.Command) {
		for _, c := range cmd.Commands() {
			name := strings.TrimSpace(prefix + " " + c.Name())
			seen[name] = true
			_, swept := answers()[name]
			_, excused := notAnswers()[name]
			if swept == excused {
				t.Errorf("the command %q is to be in answers or in notAnswers", name)
			}
			walk(name, c)
		}
	}
	walk("", cli.NewRoot())
	for _, name := range slices.Concat(slices.Collect(maps.Keys(answers())), slices.Collect(maps.Keys(notAnswers()))) {
		if !seen[name] && name != "help" {
			t.Errorf("there is no command %q", name)
		}
	}
	for name, asked := range answers() {
		for _, subject := range subjectsOfShow(t) {
			if name == "show" && !slices.Contains(asked, "show "+subject) {
				t.Errorf("show %s is not swept", subject)
			}
		}
	}
}

// subjectsOfShow reads from its help what show shows.
func subjectsOfShow(t *testing.T) []string {
	t.Helper()
	help := newFixture(t).run("show", "--help").wantCode(0).stdout
	match := regexp.MustCompile(`(?s)KIND is one of\n(.*?)\.\n`).FindStringSubmatch(help)
	if match == nil {
		t.Fatalf("help of show names no kinds:\n%s", help)
	}
	return strings.Split(strings.ReplaceAll(match[1], "\n", " "), ", ")
}

// world is a small log, and what its head is to say.
type world struct {
	fixture *fixture
	tree    string // of the only repository, or of the first
	since   string // "" when its last scan completed
	dirty   bool
	scan    int
	never   bool // no scan completed: gaps and matrix end with 1, and what names an artifact finds none
}

// worlds are what the sweep goes over.
func worlds(t *testing.T) map[string]world {
	t.Helper()
	refused := newFixture(t)
	r := newRepo(t).commit("One")
	refused.scan(r).wantCode(0)
	first := r.git("rev-parse", "--short=12", "HEAD")
	refused.scan(r.requirement("REQ-002", "Two").commit("Two"), "--links", "flag").wantCode(0)
	second := r.git("rev-parse", "--short=12", "HEAD")
	refused.scan(r.story("US-001", "REQ-404").commit("Three")).wantCode(1)
	refused.scan(r).wantCode(1)

	dirty := newFixture(t)
	w := newRepo(t).commit("One")
	dirty.scan(w).wantCode(0)
	dirty.scan(w.requirement("REQ-002", "Not committed"), "--worktree").wantCode(0)

	never := newFixture(t)
	n := newRepo(t).story("US-001", "REQ-404").commit("Broken")
	never.scan(n).wantCode(1)

	good := newFixture(t)
	g := newRepo(t).commit("One")
	good.scan(g).wantCode(0)
	good.scan(g).wantCode(0)
	return map[string]world{
		"good":    {fixture: good, scan: 2, tree: "commit " + g.git("rev-parse", "--short=12", "HEAD")},
		"refused": {fixture: refused, scan: 2, tree: "commit " + second, since: "scans 3 to 4 were refused since: see gxpledger scans"},
		"dirty":   {fixture: dirty, scan: 2, tree: "work tree, changed since commit " + w.git("rev-parse", "--short=12", "HEAD"), dirty: true},
		"never":   {fixture: never, since: "scan 1 was refused: see gxpledger scans", never: true},
		"as of":   {fixture: asOf(refused), scan: 1, tree: "commit " + first},
	}
}

// asOf is the same fixture, whose questions are about the first scan.
func asOf(d *fixture) *fixture {
	other := *d
	other.env = map[string]string{"as-of": "scan:1"}
	return &other
}

// TestEveryAnswerNamesWhatItShows is I16: every command, each of its formats, over worlds in which it matters.
func TestEveryAnswerNamesWhatItShows(t *testing.T) {
	t.Parallel()
	for name, w := range worlds(t) {
		for _, command := range slices.Concat(slices.Collect(maps.Values(answers()))...) {
			args := strings.Fields(command)
			if w.fixture.env["as-of"] != "" {
				if args[0] == "diff" || args[0] == "replay" || args[0] == "log" {
					continue // they name points of their own
				}
				args = append(args, "--as-of", w.fixture.env["as-of"])
			}
			if w.never && slices.Contains([]string{"history", "diff", "content"}, args[0]) || w.never && len(args) == 3 && args[0] == "show" {
				continue // there is nothing of that name
			}
			t.Run(name+"/"+command, func(t *testing.T) {
				t.Parallel()
				d := w.fixture.in(t)
				got := d.run(args...)
				if w.never && (args[0] == "gaps" || args[0] == "matrix") {
					got.wantCode(1).says(`no scan of "demo" completed`)
					if got.stdout != "" {
						t.Errorf("an answer about nothing:\n%s", got.stdout)
					}
					return
				}
				w.checkText(t, args, got)
				if !slices.Contains(args, "--format") {
					w.checkJSON(t, d.run(append(args, "--json")...))
				}
				if want := w.exitOf(args); got.code != want {
					t.Errorf("exit code %d, want %d\n%s%s", got.code, want, got.stdout, got.stderr)
				}
			})
		}
	}
}

// exitOf is the exit code of a command. REQ-001 is a gap in every world, and nothing of any failed.
func (w world) exitOf(args []string) int {
	if args[0] == "gaps" && (w.since != "" || !slices.Contains(args, "--fail-on")) {
		return 3
	}
	return 0
}

func (w world) checkText(t *testing.T, args []string, got result) {
	t.Helper()
	text, format := got.stdout, args[len(args)-1]
	switch {
	case slices.Contains(args, "csv"):
		format = "csv"
	case slices.Contains(args, "html"):
		format = "html"
	case args[0] == "log" || args[0] == "content":
		text = got.stderr
	}
	switch format {
	case "csv":
		if w.scan > 0 { // else there is no row
			w.checkCSV(t, text)
		}
		text = got.stderr
	case "html":
		text = html.UnescapeString(text)
		parts := []string{"demo: no completed scan", w.since}
		if w.scan > 0 {
			parts = []string{"demo: scan ", strings.Join(strings.Fields(w.tree)[:len(strings.Fields(w.tree))-1], " "), w.since}
		}
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("the page does not say %q:\n%s", part, text[:min(len(text), 4000)])
			}
		}
		if strings.Contains(text, "the last scan that was recorded") {
			t.Errorf("the page says that it shows the last scan")
		}
		text = got.stderr
	}
	head := "demo: no completed scan"
	if w.scan > 0 {
		head = regexp.MustCompile(`demo: scan (\d+), recorded at \S+, `).FindString(text) + w.tree
	}
	if w.since != "" {
		head += "; " + w.since
	}
	lines := strings.Split(text, "\n")
	if strings.HasPrefix(lines[0], "As of ") {
		lines = lines[1:]
	}
	if lines[0] != head || w.scan > 0 && !strings.HasPrefix(head, "demo: scan "+string(rune('0'+w.scan))+",") {
		t.Errorf("it begins with %q, want %q (scan %d)\n%s%s", lines[0], head, w.scan, got.stdout, got.stderr)
	}
}

func (w world) checkCSV(t *testing.T, text string) {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) < 2 {
		t.Fatalf("%v in:\n%s", err, text)
	}
	at := func(row []string, column string) string { return row[slices.Index(rows[0], column)] }
	for _, row := range rows[1:] {
		since, _, _ := strings.Cut(w.since, " were")
		if tree, _, _ := strings.Cut(w.tree, " commit "); at(row, "repository") != "demo" || at(row, "scan") != string(rune('0'+w.scan)) || at(row, "not_completed_since") != since ||
			at(row, "scan_recorded_at") == "" || at(row, "commit") == "" || !strings.HasPrefix(tree, at(row, "tree")) {
			t.Errorf("the row begins with %q, want scan %d, %s, %q", row[:9], w.scan, w.tree, since)
		}
	}
}

func (w world) checkJSON(t *testing.T, got result) {
	t.Helper()
	if strings.HasPrefix(got.args[0], "log") { // lines of events; the head is on standard error
		if !strings.HasPrefix(got.stderr, "demo: ") {
			t.Errorf("standard error begins with %q", got.stderr)
		}
		return
	}
	for document := json.NewDecoder(strings.NewReader(got.stdout)); document.More(); {
		var d struct {
			AsOf *struct {
				Given string `json:"given"`
				Scans []struct {
					Repository string `json:"repository"`
					Scan       int    `json:"scan"`
					Commit     string `json:"commit_sha"`
					Dirty      bool   `json:"dirty"`
					Since      *struct {
						First int `json:"first"`
						Last  int `json:"last"`
					} `json:"not_completed_since"`
				} `json:"scans"`
			} `json:"as_of"`
		}
		if err := document.Decode(&d); err != nil {
			t.Fatalf("%v in:\n%s", err, got.stdout)
		}
		if d.AsOf == nil || len(d.AsOf.Scans) != 1 {
			t.Fatalf("the document does not say what it shows: %+v\n%s", d.AsOf, got.stdout)
		}
		s := d.AsOf.Scans[0]
		if s.Repository != "demo" || s.Scan != w.scan || s.Dirty != w.dirty || (s.Since != nil) != (w.since != "") || (s.Commit == "") != w.never {
			t.Errorf("the document says %+v, want scan %d, dirty %t, since %q", s, w.scan, w.dirty, w.since)
		}
		if given := w.fixture.env["as-of"]; d.AsOf.Given != given {
			t.Errorf("as of %q, want %q", d.AsOf.Given, given)
		}
	}
}

func TestAnAnswerAboutAnOlderScanIsNoSuccess(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.run("gaps").wantCode(1)
	d.run("matrix").wantCode(1)
	empty := newRepo(t)
	if err := os.Remove(filepath.Join(empty.dir, ".gxp/requirements/REQ-001.md")); err != nil {
		t.Fatal(err)
	}
	empty.commit("Only a context")
	d.scan(empty).wantCode(0)
	if got := d.run("gaps").wantCode(0); !strings.Contains(got.stdout, "No gaps.") {
		t.Errorf("got\n%s", got.stdout)
	}
	d.scan(empty.story("US-001", "REQ-404").commit("Broken")).wantCode(1)
	for _, args := range [][]string{{"gaps"}, {"gaps", "--fail-on", "failed,orphaned,wrong_kind,missing"}, {"gaps", "--json"}, {"gaps", "--repository", "demo"}} {
		if got := d.run(args...).wantCode(3); strings.Contains(got.stdout, "No gaps.") {
			t.Errorf("%q says that all is well:\n%s", args, got.stdout)
		}
	}
	d.run("gaps", "--as-of", "scan:1").wantCode(0)
	d.run("gaps", "--as-of", "scan:2").wantCode(3)
	d.run("scan", empty.dir, "--name", "never").wantCode(1)
	d.run("gaps").wantCode(1).says(`no scan of "never" completed, so nothing is known of it`, "gxpledger scans --failed")
	d.run("matrix").wantCode(1).says(`no scan of "never" completed`)
	d.run("gaps", "--repository", "never").wantCode(1).says(`no scan of "never" completed`)
	d.run("matrix", "--repository", "never", "--json").wantCode(1)
	d.run("gaps", "--repository", "demo").wantCode(3)
	d.run("repository", "add", "new", "--reason", "x").wantCode(0)
	for _, command := range []string{"gaps", "matrix"} {
		d.run(command, "--repository", "new").wantCode(1).says(`no scan of "new" completed, so nothing is known of it: record one with gxpledger scan`)
		d.run(command).wantCode(1).says(`no scan of "never", "new" completed`, "gxpledger scans --failed")
	}
}

func TestRetiredRepositoriesCountOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t).commit("One")
	d.scan(r).wantCode(0)
	d.run("scan", r.dir, "--name", "old", "--actor", "tester@site").wantCode(0)
	d.run("repository", "retire", "old", "--reason", "replaced").wantCode(0)
	d.run("scan", r.dir, "--name", "old").wantCode(1) // which says nothing about what is in use
	const left = "1 retired repository is left out: --retired counts it"
	for _, c := range []struct {
		args       []string
		old, tells bool
	}{
		{[]string{"gaps"}, false, true},
		{[]string{"matrix"}, false, true},
		{[]string{"gaps", "--retired"}, true, false},
		{[]string{"matrix", "--retired"}, true, false},
		{[]string{"gaps", "--repository", "old"}, true, false},
		{[]string{"matrix", "--repository", "old"}, true, false},
	} {
		got := d.run(c.args...)
		if strings.Contains(got.stdout, "old: scan 1") != c.old || strings.Contains(got.stdout, left) != c.tells {
			t.Errorf("%q: want old %t, told of what is left out %t:\n%s", c.args, c.old, c.tells, got.stdout)
		}
		if rows, want := strings.Count(got.stdout, "The first"), map[bool]int{true: 2, false: 1}[slices.Contains(c.args, "--retired")]; c.args[0] == "gaps" && rows != want {
			t.Errorf("%q lists %d requirements, want %d:\n%s", c.args, rows, want, got.stdout)
		}
	}
	if got := d.run("gaps", "--json"); !strings.Contains(got.stdout, `"retired_left_out": 1`) || strings.Contains(got.stdout, `"repository": "old"`) {
		t.Errorf("the document:\n%s", got.stdout)
	}
	d.run("repository", "retire", "demo", "--reason", "replaced").wantCode(0)
	d.run("gaps").wantCode(1).says("every repository is retired")
	d.run("matrix").wantCode(1).says("every repository is retired")
}

func TestAHeadHidesNoRepositoryWhoseScansDidNotComplete(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t).commit("One")
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "z"} {
		d.run("scan", r.dir, "--name", name).wantCode(0)
	}
	d.run("scan", r.story("US-001", "REQ-404").commit("Two").dir, "--name", "z").wantCode(1)
	got := d.run("show", "requirements").wantCode(0)
	if !strings.HasPrefix(got.stdout, "z: scan 1, ") || !strings.Contains(got.stdout, "\nand 2 repositories more: see gxpledger scans\n") {
		t.Errorf("it begins with\n%s", got.stdout)
	}
}
