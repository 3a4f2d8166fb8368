package gitrepo_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/internal/gitrepo"
)

// noUser is an environment without any configuration of git, as the helper git has it.
func noUser(name string) string {
	return map[string]string{"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.DevNull, "GIT_ATTR_NOSYSTEM": "1", "HOME": "/nowhere"}[name]
}

// changedFiles is what git status says below .gxp, after it has looked at every file again.
func changedFiles(tb testing.TB, dir string) map[string]bool {
	tb.Helper()
	touch(tb, dir)
	cmd := exec.CommandContext(tb.Context(), "git", "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", ".gxp")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_ATTR_NOSYSTEM=1", "HOME=/nowhere", "XDG_CONFIG_HOME=/nowhere")
	out, err := cmd.Output()
	if err != nil {
		tb.Fatal(err)
	}
	changed := make(map[string]bool)
	for line := range strings.SplitSeq(string(out), "\x00") {
		if line != "" {
			changed[line[3:]] = true
		}
	}
	return changed
}

// touch makes git look at files again, since it trusts their times.
func touch(tb testing.TB, dir string) {
	tb.Helper()
	err := filepath.Walk(filepath.Join(dir, ".gxp"), func(name string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			err = os.Chtimes(name, info.ModTime().Add(-1e9), info.ModTime().Add(-1e9))
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		tb.Fatal(err)
	}
}

// sameChanges compares every file with git status.
func sameChanges(tb testing.TB, dir, what string) {
	tb.Helper()
	want := changedFiles(tb, dir)
	have, doubt, err := gitrepo.Changed(tb.Context(), dir, noUser)
	if err != nil || doubt != "" {
		tb.Errorf("%s: %q, %v", what, doubt, err)
	}
	for name, changed := range have {
		if changed != want[name] {
			tb.Errorf("%s: %s is changed: %t, git says %t", what, name, changed, want[name])
		}
	}
}

// sameStatus compares whether there is any change.
func sameStatus(tb testing.TB, dir, what string) {
	tb.Helper()
	want := len(changedFiles(tb, dir)) > 0
	revision := mustOpen(tb, dir, gitrepo.Options{Worktree: true, Env: noUser})
	if doubt := revision.Source().DirtyUnknown; doubt != "" || revision.Source().Dirty != want {
		tb.Errorf("%s: dirty %t, %q; git says %t", what, revision.Source().Dirty, doubt, want)
	}
}

// TestAFileIsChangedWhereGitSaysSo compares with git status over attributes, settings, and contents with every kind of
// line end.
func TestAFileIsChangedWhereGitSaysSo(t *testing.T) {
	t.Parallel()
	contents := []string{
		"", "a\nb\n", "a\r\nb\r\n", "a\r\nb\n", "a\rb\r\n", "a\x00\r\nb", "a\r", "\x01\x02\r\n", "a\r\n\x1a", strings.Repeat("x", 300) + "\x01\r\n",
		"$Id$\n", "$Id: 1 $\n", "$Id: 1\n$\r\n", "\xff\xfe\r\n", "\r\r\n", "\x01\x02\n", strings.Repeat("x", 300) + "\x01\x02\n", "a\n\x1a", "a\x00\n",
		strings.Repeat("x", 128) + "\x01\n", "a\x7f\n", "\b\t\x1b\f\n",
	}
	variants := []func(string) string{
		func(s string) string { return s },
		func(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") },
		func(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n") },
		func(s string) string { return strings.ReplaceAll(s, "$Id$", "$Id: 0123 $") },
		func(s string) string { return s + "x" },
	}
	attributes := []string{
		"", "* text=auto", "* text=auto eol=crlf", "* text=auto eol=lf", "* text", "* -text", "* binary", "* eol=crlf", "* eol=lf", "* crlf", "* -crlf", "* crlf=input",
		"* !text eol=lf", "* ident", "* text ident", "* text=odd", "* text eol=odd", "* -text eol=crlf", "* text=input", "* filter", "* -filter text", "* filter=none",
		"[attr]mine text eol=lf\n* mine", "* text\n* -binary", "* binary text", "* text binary", "* working-tree-encoding=UTF-8",
	}
	for _, setting := range []string{"", "core.autocrlf=true", "core.autocrlf=input", "core.autocrlf=false", "core.eol=crlf"} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			dir := newRepo(t)
			if name, value, ok := strings.Cut(setting, "="); ok {
				git(t, dir, "config", name, value)
			}
			var entries strings.Builder
			for i, content := range contents {
				id := gitInput(t, dir, content, "hash-object", "-w", "--stdin")
				for j, variant := range variants {
					name := fmt.Sprintf(".gxp/%02d-%d.md", i, j)
					fmt.Fprintf(&entries, "100644 %s\t%s\n", id, name)
					write(t, dir, name, variant(content))
				}
			}
			gitInput(t, dir, entries.String(), "update-index", "--add", "--index-info")
			git(t, dir, "commit", "-q", "-m", "as they are")
			for _, attribute := range attributes {
				write(t, dir, ".gitattributes", attribute+"\n")
				sameChanges(t, dir, attribute)
			}
		})
	}
}

func TestAWorkTreeIsDirtyWhereGitSaysSo(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T, dir string){
		"nothing":    func(*testing.T, string) {},
		"executable": func(t *testing.T, dir string) { t.Helper(); chmod(t, dir, ".gxp/system_context.md", 0o700) },
		"executable, no matter": func(t *testing.T, dir string) {
			t.Helper()
			git(t, dir, "config", "core.fileMode", "false")
			chmod(t, dir, ".gxp/system_context.md", 0o700)
		},
		"readable by all": func(t *testing.T, dir string) { t.Helper(); chmod(t, dir, ".gxp/system_context.md", 0o444) },
		"a link as a file": func(t *testing.T, dir string) {
			t.Helper()
			link(t, dir, ".gxp/link", "system_context.md")
			commit(t, dir, "link")
			git(t, dir, "config", "core.symlinks", "false")
			remove(t, dir, ".gxp/link")
			write(t, dir, ".gxp/link", "system_context.md")
		},
		"a file for a link": func(t *testing.T, dir string) {
			t.Helper()
			link(t, dir, ".gxp/link", "system_context.md")
			commit(t, dir, "link")
			remove(t, dir, ".gxp/link")
			write(t, dir, ".gxp/link", "system_context.md")
		},
		"staged and taken back on disk": func(t *testing.T, dir string) {
			t.Helper()
			write(t, dir, ".gxp/system_context.md", "other")
			git(t, dir, "add", "-A")
			write(t, dir, ".gxp/system_context.md", "context\n")
		},
		"staged as removed": func(t *testing.T, dir string) {
			t.Helper()
			git(t, dir, "rm", "-q", "--cached", ".gxp/system_context.md")
		},
		"staged as new":  func(t *testing.T, dir string) { t.Helper(); write(t, dir, ".gxp/new", "x"); git(t, dir, "add", "-A") },
		"staged outside": func(t *testing.T, dir string) { t.Helper(); write(t, dir, "new", "x"); git(t, dir, "add", "-A") },
		"staged executable": func(t *testing.T, dir string) {
			t.Helper()
			git(t, dir, "update-index", "--chmod=+x", ".gxp/system_context.md")
		},
		"to be added": func(t *testing.T, dir string) {
			t.Helper()
			write(t, dir, ".gxp/new", "x")
			git(t, dir, "add", "-N", ".gxp/new")
		},
		"an empty folder": func(t *testing.T, dir string) {
			t.Helper()
			if err := os.MkdirAll(filepath.Join(dir, ".gxp/empty/deep"), 0o700); err != nil {
				t.Fatal(err)
			}
		},
		"a folder for a file": func(t *testing.T, dir string) {
			t.Helper()
			remove(t, dir, ".gxp/system_context.md")
			write(t, dir, ".gxp/system_context.md/x", "x")
		},
		"an index without a checksum": func(t *testing.T, dir string) {
			t.Helper()
			file := filepath.Join(dir, ".git/index")
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			replace(t, file, append(data[:len(data)-20], make([]byte, 20)...))
		},
		"an index of version 4": func(t *testing.T, dir string) { t.Helper(); git(t, dir, "update-index", "--index-version", "4") },
		"an untracked cache": func(t *testing.T, dir string) {
			t.Helper()
			git(t, dir, "update-index", "--force-untracked-cache")
			git(t, dir, "status")
		},
		"no index": func(t *testing.T, dir string) { t.Helper(); remove(t, dir, ".git/index") },
		"a link instead of .gxp": func(t *testing.T, dir string) {
			t.Helper()
			remove(t, dir, ".gxp")
			link(t, dir, ".gxp", "elsewhere")
		},
		".gxp is another link": func(t *testing.T, dir string) {
			t.Helper()
			remove(t, dir, ".gxp")
			link(t, dir, ".gxp", "elsewhere")
			commit(t, dir, "link")
			remove(t, dir, ".gxp")
			link(t, dir, ".gxp", "another")
		},
		"a conflict": func(t *testing.T, dir string) {
			t.Helper()
			id := git(t, dir, "rev-parse", "HEAD:.gxp/system_context.md")
			gitInput(t, dir, fmt.Sprintf("0 %s\t.gxp/system_context.md\n100644 %s 2\t.gxp/system_context.md\n", strings.Repeat("0", 40), id), "update-index", "--index-info")
		},
		"a submodule that was not cloned": func(t *testing.T, dir string) {
			t.Helper()
			submodule(t, dir)
			write(t, dir, ".gxp/module/x", "x")
			remove(t, dir, ".gxp/module/x")
		},
		"attributes that are staged alone": func(t *testing.T, dir string) {
			t.Helper()
			write(t, dir, ".gitattributes", "* text\n")
			write(t, dir, ".gxp/.gitattributes", "*.md -text\n")
			commit(t, dir, "attributes")
			write(t, dir, ".gxp/system_context.md", "context\r\n")
			remove(t, dir, ".gxp/.gitattributes")
		},
		"attributes of the top, staged alone": func(t *testing.T, dir string) {
			t.Helper()
			write(t, dir, ".gitattributes", "* text\n")
			commit(t, dir, "attributes")
			write(t, dir, ".gxp/system_context.md", "context\r\n")
			remove(t, dir, ".gitattributes")
		},
		"attributes of the repository": func(t *testing.T, dir string) {
			t.Helper()
			write(t, dir, ".git/info/attributes", "/.gxp/*.md text\n")
			write(t, dir, ".gxp/system_context.md", "context\r\n")
			write(t, dir, ".gxp/.gitattributes", "*.md -text\n")
			commit(t, dir, "attributes")
		},
		"nested attributes": func(t *testing.T, dir string) {
			t.Helper()
			write(t, dir, ".gitattributes", "* text=auto eol=crlf\n")
			write(t, dir, ".gxp/requirements/.gitattributes", "* -text\n")
			commit(t, dir, "attributes")
			write(t, dir, ".gxp/system_context.md", "context\r\n")
			write(t, dir, ".gxp/requirements/REQ-001.md", "one\r\n")
		},
		"* text=auto eol=crlf": func(t *testing.T, dir string) {
			t.Helper()
			write(t, dir, ".gitattributes", "* text=auto eol=crlf\n")
			commit(t, dir, "attributes")
			remove(t, dir, ".gxp")
			git(t, dir, "checkout", "-q", "--", ".")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, _ := sample(t)
			change(t, dir)
			sameStatus(t, dir, name)
			if staged := git(t, dir, "diff", "--cached", "--name-only"); staged == "" {
				git(t, dir, "read-tree", "HEAD") // git forgets the sizes that it has seen
				sameStatus(t, dir, name+", seen anew")
			}
		})
	}
}

