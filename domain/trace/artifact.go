package trace

import (
	"cmp"

	"github.com/gxpledger/gxpledger/domain"
)

// Level is a level of the traceability from requirement to evidence.
type Level int

// The levels, from above.
const (
	LevelRequirement Level = iota
	LevelStory
	LevelSpec
	LevelEvidence

	levels = 4
)

// Group returns the artifacts of the level.
func (l Level) Group() ArtifactGroup {
	return []ArtifactGroup{GroupRequirements, GroupStories, GroupSpecs, GroupEvidence}[l]
}

// Cell is an artifact in a row of the matrix.
type Cell struct {
	Kind    domain.Kind `json:"kind"`
	Number  int64       `json:"number"` // identifies it in its repository
	GxPID   string      `json:"gxp_id,omitempty"`
	Title   string      `json:"title,omitempty"`
	Path    string      `json:"path"`
	Ordinal int64       `json:"ordinal"`
	State   State       `json:"state"` // the most severe that applies, see [States]
}

// Name is the gxp_id of the artifact, or else its key.
func (c *Cell) Name() string { return cmp.Or(c.GxPID, c.Key()) }

// Key is the key of the artifact as text: the path, with #ordinal behind it unless that is 0.
func (c *Cell) Key() string { return keyText(c.Path, c.Ordinal) }

func keyText(path string, ordinal int64) string {
	return domain.Key{Path: path, Ordinal: int(ordinal)}.String()
}

// Artifact is an artifact of a level. [New] fills State and Reasons; the caller gives all else.
type Artifact struct {
	RepositoryID string `json:"repository_id"`
	Repository   string `json:"repository"`
	Cell
	Risk string `json:"risk,omitempty"`
	Tier string `json:"tier,omitempty"`
	// RiskNormal and TierNormal are the two as they are compared.
	RiskNormal string `json:"-"`
	TierNormal string `json:"-"`
	Overall    string `json:"overall,omitempty"` // of evidence: valid, unsigned, revoked, unverifiable or invalid
	// Fingerprint is that of the key that verified the signature of evidence; "" for none.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Evidence is what evidence is worth for its spec, and EvidenceReason why it is unverified: see [domain.Evidence.Judge].
	Evidence       domain.EvidenceState `json:"evidence,omitempty"`
	EvidenceReason string               `json:"evidence_reason,omitempty"`
	// EvidenceDetail is what the signature of evidence says of a key that was revoked: when, and which.
	EvidenceDetail string `json:"evidence_detail,omitempty"`
	// Passed, Failed and Skipped are the tests of evidence, as it claims; nil when its results are unknown.
	Passed  *int64 `json:"passed,omitempty"`
	Failed  *int64 `json:"failed,omitempty"`
	Skipped *int64 `json:"skipped,omitempty"`
	// LastChanged is the number of the scan that last changed the bytes of the artifact. Reading the same bytes again, with
	// other keys or by another reader, does not count, and neither does a move or a copy of unchanged bytes.
	//
	// An artifact is suspect when a resolved link of it leads to one that was changed later. The first scan records all at
	// once, so that nothing is suspect after it; nor is what one scan changed together. Times that evidence claims decide
	// nothing.
	LastChanged int64    `json:"changed_in_scan"`
	Reasons     []Reason `json:"reasons"` // one or more for every state that applies but covered, the most severe first
}

// Reason says why a state applies.
type Reason struct {
	State  State  `json:"state"`
	Code   string `json:"code,omitempty"`   // why evidence is unverified
	Edge   string `json:"edge,omitempty"`   // of the link that is broken or leads to what changed
	Target string `json:"target,omitempty"` // id that it names
	Text   string `json:"text"`             // in a few words; it holds ids of the repository, hostile until neutralised
}

// LinkState says whether a declared link leads to an artifact.
type LinkState string

// The states of a link. The values are stable.
const (
	LinkResolved  LinkState = "resolved"                        // it leads to an artifact of the right kind
	LinkMissing             = LinkState(domain.BrokenMissing)   // no artifact has the id that it names
	LinkWrongKind           = LinkState(domain.BrokenWrongKind) // one has, at a level that the link cannot lead to
)

// LinkStates returns the states that a link can have.
func LinkStates() []LinkState { return []LinkState{LinkResolved, LinkMissing, LinkWrongKind} }

// Link is a declared link from an artifact to the gxp_id of another, and where it leads.
type Link struct {
	RepositoryID string      `json:"repository_id"`
	Repository   string      `json:"repository"`
	Number       int64       `json:"number"`     // of the artifact that declares it
	Index        int64       `json:"link_index"` // in its file, from 0
	Kind         domain.Kind `json:"kind"`
	GxPID        string      `json:"gxp_id,omitempty"`
	Path         string      `json:"path"`
	Ordinal      int64       `json:"ordinal"`
	Edge         string      `json:"edge"`
	Target       string      `json:"target"`
	State        LinkState   `json:"state"`
	ToKind       domain.Kind `json:"to_kind,omitempty"`
	ToNumber     int64       `json:"to_number,omitempty"`
	ToPath       string      `json:"to_path,omitempty"`
	ScanID       string      `json:"scan_id"` // that resolved it so first
	Position     int64       `json:"position"`
}

// Key is the key of the artifact that declares the link, as text.
func (l *Link) Key() string { return keyText(l.Path, l.Ordinal) }
