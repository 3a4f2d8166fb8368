package tables

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
)

// Names of the tables of the projection "artifacts" that hold no artifacts.
const (
	tableRepositories   = "repositories"
	tableSettings       = "repository_settings"
	tableScans          = "scans"
	tableScanCounts     = "scan_counts"
	tableScanViolations = "scan_violations"
	tableEvidenceFiles  = "evidence_files"
	tableLinks          = "traceability_links"
	tableFindings       = "findings"
	tableRejected       = "rejected_files"
)

// artifacts is the tables of the projection. It never changes once it is made.
type artifacts struct {
	repositories   table[repositoryRow]
	settings       table[settingsRow]
	scans          table[scanRow]
	scanCounts     table[countRow]
	scanViolations table[violationRow]
	groups         []table[artifactRow]
	evidenceFiles  table[memberRow]
	links          table[linkRow]
	findings       table[findingRow]
	rejected       table[rejectedRow]

	retire, rename, show change[repositoryRow] // a repository; the scan that the tables show of it
	relink               change[linkRow]
	kinds                map[domain.Kind]*kindTable
	unread               *domain.Evidence // what evidence is of which nothing was read
}

// kindTable is how artifacts of one kind become rows.
type kindTable struct {
	table    *table[artifactRow]
	kind     any
	evidence bool
	changes  []string // columns that a new version writes: all but the first
	parents  change[artifactRow]
}

// artifactRow is what the row of an artifact is made of. Values that rows of its links and findings repeat are made once.
type artifactRow struct {
	*origin
	domain.ArtifactParsed

	number, kind, gxpID, path, ordinal any

	sha   any           // of the content
	links []domain.Link // of the last version, or as they were relinked

	evidence    *domain.Evidence // never nil for evidence
	state       domain.EvidenceState
	stateReason string
}

// identityColumns begin every table of artifacts. No new version changes them. Its ordinal, and its id with it, change when
// it shifts.
func identityColumns(kinds []domain.Kind) []column[artifactRow] {
	return []column[artifactRow]{
		{repositoryColumn(), func(r *artifactRow) any { return r.repository }},
		{numberColumn(), func(r *artifactRow) any { return r.number }},
		{text("id", "UUIDv5 of repository, path and ordinal: the same for ever for every artifact at that place."), func(r *artifactRow) any { return ArtifactID(r.id, r.Key).String() }},
		{kind(text("kind", "What the artifact is."), kinds...), func(r *artifactRow) any { return r.kind }},
		{text("path", "Path from the repository's root; for an evidence package that of its directory."), func(r *artifactRow) any { return r.path }},
		{from(0, integer("ordinal", "Place in a file that holds several artifacts, from 1; 0 for the file itself. It follows an entry of a risk log that others are inserted before.")), func(r *artifactRow) any { return r.ordinal }},
		{text("first_scan_id", "UUID of the scan that recorded this artifact first."), func(r *artifactRow) any { return r.scan }},
		{timestamp("first_at", "When the engine recorded this artifact first."), func(r *artifactRow) any { return r.at }},
	}
}

// contentColumns follow them: what the last version says.
func contentColumns() []column[artifactRow] {
	columns := []column[artifactRow]{
		{null(text("gxp_id", "Id that the file gives; NULL when its kind or the file has none.")), func(r *artifactRow) any { return r.gxpID }},
		{null(text("title", "Title as the author wrote it.")), func(r *artifactRow) any { return opt(r.Title) }},
	}
	for _, t := range terms() {
		columns = append(columns,
			column[artifactRow]{
				null(text(t.name, t.what+" as the author wrote it.")), func(r *artifactRow) any { return t.raw(r.origin, &r.ArtifactParsed) },
			},
			column[artifactRow]{
				null(text(t.name+"_normal", t.what+" in lower case, blanks and dashes as underscores.")),
				func(r *artifactRow) any { return t.normal(r.origin, &r.ArtifactParsed) },
			})
	}
	return append(columns, []column[artifactRow]{
		{null(jsonColumn("fields", "The whole front matter, signed payload without test cases, or risk entry, as one JSON object with text scalars.")), func(r *artifactRow) any { return optJSON(r.Fields) }},
		{from(1, integer("version", "How many versions of this artifact were recorded, from 1.")), func(r *artifactRow) any { return r.Version }},
		{text("content_sha256", "SHA-256 of the raw bytes that the last version was read from, the name of the stored content; for a package those of its manifest or else its first file."), func(r *artifactRow) any { return r.sha }},
		{text("blob", "Git blob id of the same bytes."), func(r *artifactRow) any { return r.Content.Blob }},
		{from(0, integer("size", "Bytes of that content.")), func(r *artifactRow) any { return r.Content.Size }},
		{
			text("digest", "SHA-256 of what this artifact says: one entry of a risk log, or all files of a package."),
			func(r *artifactRow) any {
				if r.Digest == r.Content.SHA256 {
					return r.sha
				}
				return r.Digest
			},
		},
		{text("stamp", "How the file was read: the reader's version and, for evidence, the keys."), func(r *artifactRow) any { return r.stamps.of(r.Stamp) }},
		{text("scan_id", "UUID of the scan that recorded the last version."), func(r *artifactRow) any { return r.scan }},
		{timestamp("changed_at", "When the engine recorded the last version."), func(r *artifactRow) any { return r.at }},
		{positionColumn(), func(r *artifactRow) any { return r.position }},
	}...)
}

