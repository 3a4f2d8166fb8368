// Package verifytest checks that a verification finds whatever one event of a log says otherwise than another place does, also
// in a log whose checksums and guards are all in order: as a forger leaves it who knows how they are made.
package verifytest

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/eventstore"
)

// recording is one batch, as it is before it is encoded.
type recording struct {
	stream     eventstore.StreamID
	scan       uuid.UUID
	meta       eventstore.Meta
	recordedAt time.Time
	events     []eventstore.NewEvent
	contents   []eventstore.Blob
}

func id() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// bytesOf is what the file with an id that says something holds; [domaintest] hashes the same.
func bytesOf(id, saying string) []byte { return []byte(id + saying) }

// Stored makes what f says of its bytes true, and returns them.
func Stored(f domain.File, data []byte) (domain.File, []eventstore.Blob) {
	sum := sha256.Sum256(data)
	git := sha1.New()
	fmt.Fprintf(git, "blob %d\x00%s", len(data), data)
	c := domain.Content{SHA256: hex.EncodeToString(sum[:]), Blob: hex.EncodeToString(git.Sum(nil)), Size: int64(len(data))}
	f.Blob = c.Blob
	for i := range f.Artifacts {
		f.Artifacts[i].Content = c
		if i == 0 && len(f.Artifacts[0].Members) == 0 {
			f.Artifacts[0].Digest = c.SHA256
		}
	}
	if f.Rejected != nil {
		f.Rejected.Content = c
	}
	return f, []eventstore.Blob{{SHA256: c.SHA256, Bytes: data}}
}

// tree collects files and their bytes.
type tree struct {
	files    []domain.File
	contents []eventstore.Blob
}

func (t *tree) add(f domain.File, data []byte) {
	f, blobs := Stored(f, data)
	t.files = append(t.files, f)
	t.contents = append(t.contents, blobs...)
}

func (t *tree) requirement(id, saying string) {
	t.add(domaintest.Requirement(id, saying), bytesOf(id, saying))
}

const key = "5f7c0b0000000000000000000000000000000000000000000000000000000001"

// first and second are two trees that differ in every way that events tell: new, changed, reread, removed, moved, shifted,
// rejected, cleared and relinked.
func first() *tree {
	t := &tree{}
	t.requirement("REQ-1", "a")
	t.requirement("REQ-2", "a")
	t.requirement("REQ-9", "a")
	t.add(domaintest.File(domain.KindRequirement, ".gxp/requirements/twin.md", "REQ-2", "twin"), bytesOf("REQ-2", "twin"))
	t.add(domaintest.UserStory("US-1", "REQ-1"), bytesOf("US-1", "REQ-1"))
	t.add(domaintest.UserStory("US-2", "REQ-404"), bytesOf("US-2", "REQ-404"))
	t.add(domaintest.Spec("SPEC-1", "US-1"), bytesOf("SPEC-1", "US-1"))
	evidence := domaintest.Evidence("EV-1", "SPEC-1", domain.VerdictValid)
	evidence.Artifacts[0].Evidence.Signature.Fingerprint = key
	t.add(domaintest.ReadBy(reader, evidence), []byte("EV-1valid"))
	t.add(domaintest.RiskLog("RISK-1", "a", "RISK-2", "a", "RISK-3", "a"), []byte("three risks"))
	t.add(domaintest.Malformed(domain.KindSpec, ".gxp/specs/broken.md", "x"), []byte("x"))
	t.add(domaintest.Malformed(domain.KindSpec, ".gxp/specs/worse.md", "y"), []byte("y"))
	return t
}

