package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The examples of docs/replay.md are what the commands say of a real repository's history. A comment names the command and
// how many lines of its output are shown, from its beginning and from its end; the block below it is written from them.
var replayed = regexp.MustCompile("(?s)<!-- (\\d+)\\+(\\d+) (gxpledger .*?) -->\n```console\n.*?```\n")

// reviewed are the scans that the examples tell of: of which revision, and when.
func reviewed() [][2]string {
	return [][2]string{
		{"dev-01-1e19594", "2026-02-04T09:00:00Z"},
		{"dev-02-b44b48a", "2026-02-05T09:00:00Z"},
		{"dev-03-5797a6c", "2026-02-06T09:00:00Z"},
		{"dev-04-923dfbd", "2026-02-06T17:00:00Z"},
		{"dev-05-2692cf0", "2026-02-07T09:00:00Z"},
		{"dev-06-5259424", "2026-02-07T17:00:00Z"},
		{"dev-07-cbec5ad", "2026-02-08T09:00:00Z"},
	}
}

// at runs a command at a time and returns all that it says.
func (d *fixture) at(moment string, args ...string) string {
	d.t.Helper()
	now, err := time.Parse(time.RFC3339, moment)
	if err != nil {
		d.t.Fatal(err)
	}
	d.now = func() time.Time { return now }
	got := d.run(args...)
	if got.code != 0 && got.code != 3 {
		d.t.Fatalf("%q: exit code %d\n%s", args, got.code, got.stderr)
	}
	return got.stderr + got.stdout
}

// recordHistory scans the corpus as the examples tell.
func recordHistory(t *testing.T) *fixture {
	t.Helper()
	corpus := os.Getenv("GXPLEDGER_CORPUS")
	if corpus == "" {
		corpus = filepath.Join("..", "..", "..", "..", "..", "shared", "corpus")
	}
	corpus, err := filepath.Abs(corpus)
	if err != nil {
		t.Fatal(err)
	}
	bundle := filepath.Join(corpus, "rosie-middleware-gxp.bundle")
	if _, err := os.Stat(bundle); err != nil {
		if os.Getenv("GXPLEDGER_CORPUS") != "" {
			t.Fatalf("GXPLEDGER_CORPUS names no corpus: %v", err)
		}
		t.Skipf("THE CORPUS IS NOT THERE: %v\nThe examples of docs/replay.md cannot be compared. Set GXPLEDGER_CORPUS to its folder.", err)
	}
	d := newFixture(t)
	clone := filepath.Join(t.TempDir(), "product.git")
	git := exec.CommandContext(t.Context(), "git", "clone", "-q", "--bare", bundle, clone)
	if out, err := git.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, r := range reviewed() {
		d.at(r[1], "scan", clone, "--ref", r[0], "--name", "product", "--actor", "ci@build", "--reason", "nightly", "--links", "flag",
			"--evidence-key", filepath.Join(corpus, "evidence-public-key.pem"))
	}
	return d
}

var (
	argument = regexp.MustCompile(`"[^"]*"|\S+`)
	digests  = regexp.MustCompile(`[0-9a-f]{64}`)
	logID    = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	program  = regexp.MustCompile(`by gxpledger .*`)
)

// example returns a block with what the command says, cut as the comment above it asks. What differs from log to log stands
// for itself.
func (d *fixture) example(folder string, m []string) string {
	d.t.Helper()
	first, _ := strconv.Atoi(m[1])
	last, _ := strconv.Atoi(m[2])
	args := argument.FindAllString(m[3], -1)[1:]
	for i, a := range args {
		args[i] = strings.Trim(a, `"`)
		if i > 0 && (args[i-1] == "--into" || args[i-1] == "--output") {
			args[i] = filepath.Join(folder, args[i])
		}
	}
	text := strings.ReplaceAll(d.at("2026-03-02T10:00:00Z", args...), folder+string(os.PathSeparator), "")
	for pattern, with := range map[*regexp.Regexp]string{digests: "SHA-256", logID: "LOG-ID", program: "by gxpledger VERSION"} {
		text = pattern.ReplaceAllString(text, with)
	}
	return fmt.Sprintf("<!-- %s+%s %s -->\n```console\n$ %s\n%s\n```\n", m[1], m[2], m[3], m[3], strings.Join(cutLines(text, first, last), "\n"))
}

// cutLines keeps lines from the beginning and the end, each up to a width.
func cutLines(text string, first, last int) []string {
	const widest = 150
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > first+last {
		lines = slices.Concat(lines[:first], []string{"..."}, lines[len(lines)-last:])
	}
	for i, line := range lines {
		if runes := []rune(line); len(runes) > widest {
			lines[i] = strings.TrimRight(string(runes[:widest]), " ") + "…"
		}
	}
	return lines
}

func TestTheReviewersGuideShowsWhatCommandsReallySay(t *testing.T) {
	t.Parallel()
	const path = "../../../../docs/replay.md"
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	examples := replayed.FindAllStringSubmatchIndex(text, -1)
	if len(examples) < 8 {
		t.Fatalf("%s holds %d examples: the comments that name them were lost", path, len(examples))
	}
	d, folder := recordHistory(t), t.TempDir()
	want := replayed.ReplaceAllStringFunc(text, func(block string) string { return d.example(folder, replayed.FindStringSubmatch(block)) })
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != text {
		t.Errorf("the examples of %s are stale: UPDATE_GOLDEN=1 go test ./cmd/gxpledger/internal/cli", path)
	}
}