// artifactTerm is a word that the author of an artifact chose, as it was written and as it is compared.
type artifactTerm struct {
	name, what string
	of         func(*domain.ArtifactParsed) *domain.Term
	memo       int
}

func terms() []artifactTerm {
	return []artifactTerm{
		{"risk", "Risk rating", func(e *domain.ArtifactParsed) *domain.Term { return e.Risk }, 0},
		{"tier", "Verification tier", func(e *domain.ArtifactParsed) *domain.Term { return e.Tier }, 2},
		{"status", "Status", func(e *domain.ArtifactParsed) *domain.Term { return e.Status }, 4},
		{"validation_status", "Validation status", func(e *domain.ArtifactParsed) *domain.Term { return e.ValidationStatus }, 6},
		{"assurance_status", "Assurance status", func(e *domain.ArtifactParsed) *domain.Term { return e.AssuranceStatus }, 8},
	}
}

func (t *artifactTerm) raw(o *origin, e *domain.ArtifactParsed) any {
	if term := t.of(e); term != nil {
		return o.terms[t.memo].of(term.Raw)
	}
	return nil
}

func (t *artifactTerm) normal(o *origin, e *domain.ArtifactParsed) any {
	if term := t.of(e); term != nil {
		return o.terms[t.memo+1].of(term.Normal)
	}
	return nil
}

// artifactTable is the table of a group of artifacts: the common columns, and those of the group's own behind them.
func artifactTable(g domain.Group) table[artifactRow] {
	parents := g.Kinds[0].Info().Parents
	own := parentColumns(parents)
	if g.Kinds[0].Info().Level == domain.LevelEvidence {
		own = evidenceColumns(parents)
	}
	t := projections.Table{
		Name: g.Table, Doc: g.About,
		Key:     []string{"repository_id", "number"},
		Foreign: []projections.ForeignKey{repositoryKey()},
		Indexes: []projections.Index{
			index("repository_id", "gxp_id"), index("repository_id", "path"), words("title", "fields.description"),
		},
	}
	for _, p := range parents {
		key := reference(p.Number, p.Kind.Info().Table)
		t.Foreign, t.Indexes = append(t.Foreign, key), append(t.Indexes, index(key.Columns...))
	}
	return newTable(t, identityColumns(g.Kinds), contentColumns(), own)
}

func repositoryKey() projections.ForeignKey {
	return projections.ForeignKey{
		Columns: []string{"repository_id"}, Table: tableRepositories, Targets: []string{"repository_id"},
	}
}

// parentColumns are the columns of parents that artifacts declare in links.
func parentColumns(parents []domain.Parent) []column[artifactRow] {
	var columns []column[artifactRow]
	for _, p := range parents {
		columns = append(columns, column[artifactRow]{
			null(text(p.Declared, "The first "+string(p.Edge)+" as the file declares it, whether or not it leads anywhere.")),
			func(r *artifactRow) any { return declared(r.links, p.Edge) },
		}, parentColumn(p))
	}
	return columns
}

// declared returns the target of the first link of edge, resolved or broken.
func declared(links []domain.Link, edge domain.Edge) any {
	for i := range links {
		if links[i].Edge == edge {
			return str(links[i].Target)
		}
	}
	return nil
}

