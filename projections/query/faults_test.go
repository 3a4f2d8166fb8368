package query_test

import (
	"context"
	"database/sql"
	"iter"
	"reflect"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/internal/drivertest"
	"github.com/gxpledger/gxpledger/internal/race"
	"github.com/gxpledger/gxpledger/projections/query"
)

// collect collects what seq yields.
func collect[T any](seq iter.Seq2[T, error]) (found []T, err error) {
	for each, err := range seq {
		if err != nil {
			return nil, err
		}
		found = append(found, each)
	}
	return found, nil
}

// An answer that could not be read to its end is an error, never a shorter answer (I15).
func TestEveryCallOfTheDriverMayFail(t *testing.T) {
	t.Parallel()
	if race.Enabled {
		t.Skip("a sweep that test:large makes without the race detector")
	}
	w := newWorld(t).scan(domaintest.Covered()...).scan(append(domaintest.Covered(),
		domaintest.UserStory("US-9", "REQ-404"), domaintest.Package("PKG-1", "SPEC-1", "valid", "valid", "valid", "valid"),
		domaintest.Malformed(domain.KindSpec, ".gxp/specs/bad.md", "{"))...)
	w.scanOf("other", domain.DefaultPolicy(), domaintest.UserStory("US-1", "REQ-9"))
	demo, id := w.repository("demo"), w.repository("demo").ID
	db, err := sql.Open(drivertest.Name, "file:"+w.db.Path()+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	reader := query.NewReader(db, query.SQLite)
	now, err := w.reader().Present(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second, err := query.ParsePoint("scan:2")
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]func(ctx context.Context, r *query.Reader) (any, error){
		"Artifacts": func(ctx context.Context, r *query.Reader) (any, error) {
			return r.Artifacts(ctx, trace.LevelRequirement.Group(), query.ArtifactFilter{})
		},
		"Audit":      func(ctx context.Context, r *query.Reader) (any, error) { return r.Audit(ctx, query.AuditFilter{}) },
		"AuditWords": func(ctx context.Context, r *query.Reader) (any, error) { return r.AuditWords(ctx, query.AuditAction) },
		"Content": func(ctx context.Context, r *query.Reader) (any, error) {
			return r.Content(ctx, demo, ".gxp/requirements/REQ-1.md", 0)
		},
		"Details": func(ctx context.Context, r *query.Reader) (any, error) {
			return r.Details(ctx, trace.LevelEvidence.Group(), query.ArtifactFilter{})
		},
		"Diff": func(ctx context.Context, r *query.Reader) (any, error) {
			return r.Diff(ctx, demo, query.ResolvedPoint{Position: 1}, now)
		},
		"Files": func(ctx context.Context, r *query.Reader) (any, error) {
			return r.Files(ctx, query.Scope{WithoutRetired: true})
		},
		"Find":     func(ctx context.Context, r *query.Reader) (any, error) { return r.Find(ctx, "demo") },
		"Findings": func(ctx context.Context, r *query.Reader) (any, error) { return r.Findings(ctx, query.FindingFilter{}) },
		"Gaps":     func(ctx context.Context, r *query.Reader) (any, error) { return r.Gaps(ctx, query.Scope{}) },
		"History":  func(ctx context.Context, r *query.Reader) (any, error) { return r.History(ctx, id, "REQ-1") },
		"Ignored":  func(ctx context.Context, r *query.Reader) (any, error) { return r.Ignored(ctx, id) },
		"Links":    func(ctx context.Context, r *query.Reader) (any, error) { return r.Links(ctx, query.LinkFilter{}) },
		"Matrix":   func(ctx context.Context, r *query.Reader) (any, error) { return r.Matrix(ctx, query.Scope{}) },
		"Present":  func(ctx context.Context, r *query.Reader) (any, error) { return r.Present(ctx) },
		"Rejected": func(ctx context.Context, r *query.Reader) (any, error) {
			return r.Rejected(ctx, query.RejectedFilter{})
		},
		"Repositories":    func(ctx context.Context, r *query.Reader) (any, error) { return r.Repositories(ctx) },
		"Scan":            func(ctx context.Context, r *query.Reader) (any, error) { return r.Scan(ctx, demo, 2) },
		"ScanAt":          func(ctx context.Context, r *query.Reader) (any, error) { return r.ScanAt(ctx, second, id) },
		"Scans":           func(ctx context.Context, r *query.Reader) (any, error) { return r.Scans(ctx, query.ScanFilter{}) },
		"SettingsChanges": func(ctx context.Context, r *query.Reader) (any, error) { return r.SettingsChanges(ctx, "") },
		"Select": func(ctx context.Context, r *query.Reader) (any, error) {
			match, err := r.Select(ctx, query.Scope{}, trace.Selection{Risk: "high"})
			if err != nil {
				return nil, err
			}
			return match(id, 1), nil
		},
		"SelectedGaps": func(ctx context.Context, r *query.Reader) (any, error) {
			return r.SelectedGaps(ctx, query.Scope{}, trace.Selection{Risk: "high"})
		},
		"Shown": func(ctx context.Context, r *query.Reader) (any, error) { return r.Shown(ctx, now, "") },
		"Steps": func(ctx context.Context, r *query.Reader) (any, error) { return collect(r.Steps(ctx, demo, 1, 2)) },
	}
	for _, name := range drivertest.Methods(reader) {
		if calls[name] == nil {
			t.Errorf("method %s takes a context and is not called", name)
		}
	}
	for name, call := range calls {
		want, err := call(t.Context(), w.reader())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got any
		drivertest.SweepSomeFaults(t, drivertest.Faults(), 2, func(ctx context.Context) (err error) {
			got, err = call(ctx, reader)
			return err
		}, func(t *testing.T, at string, err error) {
			t.Helper()
			if err == nil && !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %s is not told, and the answer is\n%+v\nwant\n%+v", name, at, got, want)
			}
		})
	}
}
