package contracts_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore/feed/contracts"
)

// ask sends one request to a handler of contracts.
func ask(t *testing.T, method, path string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	extra := contracts.Document{Name: "openapi", MediaType: "application/vnd.oai.openapi+json;version=3.1", About: "added by others", Data: []byte("{}\n")}
	request := httptest.NewRequestWithContext(t.Context(), method, "/", nil)
	request.URL.Path = path // of any form
	maps.Copy(request.Header, header)
	answer := httptest.NewRecorder()
	contracts.NewHandler(append(contracts.Documents(), extra)).ServeHTTP(answer, request)
	if sniff := answer.Header().Get("X-Content-Type-Options"); sniff != "nosniff" {
		t.Errorf("%s %s: X-Content-Type-Options is %q", method, path, sniff)
	}
	return answer
}

func TestContractsAreServedByNameAndListed(t *testing.T) {
	t.Parallel()
	list := ask(t, http.MethodGet, contracts.Prefix, nil)
	var entries []contracts.Entry
	if err := json.Unmarshal(list.Body.Bytes(), &entries); err != nil || list.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("the list is %s, %v", list.Header(), err)
	}
	if len(entries) != len(contracts.Documents())+1 {
		t.Errorf("%d entries", len(entries))
	}
	for _, e := range entries {
		got := ask(t, http.MethodGet, e.Path, nil)
		if got.Code != http.StatusOK || got.Body.Len() != e.Bytes || got.Header().Get("Content-Type") != e.MediaType || got.Header().Get("ETag") != `"`+e.SHA256+`"` {
			t.Errorf("%s: %d, %d bytes, %v", e.Path, got.Code, got.Body.Len(), got.Header())
		}
		same := ask(t, http.MethodGet, e.Path, http.Header{"If-None-Match": {got.Header().Get("ETag")}})
		if same.Code != http.StatusNotModified || same.Body.Len() != 0 {
			t.Errorf("%s that did not change: %d, %d bytes", e.Path, same.Code, same.Body.Len())
		}
		if head := ask(t, http.MethodHead, e.Path, nil); head.Code != http.StatusOK || head.Body.Len() != 0 {
			t.Errorf("HEAD %s: %d, %d bytes", e.Path, head.Code, head.Body.Len())
		}
	}
}

func TestWhatIsNoContractIsAProblem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, contracts.Prefix + "nothing", http.StatusNotFound},
		{http.MethodGet, contracts.Prefix + "schemas/envelope.json", http.StatusNotFound},
		{http.MethodGet, contracts.Prefix + "../../etc/passwd", http.StatusNotFound},
		{http.MethodGet, "/envelope", http.StatusNotFound},
		{http.MethodGet, "envelope", http.StatusNotFound},
		{http.MethodGet, "", http.StatusNotFound},
		{http.MethodGet, "/v1/contracts", http.StatusNotFound},
		{http.MethodPost, contracts.Prefix, http.StatusMethodNotAllowed},
		{http.MethodDelete, contracts.Prefix + "envelope", http.StatusMethodNotAllowed},
	} {
		got := ask(t, c.method, c.path, nil)
		var details struct {
			Status int `json:"status"`
		}
		if err := json.Unmarshal(got.Body.Bytes(), &details); err != nil || got.Code != c.want || details.Status != c.want {
			t.Errorf("%s %s: %d, %s", c.method, c.path, got.Code, got.Body)
		}
		if typ := got.Header().Get("Content-Type"); typ != "application/problem+json" {
			t.Errorf("%s %s: %s", c.method, c.path, typ)
		}
		if allow := got.Header().Get("Allow"); (allow == "GET, HEAD") != (c.want == http.StatusMethodNotAllowed) {
			t.Errorf("%s %s: Allow is %q", c.method, c.path, allow)
		}
	}
}
