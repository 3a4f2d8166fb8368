package clienttest_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/eventstoretest"
	"github.com/gxpledger/gxpledger/eventstore/sqlite"
)

// pageClient is the client that the page shows for Node.
const pageClient = "@kurrent/kurrentdb-client@1.3.1"

// TestThePageFollowsWholeScansAndResumes runs the programs of docs/clients.md: they print each whole scan, and resume after they were
// killed. The last scan before that may come once more, as the page says.
func TestThePageFollowsWholeScansAndResumes(t *testing.T) {
	t.Parallel()
	for language, prepare := range map[string]func(t *testing.T, ctx context.Context, source string) []string{
		"go": func(t *testing.T, ctx context.Context, source string) []string {
			t.Helper()
			folder := t.TempDir()
			program, file := filepath.Join(folder, "follow"), filepath.Join(folder, "main.go")
			write(t, file, source)
			if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, file).CombinedOutput(); err != nil {
				t.Fatalf("the program of the page does not compile: %v\n%s", err, out)
			}
			return []string{program}
		},
		"node": func(t *testing.T, ctx context.Context, source string) []string {
			t.Helper()
			file := filepath.Join(install(t, ctx, pageClient), "follow.mjs")
			write(t, file, source)
			return []string{"node", file}
		},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			command := prepare(t, ctx, programOfThePage(t, language))
			home := t.TempDir()
			log := openLog(t, home)
			record := func(stream eventstore.StreamID, at eventstore.Expected, name string, size int) {
				t.Helper()
				if _, err := log.Append(ctx, eventstoretest.NewBatch(stream, at, name, 0, size)); err != nil {
					t.Fatal(err)
				}
			}
			record("repository-1", eventstore.NoStream(), "one", 3)
			record("engine", eventstore.NoStream(), "act", 1)
			record("repository-2", eventstore.NoStream(), "two", 40)
			address := "esdb://" + serve(t, home) + "?tls=false"
			command = append(command, address, filepath.Join(t.TempDir(), "checkpoint"))

			first := follow(t, ctx, command)
			first.expect(t, "repository-1 3 events", "repository-2 40 events")
			first.kill()
			record("repository-1", eventstore.AtRevision(2), "three", 2)
			second := follow(t, ctx, command)
			second.repeated = "repository-2 40 events"
			second.expect(t, "repository-1 2 events")
			record("repository-2", eventstore.AtRevision(39), "four", 1)
			second.expect(t, "repository-2 1 events")
			second.kill()
		})
	}
}

// programOfThePage returns the code block behind the mark of a language.
func programOfThePage(t *testing.T, language string) string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	_, behind, found := strings.Cut(string(page), fmt.Sprintf("<!-- run: %s -->\n```", language))
	_, code, opened := strings.Cut(behind, "\n")
	code, _, closed := strings.Cut(code, "\n```\n")
	if !found || !opened || !closed {
		t.Fatalf("docs/clients.md has no program for %s", language)
	}
	return code + "\n"
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// openLog opens the log of a home, for as long as the test takes.
func openLog(t *testing.T, home string) eventstore.Log {
	t.Helper()
	log, err := sqlite.Open(t.Context(), filepath.Join(home, "log.db"), sqlite.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return log
}

// follower is a running program of the page.
type follower struct {
	command *exec.Cmd
	lines   *bufio.Scanner
	errors  *strings.Builder
	// repeated is how the one line begins that may be printed before those that are expected.
	repeated string
}

func follow(t *testing.T, ctx context.Context, command []string) *follower { //nolint:revive // t first, as everywhere in tests
	t.Helper()
	f := &follower{command: exec.CommandContext(ctx, command[0], command[1:]...), errors: &strings.Builder{}}
	f.command.Stderr = f.errors
	out, err := f.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	f.lines = bufio.NewScanner(out)
	if err := f.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.kill)
	return f
}

// expect reads one line for each of begins.
func (f *follower) expect(t *testing.T, begins ...string) {
	t.Helper()
	for _, want := range begins {
		more := f.lines.Scan()
		if more && f.repeated != "" && strings.HasPrefix(f.lines.Text(), f.repeated+",") {
			f.repeated = ""
			more = f.lines.Scan()
		}
		if !more {
			f.kill()
			t.Fatalf("the program ended before it printed %q:\n%s", want, f.errors)
		}
		if !strings.HasPrefix(f.lines.Text(), want+",") {
			t.Fatalf("printed %q, want %q", f.lines.Text(), want)
		}
	}
}

// kill ends the program as a crash would. Doing it twice is harmless.
func (f *follower) kill() {
	if f.command.ProcessState == nil {
		_ = f.command.Process.Kill() // it may have ended by itself
		_ = f.command.Wait()         // killed
	}
}
