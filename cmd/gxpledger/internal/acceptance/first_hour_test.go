package acceptance_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The commands of docs/getting-started.md do what it says, by somebody who has nothing but the binary and its text.
func TestTheFirstHour(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../../docs/getting-started.md")
	if err != nil {
		t.Fatal(err)
	}
	repository, err := filepath.Abs("../../../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(repository, filepath.Join(dir, "gxpledger")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Dir(binary(t)) + string(os.PathListSeparator) + os.Getenv("PATH")
	at, ran := dir, 0
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for _, part := range strings.Split("\n"+block[1], "\n$ ")[1:] {
			line, shown, _ := strings.Cut(part, "\n")
			command, code, _ := strings.Cut(line, "    # ends with ")
			if folder, ok := strings.CutPrefix(command, "cd "); ok {
				at = filepath.Join(at, folder)
				continue
			}
			said := hourly(t, at, path, command, code)
			for want := range strings.SplitSeq(strings.TrimSpace(shown), "\n") {
				if want != "..." && !strings.Contains(said, want) {
					t.Errorf("%s says\n%s\nwant %q", command, said, want)
				}
			}
			ran++
		}
	}
	if ran < 30 {
		t.Errorf("%d commands were run: the examples were lost", ran)
	}
}

// hourly runs a command of the first hour in a shell and returns what it says.
func hourly(t *testing.T, dir, path, command, code string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+path,
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.org", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.org")
	out, err := cmd.CombinedOutput()
	want := "exit status " + code
	if code == "" && err != nil || code != "" && (err == nil || err.Error() != want) {
		t.Fatalf("%s: %v, want %q\n%s", command, err, code, out)
	}
	return string(out)
}
