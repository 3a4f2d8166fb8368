package gitrepo_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/internal/gitrepo"
)

const secret = "gHp0S3cr3tV4lue"

// around are addresses that hold the secret S in every place that was ever mistaken for another.
func around() []string {
	return []string{
		"x-access-token:S@github.com:org/repo.git", "https:/ci:S@h/x", "user:S@h/x", "https:///ci:S@h/x", "//ci:S@h/x", "/ci:S@h/x", "./ci:S@h/x",
		"ci:S@h", "ci:S@h/", "ci:S@h:x", "S@h:x", "S@h/x", "S:x@h/x", "https:S@h/x", "https:ci:S@h/x", "https//ci:S@h/x", "https;//ci:S@h/x",
		"https://S@h/x", "https://ci:S@h/x", "https://ci:S@h:x/y", "https://ci:S@h", "https://ci:S@", "https://ci:S/@h/x", "https://ci:S#@h/x",
		"https://ci:S?@h/x", "https://S/t@h/x", "https://S?t@h/x", "https://h:S@/x", "https://ci%3AS%40h/x", "https://ci%3AS@h/x", "https://ci:S%40h/x",
		"https://h/ci%3AS%40h/x", "https://h/ci:S@h/x", `https:\\ci:S@h\x`, `https://ci:S\@h/x`, `https:/\ci:S@h/x`, `\\ci:S@h\x`, `ci:S@h\x`,
		"https://h/x?access_token=S", "https://h/x?private_token=S&y=@", "https://h/x#S", "https://h/x#S@y", "h:x?access_token=S", "h:x#S", "h:x;token=S",
		"https://h/x;token=S", "https://h/x%3Faccess_token=S", "https://h/x%253Faccess_token%253DS", "https://ci:S@[::1]/x", "https://ci:S@[::1/x", "[ci:S@h]:x",
		"[ci:S@h:22]:x", "ci:S@[h:22]:x", "ssh://ci:S@h/x", "ssh://ci:S@h", "ssh:/ci:S@h/x", "ssh:ci:S@h/x", "git+ssh://ci:S@h/x", "http://ci:S@h/x",
		"git://ci:S@h/x", "ftp://ci:S@h/x", "S://h/x", "ci:S://h/x", "file://ci:S@h/x", "file:///ci:S@h/x", "file:ci:S@h/x", "S::https://h/x",
		"ext::ci:S@h", "-S@h:x", "-ci:S@h/x", "https://-ci:S@h/x", "https://ci:S@-h/x", "https://ci:S@h/-x", "https://ci:S@h:0/x", "https://ci:S@h:99999/x",
		"https://h:S/x", "https://ci:S@h/\nx", "https://ci:S@h/%zz", "https://ci:S%zz@h/x", " https://ci:S@h/x", "https ://ci:S@h/x", "https://ci:S＠h/x",
		"https：//ci:S@h/x", "https://ci:S@h／x", "HTTPS://CI:S@H/x", "c:/S@h", "c:S@h", `C:\ci:S@h`, "https://ci:S@h/x/../y", "~/ci:S@h", "~ci:S@h/x",
		"$HOME/ci:S@h", "https://ci:S@h/x y", "https://ci:S@h\t/x", "url:https://ci:S@h/x", "origin=https://ci:S@h/x", "https://https://ci:S@h/x",
	}
}

// assertHidden checks that nothing of a repository or an error repeats the secret.
func assertHidden(t interface{ Errorf(string, ...any) }, location string, found *gitrepo.Repository, err error) {
	output := ""
	if found != nil {
		output = found.Name() + " " + found.URL()
	}
	if err != nil {
		output += fmt.Sprintf("%v %+v", err, err)
	}
	if strings.Contains(strings.ToLower(output), strings.ToLower(secret)) {
		t.Errorf("%q: %s", location, output)
	}
}

func TestNoAddressLeaksASecret(t *testing.T) {
	t.Parallel()
	for _, form := range around() {
		location := strings.ReplaceAll(form, "S", secret)
		found, err := gitrepo.Locate(location, gitrepo.Options{AllowFileURL: true})
		assertHidden(t, location, found, err)
		found, err = gitrepo.Locate(location, gitrepo.Options{})
		assertHidden(t, location, found, err)
		if !strings.Contains(form, ":") || strings.HasPrefix(form, "S") {
			continue
		}
		if !gitrepo.HidesAddress(location) && strings.Contains(form, "@") {
			t.Errorf("%q may be repeated", location)
		}
	}
}

// An address that has no place for a password is repeated, of whatever kind it is.
func TestAnAddressWithoutCredentialsIsRepeated(t *testing.T) {
	t.Parallel()
	for address, hides := range map[string]bool{
		"postgres://db.example.com/gxp": false, "esdb://127.0.0.1:2113": false, "https://git.example.com/a/b.git": false, "./folder": false,
		"esdb+discover://cluster.example.com": false, "postgres://ada:S@db/gxp": true, "postgres://ada@db/gxp": true, "postgres://ada:S": true,
		"postgres://db/gxp?password=S": true, "postgres://db/gxp#S@": true, "esdb://ada%3AS%40db": true, "git@host:path": true,
	} {
		if gitrepo.HidesAddress(address) != hides {
			t.Errorf("%s: is hidden is %t, want %t", address, !hides, hides)
		}
	}
}

