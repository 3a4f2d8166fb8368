package cli_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/cli"
)

// from runs a command in a folder, with the home that nobody names.
func (d *fixture) from(dir string, args ...string) result {
	d.t.Helper()
	d.t.Chdir(dir)
	return d.bare(d.t.Context(), args...)
}

// forge makes what a repository could ship as a home.
func (r repo) forge(folder string) repo {
	return r.write(folder+"/log.db", "forged").write(folder+"/tables.db", "forged")
}

// filesBelow lists a folder with the content of its files.
func filesBelow(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || strings.Contains(path, ".git"+string(filepath.Separator)) {
			all.WriteString(path + "\n")
			return err
		}
		data, err := os.ReadFile(path)
		all.WriteString(path + ": " + string(data) + "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func TestAHomeThatARepositoryTracksIsRefused(t *testing.T) { //nolint:paralleltest // it changes the current folder
	d := newFixture(t)
	for name, c := range map[string]struct { //nolint:paralleltest // it changes the current folder
		ship func(r repo)
		in   string
	}{
		"committed":          {func(r repo) { r.forge(".gxpledger").commit("ship") }, ""},
		"in another case":    {func(r repo) { r.forge(".GxPLedger").commit("ship") }, ""},
		"in the index alone": {func(r repo) { r.forge(".gxpledger").git("add", "-A", "-f") }, ""},
		"in HEAD alone":      {func(r repo) { r.forge(".gxpledger").commit("ship").git("rm", "-rq", "--cached", ".gxpledger") }, ""},
		"committed and deleted": {func(r repo) {
			r.forge(".gxpledger").commit("ship").git("rm", "-rq", ".gxpledger")
			r.git("reset", "-q")
		}, ""},
		"below":                      {func(r repo) { r.forge("sub/.gxpledger").commit("ship") }, "sub"},
		"below, as file":             {func(r repo) { r.write("sub/.gxpledger", "x").commit("ship") }, "sub"},
		"with a repository inside":   {func(r repo) { r.forge("sub/.gxpledger").commit("ship").git("init", "-q", "sub") }, "sub"},
		"with an index of version 4": {func(r repo) { r.forge(".gxpledger").commit("ship").git("update-index", "--index-version", "4") }, ""},
		"with a split index":         {func(r repo) { r.forge(".gxpledger").commit("ship").git("update-index", "--split-index") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t).commit("x")
			c.ship(r)
			before := filesBelow(t, r.dir)
			for _, args := range [][]string{{"scan"}, {"gaps"}, {"verify"}, {"log"}, {"repository", "retire", "x", "--reason", "y"}} {
				got := d.from(filepath.Join(r.dir, c.in), args...).wantCode(1).says("tracks", "gxpledger", "--home", "GXPLEDGER_HOME")
				if strings.Contains(got.stdout, "forged") {
					t.Errorf("%v: %s", args, got.stdout)
				}
			}
			if after := filesBelow(t, r.dir); after != before {
				t.Errorf("the folder changed from\n%s\nto\n%s", before, after)
			}
			d.from(filepath.Join(r.dir, c.in), "version").wantCode(0)
			d.bare(t.Context(), "scan", r.dir, "--home", filepath.Join(t.TempDir(), "own")).wantCode(0)
		})
	}
}

func TestAHomeThatNobodyNamedMustBeOurs(t *testing.T) { //nolint:paralleltest // it changes the current folder
	outside := t.TempDir()
	for name, c := range map[string]struct { //nolint:paralleltest // it changes the current folder
		make func(home string) error
		says string
	}{
		"a link":            {func(home string) error { return os.Symlink(outside, home) }, "symbolic link"},
		"a link to nothing": {func(home string) error { return os.Symlink(filepath.Join(outside, "none"), home) }, "symbolic link"},
		"a file":            {func(home string) error { return os.WriteFile(home, nil, 0o600) }, "not a folder"},
		"a linked log": {func(home string) error {
			return errors.Join(os.Mkdir(home, 0o700), os.Symlink(filepath.Join(outside, "x"), filepath.Join(home, "log.db")))
		}, "log.db is a symbolic link"},
		"a linked spool": {func(home string) error {
			return errors.Join(os.Mkdir(home, 0o700), os.Symlink(outside, filepath.Join(home, "spool")))
		}, "spool is a symbolic link"},
		"a link in the spool": {func(home string) error {
			return errors.Join(os.MkdirAll(filepath.Join(home, "spool"), 0o700), os.Symlink(outside, filepath.Join(home, "spool", "x.json")))
		}, "x.json is a symbolic link"},
		"a hard link": {func(home string) error {
			return errors.Join(os.Mkdir(home, 0o700), os.WriteFile(filepath.Join(outside, "mine"), nil, 0o600), os.Link(filepath.Join(outside, "mine"), filepath.Join(home, "log.db")))
		}, "hard link"},
		"a pipe": {func(home string) error {
			return errors.Join(os.Mkdir(home, 0o700), exec.CommandContext(t.Context(), "mkfifo", filepath.Join(home, "log.db")).Run())
		}, "neither a file nor a folder"},
		"a folder that all may write": {func(home string) error {
			return errors.Join(os.Mkdir(home, 0o700), os.Chmod(home, 0o777))
		}, "other users"},
		"a log that the group may write": {func(home string) error {
			return errors.Join(os.Mkdir(home, 0o700), os.WriteFile(filepath.Join(home, "log.db"), nil, 0o600), os.Chmod(filepath.Join(home, "log.db"), 0o660))
		}, "other users"},
		"of another user": {func(home string) error {
			if os.Geteuid() != 0 {
				return errors.ErrUnsupported
			}
			return errors.Join(os.Mkdir(home, 0o700), os.Chown(home, 12345, -1))
		}, "another user (id 12345)"},
		"a log of another user": {func(home string) error {
			if os.Geteuid() != 0 {
				return errors.ErrUnsupported
			}
			return errors.Join(os.Mkdir(home, 0o700), os.WriteFile(filepath.Join(home, "log.db"), nil, 0o600), os.Chown(filepath.Join(home, "log.db"), 12345, -1))
		}, "another user (id 12345)"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t).commit("x")
			err := c.make(filepath.Join(r.dir, ".gxpledger"))
			if errors.Is(err, errors.ErrUnsupported) {
				t.Skip("needs to be root")
			}
			if err != nil {
				t.Fatal(err)
			}
			before := filesBelow(t, outside)
			newFixture(t).from(r.dir, "scan").wantCode(1).says(c.says, "--home")
			if after := filesBelow(t, outside); after != before {
				t.Errorf("outside, %s became %s", before, after)
			}
		})
	}
}

