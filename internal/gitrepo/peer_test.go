package gitrepo_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	format "github.com/go-git/go-git/v5/plumbing/format/config"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/gxpledger/gxpledger/internal/gitrepo"
)

// The benchmarks here are the measurements of ADR-0019: each is run by our own code and by go-git's.

func BenchmarkConfigOf60000Sections(b *testing.B) {
	var text bytes.Buffer
	for i := range 60_000 {
		fmt.Fprintf(&text, "[section \"%d\"]\n\tkey = value\n", i)
	}
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := gitrepo.ParseConfig(text.Bytes()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("go-git", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := format.NewDecoder(bytes.NewReader(text.Bytes())).Decode(format.New()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkHugeObject reads 300 MiB of zeros, which a clone of 300 kB holds.
func BenchmarkHugeObject(b *testing.B) {
	for _, packed := range []string{"loose", "packed"} {
		dir := newRepo(b)
		file, err := os.Create(filepath.Join(dir, "huge.bin"))
		if err != nil {
			b.Fatal(err)
		}
		if err := errors.Join(file.Truncate(300<<20), file.Close()); err != nil {
			b.Fatal(err)
		}
		commit(b, dir, "huge")
		if packed == "packed" {
			git(b, dir, "gc", "-q", "--prune=now")
		}
		b.Run(packed+"/ours", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				content, err := mustOpen(b, dir, gitrepo.Options{}).Files().Open("huge.bin")
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, content); err != nil {
					b.Fatal(err)
				}
				_ = content.Close()
			}
		})
		b.Run(packed+"/go-git", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				tree := headTree(b, dir)
				file, err := tree.File("huge.bin")
				if err != nil {
					b.Fatal(err)
				}
				content, err := file.Reader()
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, content); err != nil {
					b.Fatal(err)
				}
				_ = content.Close()
			}
		})
	}
}

func headTree(tb testing.TB, dir string) *object.Tree {
	tb.Helper()
	store := filesystem.NewStorage(osfs.New(filepath.Join(dir, ".git")), cache.NewObjectLRUDefault())
	found, err := object.GetCommit(store, plumbing.NewHash(git(tb, dir, "rev-parse", "HEAD")))
	if err != nil {
		tb.Fatal(err)
	}
	tree, err := found.Tree()
	if err != nil {
		tb.Fatal(err)
	}
	return tree
}

// BenchmarkRead10000FilesWithGoGit compares with BenchmarkRead10000Files.
func BenchmarkRead10000FilesWithGoGit(b *testing.B) {
	dir := many(b, 10_000)
	git(b, dir, "repack", "-q", "-a", "-d", "-f")
	for b.Loop() {
		n := 0
		err := headTree(b, dir).Files().ForEach(func(f *object.File) error {
			n++
			_, err := f.Contents()
			return err
		})
		if err != nil || n != 10_000 {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/file")
}
