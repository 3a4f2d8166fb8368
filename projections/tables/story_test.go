package tables_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// repository is the one that stories are about unless they say otherwise.
const repository = "6f1b1f5e-0000-5000-8000-000000000001"

// fatal is what a story needs of a test or of a property.
type fatal interface {
	Helper()
	Fatalf(format string, args ...any)
}

// story is a log that grows by scans and events, as the engine would write it.
type story struct {
	t      fatal
	log    []projections.Event
	states map[domain.RepositoryID]domain.State
	next   map[eventstore.StreamID]eventstore.Revision
	scans  int
}

// step is one thing that happens in a story.
type step func(s *story)

// given tells a story.
func given(t fatal, steps ...step) *story {
	t.Helper()
	s := &story{
		t: t, states: map[domain.RepositoryID]domain.State{}, next: map[eventstore.StreamID]eventstore.Revision{},
	}
	for _, step := range steps {
		step(s)
	}
	return s
}

// scanned is a scan that is decided and recorded, completed or failed.
func scanned(scan domain.Scan) step { return func(s *story) { s.scan(scan) } }

// tree is a scan of files under the policy that commits everything.
func tree(files ...domain.File) step { return scanned(domaintest.Scan(domaintest.Flag(), files...)) }

// happened is a batch of events of the repository, whatever the domain thinks of them.
func happened(events ...domain.Event) step {
	return func(s *story) {
		s.scans++
		s.record(eventstore.RepositoryStream(repository), eventstore.Meta{Actor: "tester", Scan: scanID(s.scans), Attempt: 1}, events)
	}
}

// scanID is the UUIDv7 of the n-th scan of a story.
func scanID(n int) string { return fmt.Sprintf("019c0000-0000-7000-8000-%012d", n) }

// recordedAt is when the n-th scan of a story was recorded.
func recordedAt(n int) time.Time { return time.Date(2026, 3, 1, 12, 0, n, 123456000, time.UTC) }

func (s *story) scan(scan domain.Scan) {
	s.t.Helper()
	s.scans++
	scan.Scan = scanID(s.scans)
	state := s.states[scan.Repository.ID]
	events, err := domain.Decide(state, scan)
	var refused *domain.RefusedError
	switch {
	case errors.As(err, &refused):
		events = []domain.Event{domain.Fail(state, scan.Head, refused.Violations, len(refused.Violations))}
	case err != nil:
		s.t.Fatalf("decide: %v", err)
	}
	s.states[scan.Repository.ID] = domain.Fold(state, events...)
	meta := eventstore.Meta{Actor: scan.Actor, Reason: scan.Reason, Scan: scan.Scan, Attempt: 1}
	s.record(eventstore.RepositoryStream(scan.Repository.ID), meta, events)
}

// change gives a repository other settings, where it is known and they are others.
func (s *story) change(id domain.RepositoryID, settings domain.RepositorySettings) {
	s.t.Helper()
	state := s.states[id]
	events, err := domain.ChangeRepository(state, domain.RepositoryChanged{
		Repository: state.Repository, Settings: settings, Actor: "ada", Reason: "change request 17", ChangedAt: recordedAt(s.scans),
	})
	if err != nil || !state.Registered {
		return
	}
	s.scans++
	s.states[id] = domain.Fold(state, events...)
	s.record(eventstore.RepositoryStream(id), eventstore.Meta{Actor: "ada", Reason: "change request 17", Scan: scanID(s.scans), Attempt: 1}, events)
}

