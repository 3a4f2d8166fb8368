package gitrepo_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/internal/gitrepo"
)

// server serves the bare clone of a repository over https, with the git that is installed.
type server struct {
	*httptest.Server
	bare     string
	requests chan *http.Request
}

func serve(t *testing.T, dir string, settings ...string) *server {
	t.Helper()
	root := t.TempDir()
	s := &server{bare: filepath.Join(root, "repo.git"), requests: make(chan *http.Request, 1000)}
	git(t, dir, "clone", "-q", "--bare", dir, s.bare)
	for _, setting := range settings {
		key, value, _ := strings.Cut(setting, "=")
		git(t, s.bare, "config", key, value)
	}
	backend := filepath.Join(git(t, root, "--exec-path"), "git-http-backend")
	if _, err := os.Stat(backend); err != nil {
		t.Skipf("git-http-backend is not installed, so fetching is not tested: %v", err)
	}
	handler := &cgi.Handler{Path: backend, Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1"}}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests <- r
		if user, password, _ := r.BasicAuth(); strings.Contains(r.URL.Path, "private") && (user != "user" || password != "s3cret") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if strings.Contains(r.URL.Path, "moved") {
			http.Redirect(w, r, strings.Replace(s.URL, "127.0.0.1", "localhost", 1)+"/repo.git/info/refs?service=git-upload-pack", http.StatusMovedPermanently)
			return
		}
		r.URL.Path = strings.ReplaceAll(r.URL.Path, "private", "repo")
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) options(t *testing.T, ref string) gitrepo.Options {
	t.Helper()
	return gitrepo.Options{Ref: ref, HTTP: s.Client().Transport, TempDir: t.TempDir()}
}

func TestARevisionIsFetchedAndForgotten(t *testing.T) {
	t.Parallel()
	dir, first := sample(t)
	git(t, dir, "tag", "-a", "v1", "-m", "annotated")
	for i := range 30 {
		write(t, dir, ".gxp/requirements/REQ-002.md", strings.Repeat("a line that hardly changes\n", 300)+fmt.Sprint(i))
		commit(t, dir, "Change")
	}
	second := git(t, dir, "rev-parse", "HEAD")
	s := serve(t, dir)
	for ref, want := range map[string]string{"": second, "main": second, "v1": first, "refs/heads/main": second, second: second, first: first, first[:8]: first} {
		options := s.options(t, ref)
		var output strings.Builder
		options.Progress = func(text string) { output.WriteString(text) }
		found, err := gitrepo.Locate(s.URL+"/repo.git", options)
		if err != nil {
			t.Fatal(err)
		}
		if found.Name() != s.URL+"/repo.git" || found.URL() != found.Name() || !found.Remote() {
			t.Errorf("name %s, URL %s", found.Name(), found.URL())
		}
		revision, err := found.Open(t.Context())
		if err != nil {
			t.Fatalf("%q: %v", ref, err)
		}
		if revision.Source().Commit != want {
			t.Errorf("%q is %s, want %s", ref, revision.Source().Commit, want)
		}
		assertTree(t, revision.Files(), dir, want)
		if err := revision.Close(); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(options.TempDir); err != nil || len(left) != 0 {
			t.Errorf("%q leaves %v behind, %v", ref, left, err)
		}
		if output.Len() == 0 {
			t.Errorf("%q: nothing was said of progress", ref)
		}
	}
}

func TestATipIsFetchedWithoutItsHistory(t *testing.T) {
	t.Parallel()
	dir, first := sample(t)
	write(t, dir, ".gxp/x", "x")
	commit(t, dir, "second")
	revision := mustOpen(t, serve(t, dir).URL+"/repo.git", serve(t, dir).options(t, "main"))
	contents(t, revision.Files())
	_ = first

	s := serve(t, dir, "uploadpack.allowReachableSHA1InWant=true")
	assertTree(t, mustOpen(t, s.URL+"/repo.git", s.options(t, first)).Files(), dir, first)
}

func TestFetchingSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	s := serve(t, dir)
	empty := serve(t, newRepo(t))
	for _, c := range []struct {
		location, ref string
		kind          error
		says          []string
	}{
		{s.URL + "/none.git", "", gitrepo.ErrRemote, []string{"no repository", "/none.git"}},
		{s.URL + "/repo.git", "mian", gitrepo.ErrRef, []string{"did you mean main"}},
		{s.URL + "/repo.git", "abcdef12", gitrepo.ErrRef, []string{"no revision"}},
		{s.URL + "/repo.git", strings.Repeat("ab", 20), gitrepo.ErrMissing, []string{"did not send"}},
		{s.URL + "/private.git", "", gitrepo.ErrRemote, []string{"does not let this user in", "TOKEN@HOST"}},
		{s.URL + "/moved.git", "", gitrepo.ErrRemote, []string{"another host"}},
		{empty.URL + "/repo.git", "", gitrepo.ErrEmpty, []string{"is empty"}},
		{"https://127.0.0.1:1/x.git", "", gitrepo.ErrRemote, []string{"check the address and the network"}},
	} {
		options := s.options(t, c.ref)
		if strings.HasPrefix(c.location, empty.URL) {
			options.HTTP = empty.Client().Transport
		}
		_, err := open(t, c.location, options)
		t.Log(c.location, c.ref, err)
		assertProblem(t, err, c.kind, c.says...)
	}
}

