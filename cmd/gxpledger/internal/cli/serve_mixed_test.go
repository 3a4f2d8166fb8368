package cli_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/api"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/cli"
)

// TestRepositoriesWithTheSameIDsNeverMix: the words of one are in no answer about the other, whatever is asked.
func TestRepositoriesWithTheSameIDsNeverMix(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	words := map[string]string{"left": "Heron", "right": "Plover"}
	commits := map[string]string{}
	for name, word := range words {
		r := newRepo(t)
		r.requirement("REQ-001", word+" one").requirement("REQ-002", word+" two").story("US-001-001", "REQ-001").spec("SPEC-001-001", "US-001-001")
		r.write(".gxp/requirements/REQ-003.md", "---\ngxp_id: [\n---\n"+word+"\n").commit(word)
		commits[name] = r.git("rev-parse", "HEAD")
		d.run("scan", r.dir, "--name", name, "--actor", word, "--reason", word).wantCode(0)
		r.requirement("REQ-001", word+" changed").commit(word)
		d.run("scan", r.dir, "--name", name, "--actor", word, "--reason", word).wantCode(0)
	}
	s := d.serveHTTP()
	var narrowed []api.Operation // those that can be asked about one repository
	for _, o := range cli.Operations() {
		if o.Method == http.MethodGet && o.ID != "events" && slices.ContainsFunc(o.Takes(), func(p api.Parameter) bool { return p.Name == "repository" }) {
			narrowed = append(narrowed, o)
		}
	}
	if len(narrowed) < 10 {
		t.Fatalf("%d operations take a repository", len(narrowed))
	}
	holding := 0
	for _, o := range narrowed {
		for name, other := range map[string]string{"left": "right", "right": "left"} {
			for _, asOf := range []string{"", "scan:1"} {
				path, takes := aboutRepository(&o, name, commits[name], asOf)
				if asOf != "" && (!takes || name == "right") { // views of the past take long, and one of the two tells
					continue
				}
				got := s.get(path).want(http.StatusOK)
				if bytes.Contains(got.body, []byte(words[other])) || bytes.Contains(got.body, []byte(`"`+other+`"`)) {
					t.Errorf("%s tells of the repository %s\n%s", path, other, got.body)
				}
				if bytes.Contains(got.body, []byte(words[name])) {
					holding++
				}
			}
		}
	}
	if holding < 15 {
		t.Errorf("%d answers hold a word of the repository that they are about", holding)
	}
	s.stop()
}

// aboutRepository is the path by which an operation is asked about one repository, and whether it takes a point in time.
func aboutRepository(o *api.Operation, name, commit, asOf string) (path string, takesAsOf bool) {
	path = strings.NewReplacer(
		"{kind}", "requirements", "{repository}", name, "{commit}", commit, "{id}", "REQ-001", "{file}", url.PathEscape(".gxp/requirements/REQ-001.md"),
	).Replace(o.Path())
	query := url.Values{}
	for _, p := range o.Takes() {
		switch {
		case p.In == api.InPath:
		case p.Name == "repository":
			query.Set(p.Name, name)
		case p.Name == "as_of":
			if takesAsOf = true; asOf != "" {
				query.Set(p.Name, asOf)
			}
		case p.Required:
			query.Set(p.Name, map[string]string{"from": "scan:1", "to": "scan:2", "text": "e"}[p.Name])
		}
	}
	return path + "?" + query.Encode(), takesAsOf
}

// TestBytesOfAFileAreDownloaded: as they are, and so that no browser shows them.
func TestBytesOfAFileAreDownloaded(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t)
	const page = "<script>alert(1)</script>\x00\xff"
	r.write(".gxp/requirements/REQ-002.md", page).commit("one")
	d.scan(r).wantCode(0)
	s := d.serveHTTP()
	sum := sha256.Sum256([]byte(page))
	hash := hex.EncodeToString(sum[:])
	path := "/v1/contents/" + hash + "/bytes"
	got := s.get(path).want(http.StatusOK)
	for name, want := range map[string]string{
		"Content-Type": "application/octet-stream", "Content-Disposition": `attachment; filename="` + hash + `"`, "X-Content-Type-Options": "nosniff",
		"ETag": `"` + hash + `"`, "Content-Length": fmt.Sprint(len(page)), "Cache-Control": "private, max-age=31536000, immutable",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.header.Get(name), want)
		}
	}
	if string(got.body) != page {
		t.Errorf("%q", got.body)
	}
	if same := s.get("/v1/contents/" + strings.ToUpper(hash) + "/bytes").want(http.StatusOK); string(same.body) != page {
		t.Errorf("in upper case: %q", same.body)
	}
	if again := s.ask(http.MethodGet, path, "", "If-None-Match", `"x", W/"`+hash+`"`).want(http.StatusNotModified); len(again.body) > 0 {
		t.Errorf("304 with %q", again.body)
	}
	if head := s.ask(http.MethodHead, path, "").want(http.StatusOK); len(head.body) > 0 || head.header.Get("Content-Length") != fmt.Sprint(len(page)) {
		t.Errorf("HEAD: %q, %q", head.body, head.header)
	}
	s.get("/v1/contents/"+strings.Repeat("ab", 32)+"/bytes").problem(http.StatusNotFound, api.CodeNotFound)
	for _, wrong := range []string{hash[:63], hash + "0", strings.Repeat("g", 64), url.PathEscape("../../" + hash)} {
		s.get("/v1/contents/"+wrong+"/bytes").problem(http.StatusBadRequest, api.CodeBadRequest)
	}
	s.get(path+"?as_of=scan:1").problem(http.StatusBadRequest, api.CodeBadRequest)
	s.stop()
}

// TestASearchListsABoundedNumber: of matches, of which there may be as many as lines.
func TestASearchListsABoundedNumber(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.scan(newRepo(t).commit("one")).wantCode(0)
	s := d.serveHTTP()
	s.get("/v1/search?text=e&limit=10000").want(http.StatusOK)
	for _, above := range []string{"10001", "0x2711", "2000000000", "99999999999999999999"} {
		if detail := s.get("/v1/search?text=e&limit="+above).problem(http.StatusBadRequest, api.CodeBadRequest); !strings.Contains(detail, "limit is above 10000") {
			t.Errorf("%s: %q", above, detail)
		}
	}
	var found struct {
		Matches []json.RawMessage `json:"matches"`
		More    int               `json:"more"`
	}
	if s.get("/v1/search?text=e&limit=1").want(http.StatusOK).decode(&found); len(found.Matches) != 1 || found.More == 0 {
		t.Errorf("%d matches and %d more", len(found.Matches), found.More)
	}
	s.stop()
}
