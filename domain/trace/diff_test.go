package trace_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/domain/trace"
)

// told renders differences: artifacts, then links.
func told(d trace.Differences) string {
	artifacts := lines(d.Artifacts, func(a *trace.ArtifactDiff) string {
		line := a.What + " " + a.Path
		if a.MovedFrom != "" {
			line += " from " + a.MovedFrom
		}
		if len(a.Replaces) > 0 {
			line += fmt.Sprintf(" replaces %v", a.Replaces)
		}
		return strings.TrimSpace(line + " " + a.Evidence)
	})
	links := lines(d.Links, func(l *trace.LinkDiff) string {
		return fmt.Sprintf("%s %s %s %s %s->%s", l.What, l.GxPID, l.Edge, l.Target, l.Before, l.After)
	})
	return strings.TrimSpace(artifacts + "\n" + links)
}

func TestDiffTellsFieldsAndEvidence(t *testing.T) {
	t.Parallel()
	spec := domaintest.Spec("SPEC-1", "US-1")
	p := given(t,
		domaintest.Tree(spec, domaintest.Saying(`{"a":"1","iat":"1"}`, domaintest.Evidence("EV-1", "SPEC-1", "valid")), domaintest.Package("PKG-1", "SPEC-1", "valid", "valid", "valid", "valid")),
		domaintest.Tree(spec, domaintest.Saying(`{"a":"1","iat":"2"}`, domaintest.Evidence("EV-1", "SPEC-1", "valid")), domaintest.Package("PKG-2", "SPEC-1", "valid", "valid", "valid", "valid")))
	d := p.diff(1, 2)
	want(t, told(d),
		"changed .gxp/evidence/EV-1.jws re-signed",
		"removed .gxp/evidence/packages/PKG-1",
		"new .gxp/evidence/packages/PKG-2 replaces [PKG-1]",
	)
	want(t, changes(d.Artifacts[0].Changes[:1]), `field iat changed "1" -> "2"`)
}

func TestDiffTellsLinksThatLeadElsewhere(t *testing.T) {
	t.Parallel()
	story := domaintest.UserStory("US-1", "REQ-1")
	first := domaintest.File(domain.KindRequirement, "r/a.md", "REQ-1", "a")
	second := domaintest.File(domain.KindRequirement, "r/b.md", "REQ-1", "b")
	p := given(t, domaintest.Tree(story, first), domaintest.Tree(story, first, second))
	d := p.diff(1, 2)
	want(t, told(d), "relinked .gxp/user_stories/US-1.md", "new r/b.md")
	want(t, changes(d.Artifacts[0].Changes), `link parent_id changed `+
		`{"edge":"parent_id","target":"REQ-1","state":"resolved","to_kind":"requirement","to_number":2} -> `+
		`{"edge":"parent_id","target":"REQ-1","state":"resolved","to_kind":"requirement","to_number":3}`)
}

func TestDiffTellsThatAPayloadIsUnchanged(t *testing.T) {
	t.Parallel()
	spec := domaintest.Spec("SPEC-1", "US-1")
	signed := func(signature, payload, fields string) domain.File {
		f := domaintest.With(domaintest.Saying(fields, domaintest.Evidence("EV-1", "SPEC-1", "valid")), func(a *domain.Artifact) {
			a.Evidence.Payload = payload
			a.Content.SHA256 = domaintest.Hash(signature + payload + fields)
			a.Digest = a.Content.SHA256
		})
		f.Blob = f.Artifacts[0].Digest[:40]
		return f
	}
	const fields, later = `{"a":"1","iat":"1"}`, `{"a":"1","iat":"2"}`
	one, two := domaintest.Hash("one"), domaintest.Hash("two")
	for name, c := range map[string]struct {
		before, after domain.File
		want          string
	}{
		"the signature is encoded anew":              {signed("(r,s)", one, fields), signed("(r,n-s)", one, fields), trace.EvidenceSignature},
		"it is signed anew at another time":          {signed("a", one, fields), signed("b", two, later), trace.EvidenceResigned},
		"no hash of the payload was recorded before": {signed("a", "", fields), signed("b", one, fields), trace.EvidenceSameClaims},
		"nor then, and the time is another":          {signed("a", "", fields), signed("b", "", later), trace.EvidenceResigned},
		"other claims":                               {signed("a", one, fields), signed("a", two, `{"a":"2","iat":"1"}`), trace.EvidenceReplaced},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := given(t, domaintest.Tree(spec, c.before), domaintest.Tree(spec, c.after))
			want(t, told(p.diff(1, 2)), "changed .gxp/evidence/EV-1.jws "+c.want)
		})
	}
}

func TestDiffTellsSwappedNamesAsMovesAndNothingWhenTheyAreBack(t *testing.T) {
	t.Parallel()
	at := func(path, id, saying string) domain.File {
		return domaintest.File(domain.KindRequirement, path, id, saying)
	}
	story := domaintest.UserStory("US-1", "REQ-1")
	p := given(t,
		domaintest.Tree(at("a", "REQ-1", "x"), at("b", "REQ-2", "y"), story),
		domaintest.Tree(at("a", "REQ-2", "y"), at("b", "REQ-1", "x"), story),
		domaintest.Tree(at("a", "REQ-1", "x"), at("b", "REQ-2", "y"), story),
		domaintest.Tree(at("a", "REQ-1", "edited"), at("b", "REQ-2", "y"), story))
	want(t, told(p.diff(1, 2)), "relinked .gxp/user_stories/US-1.md", "moved a from b", "moved b from a")
	want(t, told(p.diff(2, 1)), "relinked .gxp/user_stories/US-1.md", "moved a from b", "moved b from a")
	want(t, told(p.diff(1, 3)), "relinked .gxp/user_stories/US-1.md")
	want(t, told(p.diff(1, 4)), "relinked .gxp/user_stories/US-1.md", "changed a")
	want(t, told(p.diff(4, 1)), "relinked .gxp/user_stories/US-1.md", "changed a")
}

