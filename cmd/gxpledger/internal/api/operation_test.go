package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/api"
)

// FuzzQuery: an operation sees texts of the parameters that it has, each given once, as they were sent; whatever else is sent is one problem.
func FuzzQuery(f *testing.F) {
	for _, query := range []string{
		"", "as_of=scan:1", "as_of=scan:1&as_of=scan:2", "colour=red", "limit=5", "limit=6", "limit=0x6", "limit=-1", "limit=99999999999999999999", "as_of=", "as_of=%00",
		"as_of=%ff", "as_of=%", ";", "as_of=a;b", "&&", "=", "as_of=%E2%80%AE", "as_of='%20OR%201=1--", "as%5Fof=a", "hash=x", "as_of=+", "limit=0b110", "limit=1_0",
		"as_of=" + strings.Repeat("x", 2001),
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		var seen []api.Call
		a := api.New(api.Options{
			Failed: func(_ string, err error) { t.Errorf("%q: %v", query, err) },
			Operations: []api.Operation{{
				ID: "x", Method: http.MethodGet, Pattern: "/x/{hash}",
				Parameters: []api.Parameter{{Name: "hash", In: api.InPath, Required: true}, {Name: "as_of", In: api.InQuery}, {Name: "limit", In: api.InQuery, Most: 5}},
				Run: func(_ context.Context, call api.Call) ([]byte, error) {
					seen = append(seen, call)
					return []byte(`{}`), nil
				},
			}},
		})
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x/abc", nil)
		r.URL.RawQuery = query
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if len(seen) == 0 {
			var p api.ProblemError
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != http.StatusBadRequest || p.Code != api.CodeBadRequest || p.Detail == "" {
				t.Fatalf("%q: %d %s", query, w.Code, w.Body)
			}
			return
		}
		given, err := url.ParseQuery(query)
		if err != nil || w.Code != http.StatusOK || len(seen[0]) != len(given)+1 || seen[0]["hash"] != "abc" {
			t.Fatalf("%q became %q: %v", query, seen, err)
		}
		for name, values := range given {
			value := seen[0][name]
			if name != "as_of" && name != "limit" || len(values) != 1 || value != values[0] || value == "" || len(value) > 2000 || !utf8.ValidString(value) || strings.Contains(value, "\x00") {
				t.Errorf("%q became %q", query, seen[0])
			}
		}
	})
}
