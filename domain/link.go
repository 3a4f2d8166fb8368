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
)

// Broken says why a link leads nowhere. The zero value is a sound link.
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

// Targets returns the kinds that an edge of an artifact of kind child may lead to, in order of preference;
// none when that kind has no such edge.
// The rules are those of ROSIE RFC-001 section 5 and GxP.MD section 4.3, as notes of the corpus state them.
func Targets(child Kind, edge Edge) []Kind {
	switch edge {
	case EdgeParentID:
		return parentKinds(child)
	case EdgeSatisfies:
		return []Kind{KindRequirement}
	case EdgeImplements:
		return []Kind{KindUserStory, KindSpec}
	case EdgeDerivesFrom:
		return []Kind{KindRequirement, KindUserStory, KindSpec}
	case EdgeSpecID, EdgeRiskSpec:
		return []Kind{KindSpec}
	case EdgeTracedUserStory:
		return []Kind{KindUserStory}
	case EdgeRiskRequirement:
		return []Kind{KindRequirement}
	}
	return nil
}

func parentKinds(child Kind) []Kind {
	switch child {
	case KindRequirement, KindUserStory:
		return []Kind{KindRequirement}
	case KindSpec:
		return []Kind{KindUserStory}
	case KindSystemContext, KindEvidenceJWS, KindEvidencePackage, KindADR, KindRiskLog, KindRisk, KindVendorAssessment:
		return nil
	}
	return nil
}
