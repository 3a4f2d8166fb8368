package domain

// Edge is the field in which a child names its parent.
type Edge string

// The edges. The values are stored: append only.
const (
	EdgeParentID        Edge = "parent_id"
	EdgeSatisfies       Edge = "satisfies"
	EdgeImplements      Edge = "implements"
	EdgeDerivesFrom     Edge = "derives_from"
	EdgeSpecID          Edge = "spec_id"
	EdgeTracedUserStory Edge = "traced_user_story"
	EdgeRiskRequirement Edge = "risk.req"
	EdgeRiskSpec        Edge = "risk.spec"
	// EdgeTracedRequirement is that of a manifest or of evidence that names the requirement it traces to.
	EdgeTracedRequirement Edge = "traced_requirement"
)

// Broken says why a link leads nowhere. The zero value is a resolved link.
type Broken string

// The reasons. The values are stored: append only.
const (
	BrokenMissing   Broken = "missing"    // no artifact of the tree has this gxp_id
	BrokenWrongKind Broken = "wrong_kind" // one has it, but at a level that the edge cannot lead to
)

// Link is one declared reference from an artifact to the gxp_id of another. The reader fills Edge and Target;
// [Decide] resolves them within one tree, exactly and case-sensitively, and fills To or Broken.
type Link struct {
	Edge   Edge   `json:"edge"`
	Target string `json:"target"` // gxp_id as declared
	// To is the artifact that the link leads to. Nil when it is broken.
	To     *Ref   `json:"to,omitempty"`
	Broken Broken `json:"broken,omitempty"`
}

// Ref points at an artifact of the same repository: its number and what a reader of the link wants to know.
type Ref struct {
	Number int  `json:"number"` // see ArtifactParsed.Number
	Kind   Kind `json:"kind"`
}
