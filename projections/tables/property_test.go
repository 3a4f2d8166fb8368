package tables_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	. "github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/projections"
)

// place is a file of the trees that properties draw: few of them, so that changes, moves, duplicates, broken links and
// kinds that change are common.
type place struct {
	path string
	kind domain.Kind
}

func places() []place {
	all := []place{
		{".gxp/evidence/1", domain.KindEvidenceJWS}, {".gxp/evidence/2", domain.KindEvidencePackage}, {".gxp/evidence/3", domain.KindEvidenceJWS},
	}
	for _, kind := range domain.Kinds() {
		switch info := kind.Info(); {
		case info.Form != domain.FormFrontMatter && info.Form != domain.FormHeadings: // above, or below with its entries
		case info.File != "":
			all = append(all, place{".gxp/" + info.File, kind})
		default:
			all = append(all, place{".gxp/" + info.Dir + "/1" + info.Suffix, kind})
			if info.Level > 0 {
				all = append(all, place{".gxp/" + info.Dir + "/2" + info.Suffix, kind})
			}
		}
	}
	return all
}

// drawTree draws a tree that has much in common with the one before.
func drawTree(t *rapid.T, before []domain.File) []domain.File {
	var files []domain.File
	for _, p := range places() {
		switch rapid.IntRange(0, 9).Draw(t, "fate of "+p.path) {
		case 0: // absent
		case 1, 2, 3, 4, 5:
			if i := slices.IndexFunc(before, func(f domain.File) bool { return f.Path == p.path }); i >= 0 {
				files = append(files, before[i])
			}
		case 6:
			files = append(files, Malformed(p.kind, p.path, rapid.SampledFrom([]string{"x", "y"}).Draw(t, "bytes")))
		default:
			files = append(files, drawFile(t, p))
		}
	}
	if n := rapid.IntRange(0, 3).Draw(t, "risk entries"); n > 0 {
		var entries []string
		for i := range n {
			entries = append(entries, fmt.Sprintf("RISK-%d", i), rapid.SampledFrom([]string{"x", "y"}).Draw(t, "risk"))
		}
		log := RiskLog(entries...)
		for i := range log.Artifacts[1:] {
			log.Artifacts[i+1].Links = []domain.Link{{Edge: domain.EdgeRiskRequirement, Target: "A"}, {Edge: domain.EdgeRiskSpec, Target: "B"}}
		}
		files = append(files, log)
	}
	return rapid.Permutation(files).Draw(t, "order")
}

func drawFile(t *rapid.T, p place) domain.File {
	if p.kind == domain.KindEvidenceJWS && rapid.IntRange(0, 3).Draw(t, "a directory now") == 0 {
		p.kind = domain.KindEvidencePackage
	}
	links := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) domain.Link {
		return domain.Link{
			Edge: rapid.SampledFrom([]domain.Edge{
				domain.EdgeParentID, domain.EdgeSatisfies, domain.EdgeImplements, domain.EdgeDerivesFrom, domain.EdgeSpecID, domain.EdgeTracedUserStory,
			}).Draw(t, "edge"),
			Target: rapid.SampledFrom([]string{"A", "B", "C"}).Draw(t, "target"),
		}
	}), 0, 3, func(l domain.Link) string { return string(l.Edge) + l.Target }).Draw(t, "links")
	id := rapid.SampledFrom([]string{"", "A", "B", "C"}).Draw(t, "id")
	word := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "word")
	f := File(p.kind, p.path, id, fmt.Sprint(p.kind, word, links), links...)
	a := &f.Artifacts[0]
	if word == "y" {
		a.Risk = &domain.Term{Raw: "High", Normal: "high"}
		a.Findings = []domain.Finding{{Code: domain.FindingMixedKeys, Line: 2, Text: "mixed"}}
	}
	if p.kind == domain.KindEvidencePackage {
		a.Members = evidencePackage(id).Artifacts[0].Members
		a.Evidence = evidencePackage(id).Artifacts[0].Evidence
		if word == "y" {
			a.Members = a.Members[:1]
		}
	}
	return f
}

