package gitrepo_test

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/gxpledger/gxpledger/internal/gitrepo"
)

// many is a repository with n artifacts of about two kilobytes, packed.
func many(tb testing.TB, n int) string {
	tb.Helper()
	dir := newRepo(tb)
	var stream strings.Builder
	stream.WriteString("commit refs/heads/main\ncommitter C <c@example.org> 1700000000 +0000\ndata 4\nmany\n")
	for i := range n {
		body := fmt.Sprintf("---\ngxp_id: REQ-%06d\ntitle: Requirement %d\n---\n%s", i, i, strings.Repeat(fmt.Sprintf("Line %d of the text.\n", i%97), 100))
		fmt.Fprintf(&stream, "M 100644 inline .gxp/requirements/%02d/REQ-%06d.md\ndata %d\n%s\n", i%50, i, len(body), body)
	}
	gitInput(tb, dir, stream.String(), "fast-import", "--quiet")
	return dir
}

// TestAScanBesideGitGC reads while git packs, prunes and adds: every reading is whole, or says that trying again helps.
func TestAScanBesideGitGC(t *testing.T) {
	t.Parallel()
	dir := many(t, 100)
	head := git(t, dir, "rev-parse", "HEAD")
	want := len(expected(t, dir, head))
	stop := make(chan struct{})
	done := make(chan error, 1)
	go func() { done <- churn(t, dir, stop) }()
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for range 6 {
				readWhole(t, dir, head, want)
			}
		})
	}
	readers.Wait()
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func readWhole(t *testing.T, dir, head string, want int) {
	t.Helper()
	revision, err := open(t, dir, gitrepo.Options{Ref: head})
	var all map[string]string
	if err == nil {
		all, err = readAll(revision.Files())
	}
	switch {
	case errors.Is(err, gitrepo.ErrMissing) && strings.Contains(err.Error(), "scan again"):
	case err != nil:
		t.Errorf("read beside git gc: %v", err)
	case len(all) != want:
		t.Errorf("read %d files, want %d", len(all), want)
	}
}

// churn repacks in every way until it is told to stop.
func churn(t *testing.T, dir string, stop <-chan struct{}) error {
	t.Helper()
	for i := 0; ; i++ {
		for _, args := range [][]string{
			{"repack", "-q", "-a", "-d", "-f"}, {"unpack"}, {"gc", "-q", "--prune=now"}, {"repack", "-q", "-a", "-d", "--depth=5"},
		} {
			select {
			case <-stop:
				return nil
			default:
			}
			if args[0] == "unpack" {
				args = []string{"commit", "-q", "--allow-empty", "-m", fmt.Sprint("churn ", i)}
			}
			cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=c", "-c", "user.email=c"}, args...)...)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("git %v: %w: %s", args, err, out)
			}
		}
	}
}

// TestARepackUnderAnOpenRevisionIsNotNoticed moves every object after the store was listed.
func TestARepackUnderAnOpenRevisionIsNotNoticed(t *testing.T) {
	t.Parallel()
	dir, id := sample(t)
	revision := mustOpen(t, dir, gitrepo.Options{}) // has listed no pack: all objects are loose
	git(t, dir, "gc", "-q", "--prune=now")
	assertTree(t, revision.Files(), dir, id)

	packed := mustOpen(t, dir, gitrepo.Options{}) // has listed the pack
	write(t, dir, "more", "x")
	commit(t, dir, "more")
	git(t, dir, "repack", "-q", "-a", "-d", "-f")
	assertTree(t, packed.Files(), dir, id)
}

func TestFilesMayBeReadByMany(t *testing.T) {
	t.Parallel()
	dir := many(t, 200)
	files := mustOpen(t, dir, gitrepo.Options{}).Files()
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			if all, err := readAll(files); err != nil || len(all) != 200 {
				t.Errorf("%d files, %v", len(all), err)
			}
		})
	}
	readers.Wait()
}

func BenchmarkRead10000Files(b *testing.B) {
	dir := many(b, 10_000)
	for _, how := range []string{"as imported", "repacked with deltas", "listed only"} {
		if how == "repacked with deltas" {
			git(b, dir, "repack", "-q", "-a", "-d", "-f")
		}
		b.Run(how, func(b *testing.B) {
			for b.Loop() {
				revision := mustOpen(b, dir, gitrepo.Options{})
				if how == "listed only" {
					list(b, revision)
					continue
				}
				if n := len(contents(b, revision.Files())); n != 10_000 {
					b.Fatal(n)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/file")
		})
	}
}
