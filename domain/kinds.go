package domain

import (
	"cmp"
	"slices"
)

// Kind is what an artifact is. It is decided by its path, and of a JWS or a Markdown file below .gxp/evidence/ also by what
// it says it is.
type Kind string

// The kinds of artifact. The values are stored: append only. What is known of each is in the table below.
const (
	KindSystemContext    Kind = "system_context"
	KindRequirement      Kind = "requirement"
	KindUserStory        Kind = "user_story"
	KindSpec             Kind = "spec"
	KindEvidenceJWS      Kind = "evidence_jws"     // a single .jws under .gxp/evidence/
	KindEvidencePackage  Kind = "evidence_package" // a directory under .gxp/evidence/: one artifact
	KindEvidenceRecord   Kind = "evidence_record"  // .gxp/evidence/*.md with a result: an unsigned record of a tester
	KindReleaseManifest  Kind = "release_manifest" // a .jws below .gxp/evidence/ that lists the evidence of a release
	KindADR              Kind = "adr"
	KindRiskLog          Kind = "risk_log" // the file
	KindRisk             Kind = "risk"     // one entry of the risk log; its ordinal is its place, from 1
	KindVendorAssessment Kind = "vendor_assessment"
)

// KindInfo is one entry of the table of kinds: everything that the engine knows of a kind apart from how its form is parsed.
// Adding a kind means adding its constant and its entry; the reader, the tables, the commands and the documents follow.
type KindInfo struct {
	Kind Kind
	Names

	// File is the path below .gxp/ of a kind that is a single file. Other kinds have files of the suffix Suffix at any depth
	// below the directory Dir of .gxp/. A kind with neither is found inside another (an entry of a file, a directory of
	// files, a file that says what it is).
	File, Dir, Suffix string
	// Expected says that a tree without Dir gets a finding.
	Expected bool
	Form     Form
	// Prefixes are how ids, and so file names, of the kind usually begin, and Synonyms other names for Dir, in the singular and
	// without marks between words: a file that is not read is told where it belongs by them.
	Prefixes, Synonyms []string

	IDFrom     IDFrom
	TitleField string // of the front matter; "" for "title"
	// Required lists, for each field that the front matter must have, the names that the field may have.
	Required [][]string

	// Edges are the fields that link an artifact of this kind to others.
	Edges []EdgeInfo

	// Level is the kind's place in the traceability from requirement to evidence; 0 for a kind outside it.
	Level Level
	// Table is the table that the kind's artifacts are in: its own, or one of several kinds (see [Groups]).
	Table string
	// About says what a table of the kind's own holds; "" for "The user stories that the last completed scan found."
	About string
	// Parents are the columns of Table that name what an artifact belongs to: the same for all kinds of a table.
	Parents []Parent
}

// Names is what artifacts of a kind, or of a group of kinds, are called.
type Names struct {
	One, Many string // in a sentence: "user story", "user stories"
	// Words are further names on a command line, first the one that help texts use. None: it is not shown by itself.
	Words []string
}

// Form is the format of a kind's files.
type Form string

// The forms.
const (
	FormFrontMatter Form = "front matter" // Markdown with a front matter
	FormHeadings    Form = "headings"     // Markdown whose headings tell, with or without a front matter
	FormRecord      Form = "record"       // Markdown with a front matter, and ignored unless that is the record of a test
	FormRiskLog     Form = "risk log"     // lines or headings of entries
	FormJWS         Form = "JWS"          // one compact JWS
)

// IDFrom is where the gxp_id of an artifact comes from.
type IDFrom int

// The sources of ids.
const (
	IDFromField      IDFrom = iota // the field gxp_id, whose absence is a finding
	IDFromFieldIfAny               // the field gxp_id, if there is one
	IDFromFileName                 // the file name without its suffix
	IDFromFileStart                // "ADR-001" of "ADR-001-some-title.md", or else the file name without its suffix
)

// Level is a level of the traceability from requirement to evidence. Each level covers the one before.
type Level int

// The levels, from above.
const (
	LevelRequirement Level = iota + 1
	LevelUserStory
	LevelSpec
	LevelEvidence
)

// EdgeInfo says which kinds an edge may lead to, in order of preference.
type EdgeInfo struct {
	Edge    Edge
	Targets []Kind
}

// Parent is a pair of columns that name the parent of an artifact: what it declares, and what that leads to. The parent is
// the first resolved link of Edge to an artifact of Kind, or else the first resolved link of any edge to one.
type Parent struct {
	Edge Edge
	Kind Kind
	// Declared is the column of the target that the first link of Edge names, and Number that of the parent's number.
	Declared, Number string
}

// Tables that several kinds share.
const (
	tableEvidence  = "evidence"
	tableDocuments = "documents"
)

