package query_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/pgtest"
	"github.com/gxpledger/gxpledger/projections/postgres"
	"github.com/gxpledger/gxpledger/projections/query"
	"github.com/gxpledger/gxpledger/projections/run"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// onPostgres makes the tables of the world on a PostgreSQL server too, and returns a reader of them.
func (w *world) onPostgres() *query.Reader {
	w.t.Helper()
	url := pgtest.Start(w.t)
	if err := postgres.Up(w.t.Context(), url, postgres.Namespace{}); err != nil {
		w.t.Fatal(err)
	}
	db, err := postgres.Open(w.t.Context(), url, postgres.Options{Now: time.Now})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = db.Close() })
	runner, err := run.NewRunner(w.log, db, tables.All(), run.DefaultConfig(time.Now, eventstore.Decode, "test"))
	if err != nil {
		w.t.Fatal(err)
	}
	if err := runner.CatchUp(w.t.Context(), 0); err != nil {
		w.t.Fatal(err)
	}
	return query.NewReader(db.Query(), query.Postgres)
}

// asked is every query, by name.
func asked(w *world) map[string]func(context.Context, *query.Reader) (any, error) {
	demo := w.repository("demo")
	point := func(n int) query.ResolvedPoint {
		p, err := query.ParsePoint(fmt.Sprint("scan:", n))
		if err != nil {
			w.t.Fatal(err)
		}
		found, err := w.finder().Find(w.t.Context(), p, "demo")
		if err != nil {
			w.t.Fatal(err)
		}
		return found
	}
	at := time.Date(2026, 3, 1, 12, 2, 0, 0, time.UTC)
	all := map[string]func(context.Context, *query.Reader) (any, error){
		"repositories": func(ctx context.Context, r *query.Reader) (any, error) { return r.Repositories(ctx) },
		"scans":        func(ctx context.Context, r *query.Reader) (any, error) { return r.Scans(ctx, query.ScanFilter{}) },
		"last scan": func(ctx context.Context, r *query.Reader) (any, error) {
			return r.Scans(ctx, query.ScanFilter{RepositoryID: demo.ID, UpTo: int64(point(2).Position), Last: true})
		},
		"scans of a commit": func(ctx context.Context, r *query.Reader) (any, error) {
			return r.Scans(ctx, query.ScanFilter{Commit: domaintest.Hash("commit 2")[:8], Outcome: "completed"})
		},
		"links":    func(ctx context.Context, r *query.Reader) (any, error) { return r.Links(ctx, query.LinkFilter{}) },
		"findings": func(ctx context.Context, r *query.Reader) (any, error) { return r.Findings(ctx, query.FindingFilter{}) },
		"rejected": func(ctx context.Context, r *query.Reader) (any, error) {
			return r.Rejected(ctx, query.RejectedFilter{})
		},
		"audit": func(ctx context.Context, r *query.Reader) (any, error) { return r.Audit(ctx, query.AuditFilter{}) },
		"some audit": func(ctx context.Context, r *query.Reader) (any, error) {
			return r.Audit(ctx, query.AuditFilter{Since: at, Until: at.Add(time.Hour), Resource: "REQ-1", Limit: 3})
		},
		"links of": func(ctx context.Context, r *query.Reader) (any, error) {
			return r.Links(ctx, query.LinkFilter{RepositoryID: demo.ID, ID: "US-1", Kinds: []domain.Kind{domain.KindUserStory}, Text: "req"})
		},
		"broken links": func(ctx context.Context, r *query.Reader) (any, error) {
			return r.Links(ctx, query.LinkFilter{BrokenOnly: true})
		},
		"artifacts with": func(ctx context.Context, r *query.Reader) (any, error) {
			return r.Artifacts(ctx, trace.GroupStories, query.ArtifactFilter{Parent: "REQ-1", Text: "us-"})
		},
		"findings with": func(ctx context.Context, r *query.Reader) (any, error) {
			return r.Findings(ctx, query.FindingFilter{RepositoryID: demo.ID, ID: "US-2", Text: "US"})
		},
		"rejected with": func(ctx context.Context, r *query.Reader) (any, error) {
			return r.Rejected(ctx, query.RejectedFilter{RepositoryID: demo.ID, Path: ".gxp/requirements/bad.md", Text: "BAD"})
		},
		"audit of": func(ctx context.Context, r *query.Reader) (any, error) {
			return r.Audit(ctx, query.AuditFilter{RepositoryID: demo.ID, Actor: "carol", Outcome: "succeeded", Limit: 5})
		},
		"scan":          func(ctx context.Context, r *query.Reader) (any, error) { return r.Scan(ctx, demo, 2) },
		"no scan":       func(ctx context.Context, r *query.Reader) (any, error) { return r.Scan(ctx, demo, 404) },
		"no repository": func(ctx context.Context, r *query.Reader) (any, error) { return r.Find(ctx, "dem") },
		"matrix":        func(ctx context.Context, r *query.Reader) (any, error) { return r.Matrix(ctx, query.Scope{}) },
		"gaps":          func(ctx context.Context, r *query.Reader) (any, error) { return r.Gaps(ctx, query.Scope{}) },
		"ignored":       func(ctx context.Context, r *query.Reader) (any, error) { return r.Ignored(ctx, "") },
		"present":       func(ctx context.Context, r *query.Reader) (any, error) { return r.Present(ctx) },
		"shown": func(ctx context.Context, r *query.Reader) (any, error) {
			return r.Shown(ctx, query.ResolvedPoint{}, "")
		},
		"content": func(ctx context.Context, r *query.Reader) (any, error) {
			return r.Content(ctx, demo, ".gxp/requirements/REQ-1.md", 1)
		},
		"rejected content": func(ctx context.Context, r *query.Reader) (any, error) {
			return r.Content(ctx, demo, ".gxp/requirements/bad.md", 1)
		},
		"no content": func(ctx context.Context, r *query.Reader) (any, error) {
			return r.Content(ctx, demo, ".gxp/requirements/REQ-9.md", 0)
		},
		"actors": func(ctx context.Context, r *query.Reader) (any, error) {
			return r.AuditWords(ctx, query.AuditActor)
		},
	}
	for _, id := range []string{"REQ-1", "US-1", "EV-1", "PKG-1", "r/b.md", "none"} {
		all["history of "+id] = func(ctx context.Context, r *query.Reader) (any, error) { return r.History(ctx, demo.ID, id) }
	}
	for _, group := range append(trace.Groups(), trace.GroupADRs, trace.GroupVendors) {
		all[string(group)] = func(ctx context.Context, r *query.Reader) (any, error) {
			return r.Artifacts(ctx, group, query.ArtifactFilter{})
		}
		all["details of "+string(group)] = func(ctx context.Context, r *query.Reader) (any, error) {
			return r.Details(ctx, group, query.ArtifactFilter{RepositoryID: demo.ID, ID: "US-1", Parent: "REQ-1"})
		}
	}
	for _, ends := range [][2]int{{1, 2}, {2, 1}, {1, 4}, {3, 4}} {
		all[fmt.Sprint("diff ", ends)] = func(ctx context.Context, r *query.Reader) (any, error) {
			return r.Diff(ctx, demo, point(ends[0]), point(ends[1]))
		}
	}
	all["steps"] = func(ctx context.Context, r *query.Reader) (any, error) {
		var steps []query.Step
		for s, err := range r.Steps(ctx, demo, 1, 4) {
			if err != nil {
				return nil, err
			}
			steps = append(steps, s)
		}
		return steps, nil
	}
	return all
}