// drawStory draws scans of two repositories, some strict and so likely to fail, some skipping what they need not read.
func drawStory(t *rapid.T) *history {
	h := &history{story: given(t), trees: map[domain.RepositoryID][]domain.File{}}
	for range rapid.IntRange(1, 8).Draw(t, "scans") {
		scan := Scan(Flag())
		if rapid.IntRange(0, 3).Draw(t, "other repository") == 0 {
			scan.Repository = domain.Repository{ID: "6f1b1f5e-0000-5000-8000-000000000002", Name: "other"}
		}
		scan.Files = drawTree(t, h.trees[scan.Repository.ID])
		if rapid.IntRange(0, 4).Draw(t, "strict") == 0 {
			scan.Policy = domain.DefaultPolicy()
		}
		if rapid.IntRange(0, 4).Draw(t, "stamp") == 0 {
			for i := range scan.Files {
				scan.Files[i] = ReadBy("rosie/2", scan.Files[i])
			}
		}
		scan.Findings = rapid.SampledFrom([][]domain.Finding{nil, {{Code: domain.FindingSymlink, Path: "x", Text: "a link"}}}).Draw(t, "findings")
		h.scanned(t, scan)
		if rapid.IntRange(0, 3).Draw(t, "settings change") == 0 {
			h.change(scan.Repository.ID, domain.RepositorySettings{
				Links: domain.LinksFlag, MainLine: rapid.SampledFrom([]string{"", "main"}).Draw(t, "main line"),
				Addresses: rapid.SampledFrom([][]string{nil, {"git.example.org/x"}}).Draw(t, "addresses"),
			})
		}
		if rapid.IntRange(0, 3).Draw(t, "an administrator acts") == 0 {
			acted(domain.AdminActed{Action: "pause", Target: "artifacts", Actor: "ada", Reason: "upgrade", Outcome: "succeeded"})(h.story)
		}
	}
	return h
}

// history is a story with its outcome, by the trees that were scanned and not by the events.
type history struct {
	*story
	trees map[domain.RepositoryID][]domain.File // of the last completed scan
	ends  []string                              // outcome of each scan, in order
}

func (h *history) scanned(t *rapid.T, scan domain.Scan) {
	whole := scan.Files
	scan.Files = slices.Clone(whole)
	for i, f := range scan.Files {
		if h.states[scan.Repository.ID].Holds(f.Path, f.Blob, f.Stamp) && rapid.Bool().Draw(t, "skip "+f.Path) {
			scan.Files[i] = Unchanged(f)
		}
	}
	h.scan(scan)
	if _, completed := h.log[len(h.log)-1].Event.(domain.ScanCompleted); completed {
		h.trees[scan.Repository.ID] = whole
		h.ends = append(h.ends, "completed")
		return
	}
	h.ends = append(h.ends, "failed")
}

// TestPropertyPagesDoNotMatter: the same log gives the same tables however it is cut, and whenever it is folded again.
func TestPropertyPagesDoNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := drawStory(t)
		want := h.tables(wholeBatches).dump()
		for name, ends := range map[string]func(projections.Event) bool{
			"one page":        func(projections.Event) bool { return false },
			"an event a page": func(projections.Event) bool { return true },
			"some batches":    func(e projections.Event) bool { return e.EndsBatch() && rapid.Bool().Draw(t, "cut") },
			"again":           wholeBatches,
		} {
			if got := h.tables(ends).dump(); got != want {
				t.Fatalf("%s: tables\n%s\nwant\n%s", name, got, want)
			}
		}
	})
}

// TestPropertyTablesAreTheScannedTree: the tables show the tree of the last completed scan, by what was scanned.
func TestPropertyTablesAreTheScannedTree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := drawStory(t)
		m := h.tables(wholeBatches)
		expect := newExpectation()
		for id, files := range h.trees {
			expect.tree(string(id), files)
		}
		for what, got := range expect.shown(m) {
			want := expect.want[what]
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Fatalf("%s\n  %s\nwant\n  %s\nlog\n%s", what, strings.Join(got, "\n  "), strings.Join(want, "\n  "), h)
			}
		}
		if got := outcomes(m); !slices.Equal(got, slices.Sorted(slices.Values(h.ends))) {
			t.Fatalf("scans ended %v, want %v", got, h.ends)
		}
	})
}

func outcomes(m *model) []string {
	out := m.show("scans", "outcome")
	slices.Sort(out)
	return out
}