func TestAStoryThatMovedAwayAndBackWithItsRequirementIsALinkChangeAlone(t *testing.T) {
	t.Parallel()
	at := func(kind domain.Kind, path, id string, links ...domain.Link) domain.File {
		return domaintest.File(kind, path, id, id, links...)
	}
	tree := func(suffix string) []domain.File {
		return []domain.File{
			at(domain.KindRequirement, "r"+suffix, "REQ-1"),
			at(domain.KindUserStory, "s"+suffix, "US-1", domain.Link{Edge: domain.EdgeParentID, Target: "REQ-1"}),
		}
	}
	p := given(t, tree(""), tree("-moved"), tree(""))
	want(t, told(p.diff(1, 3)), "relinked s")
}

func TestDiffNamesEachOfSeveralEntriesWithOneID(t *testing.T) {
	t.Parallel()
	entry := func(number, ordinal, ended int64) trace.Version {
		return trace.Version{
			Number: number, Version: 1, Kind: domain.KindRisk, Path: "risks", Ordinal: ordinal, GxPID: "RISK-1", Digest: fmt.Sprint(number),
			Position: max(1, ended-1), EndedPosition: ended,
		}
	}
	removed := trace.Record{Versions: []trace.Version{entry(1, 1, 2), entry(2, 2, 2), entry(3, 3, 2)}}
	d := trace.Diff(trace.Span{From: 1, To: 2}, removed)
	want(t, told(d), "removed risks", "removed risks", "removed risks")
	back := removed
	back.Versions = append(back.Versions, trace.Version{
		Number: 4, Version: 1, Kind: domain.KindRisk, Path: "risks", Ordinal: 1, GxPID: "RISK-1", Digest: "1", Position: 2,
	})
	want(t, told(trace.Diff(trace.Span{From: 1, To: 2}, back)), "readded risks", "removed risks", "removed risks")
}

func TestCompareTellsEveryChangeFieldByField(t *testing.T) {
	t.Parallel()
	version := func(fields string, change func(v *trace.Version)) *trace.Version {
		v := &trace.Version{Number: 1, Kind: domain.KindRequirement, Title: "Old", Fields: json.RawMessage(fields), Stamp: "rosie/1"}
		change(v)
		return v
	}
	all, evidence := trace.Compare(
		version(`{"title":"Old","list":["a","b","c"],"gone":"x","map":{"k":"v"},"same":[{"a":"1"}]}`, func(v *trace.Version) {
			v.Links = []trace.VersionLink{{Edge: "parent_id", Target: "A"}, {Edge: "parent_id", Target: "B"}}
			v.Members = []domain.Member{{Path: "a", Content: domain.Content{SHA256: "1"}}, {Path: "b", Content: domain.Content{SHA256: "2"}}}
			v.Findings = []domain.Finding{{Code: "x", Text: "old"}, {Code: "y", Text: "both"}}
		}),
		version(`{ "title":"New","list":["a","c","d"],"map":{"k":"w"},"same":[{"a":"1"}],"null":null}`, func(v *trace.Version) {
			v.Title, v.Risk, v.Stamp = "New", "HIGH", "rosie/2"
			v.Links = []trace.VersionLink{{Edge: "parent_id", Target: "B"}, {Edge: "parent_id", Target: "C"}}
			v.Members = []domain.Member{{Path: "b", Content: domain.Content{SHA256: "3"}}, {Path: "c", Content: domain.Content{SHA256: "4"}}}
			v.Findings = []domain.Finding{{Code: "y", Text: "both"}, {Code: "x", Text: "new"}}
		}))
	if evidence != "" {
		t.Errorf("a requirement is told as evidence: %q", evidence)
	}
	want(t, changes(all),
		`attribute risk added -> "HIGH"`,
		`field title changed "Old" -> "New"`,
		`field list[2] removed "b" ->`,
		`field list[3] added -> "d"`,
		`field gone removed "x" ->`,
		`field map.k changed "v" -> "w"`,
		`field null added -> null`,
		`link parent_id removed {"edge":"parent_id","target":"A","state":""} ->`,
		`link parent_id added -> {"edge":"parent_id","target":"C","state":""}`,
		`member a removed "1" ->`,
		`member b changed "2" -> "3"`,
		`member c added -> "4"`,
		`finding x removed "old" ->`,
		`finding x added -> "new"`,
		`reading stamp changed "rosie/1" -> "rosie/2"`,
	)
}

func TestFieldsListsEveryScalarWithItsPlace(t *testing.T) {
	t.Parallel()
	got := trace.Fields(json.RawMessage(`{ "b":"1", "a":{"k":["x",{"odd key":null}]}, "empty":[] }`))
	want(t, lines(got, func(f *trace.Field) string { return f.Path + " = " + f.Text }),
		"b = 1", "a.k[1] = x", `a.k[2]["odd key"] = null`, "empty = []")
	for _, none := range []string{``, `[1]`, `"text"`, `{"a"`} {
		if fields := trace.Fields(json.RawMessage(none)); len(fields) != 0 {
			t.Errorf("%q has fields: %v", none, fields)
		}
	}
}