// parentColumn is the number of a parent, NULL when no link leads to one.
func parentColumn(p domain.Parent) column[artifactRow] {
	about := fmt.Sprintf("The %s that it belongs to: the first resolved %s link to one, or else the first resolved link of any edge to one.", p.Kind.Info().One, p.Edge)
	return column[artifactRow]{
		from(1, null(integer(p.Number, about))),
		func(r *artifactRow) any {
			var other any
			for i := range r.links {
				l := &r.links[i]
				switch {
				case l.To == nil || l.To.Kind != p.Kind:
				case l.Edge == p.Edge:
					return l.To.Number
				case other == nil:
					other = l.To.Number
				}
			}
			return other
		},
	}
}

// linkRow is what the row of a link is made of.
type linkRow struct {
	*artifactRow

	index            int
	link             *domain.Link
	toKind, toNumber any // of the artifact that it leads to; NULL when it is broken
}

func (r *linkRow) set(index int, l *domain.Link) {
	r.index, r.link, r.toKind, r.toNumber = index, l, nil, nil
	if l.To != nil {
		r.toKind, r.toNumber = r.origin.kind(l.To.Kind), l.To.Number
	}
}

func (r *linkRow) state() any {
	if r.link.Broken == "" {
		return "resolved"
	}
	return string(r.link.Broken)
}

// linkStates are what state returns.
func linkStates() []domain.Broken {
	return []domain.Broken{"resolved", domain.BrokenMissing, domain.BrokenWrongKind}
}

func linksTable() table[linkRow] {
	columns := []column[linkRow]{
		{repositoryColumn(), func(r *linkRow) any { return r.repository }},
		{numberColumn(), func(r *linkRow) any { return r.number }},
		{from(0, integer("link_index", "Place of the link in its file, from 0.")), func(r *linkRow) any { return r.index }},
		{kind(text("kind", "Kind of the artifact that declares the link.")), func(r *linkRow) any { return r.kind }},
		{null(text("gxp_id", "Its gxp_id.")), func(r *linkRow) any { return r.gxpID }},
		{text("path", "Its path."), func(r *linkRow) any { return r.path }},
		{from(0, integer("ordinal", "Its place in the file.")), func(r *linkRow) any { return r.ordinal }},
		{oneOf(text("edge", "Field that declares the link."), domain.Edges()...), func(r *linkRow) any { return r.edges.of(string(r.link.Edge)) }},
		{text("target", "gxp_id that the link names, verbatim."), func(r *linkRow) any { return str(r.link.Target) }},
		{oneOf(text("state", "resolved, missing (no artifact of the tree has that id) or wrong_kind (one has it, at a level that the edge cannot lead to)."), linkStates()...), func(r *linkRow) any { return r.state() }},
		{kind(null(text("to_kind", "Kind of the artifact that a resolved link leads to."))), func(r *linkRow) any { return r.toKind }},
		{from(1, null(integer("to_number", "Number of the artifact that a resolved link leads to, whatever its kind."))), func(r *linkRow) any { return r.toNumber }},
	}
	keys := []projections.ForeignKey{repositoryKey()}
	var indexes []projections.Index
	for _, to := range domain.LinkTargets() {
		name := "to_" + string(to)
		columns = append(columns, column[linkRow]{
			from(1, null(integer(name, "to_number when to_kind is "+string(to)+"."))),
			func(r *linkRow) any {
				if r.link.To != nil && r.link.To.Kind == to {
					return r.toNumber
				}
				return nil
			},
		})
		keys = append(keys, reference(name, to.Info().Table))
		indexes = append(indexes, index("repository_id", name))
	}
	return newTable(projections.Table{
		Name: tableLinks, Doc: "Every declared link from an artifact to the gxp_id of another, and where it leads.",
		Key:     []string{"repository_id", "number", "link_index"},
		Foreign: keys,
		Indexes: slices.Concat(indexes, []projections.Index{
			index("repository_id", "state"), index("repository_id", "target"), index("repository_id", "to_number"),
		}),
	}, columns, []column[linkRow]{
		{text("scan_id", "UUID of the scan since which the link is so."), func(r *linkRow) any { return r.scan }},
		{positionColumn(), func(r *linkRow) any { return r.position }},
	})
}

// linkChange is what changes of a link when it resolves differently.
func linkChange(t *table[linkRow]) change[linkRow] {
	set := []string{"state", "to_kind", "to_number"}
	for _, to := range domain.LinkTargets() {
		set = append(set, "to_"+string(to))
	}
	return t.change(append(set, "scan_id", "position")...)
}

// findingRow is what the row of a finding is made of.
type findingRow struct {
	*artifactRow // without an artifact for a finding of the tree

	index   int
	finding *domain.Finding
}

