package verify_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/memory"
	"github.com/gxpledger/gxpledger/eventstore/verify"
)

// told is a log of batches that are in order but for what their events say.
type told struct {
	t     *testing.T
	log   *memory.Log
	state domain.State
	ends  map[eventstore.StreamID]eventstore.Expected
}

const (
	toldStream = "repository-6f1b1f5e-0000-5000-8000-000000000001"
	toldKey    = "5f7c0b0000000000000000000000000000000000000000000000000000000001"
	keyed      = domaintest.Stamp + "+keys:5f7c"
)

func newTold(t *testing.T) *told {
	t.Helper()
	return &told{t: t, log: memory.New(clock), ends: map[eventstore.StreamID]eventstore.Expected{}}
}

// head is that of a scan which was read with a key.
func (l *told) head() domain.Head {
	head := domaintest.Scan(domaintest.Flag()).Head
	head.Scan, head.Reason, head.Reader = uuid.Must(uuid.NewV7()).String(), "to see", keyed
	head.StartedAt, head.DecidedAt, head.Settings = clock(), clock(), &domain.Settings{Keys: []string{toldKey}}
	return head
}

// decide returns the events of a scan of a tree.
func (l *told) decide(files ...domain.File) []domain.Event {
	l.t.Helper()
	events, err := domain.Decide(l.state, domain.Scan{Head: l.head(), Files: files})
	if err != nil {
		l.t.Fatal(err)
	}
	return events
}

// fail returns the event of a scan that failed for one reason.
func (l *told) fail() domain.ScanFailed {
	return domain.Fail(l.state, l.head(), []domain.Violation{{Code: domain.ViolationNoContext, Text: "there is none"}}, 1)
}

func (l *told) retired() domain.RepositoryRetired {
	return domain.RepositoryRetired{Repository: l.state.Repository, Actor: "tester", Reason: "to see", RetiredAt: clock()}
}

// append records events as one batch.
func (l *told) append(stream eventstore.StreamID, events ...domain.Event) {
	l.t.Helper()
	scan := uuid.Must(uuid.NewV7()).String()
	last := events[len(events)-1]
	if e, ok := last.(domain.ScanCompleted); ok {
		scan = e.Scan
	}
	if e, ok := last.(domain.ScanFailed); ok {
		scan = e.Scan
	}
	if e, ok := last.(domain.AdminActed); ok {
		scan = e.ID
	}
	b := eventstore.Batch{Stream: stream, Expected: eventstore.NoStream(), RecordedAt: clock(), Meta: eventstore.Meta{
		Actor: "tester", Reason: "to see", Scan: scan, Correlation: scan, Attempt: 1,
	}}
	if end, known := l.ends[stream]; known {
		b.Expected = end
	}
	for i, e := range events {
		typ, data, err := eventstore.Encode(e)
		if err != nil {
			l.t.Fatal(err)
		}
		b.Events = append(b.Events, eventstore.NewEvent{ID: eventstore.DeriveEventID(uuid.MustParse(scan), i), Type: typ, Data: data})
	}
	done, err := l.log.Append(l.t.Context(), b)
	if err != nil {
		l.t.Fatal(err)
	}
	l.ends[stream] = eventstore.AtRevision(done.LastRevision)
	l.state = domain.Fold(l.state, events...)
}

func (l *told) scan(files ...domain.File) { l.t.Helper(); l.append(toldStream, l.decide(files...)...) }

// found returns what a verification says of the events; the contents that they name are none of these tests' business.
func (l *told) found() string {
	l.t.Helper()
	var texts []string
	if _, err := verify.Run(l.t.Context(), l.log, verify.Watch{Fault: func(f eventstore.Fault) {
		if f.Code == eventstore.FaultBatch || f.Code == eventstore.FaultScan {
			texts = append(texts, f.Text)
		}
	}}); err != nil {
		l.t.Fatal(err)
	}
	return strings.Join(texts, "\n")
}