func TestCredentialsAreUsedAndNeverShown(t *testing.T) {
	t.Parallel()
	dir, id := sample(t)
	s := serve(t, dir)
	location := func(credentials, path string) string {
		return strings.Replace(s.URL, "https://", "https://"+credentials+"@", 1) + path
	}
	revision := mustOpen(t, location("user:s3cret", "/private.git"), s.options(t, ""))
	if revision.Source().Commit != id {
		t.Errorf("commit %s", revision.Source().Commit)
	}
	for _, place := range []string{
		location("user:s3cret", "/none.git"), location("user:s3cret-not", "/private.git"), location("s3cret", "/private.git"),
		"https://user:s3cret@127.0.0.1:1/x", "https://user:s3cret@[bad/x", "http://user:s3cret@h/x", "https://user:s3cret@/x",
		"ftp://user:s3cret@h/x", "https://user:s3%ZZcret@h/x", "file://user:s3cret@h/x", "https://h/x?s3cret", "https://user:s3cret@h",
		"s3cret@h:", "https://u:s3cret@h/%2e%2e?x#y",
	} {
		found, err := gitrepo.Locate(place, s.options(t, ""))
		if err == nil {
			if strings.Contains(found.Name()+found.URL(), "s3cret") {
				t.Errorf("%s is named %s", place, found.Name())
			}
			if !strings.Contains(place, "127.0.0.1") {
				continue
			}
			_, err = found.Open(t.Context())
		}
		if err == nil || strings.Contains(err.Error(), "s3cret") || strings.Contains(fmt.Sprintf("%+v", err), "s3cret") {
			t.Errorf("%s: error %v", place, err)
		}
	}
}

func TestAddressesThatAreRefused(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	for location, says := range map[string][]string{
		"ext::sh -c touch% /tmp/pwned": {"ext::", "runs a program"},
		"fd::7":                        {"fd::"},
		"http://host/x":                {"not encrypted", "https"},
		"git://host/x":                 {"not encrypted"},
		"ftp://host/x":                 {`"ftp"`, "https or ssh"},
		"file://" + dir:                {"--allow-file-url", dir},
		"https://":                     {"no host"},
		"https://host":                 {"no repository"},
		"ssh://-oProxyCommand=x/y":     {"no host"},
		"-oProxyCommand=x@host:path":   {"dash"},
		"user@-host:path":              {"no host"},
		"ssh://host/-x":                {"no repository"},
		"https://host/a\nb":            {"control"},
		"host:":                        {"no repository"},
	} {
		_, err := gitrepo.Locate(location, gitrepo.Options{})
		t.Log(location)
		assertProblem(t, err, gitrepo.ErrURL, says...)
	}
}

func TestAFileURLIsReadWhereItIsAllowed(t *testing.T) {
	t.Parallel()
	dir, id := sample(t)
	revision := mustOpen(t, "file://"+dir, gitrepo.Options{AllowFileURL: true})
	if revision.Source().Commit != id {
		t.Errorf("commit %s", revision.Source().Commit)
	}
	_, err := gitrepo.Locate("file://elsewhere/x", gitrepo.Options{AllowFileURL: true})
	assertProblem(t, err, gitrepo.ErrURL, "elsewhere")
	_, err = open(t, "file://"+dir, gitrepo.Options{AllowFileURL: true, Worktree: true})
	assertProblem(t, err, gitrepo.ErrRef, "no work tree")
}

func TestAFetchStopsWhenCancelled(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	s := serve(t, dir)
	reached := make(chan struct{})
	release := make(chan struct{})
	stuck := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(reached); <-release }))
	t.Cleanup(stuck.Close)
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithCancel(t.Context())
	options := s.options(t, "")
	options.HTTP = stuck.Client().Transport
	found, err := gitrepo.Locate(stuck.URL+"/repo.git", options)
	if err != nil {
		t.Fatal(err)
	}
	go func() { <-reached; cancel() }()
	if _, err := found.Open(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that it was cancelled", err)
	}
	if left, err := os.ReadDir(options.TempDir); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestAFetchHasLimits(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	s := serve(t, dir)
	options := s.options(t, "")
	options.MaxFetch = 100
	_, err := open(t, s.URL+"/repo.git", options)
	assertProblem(t, err, gitrepo.ErrTooLarge, "100 bytes", "--limit fetch")

	bomb := newRepo(t)
	if err := os.WriteFile(filepath.Join(bomb, "zeros"), make([]byte, 65<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	commit(t, bomb, "a bomb of 65 MiB in 65 kB")
	big := serve(t, bomb)
	_, err = open(t, big.URL+"/repo.git", big.options(t, ""))
	assertProblem(t, err, gitrepo.ErrTooLarge, "clone it with git")
}

func TestAnInconsistentRemoteIsAnError(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"nonsense":     "<html>hello</html>",
		"a huge line":  "ffff" + strings.Repeat("x", 1<<16),
		"endless refs": "001e# service=git-upload-pack\n0000" + strings.Repeat("003d"+strings.Repeat("a", 40)+" refs/heads/x\n", 10),
	} {
		s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(answer)) }))
		t.Cleanup(s.Close)
		_, err := open(t, s.URL+"/repo.git", gitrepo.Options{HTTP: s.Client().Transport, TempDir: t.TempDir()})
		t.Log(name, err)
		if _, ok := errors.AsType[*gitrepo.Error](err); !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
