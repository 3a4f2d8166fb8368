package query_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/query"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/sqlite"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// world is a log, and the tables that the real projections make of it.
type world struct {
	t         testing.TB
	log       *memory.Log
	recorder  *eventstore.Recorder
	runner    *projections.Runner
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
	if w.recorder, err = eventstore.NewRecorder(w.log, eventstore.DefaultRecorderConfig(w.now, "")); err != nil {
		tb.Fatal(err)
	}
	if w.db, err = sqlite.OpenScratch(tb.Context(), tb.TempDir(), sqlite.Options{Now: time.Now}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = w.db.Close() })
	config := projections.DefaultConfig(time.Now, eventstore.Decode, "test")
	if w.runner, err = projections.NewRunner(w.log, w.db, tables.All(), config); err != nil {
		tb.Fatal(err)
	}
	return w
}

// now is noon of the first of March and as many minutes as scans were begun.
func (w *world) now() time.Time {
	return time.Date(2026, 3, 1, 12, int(w.scans.Load()), 0, 0, time.UTC)
}

// scan records a scan of the repository "demo" that commits everything.
func (w *world) scan(files ...domain.File) *world {
	return w.scanOf("demo", domaintest.Flag(), files...)
}

// scanOf records a scan, completed or failed, and brings the tables up to date.
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
	request := eventstore.Request{
		Scan:       uuid.MustParse(fmt.Sprintf("019c0000-0000-7000-8000-%012d", n)),
		Repository: domain.Repository{ID: repositoryID(name), Name: name, URL: "https://example.org/" + name},
		Actor:      "carol", Reason: fmt.Sprintf("scan number %d", n), Policy: policy, StartedAt: w.now(),
	}
	_, err := w.recorder.Record(w.t.Context(), request, func(context.Context, domain.State) (eventstore.Reading, error) {
		source := domain.Source{Ref: "HEAD", Commit: commit, Author: person, Committer: person, Message: fmt.Sprintf("Commit %d", n)}
		if w.source != nil {
			source = w.source(int(n), source)
		}
		return eventstore.Reading{Files: files, Reader: domaintest.Stamp, Source: source}, nil
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

// saying gives an artifact fields, a JSON object, and other bytes with them.
func saying(fields string, f domain.File) domain.File {
	a := f.Artifacts[0]
	a.Fields = json.RawMessage(fields)
	a.Digest = domaintest.Hash(a.Digest + fields)
	a.Content.SHA256 = a.Digest
	f.Artifacts, f.Blob = []domain.Artifact{a}, a.Digest[:40]
	return f
}

// with changes the one artifact of a file.
func with(f domain.File, change func(a *domain.Artifact)) domain.File {
	a := f.Artifacts[0]
	change(&a)
	f.Artifacts = []domain.Artifact{a}
	return f
}

// evidence is a signed record for a spec with that verdict.
func evidence(id, spec string, verdict domain.Verdict) domain.File {
	f := domaintest.File(domain.KindEvidenceJWS, ".gxp/evidence/"+id+".jws", id, string(verdict),
		domain.Link{Edge: domain.EdgeSpecID, Target: spec})
	return with(f, func(a *domain.Artifact) {
		a.Evidence = &domain.Evidence{SpecID: spec, Signature: domain.Signature{Verdict: verdict, Algorithm: "ES256"}}
	})
}

// packageOf is an evidence package for a spec whose checks came to these verdicts.
func packageOf(id, spec string, checks ...domain.Verdict) domain.File {
	f := domaintest.File(domain.KindEvidencePackage, ".gxp/evidence/packages/"+id, id, fmt.Sprint(checks),
		domain.Link{Edge: domain.EdgeSpecID, Target: spec})
	names := []domain.CheckName{domain.CheckPresence, domain.CheckSignature, domain.CheckIntegrity, domain.CheckCompleteness}
	return with(f, func(a *domain.Artifact) {
		a.Evidence = &domain.Evidence{SpecID: spec, Signature: domain.Signature{Verdict: checks[1]}, SignerFile: "manifest.jws"}
		for i, v := range checks {
			a.Evidence.Checks = append(a.Evidence.Checks, domain.Check{Name: names[i], Verdict: v})
		}
		for _, path := range []string{"manifest.jws", "manifest.json"} {
			sha := domaintest.Hash(id + path)
			a.Members = append(a.Members, domain.Member{Path: path, Content: domain.Content{SHA256: sha, Blob: sha[:40], Size: 7}})
		}
	})
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
func changes(all []query.Change) string {
	return lines(all, func(c query.Change) string {
		return strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s -> %s", c.Area, c.Path, c.Op, c.Old, c.New)), " ")
	})
}