// TestPropertyHistoryAgreesWithTheRest: what has not ended is what is there; versions have no gaps and end where the next
// begins; the audit trail has a row for each event and a version for each artifact event.
func TestPropertyHistoryAgreesWithTheRest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := drawStory(t)
		m := h.tables(wholeBatches)
		var open []string
		var before []any
		for _, row := range m.tables["artifact_versions"].sorted() {
			v := m.tables["artifact_versions"].pick(row, []string{"repository_id", "number", "version", "ended_position", "position"})
			if show(v[3]) == "-" {
				open = append(open, keyOf(v[:3]))
			}
			if version, _ := number(v[2]); version > 1 {
				if keyOf(v[:2]) != keyOf(before[:2]) || show(before[3]) != show(v[4]) {
					t.Fatalf("version %s follows %s, which ended at %s", keyOf(v[:3]), keyOf(before[:3]), show(before[3]))
				}
			}
			before = v
		}
		var held []string
		for _, name := range artifactTables() {
			for _, row := range m.tables[name].sorted() {
				held = append(held, keyOf(m.tables[name].pick(row, []string{"repository_id", "number", "version"})))
			}
		}
		slices.Sort(open)
		slices.Sort(held)
		if !slices.Equal(open, held) {
			t.Fatalf("versions that did not end %v, artifacts %v", open, held)
		}
		if got := len(m.tables["audit_log"].rows); got != len(h.log) {
			t.Fatalf("%d rows in the audit trail of %d events", got, len(h.log))
		}
	})
}

func artifactTables() (names []string) {
	for _, g := range domain.Groups() {
		names = append(names, g.Table)
	}
	return names
}

// expectation is what the tables should show of trees, by rules written without a look at the events or at Decide.
type expectation struct{ want map[string][]string }

func newExpectation() *expectation { return &expectation{want: map[string][]string{}} }

func (x *expectation) add(what string, values ...any) {
	texts := make([]string, len(values))
	for i, v := range values {
		if v == "" {
			v = nil
		}
		texts[i] = show(v)
	}
	x.want[what] = append(x.want[what], strings.Join(texts, " | "))
}

func (x *expectation) tree(repository string, files []domain.File) {
	var all []domain.Artifact
	for _, f := range files {
		if f.Rejected != nil {
			x.add("rejected_files", repository, f.Path, string(f.Rejected.Kind), f.Rejected.Content.SHA256)
		}
		all = append(all, f.Artifacts...)
	}
	slices.SortFunc(all, func(a, b domain.Artifact) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), cmp.Compare(a.Ordinal, b.Ordinal))
	})
	at := map[string]string{} // kind and id to the key of the artifact that has it
	for _, a := range all {
		if a.GxPID != "" {
			at[string(a.Kind)+" "+a.GxPID] = a.String()
		}
	}
	for _, a := range all {
		x.artifact(repository, a, at)
	}
}

func (x *expectation) artifact(repository string, a domain.Artifact, at map[string]string) {
	risk := ""
	if a.Risk != nil {
		risk = a.Risk.Raw
	}
	x.add("artifacts", repository, a.Path, a.Ordinal, string(a.Kind), a.GxPID, a.Title, risk, a.Digest)
	if a.Ordinal == 0 { // an entry keeps the content that it was read from when it last changed
		x.add("contents", repository, a.Path, a.Content.SHA256, a.Content.Size)
	}
	for _, f := range a.Findings {
		x.add("findings", repository, f.Code, string(a.Kind), a.GxPID, a.Path, f.Text)
	}
	for _, m := range a.Members {
		x.add("evidence_files", repository, m.Path, m.SHA256)
	}
	parents := map[string]string{} // by column: preferred, else first
	preferred := map[string]bool{}
	for i, l := range a.Links {
		state, kind, key := resolve(a.Kind, l, at)
		x.add("traceability_links", repository, a.Path, a.Ordinal, i, string(l.Edge), l.Target, state, kind, key)
		column, first := parentColumn(a.Kind, l.Edge, kind)
		if column != "" && (parents[column] == "" || first && !preferred[column]) {
			parents[column], preferred[column] = key, first
		}
	}
	for column, key := range parents {
		x.add("parents", repository, a.Path, a.Ordinal, column, key)
	}
}

