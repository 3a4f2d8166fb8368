package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/api"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/cli"
)

// httpServer is a serve command that answers HTTP.
type httpServer struct {
	*serving

	url      string
	document *openapi3.T
}

func (d *fixture) serveHTTP(args ...string) *httpServer {
	d.t.Helper()
	s := &httpServer{serving: d.serve(append([]string{"--http", "127.0.0.1:0", "--json"}, args...)...)}
	var line struct {
		HTTP string `json:"http"`
	}
	if err := json.Unmarshal([]byte(s.line), &line); err != nil || line.HTTP == "" {
		d.t.Fatalf("%s: %v", s.line, err)
	}
	s.url = "http://" + line.HTTP
	var err error
	if s.document, err = openapi3.NewLoader().LoadFromData(api.OpenAPI().Data); err != nil {
		d.t.Fatal(err)
	}
	return s
}

// reply is what a server answers.
type reply struct {
	t      *testing.T
	asked  string
	status int
	header http.Header
	body   []byte
}

func (s *httpServer) ask(method, path, body string, header ...string) reply {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatalf("%s: %v", path, err)
	}
	defer func() { _ = answer.Body.Close() }()
	read, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{s.t, method + " " + path, answer.StatusCode, answer.Header, read}
}

func (s *httpServer) get(path string) reply { s.t.Helper(); return s.ask(http.MethodGet, path, "") }

func (r reply) want(status int) reply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("%s: %d, want %d\n%s", r.asked, r.status, status, r.body)
	}
	return r
}

// problem checks that the answer is one problem with a code, and returns its sentence.
func (r reply) problem(status int, code string) string {
	r.t.Helper()
	r.want(status)
	var p api.ProblemError
	if err := json.Unmarshal(r.body, &p); err != nil || p.Status != status || p.Code != code || p.Detail == "" || strings.Contains(p.Detail, "\n") ||
		r.header.Get("Content-Type") != "application/problem+json" {
		r.t.Errorf("%s: %s; want a problem with the code %s", r.asked, r.body, code)
	}
	return p.Detail
}

func (r reply) decode(into any) {
	r.t.Helper()
	if err := json.Unmarshal(r.body, into); err != nil {
		r.t.Fatalf("%s: %v\n%s", r.asked, err, r.body)
	}
}

// conforms checks an answer against the OpenAPI document.
func (s *httpServer) conforms(r reply, id string) {
	s.t.Helper()
	for _, o := range cli.Operations() {
		if o.ID != id {
			continue
		}
		described := s.document.Paths.Find(o.Path()).GetOperation(o.Method).Responses.Status(r.status).Value.Content.Get("application/json").Schema.Value
		var answer any
		r.decode(&answer)
		if err := described.VisitJSON(answer); err != nil {
			s.t.Errorf("%s is not what the OpenAPI document says: %v", r.asked, err)
		}
	}
}

