package rosie_test

import (
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
)

// Every spelling of a field that occurs somewhere gives the same artifact.
func TestDialectsOfFrontMatter(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		path, matter string
		check        func(a domain.Artifact) string
		want         string
	}{
		"risk as gxp_risk_rating":        {reqPath, "gxp_risk_rating: HIGH", showRisk, "HIGH/high"},
		"risk as gxpRiskRating":          {reqPath, "gxpRiskRating: HIGH", showRisk, "HIGH/high"},
		"risk as risk_level":             {reqPath, "risk_level: Medium", showRisk, "Medium/medium"},
		"risk as risk":                   {reqPath, "risk: low", showRisk, "low/low"},
		"risk as a map":                  {reqPath, "risk:\n  overall: HIGH\n  safety: LOW", showRisk, "HIGH/high"},
		"the first risk key wins":        {reqPath, "risk: LOW\ngxp_risk_rating: HIGH", showRisk, "HIGH/high"},
		"a null risk key is passed":      {reqPath, "gxp_risk_rating:\nrisk_level: HIGH", showRisk, "HIGH/high"},
		"no risk":                        {reqPath, "title: x", showRisk, ""},
		"tier as verification_tier":      {specPath, "verification_tier: OQ", showTier, "OQ/oq"},
		"tier as verificationTier":       {specPath, "verificationTier: PQ", showTier, "PQ/pq"},
		"tier as tier":                   {specPath, "tier: IQ", showTier, "IQ/iq"},
		"status verbatim and normal":     {reqPath, "status: In-Review  now", showStatus, "In-Review  now/in_review_now"},
		"status is any word":             {reqPath, "status: \"yes\"", showStatus, "yes/yes"},
		"validation status camel":        {reqPath, "validationStatus: in_review", showValidation, "in_review/in_review"},
		"assurance status":               {reqPath, "assurance_status: ASSURED", showAssurance, "ASSURED/assured"},
		"parent as text":                 {specPath, "parent_id: US-001-001", showLinks, "parent_id US-001-001"},
		"parent camel":                   {specPath, "parentId: US-001-001", showLinks, "parent_id US-001-001"},
		"parents as an inline list":      {specPath, "parent_id: [US-001-001, US-001-002]", showLinks, "parent_id US-001-001, parent_id US-001-002"},
		"parents as a block list":        {specPath, "parent_id:\n  - US-001-001", showLinks, "parent_id US-001-001"},
		"parent null":                    {specPath, "parent_id:", showLinks, ""},
		"parents empty":                  {specPath, "parent_id: []", showLinks, ""},
		"edges in file order":            {specPath, "satisfies: [REQ-2]\nderives_from: SPEC-9\nimplements: [US-1, SPEC-2]\nparent_id: US-1", showLinks, "satisfies REQ-2, derives_from SPEC-9, implements US-1, implements SPEC-2, parent_id US-1"},
		"a link once":                    {specPath, "parent_id: [US-1, US-1]\nparentId: US-1", showLinks, "parent_id US-1"},
		"exact targets":                  {specPath, "parent_id: \" us-1 \"", showLinks, "parent_id  us-1 "},
		"an id that looks like a number": {reqPath, "gxp_id: 0012", showID, "0012"},
		"id camel":                       {reqPath, "gxpId: REQ-7", showID, "REQ-7"},
		"requirement of a requirement":   {reqPath, "parent_id: REQ-000\nimplements: US-1", showLinks, "parent_id REQ-000, implements US-1"},
		"a context has no parent":        {contextPath, "parent_id: REQ-000", showLinks, ""},
		"a context has no gxp_id":        {contextPath, "id: 5b0c", showID, ""},
		"title of a context":             {contextPath, "project_name: Name\ntitle: Other", showTitle, "Name"},
		"title of a vendor":              {".gxp/vendor_assessments/VA-acme.md", "vendor_name: Acme Inc", showTitle, "Acme Inc"},
		"id of a vendor":                 {".gxp/vendor_assessments/VA-acme.md", "vendor_name: Acme Inc", showID, "VA-acme"},
		"title from the heading":         {reqPath, "gxp_id: REQ-1", showTitle, "First heading"},
		"a list is no title":             {reqPath, "title: [a]", showTitle, "First heading"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := readOne(t, test.path, "---\n"+test.matter+"\n---\n```\n# In code\n```\n\n# First heading\n\n# Second\n")
			equal(t, test.matter, test.check(a), test.want)
		})
	}
}

