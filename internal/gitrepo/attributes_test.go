package gitrepo_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/internal/gitrepo"
)

// TestPropertyAttributesAreThoseOfGit compares patterns, and the order in which files and lines count, with git
// check-attr.
func TestPropertyAttributesAreThoseOfGit(t *testing.T) {
	t.Parallel()
	dir := newRepo(t)
	names := []string{
		".gxp/a.md", ".gxp/A.MD", ".gxp/b/a.md", ".gxp/b/c/a.md", ".gxp/b/x", ".gxp/[a].md", ".gxp/b/ä.md", ".gxp/b/a b", ".gxp/b-c/a.txt", ".gxp/b/c/d/e/f.md",
	}
	piece := rapid.SampledFrom([]string{
		"*", "**", "?", "/", "/", "a", "b", "c", ".md", "*.md", ".gxp", ".gxp/", "/.gxp/", "b/", "**/", "/**", "[a-c]", "[!a]", "[[:alpha:]]", "[", "]", "[]a]", "[a", "\\", "\\*",
		"\\[", "x", "ä", "[^/]", "[a\\-c]", "[[:nope:]]", "***", "MD", "[A-Z]", "#", "!",
	})
	pattern := rapid.Map(rapid.SliceOfN(piece, 1, 5), func(parts []string) string { return strings.Join(parts, "") })
	states := rapid.SampledFrom([]string{"text", "-text", "!text", "text=auto", "text=x", "binary", "-binary", "!binary", "mine", "-mine", "text -text", "a=b text", "-", "te/xt", "text binary", ""})
	line := rapid.OneOf(
		rapid.Custom(func(r *rapid.T) string { return pattern.Draw(r, "pattern") + " " + states.Draw(r, "states") }),
		rapid.Custom(func(r *rapid.T) string { return `"` + pattern.Draw(r, "pattern") + `" ` + states.Draw(r, "states") }),
		rapid.SampledFrom([]string{"[attr]mine text", "[attr]mine -text binary", "[attr]binary text", "* text", "\"\\303\\244.md\" text", "  *.md\ttext\r", "# * text", "*.md text=" + strings.Repeat("x", 2040)}),
	)
	text := rapid.Map(rapid.SliceOfN(line, 0, 4), func(lines []string) string { return strings.Join(lines, "\n") + "\n" })
	rapid.Check(t, func(r *rapid.T) {
		files := map[string]string{".gitattributes": text.Draw(r, "top"), ".gxp/.gitattributes": text.Draw(r, "gxp"), ".gxp/b/.gitattributes": text.Draw(r, "b"), ".git/info/attributes": text.Draw(r, "info")}
		for name, text := range files {
			write(t, dir, name, text)
		}
		fold := rapid.Bool().Draw(r, "ignorecase")
		out := git(t, dir, append([]string{"-c", fmt.Sprint("core.ignorecase=", fold), "check-attr", "-z", "text", "--"}, names...)...)
		fields := strings.Split(out, "\x00")
		for i, name := range names {
			have := gitrepo.TextAttribute(name, files, fold)
			if want := fields[3*i+2]; have != want && !afterAPrefix(files) {
				r.Fatalf("text of %s is %s, git says %s", name, have, want)
			}
		}
	})
}

// afterAPrefix reports whether a pattern has two stars behind letters: git takes them for one star, says its manual; until
// 2.52 it does so only where a wildcard comes before.
func afterAPrefix(files map[string]string) bool {
	for _, text := range files {
		for line := range strings.SplitSeq(text, "\n") {
			if i := strings.Index(line, "**"); i > 0 && line[i-1] != '/' && line[i-1] != '"' && strings.Contains(line, "/") {
				return true
			}
		}
	}
	return false
}
