package trace_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/domain/trace"
)

// I15: a state of evidence or of a link that is not known covers nothing, and a state that is none of the constants is not
// severe.
func TestWhatIsOfALaterVersionCoversNothing(t *testing.T) {
	t.Parallel()
	artifacts, links := given(t, domaintest.Covered()).artifacts()
	for i := range artifacts {
		if artifacts[i].Kind == domain.KindEvidenceJWS {
			artifacts[i].Evidence = "half_passed"
		}
	}
	g := trace.New(artifacts, links)
	m, err := g.Matrix()
	if err != nil {
		t.Fatal(err)
	}
	want(t, reasonsOf(m),
		"REQ-1 transitive (below it, SPEC-1 is unverified)",
		"US-1 transitive (below it, SPEC-1 is unverified)",
		"SPEC-1 unverified (no evidence of it is valid: EV-1 is unverified)",
		"EV-1 unverified (it is half_passed)",
	)
	gaps := g.Gaps()
	if gaps.Count(trace.StateUnverified) != 1 || gaps.Count(trace.StateTransitive) != 2 || gaps.Coverage.Specs.Covered != 0 {
		t.Errorf("gaps %+v; want the spec as unverified and two above it", gaps)
	}
	if !gaps.Has([]trace.State{trace.StateFailed, trace.StateUnverified}) || gaps.Has([]trace.State{trace.StateFailed}) {
		t.Error("the gaps have an unverified spec and nothing that failed")
	}
	for i := range links {
		links[i].State = "elsewhere"
	}
	if got := trace.New(artifacts, links).Gaps(); got.Count(trace.StateOrphaned) != len(links) || got.Coverage.Links.Covered != 0 {
		t.Errorf("links in an unknown state: %+v; want all as broken", got)
	}
	if states := trace.LinkStates(); slices.Contains(states, "elsewhere") || len(states) != 3 {
		t.Errorf("link states %v", states)
	}
}

func TestArtifactsOfOtherKindsAreLeftOut(t *testing.T) {
	t.Parallel()
	p := given(t, append(domaintest.Covered(), domaintest.RiskLog("RISK-1", "low")))
	if n := len(p.graph().Artifacts()); n != 4 {
		t.Errorf("%d artifacts, want the 4 that are on a level", n)
	}
	if none := trace.New(nil, nil).Gaps(); none.Gaps == nil || none.Findings == nil || none.States[trace.StateCovered] != 0 {
		t.Errorf("gaps of nothing: %+v; want lists that are there", none)
	}
}

func TestEvidenceReadAgainAndEvidenceSignedAgainDiffer(t *testing.T) {
	t.Parallel()
	version := func(digest, stamp string, members ...domain.Member) *trace.Version {
		return &trace.Version{
			Number: 1, Kind: domain.KindEvidencePackage, Digest: digest, Stamp: stamp, Members: members,
			Fields: json.RawMessage(`{"tier":"OQ"}`), Evidence: &domain.Evidence{SignerFile: "manifest.jws", Payload: digest},
		}
	}
	member := func(path, sha string) domain.Member {
		return domain.Member{Path: path, Content: domain.Content{SHA256: sha}}
	}
	one := version("d1", "rosie/1", member("manifest.jws", "1"), member("log", "1"))
	for name, c := range map[string]struct {
		after *trace.Version
		want  string
	}{
		"as it was":               {one, ""},
		"with other keys":         {version("d1", "rosie/1+keys:a", one.Members...), trace.EvidenceReverified},
		"by a newer reader":       {version("d1", "rosie/2", one.Members...), trace.EvidenceNewer},
		"another signature":       {version("d2", "rosie/1", member("manifest.jws", "2"), member("log", "1")), trace.EvidenceResigned},
		"another file":            {version("d2", "rosie/1", member("manifest.jws", "2"), member("log", "2")), trace.EvidenceReplaced},
		"a file more":             {version("d2", "rosie/1", append(one.Members, member("more", "1"))...), trace.EvidenceReplaced},
		"a file in place of ours": {version("d2", "rosie/1", member("manifest.jws", "1"), member("lag", "1")), trace.EvidenceReplaced},
	} {
		if _, got := trace.Compare(one, c.after); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestLinkChangesAreComparedWithWhatTheVersionDeclared(t *testing.T) {
	t.Parallel()
	version := func(position int64, targets ...string) trace.Version {
		v := trace.Version{Number: 1, Position: position}
		for _, target := range targets {
			v.Links = append(v.Links, trace.VersionLink{Edge: "parent_id", Target: target, State: trace.LinkMissing})
		}
		return v
	}
	change := func(position, index int64, target string, state trace.LinkState) trace.LinkChange {
		return trace.LinkChange{Number: 1, Index: index, Edge: "parent_id", Target: target, State: state, Position: position}
	}
	got := trace.CompareLinkChanges([]trace.Version{version(1, "A", "B"), version(4, "C")}, []trace.LinkChange{
		change(2, 1, "B", trace.LinkResolved), change(3, 1, "B", trace.LinkWrongKind), change(5, 0, "C", trace.LinkResolved),
		change(6, 9, "Z", trace.LinkResolved), // no version declares a tenth link
	})
	want(t, changes(slices.Concat(got...)),
		`link parent_id changed {"edge":"parent_id","target":"B","state":"missing"} -> {"edge":"parent_id","target":"B","state":"resolved"}`,
		`link parent_id changed {"edge":"parent_id","target":"B","state":"resolved"} -> {"edge":"parent_id","target":"B","state":"wrong_kind"}`,
		`link parent_id changed {"edge":"parent_id","target":"C","state":"missing"} -> {"edge":"parent_id","target":"C","state":"resolved"}`,
		`link parent_id changed {"edge":"","target":"","state":""} -> {"edge":"parent_id","target":"Z","state":"resolved"}`,
	)
}

func TestItemsOfListsAreComparedWithin(t *testing.T) {
	t.Parallel()
	version := func(fields string) *trace.Version { return &trace.Version{Number: 1, Fields: json.RawMessage(fields)} }
	all, _ := trace.Compare(version(`{"list":[{"a":"1","b":"2"},"x",null]}`), version(`{"list":[{"a":"1","b":"3"},"y",null]}`))
	want(t, changes(all), `field list[1].b changed "2" -> "3"`, `field list[2] changed "x" -> "y"`)
}

func TestWordsOfEvidence(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]string{
		domain.UnverifiedResults: "with unknown results", domain.UnverifiedInvalid: "invalid", "": "unverified",
	} {
		if got := trace.EvidenceWord(domain.EvidenceUnverified, reason, ""); got != want {
			t.Errorf("unverified because of %q: %q, want %q", reason, got, want)
		}
	}
	if got := trace.EvidenceWord(domain.EvidenceFailed, "", ""); got != "with failed tests" {
		t.Errorf("failed: %q", got)
	}
}
