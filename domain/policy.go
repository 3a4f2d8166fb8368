package domain

// LinkPolicy decides what a broken link does to a scan.
type LinkPolicy string

// DuplicatePolicy decides what a gxp_id does to a scan that two paths of one kind claim.
type DuplicatePolicy string

// The policies. The values are stored: append only.
const (
	// LinksStrict lets any broken link fail the whole scan: nothing but ScanFailed is recorded. The default.
	LinksStrict LinkPolicy = "strict"
	// LinksFlag commits the scan and keeps each broken link with its reason.
	LinksFlag LinkPolicy = "flag"

	// DuplicatesReject fails the scan. The default.
	DuplicatesReject DuplicatePolicy = "reject"
	// DuplicatesUpdate lets the last path in order win the id; each other path gets a finding.
	DuplicatesUpdate DuplicatePolicy = "update"
)

// Policy is the set of rules that a scan was judged by. It is recorded in every scan.
type Policy struct {
	Links      LinkPolicy      `json:"links"`
	Duplicates DuplicatePolicy `json:"duplicates"`
}

// DefaultPolicy is strict and rejecting: the rules that the user story demands.
func DefaultPolicy() Policy { return Policy{Links: LinksStrict, Duplicates: DuplicatesReject} }
