package eventstore_test

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
)

// earlierForms are what the golden files of earlier versions decode to. What a version did not record is absent.
func earlierForms(tb testing.TB) map[string]domain.Event {
	tb.Helper()
	head := sampleHead()
	head.ActorFrom, head.Settings, head.Source.Relation, head.Source.DirtyUnknown = "", nil, "", ""
	head.Policy.Unsigned, head.Policy.AllowSecrets = domain.UnsignedInvalid, false

	parsed := sampleParsed()
	evidence := *parsed.Evidence
	evidence.Payload = ""
	evidence.Results = domain.Results{
		State: domain.ResultsKnown, Totals: &domain.TestTotals{Passed: 41, Failed: 1, Skipped: 2},
		Tool: "go test", Version: "1.26", DurationMS: "12.5",
	}
	parsed.Evidence, parsed.Shifted = &evidence, nil

	completed := sampleCompleted()
	completed.Head, completed.Ignored, completed.Coverage = head, nil, nil
	links := sampleLinks() // of the golden file, whose second entry has other links than the first
	completed.Relinked = []domain.ArtifactRelinked{{
		Key: domain.Key{Path: ".gxp/risk_assessment.log", Ordinal: 2}, Kind: domain.KindRisk, Number: 9,
		Links: links[:1], Changed: []int{0, 1},
	}}

	failed, ok := samples()[eventstore.TypeScanFailed].(domain.ScanFailed)
	if !ok {
		tb.Fatal("no sample of a failed scan")
	}
	failed.Head, failed.Total = head, 1
	return map[string]domain.Event{
		"artifact.parsed.v1": parsed, "scan.completed.v1": completed, "scan.failed.v1": failed,
	}
}

func TestEarlierFormsDecodeForEver(t *testing.T) {
	t.Parallel()
	for name, want := range earlierForms(t) {
		golden := readGolden(t, filepath.Join(goldenFolder, name+".json"))
		got, err := eventstore.Decode(eventstore.Record{Type: name, Data: golden})
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s decodes to\n %+v\nwant\n %+v", name, got, want)
		}
	}
}

// I15: totals that version 1 recorded without a failure may have been a count that could not be read.
func TestResultsOfVersion1AreUnknownUnlessTheyFailed(t *testing.T) {
	t.Parallel()
	valid := `"signature":{"verdict":"valid"}`
	for name, test := range map[string]struct {
		evidence string
		want     domain.EvidenceState
		reason   string
	}{
		"no totals":         {`{` + valid + `}`, domain.EvidenceUnverified, domain.UnverifiedOlderReader},
		"null":              {`{` + valid + `,"tests":null}`, domain.EvidenceUnverified, domain.UnverifiedOlderReader},
		"nothing failed":    {`{` + valid + `,"tests":{"passed":5,"failed":0,"skipped":0}}`, domain.EvidenceUnverified, domain.UnverifiedOlderReader},
		"one failed":        {`{` + valid + `,"tests":{"passed":5,"failed":1,"skipped":0}}`, domain.EvidenceFailed, ""},
		"failed, no key":    {`{"signature":{"verdict":"unverifiable"},"tests":{"passed":5,"failed":1,"skipped":0}}`, domain.EvidenceFailed, ""},
		"invalid signature": {`{"signature":{"verdict":"invalid"},"tests":{"passed":5,"failed":0,"skipped":0}}`, domain.EvidenceUnverified, domain.UnverifiedInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := `{"path":"e","kind":"evidence_jws","content":{"sha256":"","blob":"","size":0},"digest":"","evidence":` + test.evidence +
				`,"number":1,"version":1,"change":"new","stamp":"rosie/1","source":""}`
			event, err := eventstore.Decode(eventstore.Record{Type: "artifact.parsed.v1", Data: []byte(data)})
			if err != nil {
				t.Fatal(err)
			}
			parsed, ok := event.(domain.ArtifactParsed)
			if !ok {
				t.Fatalf("decodes to %T", event)
			}
			if state, reason := parsed.Evidence.Judge(); state != test.want || reason != test.reason {
				t.Errorf("judged %s %q, want %s %q", state, reason, test.want, test.reason)
			}
		})
	}
}

// An artifact without evidence reads the same in both versions, and nothing of it is lost.
func TestPropertyArtifactsOfVersion1ReadAsBefore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := reflect.New(reflect.TypeFor[domain.ArtifactParsed]()).Elem()
		fill(t, v)
		want, _ := reflect.TypeAssert[domain.ArtifactParsed](v)
		want.Evidence = nil
		_, data, err := eventstore.Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := eventstore.Decode(eventstore.Record{Type: "artifact.parsed.v1", Data: data})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("decodes to\n %+v\nwant\n %+v\n%v", got, want, err)
		}
	})
}

// Version 1 gave one entry for each link, each with all links of its artifact.
func TestLinksThatChangedInVersion1AreGroupedByArtifact(t *testing.T) {
	t.Parallel()
	links := `[{"edge":"parent_id","target":"A"},{"edge":"satisfies","target":"B"},{"edge":"satisfies","target":"C"}]`
	entry := func(path string, index int) string {
		return fmt.Sprintf(`{"path":%q,"kind":"user_story","number":3,"index":%d,"edge":"satisfies","target":"B","links":%s}`, path, index, links)
	}
	decode := func(entries ...string) (domain.ScanCompleted, error) {
		event, err := eventstore.Decode(eventstore.Record{
			Type: "scan.completed.v1", Data: []byte(`{"relinked":[` + strings.Join(entries, ",") + `]}`),
		})
		done, _ := event.(domain.ScanCompleted)
		return done, err
	}
	done, err := decode(entry("a", 0), entry("a", 2), entry("b", 1))
	if err != nil || len(done.Relinked) != 2 || !reflect.DeepEqual(done.Relinked[0].Changed, []int{0, 2}) ||
		!reflect.DeepEqual(done.Relinked[1].Changed, []int{1}) || len(done.Relinked[0].Links) != 3 {
		t.Errorf("grouped as %+v, %v", done.Relinked, err)
	}
}
