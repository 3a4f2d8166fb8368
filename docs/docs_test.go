// Package docs_test holds the documents to what they say: symbols and tests that they name exist, links lead somewhere,
// commands are tasks, and the project's own .gxp/ is valid.
package docs_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// root is the repository's root, where every path in the documents begins.
const root = ".."

// documents returns the path of every Markdown document that people read, from the root.
func documents(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(root + "/*.md")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(root+"/docs", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 10 {
		t.Fatalf("found only %d documents; the tests look in the wrong place: %q", len(found), found)
	}
	return found
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var (
	fence   = regexp.MustCompile("(?ms)^```.*?^```$")
	link    = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	notSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

func TestEveryRelativeLinkResolves(t *testing.T) {
	t.Parallel()
	for _, doc := range documents(t) {
		text := fence.ReplaceAllString(read(t, doc), "")
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(m[1], "://") {
				checkLink(t, doc, m[1])
			}
		}
	}
}

// checkLink reports a target that does not exist, or an anchor that no heading of it has.
func checkLink(t *testing.T, doc, target string) {
	t.Helper()
	path, anchor, _ := strings.Cut(target, "#")
	file := doc
	if path != "" {
		file = filepath.Join(filepath.Dir(doc), path)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("%s: link to %q: %v", doc, target, err)
		return
	}
	if anchor != "" && !slices.Contains(anchors(read(t, file)), anchor) {
		t.Errorf("%s: link to %q: no heading makes that anchor", doc, target)
	}
}

// anchors returns the anchors that a forge makes of the headings of a document.
func anchors(text string) []string {
	var out []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		slug := notSlug.ReplaceAllString(strings.ToLower(m[1]), "")
		out = append(out, strings.ReplaceAll(slug, " ", "-"))
	}
	return out
}

// tasks returns the description of each task of the Taskfile.
func tasks(t *testing.T) map[string]string {
	t.Helper()
	var file struct {
		Tasks map[string]struct {
			Desc string `yaml:"desc"`
		} `yaml:"tasks"`
	}
	if err := yaml.Unmarshal([]byte(read(t, root+"/Taskfile.yml")), &file); err != nil {
		t.Fatal(err)
	}
	out := make(map[string]string, len(file.Tasks))
	for name, task := range file.Tasks {
		out[name] = task.Desc
	}
	return out
}

var command = regexp.MustCompile(`\./task +([a-z][a-z:]*)`)

func TestEveryCommandOfTheDocumentsIsATask(t *testing.T) {
	t.Parallel()
	known := tasks(t)
	for _, doc := range append(documents(t), root+"/.ci/run", root+"/task") {
		for _, m := range command.FindAllStringSubmatch(read(t, doc), -1) {
			if known[strings.TrimSuffix(m[1], ":")] == "" {
				t.Errorf("%s: %q is no described task of Taskfile.yml", doc, m[0])
			}
		}
	}
}

func TestTheReadmeGivesTheTwoCommandsAndCIRunsTheSecond(t *testing.T) {
	t.Parallel()
	readme := read(t, root+"/README.md")
	for _, want := range []string{"\n./task demo\n", "\n./task check\n"} {
		if !strings.Contains(readme, want) {
			t.Errorf("README.md lacks the line %q", strings.TrimSpace(want))
		}
	}
	if ci := read(t, root+"/.ci/run"); !strings.Contains(ci, "exec ./task check\n") {
		t.Errorf(".ci/run does not run the README's test command:\n%s", ci)
	}
}

func TestDecisionRecordsAreWholeAndNumberedWithoutAGap(t *testing.T) {
	t.Parallel()
	records, err := filepath.Glob("adr/*.md")
	if err != nil || len(records) == 0 {
		t.Fatalf("no decision records: %v", err)
	}
	for i, path := range records {
		number, _, _ := strings.Cut(filepath.Base(path), "-")
		if want := fmt.Sprintf("%04d", i+1); number != want {
			t.Errorf("%s: want number %s: records are numbered without a gap", path, want)
		}
		text := read(t, path)
		if !strings.HasPrefix(text, "# ADR-"+number+": ") {
			t.Errorf("%s: does not begin with its number and title", path)
		}
		for _, section := range []string{"Status", "Context", "Decision", "Consequences"} {
			if !strings.Contains(text, "\n## "+section+"\n") {
				t.Errorf("%s: has no section %q", path, section)
			}
		}
	}
}