func chmod(tb testing.TB, dir, name string, mode os.FileMode) {
	tb.Helper()
	if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
		tb.Fatal(err)
	}
}

// submodule commits one without a folder.
func submodule(tb testing.TB, dir string) {
	tb.Helper()
	git(tb, dir, "update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("1", 40)+",.gxp/module")
	git(tb, dir, "commit", "-q", "-m", "submodule")
}

// TestWhereAFilterWouldRunTheAnswerIsUnknown holds that nothing is called clean that was not seen to be.
func TestWhereAFilterWouldRunTheAnswerIsUnknown(t *testing.T) {
	t.Parallel()
	user := t.TempDir()
	write(t, user, "gitconfig", "[include]\n\tpath = more\n")
	write(t, user, "more", "[filter \"lfs\"]\n\tclean = git-lfs clean\n")
	write(t, user, "crlf", "[core]\n\tautocrlf = true\n")
	write(t, user, "conditions", "[includeIf \"gitdir:x\"]\n\tpath = crlf\n")
	write(t, user, "broken", "[[[\n")
	write(t, user, "attributes", "*.md text\n")
	write(t, user, "withattributes", "[core]\n\tattributesFile = "+filepath.Join(user, "attributes")+"\n")
	for name, c := range map[string]struct {
		attributes, content string
		global              string
		configure           []string
		dirty               bool
		doubt               string
	}{
		"a filter of the repository": {"*.md filter=x", "context\n", "", []string{"filter.x.clean", "false"}, true, `the filter "x" of ".gxp/requirements/REQ-001.md" is not run`},
		"a process":                  {"*.md filter=x", "context\n", "", []string{"filter.x.process", "false"}, true, `the filter "x"`},
		"a filter that is none":      {"*.md filter=x", "context\n", "", []string{"filter.x.smudge", "false"}, false, ""},
		"a filter of the user":       {"*.md filter=lfs", "context\n", "gitconfig", nil, true, `the filter "lfs"`},
		"a change beside a filter":   {"REQ* filter=lfs", "other\n", "gitconfig", nil, true, ""},
		"an encoding":                {"*.md working-tree-encoding=UTF-16", "context\n", "", nil, true, `the encoding "UTF-16"`},
		"line ends of the user":      {"", "context\r\n", "crlf", nil, false, ""},
		"attributes of the user":     {"", "context\r\n", "withattributes", nil, false, ""},
		"an include":                 {"", "context\r\n", "", []string{"include.path", "../more"}, true, "includes files that are not read"},
		"an include, no matter":      {"", "context\n", "", []string{"include.path", "../more"}, false, ""},
		"an include, a change":       {"", "other\n", "", []string{"include.path", "../more"}, true, ""},
		"a condition":                {"", "context\r\n", "conditions", nil, true, "includes files that are not read"},
		"broken settings":            {"", "context\r\n", "broken", nil, true, "includes files that are not read"},
		"attributes elsewhere":       {"", "context\r\n", "", []string{"core.attributesFile", "/etc/passwd"}, true, "includes files that are not read"},
		"too many attributes":        {strings.Repeat("x y\n", 1<<18) + "x", "context\n", "", nil, true, "more than 1048576 bytes"},
	} {
		dir := newRepo(t)
		write(t, dir, ".gxp/system_context.md", "context\n")
		write(t, dir, ".gxp/requirements/REQ-001.md", "one\n")
		commit(t, dir, "first")
		git(t, dir, "read-tree", "HEAD") // git forgets the sizes that it has seen
		write(t, dir, ".gitattributes", c.attributes+"\n")
		write(t, dir, ".gxp/system_context.md", c.content)
		if c.configure != nil {
			git(t, dir, append([]string{"config"}, c.configure...)...)
		}
		env := func(name string) string {
			if name == "GIT_CONFIG_GLOBAL" && c.global != "" {
				return filepath.Join(user, c.global)
			}
			return noUser(name)
		}
		revision := mustOpen(t, dir, gitrepo.Options{Worktree: true, Env: env})
		if doubt := revision.Source().DirtyUnknown; revision.Source().Dirty != c.dirty || (doubt == "") != (c.doubt == "") || !strings.Contains(doubt, c.doubt) {
			t.Errorf("%s: dirty %t because %q, want %t because %q", name, revision.Source().Dirty, doubt, c.dirty, c.doubt)
		}
	}
	dir, _ := sample(t)
	submodule(t, dir)
	write(t, dir, ".gxp/module/.git", "gitdir: elsewhere")
	write(t, dir, ".git/index", "no index")
	if doubt := mustOpen(t, dir, gitrepo.Options{Worktree: true, Env: noUser}).Source().DirtyUnknown; !strings.Contains(doubt, "index") {
		t.Errorf("a broken index: %q", doubt)
	}
	remove(t, dir, ".git/index")
	git(t, dir, "read-tree", "HEAD")
	if doubt := mustOpen(t, dir, gitrepo.Options{Worktree: true, Env: noUser}).Source().DirtyUnknown; !strings.Contains(doubt, `the submodule ".gxp/module"`) {
		t.Errorf("a submodule: %q", doubt)
	}
}

// TestWhatGitLooksAwayFromIsAChange holds where we differ from git on purpose: a scan reads these files.
func TestWhatGitLooksAwayFromIsAChange(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(dir string){
		"ignored": func(dir string) { write(t, dir, ".git/info/exclude", "new.md\n"); write(t, dir, ".gxp/new.md", "x") },
		"assumed": func(dir string) {
			git(t, dir, "update-index", "--assume-unchanged", ".gxp/system_context.md")
			write(t, dir, ".gxp/system_context.md", "x")
		},
		"left out": func(dir string) {
			git(t, dir, "update-index", "--skip-worktree", ".gxp/system_context.md")
			remove(t, dir, ".gxp/system_context.md")
		},
		"a submodule that is not one": func(dir string) { submodule(t, dir); write(t, dir, ".gxp/module/x", "x") },
		"sparse":                      func(dir string) { git(t, dir, "sparse-checkout", "set", "--no-cone", "requirements") },
	} {
		dir, _ := sample(t)
		change(dir)
		if len(changedFiles(t, dir)) > 0 {
			t.Errorf("%s: git sees it", name)
		}
		if revision := mustOpen(t, dir, gitrepo.Options{Worktree: true, Env: noUser}); !revision.Source().Dirty || revision.Source().DirtyUnknown != "" {
			t.Errorf("%s: dirty %t, %q", name, revision.Source().Dirty, revision.Source().DirtyUnknown)
		}
	}
}