func showRisk(a domain.Artifact) string       { return showTerm(a.Risk) }
func showTier(a domain.Artifact) string       { return showTerm(a.Tier) }
func showStatus(a domain.Artifact) string     { return showTerm(a.Status) }
func showValidation(a domain.Artifact) string { return showTerm(a.ValidationStatus) }
func showAssurance(a domain.Artifact) string  { return showTerm(a.AssuranceStatus) }
func showID(a domain.Artifact) string         { return a.GxPID }
func showTitle(a domain.Artifact) string      { return a.Title }
func showLinks(a domain.Artifact) string      { return strings.Join(links(a), ", ") }

func showTerm(term *domain.Term) string {
	if term == nil {
		return ""
	}
	return term.Raw + "/" + term.Normal
}

// Fields keep everything: the order of keys, the text of scalars, nulls, lists and maps.
func TestFieldsAreLossless(t *testing.T) {
	t.Parallel()
	a := readOne(t, reqPath, `---
# a comment
gxp_id: REQ-001
version: 1.10
hex: 0x1F
date: 2026-02-07
flag: yes
big: 1_000
nothing:
tilde: ~
quoted: "null"
empty: ""
list: [a, ~, {b: 2}]
map:
  z: 1
  a: "<b> & \"c\""
block: |
  one
  two
zuletzt: "Grüße \u2192"
---
`)
	equal(t, "fields", string(a.Fields), `{"gxp_id":"REQ-001","version":"1.10","hex":"0x1F","date":"2026-02-07","flag":"yes","big":"1_000",`+
		`"nothing":null,"tilde":null,"quoted":"null","empty":"","list":["a",null,{"b":"2"}],"map":{"z":"1","a":"\u003cb\u003e \u0026 \"c\""},`+
		`"block":"one\ntwo\n","zuletzt":"Grüße →"}`)
}

// A byte order mark, CRLF and blanks behind the dashes change nothing that is read.
func TestFrontMatterAsEditorsLeaveIt(t *testing.T) {
	t.Parallel()
	plain := "---\ngxp_id: REQ-001\ntitle: Plain\ngxp_risk_rating: LOW\ndescription: |\n  one\n  two\n---\n# Body\n"
	want := readOne(t, reqPath, plain)
	for name, text := range map[string]string{
		"byte order mark":          "\ufeff" + plain,
		"CRLF":                     strings.ReplaceAll(plain, "\n", "\r\n"),
		"byte order mark and CRLF": "\ufeff" + strings.ReplaceAll(plain, "\n", "\r\n"),
		"blanks behind dashes":     strings.ReplaceAll(plain, "---\n", "---  \t\n"),
		"no line end at the end":   strings.TrimSuffix(plain, "# Body\n") + "# Body",
		"nothing behind":           strings.TrimSuffix(plain, "\n# Body\n"),
	} {
		a := readOne(t, reqPath, text)
		equal(t, name+": fields", string(a.Fields), string(want.Fields))
		equal(t, name+": findings", codes(a.Findings), nil)
		equal(t, name+": sha256 of the raw bytes", a.Content.SHA256, hash(text))
		equal(t, name+": git blob", a.Content.Blob, blob(text))
		equal(t, name+": digest", a.Digest, a.Content.SHA256)
	}
}

