package trace

import (
	"github.com/gxpledger/gxpledger/domain"
)

// What happened to evidence.
const (
	// EvidenceSignature is another signature over the same payload. Whoever has no key can make one: of an ECDSA signature
	// (r, s) the encoding (r, n-s) is valid too.
	EvidenceSignature  = "signature changed, payload unchanged"
	EvidenceSameClaims = "signature changed, same claims" // like EvidenceSignature, of scans that did not record the payload's hash
	EvidenceResigned   = "re-signed"                      // the same claims, signed at another time or until another time
	EvidenceReverified = "re-verified"                    // the same bytes, checked with other keys
	EvidenceNewer      = "read by a newer reader"         // the same bytes
	EvidenceReplaced   = "replaced"                       // other claims: another test run
)

// sameClaims reports whether two pieces of evidence claim the same except when they were signed and, as packages, hold
// the same files except their signature.
func sameClaims(before, after *Version, fields []Change) bool {
	for _, c := range fields {
		if c.Path != "iat" && c.Path != "exp" {
			return false
		}
	}
	if len(before.Members) != len(after.Members) {
		return false
	}
	hashes := map[string]string{}
	for _, m := range before.Members {
		hashes[m.Path] = m.SHA256
	}
	for _, m := range after.Members {
		signature := m.Path == before.Evidence.SignerFile || m.Path == after.Evidence.SignerFile
		if old, held := hashes[m.Path]; !held || old != m.SHA256 && !signature {
			return false
		}
	}
	return true
}

// claimedSpec is the spec that evidence claims to be for; "" when it names none.
func claimedSpec(v *Version) string {
	if v.Evidence == nil {
		return ""
	}
	if v.Evidence.SpecID != "" {
		return v.Evidence.SpecID
	}
	for _, l := range v.Links {
		if l.Edge == string(domain.EdgeSpecID) {
			return l.Target
		}
	}
	return ""
}
