package cli_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/cli"
)

// Errors of drivers have lines that are indented: none of it is shown to a person.
func TestErrorsAreOneLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"failed to connect to `user=a database=b`:\n\t127.0.0.1:1 (h): dial error: refused\n\t[::1]:1 (h): dial error: refused": "failed to connect to `user=a database=b`: " +
			"127.0.0.1:1 (h): dial error: refused; [::1]:1 (h): dial error: refused",
		"one\ntwo":                 "one; two",
		"\n\n one \r\n\t\n two\t3": "one; two 3",
		"":                         "",
	} {
		if got := cli.OneLine(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// What is wrong, where, what was expected and what to do: in one sentence, without the layers that it went through.
func TestTheCommonestFailuresAreOneClearSentence(t *testing.T) {
	t.Parallel()
	d, r := recorded(t)
	here := t.TempDir()
	empty, bare := newRepo(t), newRepo(t)
	bare.git("rm", "-rq", "--cached", "--ignore-unmatch", ".")
	bare.write("README.md", "x")
	bare.git("add", "README.md")
	bare.git("commit", "-qm", "without .gxp")
	for _, c := range map[string]struct {
		args []string
		code int
		says []string
	}{
		"a path that is not there":       {[]string{"scan", here + "/none"}, 1, []string{"there is no folder", "give the path of a git repository"}},
		"a folder that is no repository": {[]string{"scan", here}, 1, []string{here + " is not a git repository", "give the path of a repository, or --worktree"}},
		"a revision that is not there":   {[]string{"scan", r.dir, "--ref", "v9"}, 1, []string{`has no revision "v9"`, "it has main", "recorded as failed"}},
		"a repository without commits":   {[]string{"scan", empty.dir}, 1, []string{"is empty: commit something and scan again"}},
		"a repository without .gxp":      {[]string{"scan", bare.dir}, 1, []string{"refused because of the violation above", "recorded as failed"}},
		"a home without a log":           {[]string{"gaps", "--home", here}, 1, []string{"there is no log in " + here, "record something with gxpledger scan"}},
		"a server that is not there": {
			[]string{"gaps", "--log", "postgres://127.0.0.1:1/x", "--db", "postgres://127.0.0.1:1/x"},
			1,
			[]string{"cannot use the log at ", "log did not answer: failed to connect", "check that the server runs"},
		},
		"an address of an unknown kind": {[]string{"gaps", "--log", "mysql://a/b"}, 2, []string{"--log: cannot open mysql addresses: want postgres://"}},
		"a position that is not there":  {[]string{"gaps", "--as-of", "pos:999"}, 1, []string{`there is no position "999"`, "the first event is at position 1"}},
		"a point that is not one":       {[]string{"gaps", "--as-of", "2026-02-30"}, 2, []string{`the flag --as-of does not take "2026-02-30"`, "want a time such as"}},
		"a tag that was not scanned":    {[]string{"gaps", "--as-of", "yesterday"}, 1, []string{`there is no completed scan of tag or branch "yesterday"`, "a date such as"}},
		"an unknown repository":         {[]string{"gaps", "--repository", "x"}, 1, []string{`there is no repository "x"`}},
	} {
		if !slices.Contains(c.args, "--home") {
			c.args = append(c.args, "--home", d.home)
		}
		d.bare(t.Context(), c.args...).wantCode(c.code).says(c.says...)
	}
	d.wreck("log.db")
	d.run("gaps").wantCode(1).says("cannot open log "+filepath.Join(d.home, "log.db"), "not a SQLite database, check which file is meant")
}