// TestHTTPAnswersWhatTheCommandsAnswer compares the documents of both.
func TestHTTPAnswersWhatTheCommandsAnswer(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t)
	r.commit("one")
	d.scan(r).wantCode(0)
	s := d.serveHTTP()
	for _, c := range []struct {
		id, path string
		args     []string
	}{
		{"repositories", "/v1/repositories", []string{"repository", "list"}},
		{"repository", "/v1/repositories/demo", []string{"repository", "show", "demo"}},
		{"scans", "/v1/scans", []string{"scans"}},
		{"artifacts", "/v1/artifacts/requirements", []string{"show", "requirements"}},
		{"artifacts", "/v1/artifacts/specs?query=spec&repository=demo", []string{"show", "specs", "--query", "spec", "--repository", "demo"}},
		{"artifact", "/v1/artifacts/requirement/REQ-001", []string{"show", "requirement", "REQ-001"}},
		{"links", "/v1/links", []string{"show", "links"}},
		{"findings", "/v1/findings", []string{"show", "findings"}},
		{"ignored", "/v1/ignored", []string{"show", "ignored"}},
		{"rejected", "/v1/rejected", []string{"show", "rejected"}},
		{"keys", "/v1/keys", []string{"keys", "list"}},
		{"history", "/v1/history/REQ-001", []string{"history", "REQ-001"}},
		{"history", "/v1/history/" + url.PathEscape(".gxp/requirements/REQ-001.md"), []string{"history", ".gxp/requirements/REQ-001.md"}},
		{"diff", "/v1/diff?from=scan:1&to=scan:1", []string{"diff", "scan:1", "scan:1"}},
		{"matrix", "/v1/matrix?as_of=scan:1", []string{"matrix", "--as-of", "scan:1"}},
		{"gaps", "/v1/gaps", []string{"gaps"}},
		{"search", "/v1/search?text=requirement", []string{"search", "requirement"}},
		{"audit", "/v1/audit?action=artifact_created", []string{"audit", "--action", "artifact_created"}},
		{"content", "/v1/contents/" + url.PathEscape(".gxp/requirements/REQ-001.md"), []string{"content", ".gxp/requirements/REQ-001.md"}},
	} {
		answer := s.get(c.path).want(http.StatusOK)
		s.conforms(answer, c.id)
		var over, beside any
		answer.decode(&over)
		shown := d.run(append(c.args, "--json")...).stdout
		if err := json.Unmarshal([]byte(shown), &beside); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(over, beside) {
			t.Errorf("%s answers\n%s\nand %q\n%s", c.path, answer.body, c.args, shown)
		}
		tag := answer.header.Get("ETag")
		if again := s.ask(http.MethodGet, c.path, "", "If-None-Match", tag); again.status != http.StatusNotModified || len(again.body) > 0 {
			t.Errorf("%s with its ETag: %d", c.path, again.status)
		}
		if head := s.ask(http.MethodHead, c.path, ""); head.status != http.StatusOK || head.header.Get("ETag") != tag || len(head.body) > 0 {
			t.Errorf("HEAD %s: %d, %q, %d bytes", c.path, head.status, head.header.Get("ETag"), len(head.body))
		}
	}
	s.stop()
}

// TestPagesAddUpToTheWhole follows each list to its end, a few entries at a time.
func TestPagesAddUpToTheWhole(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	for _, name := range []string{"one", "two"} {
		r := newRepo(t)
		for i := range 4 {
			r.requirement(fmt.Sprintf("REQ-0%d", i+2), "More").commit("more")
			d.run("scan", r.dir, "--name", name).wantCode(0)
		}
	}
	s := d.serveHTTP()
	lists := 0
	for _, o := range cli.Operations() {
		if o.List == "" {
			continue
		}
		lists++
		path := strings.ReplaceAll(o.Path(), "{kind}", "requirements")
		read := func(query string) (entries []json.RawMessage, next string) {
			var document map[string]json.RawMessage
			answer := s.get(path + query).want(http.StatusOK)
			s.conforms(answer, o.ID)
			answer.decode(&document)
			if err := json.Unmarshal(document[o.List], &entries); err != nil {
				t.Fatal(err)
			}
			if raw := document["next"]; raw != nil {
				if err := json.Unmarshal(raw, &next); err != nil {
					t.Fatal(err)
				}
			}
			return entries, next
		}
		whole, more := read("?limit=1000")
		if more != "" || len(whole) < 2 {
			t.Fatalf("%s: %d entries, and more at %q", path, len(whole), more)
		}
		var pages []json.RawMessage
		for next := ""; ; {
			query := "?limit=3"
			if next != "" {
				query += "&after=" + next
			}
			var page []json.RawMessage
			page, next = read(query)
			if pages = append(pages, page...); next == "" {
				break
			}
		}
		if !slices.EqualFunc(whole, pages, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
			t.Errorf("%s: the pages have %d entries, the whole has %d", path, len(pages), len(whole))
		}
	}
	if lists < 4 {
		t.Errorf("%d lists", lists)
	}
	s.stop()
}