// forge changes the first event of a type that pick takes.
func forge[E domain.Event](t *testing.T, events []domain.Event, pick func(E) bool, change func(*E)) []domain.Event {
	t.Helper()
	for i, e := range events {
		if e, ok := e.(E); ok && (pick == nil || pick(e)) {
			change(&e)
			events[i] = e
			return events
		}
	}
	t.Fatal("there is no such event")
	return nil
}

// without leaves out the events of a type.
func without[E domain.Event](events []domain.Event) []domain.Event {
	return slices.DeleteFunc(events, func(e domain.Event) bool { _, is := e.(E); return is })
}

func atPath(path string) func(domain.ArtifactParsed) bool {
	return func(e domain.ArtifactParsed) bool { return e.Path == path && e.Ordinal == 0 }
}

func atEntry(ordinal int) func(domain.ArtifactParsed) bool {
	return func(e domain.ArtifactParsed) bool { return e.Ordinal == ordinal }
}

const (
	firstRequirement = ".gxp/requirements/REQ-1.md"
	brokenSpec       = ".gxp/specs/broken.md"
	riskLog          = ".gxp/risk_assessment.log"
)

// toldTree is a first tree; US-2 has a second parent that is nowhere.
func toldTree() []domain.File {
	valid := domaintest.Evidence("EV-1", "SPEC-1", domain.VerdictValid)
	valid.Artifacts[0].Evidence.Signature.Fingerprint = toldKey
	pack := domaintest.With(domaintest.Package("EV-3", "SPEC-1", "valid", "valid", "valid", "valid"), func(a *domain.Artifact) {
		a.Content = domain.Content{}
	})
	return []domain.File{
		domaintest.ReadBy(keyed, valid),
		domaintest.ReadBy(keyed, domaintest.Evidence("EV-2", "SPEC-1", domain.VerdictUnverifiable)),
		domaintest.ReadBy(keyed, pack),
		domaintest.Requirement("REQ-1", "a"),
		domaintest.Requirement("REQ-9", "a"),
		domaintest.RiskLog("RISK-1", "a", "RISK-2", "a"),
		domaintest.Spec("SPEC-1", "US-1"),
		domaintest.Malformed(domain.KindSpec, brokenSpec, "x"),
		domaintest.UserStory("US-1", "REQ-1"),
		domaintest.Leading(domaintest.UserStory("US-2", "REQ-1"), domain.Link{Edge: domain.EdgeParentID, Target: "REQ-404"}),
	}
}

// nextTree is toldTree after changes: REQ-1 changed, REQ-9 moved, RISK-1 removed, broken.md cleared, US-2 relinked.
func nextTree() []domain.File {
	files := toldTree()
	files[3] = domaintest.Requirement("REQ-1", "b")
	files[4] = domaintest.File(domain.KindRequirement, ".gxp/requirements/moved.md", "REQ-9", "a")
	files[5] = domaintest.RiskLog("RISK-2", "a", "RISK-3", "a")
	files[7] = domaintest.File(domain.KindSpec, brokenSpec, "SPEC-2", "a")
	return append(files, domaintest.Requirement("REQ-404", "a"))
}

// TestVerifyFindsNoFaultInWhatAScanMayTell: what an older version did not record, and what was not read, is no contradiction.
func TestVerifyFindsNoFaultInWhatAScanMayTell(t *testing.T) {
	t.Parallel()
	for name, tell := range map[string]func(l *told){
		"two scans":                  func(l *told) { l.scan(toldTree()...); l.scan(nextTree()...) },
		"a scan failed before all":   func(l *told) { l.append(toldStream, l.fail()); l.scan(toldTree()...) },
		"the total was not recorded": func(l *told) { e := l.fail(); e.Total = 0; l.append(toldStream, e) },
		"a scan of version 1":        func(l *told) { l.append(toldStream, versionOne(l.t, l.decide(toldTree()...))...) },
		"a second scan of version 1": func(l *told) {
			l.scan(toldTree()...)
			l.append(toldStream, versionOne(l.t, l.decide(nextTree()...))...)
		},
		"a file was read with an extra": func(l *told) { l.scan(domaintest.ReadBy(domaintest.Stamp+"+x", domaintest.Requirement("REQ-1", "a"))) },
		"files were not read": func(l *told) {
			unread := domaintest.Malformed(domain.KindSpec, brokenSpec, "x")
			unread.Rejected.Content.SHA256, unread.Blob = "", "link"
			unnamed := domaintest.Requirement("REQ-1", "a")
			unnamed.Artifacts[0].Content.Blob = ""
			l.scan(unnamed, unread)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newTold(t)
			tell(l)
			if found := l.found(); found != "" {
				t.Errorf("found %s", found)
			}
		})
	}
}