func findingsTable() table[findingRow] {
	return newTable(projections.Table{
		Name: tableFindings, Doc: "What a reviewer should know and that stopped nothing; broken links are in traceability_links.",
		Key:     []string{"repository_id", "number", "finding_index"},
		Foreign: []projections.ForeignKey{repositoryKey()},
		Indexes: []projections.Index{index("repository_id", "code")},
	}, []column[findingRow]{
		{repositoryColumn(), func(r *findingRow) any { return r.repository }},
		{from(0, integer("number", "Number of the artifact that the finding is about; 0 for the tree as a whole, as the last completed scan saw it.")), func(r *findingRow) any { return r.number }},
		{from(0, integer("finding_index", "Place among the findings of that artifact or of the tree, from 0.")), func(r *findingRow) any { return r.index }},
		{text("code", "What was found, as a code."), func(r *findingRow) any { return r.finding.Code }},
		{kind(null(text("kind", "Kind of the artifact; NULL for the tree."))), func(r *findingRow) any { return r.kind }},
		{null(text("gxp_id", "Its gxp_id.")), func(r *findingRow) any { return r.gxpID }},
		{
			null(text("path", "Where it was found.")),
			func(r *findingRow) any {
				if r.finding.Path != "" {
					return str(r.finding.Path)
				}
				return r.path
			},
		},
		{from(1, null(integer("line", "Line, from 1."))), func(r *findingRow) any { return positive(r.finding.Line) }},
		{text("text", "One sentence: what is there, what was expected."), func(r *findingRow) any { return str(r.finding.Text) }},
		{text("scan_id", "UUID of the scan that recorded this."), func(r *findingRow) any { return r.scan }},
		{positionColumn(), func(r *findingRow) any { return r.position }},
	})
}

// rejectedRow is what the row of a rejected file is made of.
type rejectedRow struct {
	*origin
	*domain.ArtifactRejected
}

func rejectedTable() table[rejectedRow] {
	return newTable(projections.Table{
		Name: tableRejected, Doc: "Files of a known kind that could not be parsed and are still so; their bytes are kept.",
		Key:     []string{"repository_id", "path"},
		Foreign: []projections.ForeignKey{repositoryKey()},
	}, []column[rejectedRow]{
		{repositoryColumn(), func(r *rejectedRow) any { return r.repository }},
		{text("path", "Path from the repository's root."), func(r *rejectedRow) any { return str(r.Path) }},
		{kind(text("kind", "What the file should be, by its path.")), func(r *rejectedRow) any { return string(r.Kind) }},
		{from(1, null(integer("line", "Line of the fault, from 1."))), func(r *rejectedRow) any { return positive(r.Line) }},
		{from(1, null(integer("col", "Column of the fault in characters, from 1."))), func(r *rejectedRow) any { return positive(r.Column) }},
		{text("message", "One sentence: what is wrong, what was expected."), func(r *rejectedRow) any { return str(r.Message) }},
		{null(text("content_sha256", "SHA-256 of the raw bytes, the name of the stored content; NULL when the file was too large to read.")), func(r *rejectedRow) any { return opt(r.Content.SHA256) }},
		{null(text("blob", "Git blob id of the same bytes.")), func(r *rejectedRow) any { return opt(r.Content.Blob) }},
		{from(0, integer("size", "Bytes.")), func(r *rejectedRow) any { return r.Content.Size }},
		{text("stamp", "How the file was read."), func(r *rejectedRow) any { return str(r.Stamp) }},
		{text("scan_id", "UUID of the scan that rejected the file as it is."), func(r *rejectedRow) any { return r.scan }},
		{timestamp("rejected_at", "When the engine recorded that."), func(r *rejectedRow) any { return r.at }},
		{positionColumn(), func(r *rejectedRow) any { return r.position }},
	})
}

// evidenceColumns are the columns of the evidence table's own.
func evidenceColumns(parents []domain.Parent) []column[artifactRow] {
	spec, story := parentColumn(parents[0]), parentColumn(parents[1])
	return slices.Concat([]column[artifactRow]{
		{null(text("spec_id", "The specification that the evidence claims to be for, as it names it.")), func(r *artifactRow) any { return opt(r.evidence.SpecID) }},
		spec,
		{null(text("traced_user_story", "The user story that the evidence claims to trace to, as it names it.")), func(r *artifactRow) any { return opt(r.evidence.UserStory) }},
		story,
	}, signatureColumns(), resultColumns(), checkColumns())
}

