// Package domaintest lets tests of decisions read as prose: Given what happened, When a tree is scanned, Then this is
// recorded. Its builders make small, complete artifacts.
package domaintest

import (
	"errors"
	"reflect"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
)

// Story is a sequence of scans of one repository.
type Story struct {
	state domain.State
}

// Given starts from what events fold to.
func Given(events ...domain.Event) Story {
	return Story{state: domain.Fold(domain.State{}, events...)}
}

// GivenScanned starts from a repository whose trees were scanned in that order, each under [Flag].
func GivenScanned(t *testing.T, trees ...[]domain.File) Story {
	t.Helper()
	story := Given()
	for _, tree := range trees {
		events, err := domain.Decide(story.state, Scan(Flag(), tree...))
		if err != nil {
			t.Fatalf("given tree does not scan: %v", err)
		}
		story.state = domain.Fold(story.state, events...)
	}
	return story
}

// State is what the story has come to. The caller must not change it.
func (s Story) State() domain.State { return s.state }

// When decides a scan.
func (s Story) When(scan domain.Scan) Decision {
	events, err := domain.Decide(s.state, scan)
	return Decision{state: s.state, events: events, err: err}
}

// Decision is the outcome of a scan.
type Decision struct {
	state  domain.State
	events []domain.Event
	err    error
}

// Then compares the artifact events, in order, by what identifies them: see [New], [Changed], [Removed] and so on.
// ScanCompleted must be the last event and is not listed.
func (d Decision) Then(t *testing.T, want ...Fact) Decision {
	t.Helper()
	if d.err != nil {
		t.Fatalf("scan failed: %v", d.err)
	}
	if len(d.events) == 0 {
		t.Fatal("no events")
	}
	if _, ok := d.events[len(d.events)-1].(domain.ScanCompleted); !ok {
		t.Fatalf("last event is %T, want ScanCompleted", d.events[len(d.events)-1])
	}
	var got []Fact
	for _, e := range d.events[:len(d.events)-1] {
		got = append(got, factOf(e))
	}
	if len(got) != 0 || len(want) != 0 {
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("recorded\n  %v\nwant\n  %v", got, want)
		}
	}
	return d
}

// ThenRefused compares the violations by code and path.
func (d Decision) ThenRefused(t *testing.T, want ...Fault) Decision {
	t.Helper()
	var refused *domain.RefusedError
	if !errors.As(d.err, &refused) {
		t.Fatalf("got %v, want a refusal", d.err)
	}
	var got []Fault
	for _, v := range refused.Violations {
		if v.Text == "" {
			t.Errorf("violation %s of %s has no text", v.Code, v.Path)
		}
		got = append(got, Because(v.Code, v.Path))
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("violations\n  %v\nwant\n  %v", got, want)
	}
	if len(d.events) != 0 {
		t.Errorf("a refused scan returned %d events", len(d.events))
	}
	return d
}

// Relinked returns the artifacts of which a link leads elsewhere while they did not change themselves.
func (d Decision) Relinked() []domain.ArtifactRelinked {
	var out []domain.ArtifactRelinked
	for _, e := range d.events {
		if r, ok := e.(domain.ArtifactRelinked); ok {
			out = append(out, r)
		}
	}
	return out
}

// Completed returns the last event of a scan that completed.
func (d Decision) Completed(t *testing.T) domain.ScanCompleted {
	t.Helper()
	done, ok := d.events[len(d.events)-1].(domain.ScanCompleted)
	if !ok {
		t.Fatalf("last event is %T, want ScanCompleted", d.events[len(d.events)-1])
	}
	return done
}

// Err returns the error of the decision.
func (d Decision) Err() error { return d.err }

// Events returns the events of the decision.
func (d Decision) Events() []domain.Event { return d.events }

// Next continues after this scan.
func (d Decision) Next() Story { return Story{state: domain.Fold(d.state.Clone(), d.events...)} }

// Fault is a violation as tests name it.
type Fault struct{ Code, Path string }

// Because is the violation of that code at that path.
func Because(code, path string) Fault { return Fault{Code: code, Path: path} }
