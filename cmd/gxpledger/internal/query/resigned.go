package query

import (
	"github.com/gxpledger/gxpledger/domain"
)

// What happened to evidence.
const (
	EvidenceResigned   = "re-signed"   // the same claims under another signature
	EvidenceReverified = "re-verified" // the same bytes, checked with other keys or by another reader
	EvidenceReplaced   = "replaced"    // other claims: another test run
)

// resigned says what happened to evidence from before to after; "" for what is no evidence or no other.
func resigned(before, after Version) string {
	switch {
	case before.Evidence == nil || after.Evidence == nil:
		return ""
	case before.Digest == after.Digest && before.Stamp == after.Stamp:
		return ""
	case before.Digest == after.Digest:
		return EvidenceReverified
	case sameClaims(before, after):
		return EvidenceResigned
	default:
		return EvidenceReplaced
	}
}

// sameClaims reports whether two pieces of evidence say the same but for when they were signed, and, for packages, hold
// the same files but for their signature.
func sameClaims(before, after Version) bool {
	for _, c := range compareJSON("", before.Fields, after.Fields) {
		if c.Path != "iat" && c.Path != "exp" {
			return false
		}
	}
	return sameFiles(before, after)
}

func sameFiles(before, after Version) bool {
	if len(before.Members) != len(after.Members) {
		return false
	}
	hashes := map[string]string{}
	for _, m := range before.Members {
		hashes[m.Path] = m.SHA256
	}
	for _, m := range after.Members {
		if old, held := hashes[m.Path]; !held || old != m.SHA256 && !signs(m, before.Evidence, after.Evidence) {
			return false
		}
	}
	return true
}

// signs reports whether a file of a package is its signature.
func signs(m domain.Member, evidence ...*domain.Evidence) bool {
	for _, e := range evidence {
		if e != nil && e.SignerFile == m.Path {
			return true
		}
	}
	return false
}

// specOf is the spec that evidence claims to be for; "" when it names none.
func specOf(v Version) string {
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