// versionOne returns the events of a scan as the first version recorded them, which had relinked artifacts in the last one.
func versionOne(t *testing.T, events []domain.Event) []domain.Event {
	t.Helper()
	var relinked []domain.ArtifactRelinked
	for _, e := range events {
		if e, ok := e.(domain.ArtifactRelinked); ok {
			relinked = append(relinked, e)
		}
	}
	return forge(t, without[domain.ArtifactRelinked](events), nil, func(e *domain.ScanCompleted) {
		e.Settings, e.Coverage, e.Ignored, e.Relinked = nil, nil, nil, relinked
	})
}

// TestVerifyComparesEventsWithTheirPlace: each forgery is found for itself, whatever else is found with it.
func TestVerifyComparesEventsWithTheirPlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tell func(t *testing.T, l *told)
		want string
	}{
		"a registration in the middle": {func(_ *testing.T, l *told) {
			events := l.decide(toldTree()...)
			events[0], events[1] = events[1], events[0]
			l.append(toldStream, events...)
		}, "repository.registered.v1 is event 1 of its batch"},
		"a registration of another": {func(t *testing.T, l *told) {
			t.Helper()
			l.append(toldStream, forge(t, l.decide(toldTree()...), nil, func(e *domain.RepositoryRegistered) { e.Repository.ID = "other" })...)
		}, `repository is "repository-other", want`},
		"a second registration": {func(_ *testing.T, l *told) {
			l.scan(toldTree()...)
			l.append(toldStream, append([]domain.Event{domain.RepositoryRegistered{Repository: l.state.Repository}}, l.decide(nextTree()...)...)...)
		}, "the repository was registered before"},
		"an admin action in a repository": {func(_ *testing.T, l *told) {
			l.append(toldStream, domain.AdminActed{ID: uuid.Must(uuid.NewV7()).String(), Action: "rebuild", Actor: "tester", Reason: "to see", At: clock()})
		}, "where no such event is appended"},
		"a scan among admin actions": {func(_ *testing.T, l *told) { l.append(eventstore.EngineStream, l.fail()) }, "where no such event is appended"},
		"a retirement in a scan": {func(_ *testing.T, l *told) {
			l.scan(toldTree()...)
			l.append(toldStream, append([]domain.Event{l.retired()}, l.decide(nextTree()...)...)...)
		}, "and it is a batch of its own"},
		"a second retirement": {func(_ *testing.T, l *told) {
			l.scan(toldTree()...)
			l.append(toldStream, l.retired())
			l.append(toldStream, l.retired())
		}, "the repository was retired before"},
		"a scan after the retirement": {func(_ *testing.T, l *told) {
			l.scan(toldTree()...)
			next := l.decide(nextTree()...)
			l.append(toldStream, l.retired())
			l.append(toldStream, next...)
		}, "a scan completed of a repository that was retired"},
		"an event after the outcome": {func(_ *testing.T, l *told) {
			events := l.decide(toldTree()...)
			n := len(events)
			events[n-1], events[n-2] = events[n-2], events[n-1]
			l.append(toldStream, events...)
		}, "and it is the last"},
		"a failure without a violation": {func(_ *testing.T, l *told) {
			e := l.fail()
			e.Violations = nil
			l.append(toldStream, e)
		}, "a scan failed without a violation"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newTold(t)
			c.tell(t, l)
			if found := l.found(); !strings.Contains(found, c.want) {
				t.Errorf("found\n%s\nwant %q", found, c.want)
			}
		})
	}
}