// TestEveryQueryAnswersTheSameOnPostgreSQL asks every query of tables in both databases that hold the same rows.
func TestEveryQueryAnswersTheSameOnPostgreSQL(t *testing.T) {
	t.Parallel()
	at := func(path, saying string) domain.File {
		return domaintest.File(domain.KindRequirement, path, "REQ-1", saying)
	}
	bad := domaintest.Malformed(domain.KindRequirement, ".gxp/requirements/bad.md", "{")
	risks := domaintest.RiskLog("RISK-1", "a", "RISK-2", "b")
	rest := []domain.File{
		domaintest.UserStory("US-1", "REQ-1"), domaintest.UserStory("US-2", "REQ-2"), domaintest.Spec("SPEC-1", "US-1"), risks,
		domaintest.File(domain.KindADR, ".gxp/adr/1.md", "", "x"),
	}
	w := newWorld(t).
		scan(append(rest, domaintest.Requirement("REQ-1", "a"), bad, domaintest.Evidence("EV-1", "SPEC-1", "valid"), domaintest.Package("PKG-1", "SPEC-1", "valid", "valid", "invalid", "valid"))...).
		scan(append(rest, at("r/b.md", "a"), domaintest.Evidence("EV-1", "SPEC-1", "invalid"), domaintest.Requirement("REQ-2", "b"))...).
		scanOf("demo", domain.DefaultPolicy(), domaintest.UserStory("US-1", "REQ-404")).
		scan(append(rest, at("r/c.md", "c"), domaintest.Tested(domaintest.Evidence("EV-1", "SPEC-1", "valid"), 3, 1), domaintest.ReadBy("rosie/2", domaintest.Requirement("REQ-2", "b")))...).
		scanOf("other", domaintest.Flag(), domaintest.Covered()...)
	remote := w.onPostgres()
	answered := 0
	for name, ask := range asked(w) {
		got, gotErr := ask(t.Context(), remote)
		want, wantErr := ask(t.Context(), w.reader())
		if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
			t.Errorf("%s: error %v, want %v", name, gotErr, wantErr)
			continue
		}
		if a, b := asJSON(t, got), asJSON(t, want); a != b {
			t.Errorf("%s: PostgreSQL answers\n%s\nSQLite\n%s", name, a, b)
		} else if wantErr == nil && len(a) > len("null") {
			answered++
		}
	}
	if answered < 30 {
		t.Errorf("only %d queries had an answer", answered)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
