package domain

// LinkPolicy decides what a broken link does to a scan.
type LinkPolicy string

// DuplicatePolicy decides what a gxp_id does to a scan that two paths of one kind claim.
type DuplicatePolicy string

// UnsignedPolicy decides what an evidence package without a signature is worth.
type UnsignedPolicy string

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

	// UnsignedUnverified takes a package without a signature as a record that nobody signed: its checks may hold, and it
	// covers nothing. GxP.MD section 4.5 lets signatures be absent. The default.
	UnsignedUnverified UnsignedPolicy = "unverified"
	// UnsignedInvalid takes such a package as invalid: RFC-001 section 6.4. Scans of version 1 were judged so.
	UnsignedInvalid UnsignedPolicy = "invalid"
)

// Policy is the set of rules that a scan was judged by. It is recorded in every scan.
type Policy struct {
	Links      LinkPolicy      `json:"links"`
	Duplicates DuplicatePolicy `json:"duplicates"`
	// Unsigned is part of the stamp of packages: see Scan.Reader.
	Unsigned UnsignedPolicy `json:"unsigned_packages"`
	// AllowSecrets lets a scan store files that hold what looks like a secret.
	AllowSecrets bool `json:"allow_secrets,omitempty"`
}

// DefaultPolicy is strict and rejecting, the rules that the user story demands, and takes packages without a signature as
// unverified.
func DefaultPolicy() Policy {
	return Policy{Links: LinksStrict, Duplicates: DuplicatesReject, Unsigned: UnsignedUnverified}
}