// TestVerifyComparesEachEventOfAScan: each forgery of a second scan is found for itself, whatever else is found with it.
func TestVerifyComparesEachEventOfAScan(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		forge func(t *testing.T, events []domain.Event) []domain.Event
		want  string
	}{
		"keys in another order": {completing(func(e *domain.ScanCompleted) { e.Settings.Keys = []string{toldKey, "1"} }), "the keys in force are not in order"},
		"ignored files in another order": {completing(func(e *domain.ScanCompleted) {
			e.Ignored = &domain.Ignored{Count: 2, Paths: []string{"b", "a"}}
		}), "2 ignored files are listed of 2, or not in order"},
		"a clearance of what is nowhere":      {inserting(domain.RejectionCleared{Path: "nowhere.md"}), `"nowhere.md" was not rejected before`},
		"a clearance of what is not rejected": {inserting(domain.RejectionCleared{Path: firstRequirement}), fmt.Sprintf("%q was not rejected before", firstRequirement)},
		"no clearance": {func(_ *testing.T, events []domain.Event) []domain.Event {
			return without[domain.RejectionCleared](events)
		}, fmt.Sprintf("%q is still rejected", brokenSpec)},
		"a change that is none": {parsing(atPath(firstRequirement), func(e *domain.ArtifactParsed) { e.Change = domain.ChangeReread }), `change is "reread", want "changed"`},
		"another digest":        {parsing(atPath(firstRequirement), func(e *domain.ArtifactParsed) { e.Digest = domaintest.Hash("x") }), "digest is"},
		"a move of what was there": {func(t *testing.T, events []domain.Event) []domain.Event {
			t.Helper()
			return forge(t, events, atPath(firstRequirement), func(e *domain.ArtifactParsed) { e.MovedFrom = &domain.Key{Path: ".gxp/requirements/REQ-9.md"} })
		}, `change of an artifact that moved is "changed", want "new"`},
		"a removal that does not say where to": {func(t *testing.T, events []domain.Event) []domain.Event {
			t.Helper()
			return forge(t, events, nil, func(e *domain.ArtifactRemoved) { e.MovedTo = nil })
		}, "whose removal does not say so"},
		"an artifact that does not say where from": {
			parsing(atPath(".gxp/requirements/moved.md"), func(e *domain.ArtifactParsed) { e.MovedFrom = nil }), "which does not say so",
		},
		"a removal of what is nowhere": {inserting(domain.ArtifactRemoved{Key: domain.Key{Path: "nowhere.md"}, Kind: domain.KindSpec}), "nowhere.md is removed, and the tree does not hold it"},
		"a removal as another kind": {func(t *testing.T, events []domain.Event) []domain.Event {
			t.Helper()
			return forge(t, events, nil, func(e *domain.ArtifactRemoved) { e.Kind = domain.KindSpec })
		}, `kind is "spec", want "requirement"`},
		"a rejection of what the tree holds": {inserting(domain.ArtifactRejected{
			Path: firstRequirement, Rejection: domain.Rejection{Kind: domain.KindRequirement, Message: "x"}, Stamp: domaintest.Stamp,
		}), "is rejected, and the tree still holds artifacts of it"},
		"an entry with another stamp":  {parsing(atEntry(2), func(e *domain.ArtifactParsed) { e.Stamp = "rosie/0" }), `stamp is "rosie/0", want "rosie/1"`},
		"an entry with another source": {parsing(atEntry(2), func(e *domain.ArtifactParsed) { e.Source, e.Content.Blob = "x", "" }), `source is "x", want`},
		"an entry without its file": {func(_ *testing.T, events []domain.Event) []domain.Event {
			return slices.DeleteFunc(events, func(e domain.Event) bool {
				p, is := e.(domain.ArtifactParsed)
				return is && p.Kind == domain.KindRiskLog
			})
		}, fmt.Sprintf("an entry of %q is recorded, and the file is not", riskLog)},
		"an entry that shifts entries": {parsing(atEntry(2), func(e *domain.ArtifactParsed) {
			e.Shifted = []domain.Shift{{Number: 7, Version: 1, From: 1, To: 2}}
		}), "entries shift in an artifact that is none of the file's"},
		"a shift to the same place": {parsing(atPath(riskLog), func(e *domain.ArtifactParsed) {
			e.Shifted = []domain.Shift{{Number: 7, Version: 1, From: 1, To: 1}}
		}), "entry 1 shifts to 1, which is out of order"},
		"shifts in another order": {parsing(atPath(riskLog), func(e *domain.ArtifactParsed) {
			e.Shifted = []domain.Shift{{Number: 7, Version: 1, From: 1, To: 2}, {Number: 8, Version: 1, From: 2, To: 1}}
		}), "entry 2 shifts to 1, which is out of order"},
		"a package read without keys": {func(t *testing.T, events []domain.Event) []domain.Event {
			t.Helper()
			const path = ".gxp/evidence/packages/EV-4"
			return forge(t, events, atPath(path), func(e *domain.ArtifactParsed) { e.Stamp = domaintest.Stamp })
		}, "EV-4\" was read under the stamp \"rosie/1\""},
		"links of what is nowhere":      {relinking(func(e *domain.ArtifactRelinked) { e.Path = "nowhere.md" }), "links of nowhere.md changed, and the tree does not hold it"},
		"links of another number":       {relinking(func(e *domain.ArtifactRelinked) { e.Number = 99 }), "number is 99, want"},
		"fewer links":                   {relinking(func(e *domain.ArtifactRelinked) { e.Links = e.Links[:1] }), "number of links is 1, want 2"},
		"more links":                    {relinking(func(e *domain.ArtifactRelinked) { e.Links = append(e.Links, e.Links[1]) }), "link 2 is not the one that the artifact declares"},
		"another edge of a link":        {relinking(func(e *domain.ArtifactRelinked) { e.Links[1].Edge = domain.EdgeSpecID }), "link 1 is not the one that the artifact declares"},
		"another target of a link":      {relinking(func(e *domain.ArtifactRelinked) { e.Links[1].Target = "REQ-405" }), "link 1 is not the one that the artifact declares"},
		"another link that changed":     {relinking(func(e *domain.ArtifactRelinked) { e.Changed = []int{0} }), "the links [0] are recorded as changed, and those that changed are [1]"},
		"a change of links that is one": {relinking(func(e *domain.ArtifactRelinked) { e.Changed = nil }), "the links [] are recorded as changed, and those that changed are [1]"},
		"a change of links that is none": {relinking(func(e *domain.ArtifactRelinked) {
			e.Changed, e.Links[1].To, e.Links[1].Broken = nil, nil, domain.BrokenMissing
		}), "the links [] are recorded as changed, and those that changed are []"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newTold(t)
			l.scan(toldTree()...)
			fresh := domaintest.ReadBy(keyed, domaintest.Package("EV-4", "SPEC-1", "valid", "valid", "valid", "valid"))
			l.append(toldStream, c.forge(t, l.decide(append(nextTree(), fresh)...))...)
			if found := l.found(); !strings.Contains(found, c.want) {
				t.Errorf("found\n%s\nwant %q", found, c.want)
			}
		})
	}
}

type forgeFunc = func(t *testing.T, events []domain.Event) []domain.Event

func completing(change func(*domain.ScanCompleted)) forgeFunc {
	return func(t *testing.T, events []domain.Event) []domain.Event {
		t.Helper()
		return forge(t, events, nil, change)
	}
}

func parsing(pick func(domain.ArtifactParsed) bool, change func(*domain.ArtifactParsed)) forgeFunc {
	return func(t *testing.T, events []domain.Event) []domain.Event {
		t.Helper()
		return forge(t, events, pick, change)
	}
}

func relinking(change func(*domain.ArtifactRelinked)) forgeFunc {
	return func(t *testing.T, events []domain.Event) []domain.Event {
		t.Helper()
		return forge(t, events, nil, change)
	}
}

func inserting(e domain.Event) forgeFunc {
	return func(_ *testing.T, events []domain.Event) []domain.Event { return slices.Insert(events, 0, e) }
}