// kinds is the table of kinds, in the order in which people read them: context first, then down the V. Rules on edges are
// those of ROSIE RFC-001 section 5 and GxP.MD section 4.3, as notes of the corpus state them.
//
//nolint:gochecknoglobals // a table of constants, which nothing writes and callers look up for every link
var kinds = []KindInfo{
	{
		Kind: KindSystemContext, Names: Names{"system context", "system contexts", []string{"context", "contexts"}},
		File: "system_context.md", Form: FormFrontMatter, IDFrom: IDFromFieldIfAny, TitleField: "project_name",
		Required: [][]string{{"project_name"}, riskFields()}, Edges: declaredEdges(),
		Table: "system_contexts", About: "The system context of each repository: what the system is and what it is used for.",
	},
	{
		Kind: KindRequirement, Names: Names{"requirement", "requirements", []string{"requirements", "req", "reqs"}},
		Dir: "requirements", Suffix: ".md", Expected: true, Form: FormFrontMatter,
		Prefixes: []string{"REQ"}, Synonyms: []string{"req", "reqt"},
		Required: [][]string{{"title"}, riskFields()}, Edges: declaredEdges(KindRequirement), Level: LevelRequirement,
		Table: "requirements", Parents: []Parent{{EdgeParentID, KindRequirement, "parent_id", "requirement_number"}},
	},
	{
		Kind: KindUserStory, Names: Names{"user story", "user stories", []string{"stories", "story"}},
		Dir: "user_stories", Suffix: ".md", Expected: true, Form: FormFrontMatter,
		Prefixes: []string{"US"}, Synonyms: []string{"story", "userstory", "us"},
		Required: [][]string{{"title"}, {"parent_id", "satisfies"}}, Edges: declaredEdges(KindRequirement), Level: LevelUserStory,
		Table: "user_stories", Parents: []Parent{{EdgeParentID, KindRequirement, "parent_id", "requirement_number"}},
	},
	{
		Kind: KindSpec, Names: Names{"spec", "specs", []string{"specs", "specification", "specifications"}},
		Dir: "specs", Suffix: ".md", Expected: true, Form: FormFrontMatter,
		Prefixes: []string{"SPEC"}, Synonyms: []string{"specification"},
		Required: [][]string{{"title"}, {"parent_id", "implements", "satisfies"}, {"verification_tier", "tier"}},
		Edges:    declaredEdges(KindUserStory), Level: LevelSpec,
		Table: "specs", Parents: []Parent{{EdgeParentID, KindUserStory, "parent_id", "user_story_number"}},
	},
	{
		Kind: KindEvidenceJWS, Names: Names{One: "signed evidence", Many: "pieces of signed evidence"},
		Dir: "evidence", Suffix: ".jws", Form: FormJWS, Prefixes: []string{"EV"},
		Edges: declaredEdges(), Level: LevelEvidence, Table: tableEvidence, Parents: evidenceParents(),
	},
	{
		Kind: KindEvidencePackage, Names: Names{One: "evidence package", Many: "evidence packages"},
		Edges: declaredEdges(), Level: LevelEvidence, Table: tableEvidence, Parents: evidenceParents(),
	},
	{
		Kind: KindEvidenceRecord, Names: Names{One: "evidence record", Many: "evidence records"},
		Dir: "evidence", Suffix: ".md", Form: FormRecord,
		Edges: declaredEdges(), Level: LevelEvidence, Table: tableEvidence, Parents: evidenceParents(),
	},
	{
		Kind: KindReleaseManifest, Names: Names{One: "release manifest", Many: "release manifests"},
		Edges: declaredEdges(), Table: tableDocuments,
	},
	{
		Kind: KindADR, Names: Names{"decision record", "decision records", []string{"adr", "adrs", "decision", "decisions"}},
		Dir: "adr", Suffix: ".md", Form: FormHeadings, IDFrom: IDFromFileStart, Prefixes: []string{"ADR"},
		Synonyms: []string{"decision", "decisionrecord", "architecturedecision", "architecturedecisionrecord"},
		Edges:    declaredEdges(), Table: tableDocuments,
	},
	{
		Kind: KindRiskLog, Names: Names{One: "risk log", Many: "risk logs"},
		File: "risk_assessment.log", Form: FormRiskLog, Table: tableDocuments,
	},
	{
		Kind: KindRisk, Names: Names{"risk", "risks", []string{"risks"}},
		Edges: []EdgeInfo{{EdgeRiskRequirement, []Kind{KindRequirement}}, {EdgeRiskSpec, []Kind{KindSpec}}},
		Table: "risks", About: "The entries of the risk log, one row each; the log itself is a document.",
		Parents: []Parent{{EdgeRiskRequirement, KindRequirement, "requirement_id", "requirement_number"}},
	},
	{
		Kind: KindVendorAssessment, Names: Names{"vendor assessment", "vendor assessments", []string{"vendor", "vendors"}},
		Dir: "vendor_assessments", Suffix: ".md", Form: FormFrontMatter, IDFrom: IDFromFileName, TitleField: "vendor_name",
		Prefixes: []string{"VA"}, Synonyms: []string{"vendor"}, Required: [][]string{{"vendor_name"}},
		Edges: declaredEdges(), Table: tableDocuments,
	},
}