func TestOurOwnHomeIsUsedUnasked(t *testing.T) { //nolint:paralleltest // it changes the current folder
	d := newFixture(t)
	r := newRepo(t).commit("x")
	d.from(r.dir, "scan").wantCode(0)
	d.from(r.dir, "scan").wantCode(0)
	d.from(r.dir, "scans").wantCode(0)
	if got := r.git("status", "--porcelain"); got != "" {
		t.Errorf("git sees %s", got)
	}
	d.from(newRepo(t).dir, "--help").wantCode(0)
}

func TestANamedHomeIsTheWordOfTheOperatorButForLinksOfARepository(t *testing.T) { //nolint:paralleltest // it changes the current folder
	d := newFixture(t)
	r := newRepo(t).forge("shipped").commit("x")
	r.git("rm", "-rq", "--cached", "shipped")
	outside := t.TempDir()
	for _, link := range []string{"link", "sub/link"} {
		full := filepath.Join(r.dir, link)
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o750), os.Symlink(outside, full)); err != nil {
			t.Fatal(err)
		}
	}
	r.commit("links")
	if err := errors.Join(os.Mkdir(filepath.Join(r.dir, "inside"), 0o700), os.Symlink(filepath.Join(outside, "log.db"), filepath.Join(r.dir, "inside", "log.db"))); err != nil {
		t.Fatal(err)
	}
	r.git("add", "-f", "inside")
	beside := filepath.Join(t.TempDir(), "beside")
	if err := os.Symlink(filepath.Join(r.dir, "link"), beside); err != nil {
		t.Fatal(err)
	}
	for _, home := range []string{"link", "./link/", "link/deeper", "sub/link", "sub/../link", filepath.Join(r.dir, "link"), beside, filepath.Join(beside, "x"), "inside"} {
		d.from(r.dir, "scan", "--home", home).wantCode(1).says("symbolic link", r.dir, "--home")
		d.env["GXPLEDGER_HOME"] = home
		d.from(r.dir, "scan").wantCode(1).says("symbolic link")
		delete(d.env, "GXPLEDGER_HOME")
		d.from(r.dir, "log", "copy", "--from", "sqlite:"+home, "--to", "sqlite:"+t.TempDir(), "--reason", "x", "--home", t.TempDir()).wantCode(1).says("symbolic link")
	}
	if left := filesBelow(t, outside); left != outside+"\n" {
		t.Errorf("written outside: %s", left)
	}
	own := filepath.Join(t.TempDir(), "own")
	if err := os.Symlink(outside, own); err != nil {
		t.Fatal(err)
	}
	d.from(r.dir, "scan", "--home", own).wantCode(0)
	tracked := newRepo(t).write("home/README", "x").commit("x")
	d.from(tracked.dir, "scan", "--home", "home").wantCode(0)
	d.from(tracked.dir, "scan", "--home", "").wantCode(2).says("--home is empty")
}

// TestWhoServesOrFollowsALogThatIsGoneSaysSo: it would wait for ever, and for what is recorded elsewhere.
func TestWhoServesOrFollowsALogThatIsGoneSaysSo(t *testing.T) {
	t.Parallel()
	d, r := newFixture(t), newRepo(t).commit("One")
	d.scan(r).wantCode(0)
	s := d.serve()
	var followed bytes.Buffer
	read, write := io.Pipe()
	system := cli.System{
		Silence: time.Hour, Stdin: strings.NewReader(""), Stdout: write, Stderr: &followed, Now: time.Now,
		Env: func(name string) (string, bool) { value, ok := d.env[name]; return value, ok },
	}
	code := make(chan int, 1)
	go func() {
		code <- system.Run(t.Context(), []string{"log", "--follow", "--home", d.home})
		_ = write.Close()
	}()
	if _, err := bufio.NewReader(read).ReadString('\n'); err != nil { // it follows
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, read) }()
	if err := os.RemoveAll(d.home); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		code   chan int
		stderr *bytes.Buffer
	}{"serve": {s.code, s.stderr}, "log --follow": {code, &followed}} {
		if got := <-c.code; got != 1 || !strings.Contains(c.stderr.String(), "log.db was deleted while it was in use") {
			t.Errorf("%s ends with %d and %q", name, got, c.stderr)
		}
	}
}
