package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/api"
)

// ask sends a request in the background and returns where the answer will be.
func ask(t *testing.T, a http.Handler, path string) <-chan *httptest.ResponseRecorder {
	t.Helper()
	answer := make(chan *httptest.ResponseRecorder, 1)
	go func() {
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		answer <- w
	}()
	return answer
}

// TestFewAnswersReplayTheLogAtOnce: by as_of or without it; and those that wait keep nobody from an answer about the present.
func TestFewAnswersReplayTheLogAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running atomic.Int32
		free := make(chan struct{})
		replay := func(context.Context, api.Call) ([]byte, error) {
			running.Add(1)
			<-free
			return []byte(`{}`), nil
		}
		asOf := []api.Parameter{{Name: "as_of", In: api.InQuery}, {Name: "as_of_commit_date", In: api.InQuery}}
		a := api.New(api.Options{Operations: []api.Operation{
			{ID: "past", Method: http.MethodGet, Pattern: "/past", Parameters: asOf, Run: replay},
			{ID: "diff", Method: http.MethodGet, Pattern: "/diff", Replays: true, Run: replay},
			{ID: "present", Method: http.MethodGet, Pattern: "/present", Run: func(context.Context, api.Call) ([]byte, error) { return []byte(`{}`), nil }},
		}})
		var answers []<-chan *httptest.ResponseRecorder
		for _, path := range []string{"/past?as_of=pos:1", "/diff"} {
			answers = append(answers, ask(t, a, path))
			synctest.Wait()
		}
		for range 10 {
			for _, path := range []string{"/past?as_of=pos:1", "/past?as_of_commit_date=2026-01-01", "/diff"} {
				answers = append(answers, ask(t, a, path))
			}
		}
		synctest.Wait()
		if n := running.Load(); n != 2 {
			t.Errorf("%d replays at once, want 2", n)
		}
		present := ask(t, a, "/present")
		synctest.Wait()
		select {
		case w := <-present:
			if w.Code != http.StatusOK {
				t.Errorf("the present: %d %s", w.Code, w.Body)
			}
		default:
			t.Error("an answer about the present waits for replays")
		}
		for i, answer := range answers[2:] { // the clock of the test moves on while all wait
			if w := <-answer; w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "10" {
				t.Errorf("request %d: %d, to ask again after %q", i, w.Code, w.Header().Get("Retry-After"))
			}
		}
		close(free)
		for _, answer := range answers[:2] {
			if w := <-answer; w.Code != http.StatusOK {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		}
	})
}