func riskFields() []string { return []string{"gxp_risk_rating", "risk_level", "risk"} }

func evidenceParents() []Parent {
	return []Parent{
		{EdgeSpecID, KindSpec, "spec_id", "spec_number"},
		{EdgeTracedUserStory, KindUserStory, "traced_user_story", "traced_user_story_number"},
	}
}

// declaredEdges are those that any front matter or payload may give, behind parent_id for a kind that has a parent.
func declaredEdges(parents ...Kind) []EdgeInfo {
	all := []EdgeInfo{
		{EdgeParentID, parents},
		{EdgeSatisfies, []Kind{KindRequirement}},
		{EdgeImplements, []Kind{KindUserStory, KindSpec}},
		{EdgeDerivesFrom, []Kind{KindRequirement, KindUserStory, KindSpec}},
		{EdgeSpecID, []Kind{KindSpec}},
		{EdgeTracedUserStory, []Kind{KindUserStory}},
		{EdgeTracedRequirement, []Kind{KindRequirement}},
	}
	if len(parents) == 0 {
		return all[1:]
	}
	return all
}

// sharedTables are the tables that artifacts of several kinds are in.
func sharedTables() []Group {
	return []Group{
		{
			Names: Names{"piece of evidence", "pieces of evidence", []string{"evidence", "evidences"}}, Table: tableEvidence,
			About: "Signed test evidence, single records and packages, with what checking it showed at the scan.",
		},
		{
			Names: Names{"document", "documents", []string{"documents"}}, Table: tableDocuments,
			About: "Documents beside the traceability matrix: decision records, the risk log as a file, vendor assessments, release manifests.",
		},
	}
}

// Info returns the entry of k in the table of kinds. That of a kind which is not there has names and nothing else. Its lists
// are shared: they must not be changed.
func (k Kind) Info() KindInfo {
	if info := k.info(); info != nil {
		return *info
	}
	return KindInfo{Kind: k, Names: Names{One: "artifact of an unknown kind", Many: "artifacts of an unknown kind"}}
}

func (k Kind) info() *KindInfo {
	for i := range kinds {
		if kinds[i].Kind == k {
			return &kinds[i]
		}
	}
	return nil
}

// Kinds lists every kind in the order in which people read them.
func Kinds() []Kind {
	all := make([]Kind, len(kinds))
	for i := range kinds {
		all[i] = kinds[i].Kind
	}
	return all
}

// Targets returns the kinds that an edge of an artifact of kind child may lead to, in order of preference; none when that
// kind has no such edge. The list is shared: it must not be changed.
func Targets(child Kind, edge Edge) []Kind {
	info := child.info()
	if info == nil {
		return nil
	}
	for i := range info.Edges {
		if info.Edges[i].Edge == edge {
			return info.Edges[i].Targets
		}
	}
	return nil
}

// Edges lists every edge that some kind has.
func Edges() []Edge {
	var all []Edge
	for i := range kinds {
		for _, e := range kinds[i].Edges {
			if !slices.Contains(all, e.Edge) {
				all = append(all, e.Edge)
			}
		}
	}
	return all
}

// LinkTargets lists the kinds that some edge leads to, in the order of [Kinds].
func LinkTargets() []Kind {
	return slices.DeleteFunc(Kinds(), func(k Kind) bool {
		return !slices.ContainsFunc(kinds, func(info KindInfo) bool {
			return slices.ContainsFunc(info.Edges, func(e EdgeInfo) bool { return slices.Contains(e.Targets, k) })
		})
	})
}

// Group is the artifacts that are listed together, in one table: those of one kind, or of several.
type Group struct {
	Names

	Table, About string
	Kinds        []Kind
}

// Groups lists the groups in the order of [Kinds], documents last. Each kind is in exactly one of them.
func Groups() []Group {
	shared := sharedTables()
	all := make([]Group, 0, len(kinds))
	for i := range kinds {
		k := &kinds[i]
		inTable := func(g Group) bool { return g.Table == k.Table }
		at := slices.IndexFunc(all, inTable)
		if at < 0 {
			g := Group{Names: k.Names, Table: k.Table, About: cmp.Or(k.About, "The "+k.Many+" that the last completed scan found.")}
			if j := slices.IndexFunc(shared, inTable); j >= 0 {
				g = shared[j]
			}
			at, all = len(all), append(all, g)
		}
		all[at].Kinds = append(all[at].Kinds, k.Kind)
	}
	documents := slices.IndexFunc(all, func(g Group) bool { return g.Table == tableDocuments })
	last := all[documents]
	return append(slices.Delete(all, documents, documents+1), last)
}
