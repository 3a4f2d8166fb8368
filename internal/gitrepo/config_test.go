package gitrepo_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/internal/gitrepo"
)

// gitConfig returns what git reads from a configuration file: each setting with its last value, or that it refuses the
// file.
func gitConfig(tb testing.TB, file string) (values map[string]*string, ok bool) {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), "git", "config", "--file", file, "--no-includes", "--list", "-z")
	out, err := cmd.Output()
	if err != nil {
		return nil, false
	}
	values = make(map[string]*string)
	for entry := range strings.SplitSeq(string(out), "\x00") {
		name, value, valued := strings.Cut(entry, "\n")
		switch {
		case valued:
			values[name] = &value
		case name != "":
			values[name] = nil
		}
	}
	return values, true
}

// sameConfig compares our reading of a file with git's. git wrote every kind of space in a value as a space until 2.45.
func sameConfig(tb testing.TB, file, text string) error {
	tb.Helper()
	write(tb, filepath.Dir(file), filepath.Base(file), text)
	want, ok := gitConfig(tb, file)
	have, err := gitrepo.ParseConfig([]byte(text))
	if !ok || err != nil {
		if ok != (err == nil) {
			return fmt.Errorf("git reads %q: %t; we say %w", text, ok, err)
		}
		return nil
	}
	space := strings.NewReplacer("\t", " ", "\r", " ")
	for name, value := range want {
		found, ok := have[name]
		if !ok || (value == nil) != (found == nil) || value != nil && space.Replace(*value) != space.Replace(*found) {
			return fmt.Errorf("%q: %s is %s, git says %s", text, name, shown(found), shown(value))
		}
	}
	for name := range have {
		if _, ok := want[name]; !ok {
			return fmt.Errorf("%q: %q is no name to git", text, name)
		}
	}
	return nil
}

func shown(s *string) string {
	if s == nil {
		return "without a value"
	}
	return fmt.Sprintf("%q", *s)
}

func TestAConfigurationIsReadAsGitReadsIt(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config")
	for _, text := range []string{
		"", "\n", "\xef\xbb\xbf[core]\n\tbare = false\n", "\xef\xbb[core]\nbare = 1\n", "[core] bare = false", "[core]bare=false # no\n[core]x",
		"[branch.main]\nmerge = a\n[branch \"main\"]\nmerge = b\n[BRANCH \"Main\"]\nMerge = c\n[Branch.Main]\nMERGE = d\n",
		"[diff \"\"]\nx = 1\n[a\t\"b\"]\nc = 1\n", "[user]\nname = J\xf6rg \xff\n", "[url \"a\\b\"]\ninsteadOf = c\n", "[url \"a\\\"b\\\\c\"]\nx = y",
		"[a]\nb = c ; d\ne = \"f ; g\" h # i\nj = k\\\n  l\nm = n \\\n\n", "[a]\r\nb = c\r\nd = e \\\r\n f\r\n", "[a]\nb = c\rd\n", "[a]\nb=\"x\ny\"\n",
		"[a]\nb = \\q\n", "[a]\nb c\n", "[a]\n1b = c\n", "[a]\n=\n", "[a\nb = c\n", "[a \"b\nc\"]\n", "[a b]\n", "[a \"b\" ]\n", "[a_b]\nc = d\n", "[]\na = b\n", "[ \"x\"]\na = b\n", "[.]\na = b\n", "[a.]\nb = c\n", "[.a]b", "[a..b]c",
		"a = b\n", "[a]\nb = \"\" c\nd = \" e \"  \nf=  g  h  \ni = \"j\"k\"l\"\n", "[a]\nb = \\n\\t\\b\\\\\\\"\n", "[a]\nb-c = d\nb_c = d\n", "[a]\nb\nB = 1\nb\n",
		"[a \"]\"]\nb = c\n", "[a.b.C \"D\"]\ne = f\n", "; comment\n[a]# comment\nb = c\n", "[a]\nb = c\\", "[a]\nb = \"c\\\nd\"\n", "[a]\nb=c#d\n", "[a]\nb\t=\tc\n",
	} {
		if err := sameConfig(t, file, text); err != nil {
			t.Error(err)
		}
	}
}

// TestPropertyAConfigurationIsReadAsGitReadsIt compares with git over texts made of everything that the format knows.
func TestPropertyAConfigurationIsReadAsGitReadsIt(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config")
	piece := rapid.SampledFrom([]string{
		"[core]", "[Core]\n", "[ \"x\"]", "[branch \"Main\"]\n", "[branch.main]\n", "[a \"\"]", "[a \"\\\"b\\\\\"]\n", "[x-1.y]\n", "bare", "url", "Key-1", "x", " = ", "=", " ", "\t",
		"\n", "\n", "\n", "\r\n", "\r", "\"", "\\", "\\\n", "\\n", "\\t", "\\\"", "#", ";", "value", "a b", "]", "[", "1", "\xf6", "ü", "\x01", ".", "true", "  tail  ",
	})
	setting := rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"a", "B", "c-d"}).Draw(t, "key") + rapid.SampledFrom([]string{" = ", "=", "\t=", ""}).Draw(t, "sign") +
			rapid.StringOf(rapid.SampledFrom([]rune("xy \"\\#;=ü\t"))).Draw(t, "value") + "\n"
	})
	line := rapid.OneOf(setting, setting, rapid.SampledFrom([]string{"[a]\n", "[A \"b c\"] ", "[d.E]\n", "# x\n", "\n"}))
	texts := rapid.OneOf(
		rapid.Map(rapid.SliceOfN(piece, 0, 20), func(parts []string) string { return strings.Join(parts, "") }),
		rapid.Map(rapid.SliceOfN(line, 0, 6), func(parts []string) string { return "[s]\n" + strings.Join(parts, "") }),
	)
	rapid.Check(t, func(r *rapid.T) {
		if err := sameConfig(t, file, texts.Draw(r, "config")); err != nil {
			r.Fatal(err)
		}
	})
}