func TestNoOriginLeaksASecret(t *testing.T) {
	t.Parallel()
	dir, _ := sample(t)
	for _, form := range around() {
		if strings.ContainsAny(form, "\n\t") {
			continue
		}
		location := strings.ReplaceAll(form, "S", secret)
		git(t, dir, "config", "remote.origin.url", location)
		found, err := gitrepo.Locate(dir, gitrepo.Options{})
		if err != nil {
			t.Errorf("origin %q: %v", location, err)
		}
		assertHidden(t, "origin "+location, found, err)
	}
}

func TestPropertyNoAddressLeaksASecret(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.SampledFrom([]string{
			"https", "ssh", "file", "HTTP", "git", "://", ":/", ":", "//", "/", "\\", "@", "ci", "x-access-token", "h", "github.com", "h:22", "[::1]", "org/repo.git",
			"?access_token=", "#", "%40", "%3A", "%2F", "::", "~", ".", "..", "=", "&", ";", " ", "C", "-",
		})
		before := strings.Join(rapid.SliceOfN(piece, 0, 6).Draw(t, "before"), "")
		after := strings.Join(rapid.SliceOfN(piece, 0, 6).Draw(t, "after"), "")
		// The secret is one where something behind it says so: as user, as password, or as the value of a query.
		mark := rapid.SampledFrom([]string{"@h/x", "@h:x", "@github.com:org/repo.git", "%40h/x"}).Draw(t, "mark")
		if strings.HasSuffix(before, "access_token=") {
			mark = ""
		}
		for _, location := range []string{before + secret + mark + after, before + url.PathEscape("p:"+secret+"@") + mark + after} {
			found, err := gitrepo.Locate(location, gitrepo.Options{AllowFileURL: true})
			assertHidden(t, location, found, err)
		}
	})
}

func TestAddressesAreUnderstood(t *testing.T) {
	t.Parallel()
	for location, want := range map[string][2]string{ // name, URL
		"https://u:p@Example.org/team/repo.git": {"https://example.org/team/repo.git", "https://example.org/team/repo.git"},
		"https://me@work.org:p%40ss@h:8443/x/":  {"https://h:8443/x", "https://h:8443/x"},
		"https://h/a%20b/ü":                     {"https://h/a%20b/%C3%BC", "https://h/a%20b/%C3%BC"},
		"https://[2001:db8::1]:8443/x":          {"https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443/x"},
		"git@h:proj.git":                        {"ssh://h/proj.git", "h:proj.git"},
		"h:team/proj.git":                       {"ssh://h/team/proj.git", "h:team/proj.git"},
		"h:/abs/proj.git":                       {"ssh://h/abs/proj.git", "ssh://h/abs/proj.git"},
		"h:~/proj.git":                          {"ssh://h/~/proj.git", "ssh://h/~/proj.git"},
		"h:~user/x":                             {"ssh://h/~user/x", "ssh://h/~user/x"},
		"h:/~user/x":                            {"ssh://h/~user/x", "ssh://h/~user/x"},
		"ssh://git@h/~user/x":                   {"ssh://h/~user/x", "ssh://h/~user/x"},
		"[::1]:x":                               {"ssh://[::1]/x", "[::1]:x"},
		"git@[::1]:x":                           {"ssh://[::1]/x", "[::1]:x"},
		"git@[h:2222]:x":                        {"ssh://h:2222/x", "[h:2222]:x"},
		"[git@h:2222]:/x":                       {"ssh://h:2222/x", "ssh://h:2222/x"},
		"ssh://[::1]:2222/x":                    {"ssh://[::1]:2222/x", "ssh://[::1]:2222/x"},
		"SSH://Git@H:22/x":                      {"ssh://h:22/x", "ssh://h:22/x"},
	} {
		found, err := gitrepo.Locate(location, gitrepo.Options{})
		if err != nil {
			t.Errorf("%s: %v", location, err)
			continue
		}
		if got := [2]string{found.Name(), found.URL()}; got != want {
			t.Errorf("%s: name and URL %q, want %q", location, got, want)
		}
		again, err := gitrepo.Locate(found.URL(), gitrepo.Options{})
		if err != nil || again.URL() != found.URL() || again.Name() != found.Name() {
			t.Errorf("%s: its URL %s does not lead to the same: %v", location, found.URL(), err)
		}
	}
}

func TestAnAddressIsNeverAnsweredByAFolder(t *testing.T) {
	dir, _ := sample(t)
	for _, name := range []string{"git@h:x.git", "https:/h/x.git", "h:x"} {
		git(t, dir, "clone", "-q", "--bare", ".", "./"+name)
	}
	t.Chdir(dir)
	for _, location := range []string{"git@h:x.git", "https://h/x.git", "h:x"} {
		found, err := gitrepo.Locate(location, gitrepo.Options{})
		if err != nil || !found.Remote() {
			t.Errorf("%s: %v", location, err)
		}
	}
	found, err := gitrepo.Locate("./h:x", gitrepo.Options{})
	if err != nil || found.Remote() {
		t.Errorf("./h:x: %v", err)
	}
}