// TestHostileRequestsGetOneProblem sends what no client should: never more than a sentence, and never a fault of the server.
func TestHostileRequestsGetOneProblem(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t)
	r.commit("one")
	d.scan(r).wantCode(0)
	s := d.serveHTTP()
	hostile := []string{
		"", " ", "..", "../../etc/passwd", "%", "a\x00b", "\xff\xfe", "'; DROP TABLE scans; --", `"`, "\u202eabc", "\x1b]0;x\x07", "--help", "--home=/", "-1",
		"99999999999999999999", "scan:0", "scan:99", "pos:-1", "commit:zz", "2026-13-01", strings.Repeat("x", 1999), strings.Repeat("x", 2001), "{{.}}", "a\nb", "true", "nope",
	}
	tried := 0
	for _, o := range cli.Operations() {
		if o.ID == "events" || o.Method != http.MethodGet {
			continue
		}
		for _, p := range o.Takes() {
			for _, value := range hostile {
				path := o.Path()
				query := url.Values{}
				for _, other := range o.Takes() {
					given := map[string]string{"kind": "requirements", "repository": "demo", "commit": "abcdef0", "from": "scan:1", "to": "scan:1", "text": "a"}[other.Name]
					if given == "" {
						given = "x"
					}
					if other.Name == p.Name {
						given = value
					}
					if other.In == api.InPath {
						path = strings.ReplaceAll(path, "{"+other.Name+"}", url.PathEscape(given))
					} else if other.Required || other.Name == p.Name {
						query.Set(other.Name, given)
					}
				}
				if len(query) > 0 {
					path += "?" + query.Encode()
				}
				tried++
				switch got := s.get(path); {
				case got.status >= http.StatusInternalServerError:
					t.Errorf("%s: %d\n%s", path, got.status, got.body)
				case got.status >= http.StatusBadRequest && (!json.Valid(got.body) || bytes.Contains(bytes.TrimSpace(got.body), []byte("\n")) || bytes.ContainsAny(got.body, "\x1b\x00")):
					t.Errorf("%s: %q; want one problem", path, got.body)
				}
			}
		}
	}
	if tried < 500 {
		t.Errorf("%d tries: the sweep lost its way", tried)
	}
	if said := s.get("/v1/gaps?colour=red").problem(http.StatusBadRequest, api.CodeBadRequest); !strings.Contains(said, "colour") || !strings.Contains(said, "as_of") {
		t.Errorf("%q; want the parameter, and those that there are", said)
	}
	s.get("/v1/gaps?state=failed&state=missing").problem(http.StatusBadRequest, api.CodeBadRequest)
	s.get("/v1/nothing").problem(http.StatusNotFound, api.CodeNotFound)
	s.get("/").problem(http.StatusNotFound, api.CodeNotFound)
	for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions, "BREW"} {
		if got := s.ask(method, "/v1/gaps", ""); got.problem(http.StatusMethodNotAllowed, api.CodeMethod) == "" || got.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: Allow is %q", method, got.header.Get("Allow"))
		}
	}
	s.stop()
}

// TestAPageOfAnotherSiteIsRefused: a browser sends what a page asks for, also to this machine.
func TestAPageOfAnotherSiteIsRefused(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	s := d.serveHTTP()
	for _, header := range [][]string{{"Host", "evil.example.com"}, {"Host", "localhost.evil.example.com:80"}, {"Origin", "https://evil.example.com"}, {"Origin", "null"}, {"Host", "169.254.169.254"}} {
		s.ask(http.MethodGet, "/v1/repositories", "", header...).problem(http.StatusForbidden, "forbidden")
		s.ask(http.MethodPost, "/v1/repositories/demo/scans", "{}", append(header, "Content-Type", "application/json")...).problem(http.StatusForbidden, "forbidden")
	}
	s.ask(http.MethodPost, "/v1/repositories/demo/scans", "reason=x", "Content-Type", "application/x-www-form-urlencoded").problem(http.StatusUnsupportedMediaType, api.CodeUnsupported)
	s.get("/v1/repositories").want(http.StatusOK)
	s.get("/v1/gaps").problem(http.StatusNotFound, api.CodeNotFound) // nothing was recorded
	s.stop()
}