// What deviates is remarked on and kept.
func TestFindingsOfDocuments(t *testing.T) {
	t.Parallel()
	valid := "gxp_id: REQ-001\ntitle: T\ngxp_risk_rating: LOW\n"
	tests := map[string]struct {
		path, text string
		want       []string
	}{
		"a sound requirement":       {reqPath, "---\n" + valid + "---\n", nil},
		"no front matter":           {reqPath, "# Only a heading\n", []string{"no_front_matter", "missing_id", "missing_field", "missing_field"}},
		"an empty file":             {reqPath, "", []string{"no_front_matter", "missing_id", "missing_field", "missing_field"}},
		"an empty front matter":     {reqPath, "---\n# nothing\n---\n", []string{"missing_id", "missing_field", "missing_field"}},
		"an id that is a list":      {reqPath, "---\ngxp_id: [REQ-1]\ntitle: T\nrisk: LOW\n---\n", []string{"missing_id"}},
		"two spellings":             {reqPath, "---\n" + valid + "validationStatus: DRAFT\n---\n", []string{"mixed_keys"}},
		"camel alone":               {reqPath, "---\ngxpId: R\ntitle: T\nriskLevel: LOW\n---\n", nil},
		"a stray colon in a list":   {reqPath, "---\n" + valid + "acceptance_criteria:\n  - plain\n  - needs: this\n  - and: that\n---\n", []string{"list_item", "list_item"}},
		"a link that is a map":      {reqPath, "---\n" + valid + "satisfies: {a: b}\n---\n", []string{"bad_link"}},
		"a map among links":         {reqPath, "---\n" + valid + "satisfies:\n  - REQ-2: the second\n---\n", []string{"list_item"}},
		"a long title":              {reqPath, "---\ngxp_id: R\nrisk: LOW\ntitle: " + strings.Repeat("é", 501) + "\n---\n", []string{"cut"}},
		"a title just short enough": {reqPath, "---\ngxp_id: R\nrisk: LOW\ntitle: " + strings.Repeat("é", 500) + "\n---\n", nil},
		"a story without parent":    {".gxp/user_stories/US-1.md", "---\ngxp_id: US-1\ntitle: T\n---\n", []string{"missing_field"}},
		"a spec of GxP.MD 3":        {specPath, "---\ngxp_id: S\ntitle: T\nimplements: [US-1]\nverification_tier: OQ\n---\n", nil},
		"a spec without tier":       {specPath, "---\ngxp_id: S\ntitle: T\nparent_id: US-1\n---\n", []string{"missing_field"}},
		"a context without risk":    {contextPath, "---\nproject_name: P\n---\n", []string{"missing_field"}},
		"a vendor without name":     {".gxp/vendor_assessments/V.md", "---\nproduct: P\n---\n", []string{"missing_field"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			equal(t, "findings", codes(readOne(t, test.path, test.text).Findings), test.want)
		})
	}
}

// A finding of a list item says where it is, and the item stays in the fields.
func TestListItemIsKeptWithItsLine(t *testing.T) {
	t.Parallel()
	a := readOne(t, reqPath, "---\ngxp_id: R\ntitle: T\nrisk: LOW\nacceptance_criteria:\n  - fine\n  - says: too much\n---\n")
	equal(t, "line", a.Findings[0].Line, 7)
	equal(t, "item", strings.Contains(string(a.Fields), `"acceptance_criteria":["fine",{"says":"too much"}]`), true)
}

// A malformed file is rejected where it is wrong, in lines and columns of the file, and its bytes are kept.
func TestRejectionsPointIntoTheFile(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text         string
		line, column int
		says         string
	}{
		"never closed":        {"---\ngxp_id: R\n", 1, 1, "never closed"},
		"a colon in a text":   {"---\ntitle: one: two\n---\n", 2, 11, "quotes"},
		"an open quote":       {"---\ntitle: \"x\n---\n", 3, 1, "quoted"},
		"a tab":               {"---\na:\n\t- b\n---\n", 3, 1, "token"},
		"a list":              {"---\n- a\n---\n", 2, 1, "list of fields"},
		"a text":              {"---\njust words\n---\n", 2, 1, "list of fields"},
		"a key twice":         {"---\na: 1\nb: 2\n\"a\": 3\n---\n", 4, 1, `"a" is already on line 2`},
		"a nested key twice":  {"---\na:\n  b: 1\n  b: 2\n---\n", 4, 3, "already on line 3"},
		"an anchor":           {"---\na: &x 1\n---\n", 2, 4, "anchor"},
		"an alias":            {"---\na: &x 1\nb: *x\n---\n", 2, 4, "anchor"},
		"an anchor on a key":  {"---\n&x a: 1\n---\n", 2, 1, "anchor"},
		"a merge key":         {"---\nb: 1\n<<: {a: 2}\n---\n", 3, 1, "merge"},
		"a tag":               {"---\na: !!binary aGk=\n---\n", 2, 4, "tag"},
		"a tag of its own":    {"---\na: !run x\n---\n", 2, 4, "tag"},
		"the plain tag":       {"---\na: ! x\n---\n", 2, 4, "tag"},
		"the tag of a list":   {"---\na: ! [x]\n---\n", 2, 4, "tag"},
		"the tag of a key":    {"---\n! a: x\n---\n", 2, 1, "tag"},
		"a tag of nothing":    {"---\na: !\n---\n", 2, 4, "tag"},
		"a tag in full":       {"---\na: !<tag:yaml.org,2002:str> x\n---\n", 2, 4, "tag"},
		"a tag of text":       {"---\na: !!str x\n---\n", 2, 4, "tag"},
		"a tag by itself":     {"---\na:\n  !\n  b: c\n---\n", 3, 3, "tag"},
		"an escaped NUL":      {"---\na: \"x\\0\"\n---\n", 2, 4, "U+0000"},
		"an escape in a key":  {"---\nb: 1\n\"x\\e\": 2\n---\n", 3, 1, "U+001B"},
		"a second document":   {"---\na: 1\n...\nb: 2\n---\n", 4, 1, "second"},
		"a list as key":       {"---\n? [a]\n: b\n---\n", 2, 3, "key"},
		"a control character": {"---\na: b\x1b[31m\n---\n", 2, 5, "U+001B"},
		"an early line end":   {"---\na: x\u2028b: y\n---\n", 2, 5, "U+2028"},
		"a lone CR":           {"---\na: x\rb: y\n---\n", 2, 5, "U+000D"},
		"not UTF-8":           {"---\na: \xff\n---\n", 2, 4, "UTF-8"},
		"not UTF-8 below":     {"---\na: b\n---\nüb\xe9r\n", 4, 3, "UTF-8"},
		"with CRLF":           {"---\r\na: 1\r\na: 2\r\n---\r\n", 3, 1, "already"},
		"with a mark":         {"\ufeff---\na: &x 1\n---\n", 2, 4, "anchor"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := read(t, files{specPath: test.text}.fs(), rosie.Options{})
			f := unit(t, tree, specPath)
			if f.Rejected == nil {
				t.Fatalf("not rejected: %s", f.Artifacts[0].Fields)
			}
			r := *f.Rejected
			equal(t, "place", []int{r.Line, r.Column}, []int{test.line, test.column})
			equal(t, "kind", r.Kind, domain.KindSpec)
			equal(t, "content", r.Content, domain.Content{SHA256: hash(test.text), Blob: blob(test.text), Size: int64(len(test.text))})
			if !strings.Contains(r.Message, test.says) {
				t.Errorf("the message %q does not say %q", r.Message, test.says)
			}
			equal(t, "bytes", contentOf(tree, hash(test.text)), test.text)
			equal(t, "faults", tree.Faults, nil)
		})
	}
}

