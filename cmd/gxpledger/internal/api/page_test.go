package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/api"
)

type entry struct {
	Path   string `json:"path"`
	Number int64  `json:"number"`
}

type listed struct {
	Entries []entry `json:"entries"`
	Next    string  `json:"next"`
}

// TestPagesHoldEachEntryOnce: whatever is added and removed between two pages, each entry that was there all the time is on one of them.
func TestPagesHoldEachEntryOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		draw := func(label string) entry {
			return entry{rapid.SampledFrom([]string{"", "a", "B", "é", "a#1", `q"\`}).Draw(rt, label), int64(rapid.IntRange(-3, 12).Draw(rt, label+" number"))}
		}
		present := map[entry]bool{}
		for range rapid.IntRange(0, 30).Draw(rt, "entries") {
			present[draw("entry")] = true
		}
		stays := map[entry]bool{}
		for e := range present {
			stays[e] = true
		}
		list := api.New(api.Options{Operations: []api.Operation{{
			ID: "list", Method: http.MethodGet, Pattern: "/list", Needs: api.NeedRead, List: "entries", Key: []string{"path", "number"},
			Run: func(context.Context, api.Call) ([]byte, error) {
				all := []entry{}
				for e := range present {
					all = append(all, e) // in no order
				}
				return json.Marshal(map[string]any{"entries": all, "as_of": 1})
			},
		}}})
		limit := rapid.IntRange(1, 7).Draw(rt, "limit")
		seen := map[entry]int{}
		for next := ""; ; {
			query := url.Values{"limit": {fmt.Sprint(limit)}}
			if next != "" {
				query.Set("after", next)
			}
			w := httptest.NewRecorder()
			list.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/list?"+query.Encode(), nil))
			var page listed
			if err := json.Unmarshal(w.Body.Bytes(), &page); w.Code != http.StatusOK || err != nil || len(page.Entries) > limit {
				rt.Fatalf("%d %s", w.Code, w.Body)
			}
			for _, e := range page.Entries {
				seen[e]++
			}
			if next = page.Next; next == "" {
				break
			}
			if rapid.Bool().Draw(rt, "change") {
				added, removed := draw("added"), draw("removed")
				delete(present, removed)
				delete(stays, removed)
				if !present[added] {
					delete(stays, added)
					present[added] = true
				}
			}
		}
		for e := range stays {
			if seen[e] != 1 {
				rt.Fatalf("%v is on %d pages", e, seen[e])
			}
		}
		for e, n := range seen {
			if n > 1 {
				rt.Fatalf("%v is on %d pages", e, n)
			}
		}
	})
}

func TestAPageIsAskedForWithItsOwnNext(t *testing.T) {
	t.Parallel()
	list := api.New(api.Options{Operations: []api.Operation{{
		ID: "list", Method: http.MethodGet, Pattern: "/list", List: "entries", Key: []string{"number"},
		Run: func(context.Context, api.Call) ([]byte, error) {
			return []byte(`{"entries":[{"number":1},{"number":2}]}`), nil
		},
	}}})
	for _, query := range []string{"limit=0", "limit=-1", "limit=1001", "limit=x", "limit=1e2", "after=x", "after=W10", "after=W1tdXQ", "after=WzEsMl0", "after=bnVsbA", "after=%25"} {
		w := httptest.NewRecorder()
		list.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/list?"+query, nil))
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), strings.SplitN(query, "=", 2)[0]) {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
}

// TestAFaultOfTheServerIsNotSent: a client gets no address and no stack.
func TestAFaultOfTheServerIsNotSent(t *testing.T) {
	t.Parallel()
	var told []string
	for _, run := range []func(context.Context, api.Call) ([]byte, error){
		func(context.Context, api.Call) ([]byte, error) { return nil, fmt.Errorf("dial postgres://db.internal") },
		func(context.Context, api.Call) ([]byte, error) { panic("dial postgres://db.internal") },
	} {
		failing := api.New(api.Options{
			Failed:     func(operation string, err error) { told = append(told, operation+": "+err.Error()) },
			Operations: []api.Operation{{ID: "fails", Method: http.MethodGet, Pattern: "/fails", Run: run}},
		})
		w := httptest.NewRecorder()
		failing.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/fails", nil))
		if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "postgres") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	if len(told) != 2 || slices.ContainsFunc(told, func(text string) bool {
		return !strings.HasPrefix(text, "fails: ") || !strings.Contains(text, "db.internal")
	}) {
		t.Errorf("the log of the server has %q", told)
	}
}