func TestAScanIsStartedOverHTTP(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t)
	r.commit("one")
	d.scan(r).wantCode(0)
	s := d.serveHTTP()
	start := func(name, body string) reply {
		return s.ask(http.MethodPost, "/v1/repositories/"+url.PathEscape(name)+"/scans", body, "Content-Type", "application/json")
	}
	started := start("demo", `{"reason":"nightly"}`).want(http.StatusAccepted)
	s.conforms(started, "start-scan")
	var job api.ScanJob
	for started.decode(&job); job.State == api.ScanQueued || job.State == api.ScanRunning; {
		s.get(started.header.Get("Location")).want(http.StatusOK).decode(&job)
	}
	if job.State != api.ScanCompleted || job.Outcome == nil || job.Outcome.Number != 2 || job.Error != "" {
		t.Fatalf("%+v", job)
	}
	if last := d.run("audit", "--json").stdout; !strings.Contains(last, `"nightly"`) {
		t.Error("the reason is not in the audit trail")
	}
	if err := os.RemoveAll(r.dir); err != nil {
		t.Fatal(err)
	}
	for start("demo", "{}").want(http.StatusAccepted).decode(&job); job.State == api.ScanQueued || job.State == api.ScanRunning; {
		s.get("/v1/scan-jobs/" + job.ID).want(http.StatusOK).decode(&job)
	}
	if job.State != api.ScanFailed || job.Error == "" || job.Outcome == nil {
		t.Errorf("a repository that is gone: %+v", job)
	}
	start("other", "{}").problem(http.StatusNotFound, api.CodeNotFound)
	start("https://169.254.169.254/x.git", "{}").problem(http.StatusNotFound, api.CodeNotFound) // no address of a client is dialled
	for _, body := range []string{"", "[]", `{"reason":1}`, `{"why":"x"}`, `{}{}`, `{"reason":"` + strings.Repeat("x", 3000) + `"}`} {
		start("demo", body).problem(http.StatusBadRequest, api.CodeBadRequest)
	}
	start("demo", `{"reason":"`+strings.Repeat("x", 1<<20)+`"}`).problem(http.StatusRequestEntityTooLarge, api.CodeTooLarge)
	s.get("/v1/scan-jobs/x").problem(http.StatusNotFound, api.CodeNotFound)
	d.run("repository", "retire", "demo", "--reason", "sold").wantCode(0)
	start("demo", "{}").problem(http.StatusConflict, api.CodeConflict)
	if said := s.warned(); !strings.Contains(said, "operation=scan") {
		t.Errorf("the log of the server is %q; want the scan that failed", said)
	}
}

// TestReadinessNamesWhatIsMissing: what is not known is not ready.
func TestReadinessNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t)
	r.commit("one")
	commit := r.git("rev-parse", "HEAD")
	d.scan(r).wantCode(0)
	s := d.serveHTTP()
	answer := s.get("/v1/release/readiness/" + commit).want(http.StatusOK)
	s.conforms(answer, "release-readiness")
	var judged api.Readiness
	if answer.decode(&judged); judged.Ready || judged.Commit != commit || len(judged.Reasons) == 0 || len(judged.Missing)+len(judged.Unverified)+len(judged.Failed) == 0 {
		t.Errorf("%+v", judged)
	}
	s.get("/v1/release/readiness/"+strings.Repeat("ab", 20)).problem(http.StatusNotFound, api.CodeNotFound)
	s.get("/v1/release/readiness/abc").problem(http.StatusBadRequest, api.CodeBadRequest)
	s.get("/v1/release/readiness/HEAD").problem(http.StatusBadRequest, api.CodeBadRequest)
	s.stop()
}

// TestEventsAreFollowedAcrossServers: a client that resumes after the last id that it has misses nothing and gets nothing twice.
func TestEventsAreFollowedAcrossServers(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	r := newRepo(t)
	r.commit("one")
	d.scan(r).wantCode(0)
	var ids []string
	for range 3 {
		s := d.serveHTTP()
		last := "0"
		if len(ids) > 0 {
			last = ids[len(ids)-1]
		}
		ctx, cancel := context.WithCancel(t.Context())
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/v1/events?after=0", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Last-Event-ID", last)
		answer, err := http.DefaultClient.Do(request)
		if err != nil || answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("%v, %v", answer, err)
		}
		d.scan(r).wantCode(0)
		lines := bufio.NewScanner(answer.Body)
		lines.Buffer(nil, 1<<20)
		for size := 0; size != 1 && lines.Scan(); { // the second scan of a server changes nothing, and is one event
			if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
				ids = append(ids, id)
			}
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				var event struct {
					Size int `json:"batchsize"`
				}
				if err := json.Unmarshal([]byte(data), &event); err != nil {
					t.Fatal(err)
				}
				size = event.Size
			}
		}
		cancel()
		_ = answer.Body.Close()
		s.stop()
	}
	var want []string
	for i := range ids {
		want = append(want, fmt.Sprint(i+1))
	}
	if !slices.Equal(ids, want) || len(ids) < 5 {
		t.Errorf("the ids are %v", ids)
	}
}
