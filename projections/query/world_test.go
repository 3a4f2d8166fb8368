package query_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
	"github.com/gxpledger/gxpledger/projections/query"
	"github.com/gxpledger/gxpledger/projections/run"
	"github.com/gxpledger/gxpledger/projections/sqlite"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// world is a log, and the tables that the real projections make of it.
type world struct {
	t         testing.TB
	log       *memory.Log
	recorder  *recorder.Recorder
	runner    *run.Runner
	db        *sqlite.DB
	scans     atomic.Int64
	histories int                                        // that were drawn
	source    func(n int, s domain.Source) domain.Source // changes what the n-th scan read; nil for nothing
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{t: tb}
	w.log = memory.New(w.now)
	var err error
	if w.recorder, err = recorder.New(w.log, recorder.DefaultConfig(w.now, "")); err != nil {
		tb.Fatal(err)
	}
	if w.db, err = sqlite.OpenScratch(tb.Context(), tb.TempDir(), sqlite.Options{Now: time.Now}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = w.db.Close() })
	config := run.DefaultConfig(time.Now, eventstore.Decode, "test")
	if w.runner, err = run.NewRunner(w.log, w.db, tables.All(), config); err != nil {
		tb.Fatal(err)
	}
	return w
}

// now is noon of the first of March and as many minutes as scans were started.
func (w *world) now() time.Time {
	return time.Date(2026, 3, 1, 12, int(w.scans.Load()), 0, 0, time.UTC)
}

// scan records a scan of the repository "demo" that commits everything.
func (w *world) scan(files ...domain.File) *world {
	return w.scanOf("demo", domaintest.Flag(), files...)
}

// scanOf records a scan, completed or failed, and updates the tables.
func (w *world) scanOf(name string, policy domain.Policy, files ...domain.File) *world {
	w.t.Helper()
	w.record(name, policy, files...)
	return w.project()
}

// record records a scan, completed or failed.
func (w *world) record(name string, policy domain.Policy, files ...domain.File) {
	w.t.Helper()
	n := w.scans.Add(1)
	commit := domaintest.Hash(fmt.Sprint("commit ", n))[:40]
	person := &domain.Person{Name: "Ada", Email: "ada@example.org", When: w.now().Add(-time.Hour)}
	request := recorder.Request{
		Scan:       uuid.MustParse(fmt.Sprintf("019c0000-0000-7000-8000-%012d", n)),
		Repository: domain.Repository{ID: repositoryID(name), Name: name, URL: "https://example.org/" + name},
		Actor:      "carol", Reason: fmt.Sprintf("scan number %d", n), Policy: policy, StartedAt: w.now(),
	}
	_, err := w.recorder.Record(w.t.Context(), request, func(context.Context, domain.State) (recorder.Reading, error) {
		source := domain.Source{Ref: "HEAD", Commit: commit, Author: person, Committer: person, Message: fmt.Sprintf("Commit %d", n)}
		if w.source != nil {
			source = w.source(int(n), source)
		}
		return recorder.Reading{Files: files, Reader: domaintest.Stamp, Source: source}, nil
	})
	if err != nil && policy == domaintest.Flag() {
		w.t.Fatal(err)
	}
}

func repositoryID(name string) domain.RepositoryID {
	return domain.RepositoryID(uuid.NewSHA1(uuid.NameSpaceURL, []byte(name)).String())
}

func (w *world) project() *world {
	w.t.Helper()
	if err := w.runner.CatchUp(w.t.Context(), 0); err != nil {
		w.t.Fatal(err)
	}
	return w
}

func (w *world) reader() *query.Reader { return query.NewReader(w.db.Query(), query.SQLite) }

func (w *world) repository(name string) query.Repository {
	w.t.Helper()
	found, err := w.reader().Find(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

// lines renders rows for comparison, one line each.
func lines[T any](rows []T, line func(T) string) string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = line(r)
	}
	return strings.Join(out, "\n")
}

// want compares a text that was rendered for it.
func want(t *testing.T, got string, lines ...string) {
	t.Helper()
	if wanted := strings.Join(lines, "\n"); got != wanted {
		t.Errorf("got\n%s\nwant\n%s", got, wanted)
	}
}

// changes renders changes as "area path op old -> new".
func changes(all []trace.Change) string {
	return lines(all, func(c trace.Change) string {
		return strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s -> %s", c.Area, c.Path, c.Op, c.Old, c.New)), " ")
	})
}
