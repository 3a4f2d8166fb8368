package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// The examples of docs/cli.md are the golden screens: a comment names the file and the command, the block below it is
// written from them.
const manual = "../../../../docs/cli.md"

var example = regexp.MustCompile("(?s)<!-- (\\S+\\.(?:txt|json)): (.*?) -->\n```\\w*\n.*?\n?```\n")

// TestMain keeps a folder for what tests share, and brings the manual up to date behind the tests that write golden
// screens.
func TestMain(m *testing.M) {
	var err error
	if records.dir, err = os.MkdirTemp("", "gxpledger-cli-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(records.dir) // what is left is in the system's folder for such
	if code == 0 && os.Getenv("UPDATE_GOLDEN") == "1" {
		if err := writeManual(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func writeManual() error {
	text, err := os.ReadFile(manual)
	if err != nil {
		return err
	}
	filled, err := fill(string(text))
	if err != nil {
		return err
	}
	return os.WriteFile(manual, []byte(filled), 0o600)
}

// fill puts the golden screens into the examples of a text.
func fill(text string) (string, error) {
	var failure error
	filled := example.ReplaceAllStringFunc(text, func(block string) string {
		parts := example.FindStringSubmatch(block)
		screen, err := os.ReadFile(filepath.Join("testdata", parts[1]))
		if err != nil {
			failure = err
			return block
		}
		return fmt.Sprintf("<!-- %s: %s -->\n```console\n$ %s\n%s```\n", parts[1], parts[2], parts[2], screen)
	})
	return filled, failure
}

func TestTheManualShowsWhatCommandsReallyShow(t *testing.T) {
	t.Parallel()
	if os.Getenv("UPDATE_GOLDEN") == "1" {
		t.Skip("the manual is written when the screens are")
	}
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	filled, err := fill(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if filled != string(text) {
		t.Errorf("the examples of docs/cli.md are stale: UPDATE_GOLDEN=1 go test ./cmd/gxpledger/internal/cli")
	}
	if n := len(example.FindAllString(string(text), -1)); n < 20 {
		t.Errorf("docs/cli.md holds %d examples: the comments that name them were lost", n)
	}
}