func TestTheSettingsOfARepositoryAreFoundInEverySpelling(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"with a BOM":      "\xef\xbb\xbf[core]\n\tbare = false\n[remote \"origin\"]\n\turl = https://example.org/a.git\n",
		"on one line":     "[core] bare = false\n[remote \"origin\"] url = https://example.org/a.git",
		"a dotted name":   "[branch.main]\nremote = x\n[remote.origin]\nURL = https://example.org/a.git\n",
		"an empty name":   "[diff \"\"]\nx = y\n[remote \"origin\"]\nurl = https://example.org/a.git\n",
		"Latin-1":         "[user]\nname = J\xf6rg\n[remote \"origin\"]\nurl = https://example.org/a.git\n",
		"an escape":       "[url \"a\\b\"]\ninsteadOf = c\n[remote \"origin\"]\nurl = https://example.org/a.git\n",
		"a comment":       "[remote \"origin\"]\nurl = https://example.org/a.git # ours ; yours\n",
		"continued":       "[remote \"origin\"]\nurl = https://example.org\\\n/a.git\n",
		"Windows":         "[remote \"origin\"]\r\nurl = https://example.org/a.git\r\n",
		"the last counts": "[remote \"origin\"]\nurl = https://example.org/b.git\n[remote \"Origin\"]\nurl = no\n[remote \"origin\"]\nurl = https://example.org/a.git\n",
		"60,000 sections": strings.Repeat("[section \"of\"]\n\tkey = value\n", 60_000) + "[remote \"origin\"]\nurl = https://example.org/a.git\n",
	} {
		dir, id := sample(t)
		write(t, dir, ".git/config", text)
		found, err := gitrepo.Locate(dir, gitrepo.Options{})
		if err != nil || found.Name() != "https://example.org/a.git" {
			t.Errorf("%s: %v, %v", name, found, err)
			continue
		}
		if revision := mustOpen(t, dir, gitrepo.Options{}); revision.Source().Commit != id {
			t.Errorf("%s: commit %s", name, revision.Source().Commit)
		}
	}
	dir, _ := sample(t)
	write(t, dir, ".git/config", strings.Repeat("#", 9<<20))
	_, err := open(t, dir, gitrepo.Options{})
	assertProblem(t, err, gitrepo.ErrUnsupported, "more than 8388608 bytes")
}

// TestWhatARepositoryIncludesIsNotRead: git reads no format from a file that is included, and neither do we anything.
func TestWhatARepositoryIncludesIsNotRead(t *testing.T) {
	t.Parallel()
	dir, id := sample(t)
	other := filepath.Join(t.TempDir(), "other")
	write(t, filepath.Dir(other), "other", "[core]\nrepositoryformatversion = 7\nbare = true\n[remote \"origin\"]\nurl = https://example.org/a.git\n")
	git(t, dir, "config", "include.path", other)
	revision := mustOpen(t, dir, gitrepo.Options{})
	if revision.Source().Commit != id {
		t.Errorf("commit %s", revision.Source().Commit)
	}
	found, err := gitrepo.Locate(dir, gitrepo.Options{})
	if err != nil || found.Name() != dir {
		t.Errorf("name %v, %v: want the path", found, err)
	}
}

// TestAFormatIsRefusedAsGitRefusesIt compares with git over versions and extensions.
func TestAFormatIsRefusedAsGitRefusesIt(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	for _, version := range []string{"", "0", "1", "0x1", "01", "2", "-1", " 1", "1k", "one", "+1", "1_0"} {
		for _, extension := range []string{
			"", "noop = x", "noop-v1 = x", "preciousObjects = true", "partialClone = origin", "worktreeConfig = false", "unknown = x", "objectFormat = sha1",
			"objectFormat = sha512",
		} {
			text := "[core]\n\tbare = false\n"
			if version != "" {
				text += "\trepositoryformatversion = \"" + version + "\"\n"
			}
			if extension != "" {
				text += "[extensions]\n\t" + extension + "\n"
			}
			write(t, dir, ".git/config", text)
			cmd := exec.CommandContext(t.Context(), "git", "rev-parse", "HEAD")
			cmd.Dir = dir
			accepts := cmd.Run() == nil
			if _, err := open(t, dir, gitrepo.Options{}); (err == nil) != accepts {
				t.Errorf("%q: git reads it: %t; we say %v", text, accepts, err)
			}
		}
	}
}