// resolve says how a link of an artifact of kind child resolves.
func resolve(child domain.Kind, l domain.Link, at map[string]string) (state, kind, key string) {
	for _, k := range domain.Targets(child, l.Edge) {
		if key := at[string(k)+" "+l.Target]; key != "" {
			return "resolved", string(k), key
		}
	}
	for _, k := range domain.Kinds() {
		if at[string(k)+" "+l.Target] != "" {
			return "wrong_kind", "", ""
		}
	}
	return "missing", "", ""
}

// parentColumn returns the column of a child that a resolved link to kind fills, and whether that edge comes first.
func parentColumn(child domain.Kind, edge domain.Edge, kind string) (string, bool) {
	switch fmt.Sprint(child, " to ", kind) {
	case "requirement to requirement", "user_story to requirement":
		return "requirement_number", edge == "parent_id"
	case "spec to user_story":
		return "user_story_number", edge == "parent_id"
	case "risk to requirement":
		return "requirement_number", edge == "risk.req"
	case "evidence_jws to spec", "evidence_package to spec":
		return "spec_number", edge == "spec_id"
	case "evidence_jws to user_story", "evidence_package to user_story":
		return "traced_user_story_number", edge == "traced_user_story"
	}
	return "", false
}

// shown is what the tables show, in the words of the expectation.
func (x *expectation) shown(m *model) map[string][]string {
	got := map[string][]string{
		"rejected_files": m.show("rejected_files", "repository_id | path | kind | content_sha256"),
		"evidence_files": m.show("evidence_files", "repository_id | path | sha256"),
	}
	for _, row := range m.show("findings", "repository_id | code | kind | gxp_id | path | text | number") {
		if row, ofTree := strings.CutSuffix(row, " | 0"); !ofTree {
			got["findings"] = append(got["findings"], row[:strings.LastIndex(row, " | ")])
		}
	}
	keys := map[string]string{"-": "-"} // repository and number to the key
	for _, name := range artifactTables() {
		t := m.tables[name]
		for _, row := range t.sorted() {
			v := t.pick(row, []string{"repository_id", "number", "path", "ordinal"})
			ordinal, _ := number(v[3])
			keys[keyOf(v[:2])] = domain.Key{Path: show(v[2]), Ordinal: int(ordinal)}.String()
		}
		got["artifacts"] = append(got["artifacts"], m.show(name, "repository_id | path | ordinal | kind | gxp_id | title | risk | digest")...)
		for _, row := range m.show(name, "ordinal | repository_id | path | content_sha256 | size") {
			if row, whole := strings.CutPrefix(row, "0 | "); whole {
				got["contents"] = append(got["contents"], row)
			}
		}
	}
	links := m.tables["traceability_links"]
	for _, row := range links.sorted() {
		v := links.pick(row, []string{"repository_id", "path", "ordinal", "link_index", "edge", "target", "state", "to_kind", "to_number"})
		got["traceability_links"] = append(got["traceability_links"], line(append(v[:8:8], keyAt(keys, v[0], v[8]))))
	}
	for _, name := range artifactTables() {
		t := m.tables[name]
		for _, column := range []string{"requirement_number", "user_story_number", "spec_number", "traced_user_story_number"} {
			if _, has := t.at[column]; !has {
				continue
			}
			for _, row := range t.sorted() {
				v := t.pick(row, []string{"repository_id", "path", "ordinal", column})
				if v[3] != nil {
					got["parents"] = append(got["parents"], line(append(v[:3:3], column, keyAt(keys, v[0], v[3]))))
				}
			}
		}
	}
	for what := range x.want {
		got[what] = append(got[what], []string(nil)...)
	}
	return got
}

func keyAt(keys map[string]string, repository, number any) any {
	if number == nil {
		return nil
	}
	return keys[keyOf([]any{repository, number})]
}

func line(values []any) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = show(v)
	}
	return strings.Join(texts, " | ")
}

// String is the log, for a report of a failure.
func (h *history) String() string {
	var out strings.Builder
	for _, e := range h.log {
		fmt.Fprintf(&out, "%d %s %s %s\n", e.Position, e.Stream, e.Type, e.Data)
	}
	return out.String()
}