func signatureColumns() []column[artifactRow] {
	return []column[artifactRow]{
		{oneOf(text("overall", "The worst of signature and checks: valid, unsigned, revoked (its key was revoked), unverifiable (nothing against it, not all shown) or invalid."), domain.VerdictValid, domain.VerdictUnsigned, domain.VerdictRevoked, domain.VerdictUnverifiable, domain.VerdictInvalid), func(r *artifactRow) any { return r.verdicts.of(string(r.evidence.Overall())) }},
		{oneOf(text("verdict", "Result of verifying the signature."), verdicts()...), func(r *artifactRow) any { return r.verdicts.of(string(r.evidence.Signature.Verdict)) }},
		{null(text("reason", "Why the signature is not valid, in one sentence.")), func(r *artifactRow) any { return opt(r.evidence.Signature.Reason) }},
		{null(text("alg", "Algorithm that the header of the signature claims; it decides nothing.")), func(r *artifactRow) any { return opt(r.evidence.Signature.Algorithm) }},
		{null(text("kid", "Key id that the header of the signature claims; it decides nothing.")), func(r *artifactRow) any { return opt(r.evidence.Signature.KeyID) }},
		{null(text("fingerprint", "SHA-256 of the public key of the operator that verified the signature, or would had it not been revoked.")), func(r *artifactRow) any { return opt(r.evidence.Signature.Fingerprint) }},
		{null(timestamp("iat", "When the signed payload claims to have been issued.")), func(r *artifactRow) any { return optTime(r.evidence.Signature.IssuedAt) }},
		{null(timestamp("exp", "When the signed payload claims to expire.")), func(r *artifactRow) any { return optTime(r.evidence.Signature.ExpiresAt) }},
		{boolean("expired", "Whether exp had passed when the scan started; an archived record stays valid."), func(r *artifactRow) any { return r.evidence.Signature.Expired }},
		{null(text("signer_file", "File of the package that holds the signature.")), func(r *artifactRow) any { return opt(r.evidence.SignerFile) }},
		{null(text("payload_sha256", "SHA-256 of the signed payload; NULL when nothing is signed or the scan did not record it.")), func(r *artifactRow) any { return opt(r.evidence.Payload) }},
	}
}

func verdicts() []domain.Verdict {
	return []domain.Verdict{domain.VerdictValid, domain.VerdictInvalid, domain.VerdictUnverifiable, domain.VerdictNotRun, domain.VerdictUnsigned, domain.VerdictRevoked}
}

func resultColumns() []column[artifactRow] {
	return []column[artifactRow]{
		{oneOf(text("state", "What the evidence is worth for its specification: passed (valid, results known, at least one test passed, none failed), failed (it says that a test failed, whatever its signature is worth) or unverified."), domain.EvidencePassed, domain.EvidenceFailed, domain.EvidenceUnverified), func(r *artifactRow) any { return string(r.state) }},
		{null(text("state_reason", "Why it is unverified, as a code.")), func(r *artifactRow) any { return opt(r.stateReason) }},
		{oneOf(text("results", "Whether the test results could be read: known or unknown."), domain.ResultsKnown, domain.ResultsUnknown), func(r *artifactRow) any { return string(cmp.Or(r.evidence.Results.State, domain.ResultsUnknown)) }},
		{null(text("results_reason", "Why they are unknown, as a code.")), func(r *artifactRow) any { return opt(r.evidence.Results.Reason) }},
		{null(text("results_detail", "Why they are unknown, in one sentence.")), func(r *artifactRow) any { return opt(r.evidence.Results.Detail) }},
		{null(text("tool", "Test tool, as the evidence claims.")), func(r *artifactRow) any { return opt(r.evidence.Results.Tool) }},
		{null(text("tool_version", "Its version, as the evidence claims.")), func(r *artifactRow) any { return opt(r.evidence.Results.Version) }},
		{from(0, null(integer("passed", "Tests passed, as the evidence claims; NULL when the results are unknown."))), func(r *artifactRow) any { return r.tests(func(t *domain.TestTotals) int { return t.Passed }) }},
		{from(0, null(integer("failed", "Tests failed, as the evidence claims; NULL when the results are unknown."))), func(r *artifactRow) any { return r.tests(func(t *domain.TestTotals) int { return t.Failed }) }},
		{from(0, null(integer("skipped", "Tests skipped, as the evidence claims; NULL when the results are unknown."))), func(r *artifactRow) any { return r.tests(func(t *domain.TestTotals) int { return t.Skipped }) }},
		{null(jsonColumn("cases", "Tally of the single tests that the evidence lists, with those that did not pass; NULL when it lists none.")), func(r *artifactRow) any { return r.json(r.evidence.Results.Cases) }},
		{null(text("duration_ms", "Duration in milliseconds, verbatim: a decimal number.")), func(r *artifactRow) any { return opt(r.evidence.Results.DurationMS) }},
		{null(text("timestamp_claimed", "When the tests ran, as the evidence claims, verbatim.")), func(r *artifactRow) any { return opt(r.evidence.Timestamp) }},
		{null(text("system_state_hash", "Hash of the tested system, as the evidence claims.")), func(r *artifactRow) any { return opt(r.evidence.StateHash) }},
		{null(text("git_commit", "Commit of the tested system, as the evidence claims.")), func(r *artifactRow) any { return opt(r.evidence.GitCommit) }},
	}
}