// record appends a batch, by way of the stored form.
func (s *story) record(stream eventstore.StreamID, meta eventstore.Meta, events []domain.Event) {
	s.t.Helper()
	meta.Size = len(events)
	for i, e := range events {
		meta.Index = i
		typ, data, err := eventstore.Encode(e)
		if err != nil {
			s.t.Fatalf("encode: %v", err)
		}
		record := eventstore.Record{
			Position: eventstore.Position(len(s.log) + 1), Stream: stream, Revision: s.next[stream], Type: typ,
			ID:         eventstore.DeriveEventID(uuid.MustParse(meta.Scan), i),
			RecordedAt: recordedAt(s.scans), Meta: meta, Data: data,
		}
		decoded, err := eventstore.Decode(record)
		if err != nil {
			s.t.Fatalf("decode: %v", err)
		}
		s.log = append(s.log, projections.Event{Record: record, Event: decoded})
		s.next[stream]++
	}
}

// pages folds the log by p into m, in pages that end where ends says so.
func (s *story) pages(m *model, p projections.Projection, ends func(e projections.Event) bool) {
	s.t.Helper()
	var page []projections.Event
	var rows projections.Rows
	for i, e := range s.log {
		page = append(page, handled(p, s.log[i:i+1])...)
		if i < len(s.log)-1 && !ends(e) {
			continue
		}
		rows.Reset()
		if err := p.Apply(page, &rows); err != nil {
			s.t.Fatalf("apply: %v", err)
		}
		if err := m.write(rows.Ops()); err != nil {
			s.t.Fatalf("page that ends at position %d: %v", e.Position, err)
		}
		if e.EndsBatch() {
			if err := m.endPage(p); err != nil {
				s.t.Fatalf("page that ends at position %d: %v", e.Position, err)
			}
		}
		page = page[:0]
	}
}

// handled returns the events that p asks for.
func handled(p projections.Projection, log []projections.Event) []projections.Event {
	var out []projections.Event
	for _, e := range log {
		if p.Wants(e.Event) {
			out = append(out, e)
		}
	}
	return out
}

// wholeBatches ends a page with each batch.
func wholeBatches(e projections.Event) bool { return e.EndsBatch() }

// tables folds the story into every table.
func (s *story) tables(ends func(e projections.Event) bool) *model {
	s.t.Helper()
	m := newModel(tables.All()...)
	for _, p := range tables.All() {
		s.pages(m, p, ends)
	}
	return m
}

// thenRows compares columns of all rows of a table, in the order of its key. Columns and values are separated by " | ";
// NULL is "-".
func (s *story) thenRows(table, columns string, want ...string) *story {
	s.t.Helper()
	got := s.tables(wholeBatches).show(table, columns)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		s.t.Fatalf("%s: %s\n  %s\nwant\n  %s", table, columns, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	return s
}

// show is columns of all rows of a table as thenRows compares them.
func (m *model) show(table, columns string) []string {
	t := m.tables[table]
	var out []string
	for _, row := range t.sorted() {
		var values []string
		for _, v := range t.pick(row, strings.Split(columns, " | ")) {
			values = append(values, show(v))
		}
		out = append(out, strings.Join(values, " | "))
	}
	return out
}

func TestTheDefinitionsAreConsistent(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, p := range tables.All() {
		for _, table := range p.Tables {
			if other, twice := seen[table.Name]; twice {
				t.Errorf("table %s belongs to %s and %s", table.Name, other, p.Name)
			}
			seen[table.Name] = p.Name
			if !strings.HasSuffix(table.Doc, ".") {
				t.Errorf("table %s: doc %q is no sentence", table.Name, table.Doc)
			}
			for _, c := range table.Columns {
				if !strings.HasSuffix(c.Doc, ".") {
					t.Errorf("column %s.%s: doc %q is no sentence", table.Name, c.Name, c.Doc)
				}
			}
		}
	}
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// replaceNUL is JSON as the tables show it.
func replaceNUL(encoded []byte) string {
	var out strings.Builder
	for i := 0; i < len(encoded); i++ {
		switch {
		case strings.HasPrefix(string(encoded[i:]), `\u0000`):
			out.WriteString("\uFFFD")
			i += 5
		case encoded[i] == '\\':
			out.Write(encoded[i : i+2])
			i++
		default:
			out.WriteByte(encoded[i])
		}
	}
	return out.String()
}