func contentOf(tree rosie.Tree, sha256 string) string {
	for _, c := range tree.Contents {
		if c.SHA256 == sha256 {
			return string(c.Bytes)
		}
	}
	return "not kept"
}

// An ADR gives its id in the file name and the rest in headings.
func TestDecisions(t *testing.T) {
	t.Parallel()
	const body = "# ADR-007: Use a log\n\n## Status\n\nAccepted\n\n## Context\nText.\n"
	tests := map[string]struct{ path, text, id, title, status, findings string }{
		"as RFC-001 says":        {".gxp/adr/ADR-007-use-a-log.md", body, "ADR-007", "ADR-007: Use a log", "Accepted/accepted", "[]"},
		"of the infrastructure":  {".gxp/adr/ADR-INF-002-x.md", body, "ADR-INF-002", "ADR-007: Use a log", "Accepted/accepted", "[]"},
		"named otherwise":        {".gxp/adr/0007-log.md", body, "0007-log", "ADR-007: Use a log", "Accepted/accepted", "[]"},
		"with a front matter":    {".gxp/adr/ADR-1-x.md", "---\nstatus: Proposed\ntitle: T\n---\n" + body, "ADR-1", "T", "Proposed/proposed", "[]"},
		"with a ruler first":     {".gxp/adr/ADR-1-x.md", "---\n" + body, "ADR-1", "ADR-007: Use a log", "Accepted/accepted", "[]"},
		"with an example inside": {".gxp/adr/ADR-1-x.md", "# T\n```\n## Status\nFake\n```\n## STATUS\nReal one\n", "ADR-1", "T", "Real one/real_one", "[]"},
		"without a status":       {".gxp/adr/ADR-1-x.md", "# T\n## Status\n## Context\nText\n", "ADR-1", "T", "", "[missing_field]"},
		"empty":                  {".gxp/adr/ADR-1-x.md", "", "ADR-1", "", "", "[missing_field missing_field]"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := readOne(t, test.path, test.text)
			equal(t, "id", a.GxPID, test.id)
			equal(t, "title", a.Title, test.title)
			equal(t, "status", showTerm(a.Status), test.status)
			if got := codes(a.Findings); len(got) > 0 || test.findings != "[]" {
				equal(t, "findings", "["+strings.Join(got, " ")+"]", test.findings)
			}
		})
	}
	r := rejected(t, ".gxp/adr/ADR-1-x.md", "---\na: &x 1\n---\n"+body)
	equal(t, "a malformed front matter", r.Line, 2)
}