// tests is one of the totals of evidence, NULL when its results are unknown (I15).
func (r *artifactRow) tests(count func(*domain.TestTotals) int) any {
	if t := r.evidence.Results.Totals; t != nil && r.evidence.Results.State == domain.ResultsKnown {
		return count(t)
	}
	return nil
}

func checkColumns() []column[artifactRow] {
	return []column[artifactRow]{
		{oneOf(null(text("check_presence", "Packages only: whether manifest, metadata and a signature file exist.")), verdicts()...), func(r *artifactRow) any { return r.check(domain.CheckPresence) }},
		{oneOf(null(text("check_signature", "Packages only: whether the signature verifies and covers the manifest.")), verdicts()...), func(r *artifactRow) any { return r.check(domain.CheckSignature) }},
		{oneOf(null(text("check_integrity", "Packages only: whether every listed file exists with its hash and size.")), verdicts()...), func(r *artifactRow) any { return r.check(domain.CheckIntegrity) }},
		{oneOf(null(text("check_completeness", "Packages only: whether every file of the directory is listed.")), verdicts()...), func(r *artifactRow) any { return r.check(domain.CheckCompleteness) }},
		{null(jsonColumn("problems", "Every fault that the checks found: a JSON array of objects with check, code, path and text.")), func(r *artifactRow) any { return r.problems() }},
	}
}

// check is the verdict of a check of a package, NULL when it has none of that name.
func (r *artifactRow) check(name domain.CheckName) any {
	var verdict any
	for i := range r.evidence.Checks {
		if c := &r.evidence.Checks[i]; c.Name == name {
			verdict = r.verdicts.of(string(c.Verdict))
		}
	}
	return verdict
}

// problems lists what the checks of a package found. A check without a column is an error.
func (r *artifactRow) problems() any {
	type problem struct {
		Check domain.CheckName `json:"check"`
		domain.Problem
	}
	var all []problem
	for i := range r.evidence.Checks {
		c := &r.evidence.Checks[i]
		switch c.Name {
		case domain.CheckPresence, domain.CheckSignature, domain.CheckIntegrity, domain.CheckCompleteness:
		default:
			r.fail(fmt.Errorf("evidence check %q has no column", c.Name))
		}
		for _, p := range c.Problems {
			all = append(all, problem{Check: c.Name, Problem: p})
		}
	}
	return jsonList(r.origin, all)
}

// memberRow is what the row of a file of an evidence package is made of.
type memberRow struct {
	*artifactRow

	file *domain.Member
}

func evidenceFilesTable() table[memberRow] {
	return newTable(projections.Table{
		Name: tableEvidenceFiles, Doc: "The files of each evidence package.",
		Key:     []string{"repository_id", "number", "path"},
		Foreign: []projections.ForeignKey{reference("number", domain.KindEvidencePackage.Info().Table)},
	}, []column[memberRow]{
		{repositoryColumn(), func(r *memberRow) any { return r.repository }},
		{numberColumn(), func(r *memberRow) any { return r.number }},
		{text("path", "Path within the package directory."), func(r *memberRow) any { return str(r.file.Path) }},
		{text("sha256", "SHA-256 of the raw bytes, the name of the stored content."), func(r *memberRow) any { return r.file.SHA256 }},
		{text("blob", "Git blob id of the same bytes."), func(r *memberRow) any { return r.file.Blob }},
		{from(0, integer("size", "Bytes.")), func(r *memberRow) any { return r.file.Size }},
	})
}

// words is an index for full-text search over texts together.
func words(columns ...string) projections.Index {
	return projections.Index{Columns: columns, Words: true}
}
