package gxpledger_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
)

// A draft takes no id of a file that cannot be read, writes over nothing, and leads nowhere outside.
func TestADraftIsWrittenBesideWhatIsThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(dir, map[string]string{"system_context.md": systemContext, "requirements/REQ-001.md": requirement, "requirements/REQ-004-broken.md": "---\n[\n---\n"})
	below := filepath.Join(dir, "src", "deep")
	if err := os.MkdirAll(below, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "git", "init", "-q", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	request := gxpledger.DraftRequest{Folder: below, Kind: domain.KindRequirement, Title: "Alarms"}
	for _, want := range []string{".gxp/requirements/REQ-005-alarms.md", ".gxp/requirements/REQ-006-alarms.md"} {
		if got, err := gxpledger.WriteDraft(t.Context(), request); err != nil || got != want {
			t.Fatalf("wrote %s, %v, want %s", got, err, want)
		}
	}
	story := gxpledger.DraftRequest{Folder: dir, Kind: domain.KindUserStory, Title: "See", Parent: "REQ-404"}
	if _, err := gxpledger.WriteDraft(t.Context(), story); !errors.Is(err, rosie.ErrDraft) {
		t.Errorf("without its parent: %v", err)
	}
	if _, err := os.Stat(filepath.Join(below, ".gxp")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a .gxp below the root: %v", err)
	}
	if _, err := gxpledger.WriteDraft(t.Context(), gxpledger.DraftRequest{
		Folder: below, Kind: domain.KindSpec, Title: "Of the wrong kind", Parent: "REQ-001",
	}); !errors.Is(err, rosie.ErrDraft) {
		t.Errorf("a spec of a requirement: %v", err)
	}
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, ".gxp/user_stories")); err != nil {
		t.Fatal(err)
	}
	story.Parent = "REQ-005"
	if _, err := gxpledger.WriteDraft(t.Context(), story); err == nil {
		t.Error("a story was written through a symbolic link")
	}
	if left, err := fs.Glob(os.DirFS(outside), "*"); err != nil || len(left) > 0 {
		t.Errorf("outside there are %q, %v", left, err)
	}
}
