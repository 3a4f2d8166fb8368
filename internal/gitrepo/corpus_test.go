package gitrepo_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/internal/gitrepo"
)

// corpus returns a bare clone of the corpus.
func corpus(t *testing.T) string {
	t.Helper()
	folder := os.Getenv("GXPLEDGER_CORPUS")
	if folder == "" {
		folder = "../../../../../shared/corpus"
	}
	bundle, err := filepath.Abs(filepath.Join(folder, "rosie-middleware-gxp.bundle"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(bundle); err != nil {
		t.Skipf("THE CORPUS IS NOT HERE, so nothing real is tested: %v; set GXPLEDGER_CORPUS to its folder", err)
	}
	clone := filepath.Join(t.TempDir(), "corpus.git")
	git(t, t.TempDir(), "clone", "-q", "--bare", bundle, clone)
	return clone
}

func TestEveryBlobOfTheCorpusIsReadAtEachTag(t *testing.T) {
	t.Parallel()
	dir := corpus(t)
	tags := strings.Fields(git(t, dir, "tag", "--list", "dev-*"))
	if len(tags) != 7 {
		t.Fatalf("corpus has the tags %q, want seven", tags)
	}
	for _, tag := range tags {
		t.Run(tag, func(t *testing.T) {
			t.Parallel()
			assertTree(t, mustOpen(t, dir, gitrepo.Options{Ref: tag}).Files(), dir, tag)
		})
	}
}