func second() *tree {
	t := &tree{}
	t.requirement("REQ-1", "b")                                                                                       // changed
	t.add(domaintest.File(domain.KindRequirement, ".gxp/requirements/moved.md", "REQ-9", "a"), bytesOf("REQ-9", "a")) // moved
	t.requirement("REQ-2", "a")
	t.add(domaintest.File(domain.KindRequirement, ".gxp/requirements/twin.md", "REQ-2", "twin"), bytesOf("REQ-2", "twin"))
	t.requirement("REQ-404", "a") // leads US-2 there
	t.add(domaintest.UserStory("US-1", "REQ-1"), bytesOf("US-1", "REQ-1"))
	t.add(domaintest.UserStory("US-2", "REQ-404"), bytesOf("US-2", "REQ-404"))
	t.add(domaintest.UserStory("US-3", "REQ-405"), bytesOf("US-3", "REQ-405"))
	t.add(domaintest.Spec("SPEC-1", "US-1"), bytesOf("SPEC-1", "US-1"))
	t.add(domaintest.RiskLog("RISK-2", "a", "RISK-3", "a"), []byte("two risks"))                           // shifted
	t.add(domaintest.File(domain.KindSpec, ".gxp/specs/broken.md", "SPEC-2", "a"), bytesOf("SPEC-2", "a")) // cleared
	t.add(domaintest.Malformed(domain.KindSpec, ".gxp/specs/worse.md", "z"), []byte("z"))
	for i := range t.files {
		t.files[i].Stamp = "rosie/2" // reread, where nothing else changed
	}
	evidence := domaintest.Evidence("EV-2", "SPEC-2", domain.VerdictValid)
	evidence.Artifacts[0].Evidence.Signature.Fingerprint = key
	t.add(domaintest.ReadBy(later, evidence), []byte("EV-2valid"))
	return t
}

// The stamps of evidence in the two scans.
const (
	reader = domaintest.Stamp + "+keys:5f7c"
	later  = "rosie/2+keys:5f7c"
)

// story is the batches of one repository and one admin action: two scans that completed, one that failed, and a retirement.
func story(t *testing.T, number int, now time.Time) []recording {
	t.Helper()
	repository := domain.Repository{
		ID: domain.RepositoryID(uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "%d", number)).String()), Name: fmt.Sprint("demo-", number), URL: "https://example.org/demo",
	}
	var state domain.State
	scan := func(stamp string, of *tree) recording {
		id := id()
		r := recording{
			stream: eventstore.RepositoryStream(repository.ID), scan: id, recordedAt: now,
			meta: eventstore.Meta{Actor: "tester", Reason: "to see", Scan: id.String(), Correlation: id.String(), Attempt: 1},
		}
		head := domain.Head{
			Scan: id.String(), Repository: repository, Actor: "tester", ActorFrom: domain.ActorClaimed, Reason: "to see", Policy: domaintest.Flag(),
			Settings: &domain.Settings{Keys: []string{key}}, Reader: stamp, StartedAt: now, DecidedAt: now,
		}
		if of == nil {
			r.add(t, domain.Fail(state, head, []domain.Violation{{Code: domain.ViolationNoContext, Text: "there is none"}, {Code: domain.ViolationLimit, Text: "too large"}}, 2))
			return r
		}
		events, err := domain.Decide(state, domain.Scan{Head: head, Files: of.files, Ignored: []string{"a.txt", "b.txt"}})
		if err != nil {
			t.Fatal(err)
		}
		r.add(t, events...)
		r.contents = of.contents
		state = domain.Fold(state, events...)
		return r
	}
	single := func(stream eventstore.StreamID, event func(id string) domain.Event) recording {
		id := id()
		r := recording{
			stream: stream, scan: id, recordedAt: now,
			meta: eventstore.Meta{Actor: "admin", Reason: "because", Scan: id.String(), Correlation: id.String(), Attempt: 1},
		}
		r.add(t, event(id.String()))
		return r
	}
	out := []recording{scan(reader, first()), scan(later, second())}
	failed := scan(later, nil)
	return append(out, failed,
		single(failed.stream, func(string) domain.Event {
			renamed := repository
			renamed.Name = "renamed"
			settings := domain.RepositorySettings{Addresses: []string{"git.example.org/x"}, Links: domain.LinksFlag, Limits: map[string]int64{"files": 5000}}
			return domain.RepositoryChanged{Repository: renamed, Settings: settings, Actor: "admin", Reason: "because", ChangedAt: now}
		}),
		single(failed.stream, func(string) domain.Event {
			repository.Name = "renamed"
			return domain.RepositoryRetired{Repository: repository, Actor: "admin", Reason: "because", RetiredAt: now}
		}),
		single(eventstore.EngineStream, func(id string) domain.Event {
			return domain.AdminActed{ID: id, Action: "rebuild", Target: "audit", Actor: "admin", Reason: "because", Outcome: "succeeded", At: now}
		}))
}

func (r *recording) add(t *testing.T, events ...domain.Event) {
	t.Helper()
	for _, e := range events {
		typ, data, err := eventstore.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		r.events = append(r.events, eventstore.NewEvent{Type: typ, Data: data})
	}
}
