package domain_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	. "github.com/gxpledger/gxpledger/domain/domaintest"
)

// The digest of a tree is stored with each scan, and compared for ever: its form is this.
func TestTheDigestOfATreeIsOfTheseLines(t *testing.T) {
	t.Parallel()
	files := Tree(
		Malformed(domain.KindSpec, ".gxp/specs/bad \"one\".md", "what"), Requirement("REQ-001", "one"), UserStory("US-001", "REQ-001"),
		RiskLog("RISK-001", "high", "RISK-002", "low"),
	)
	for _, f := range files[1:] {
		for _, a := range f.Artifacts {
			if len(a.Digest) != 64 || strings.Trim(a.Digest, "0123456789abcdef") != "" {
				t.Fatalf("digest of %s is %q", a.Key, a.Digest)
			}
		}
	}
	req, story, log := files[1].Artifacts[0].Digest, files[2].Artifacts[0].Digest, files[3].Artifacts
	lines := []string{
		`".gxp/requirements/REQ-001.md" 0 requirement "REQ-001" ` + req,
		`".gxp/risk_assessment.log" 0 risk_log "" ` + log[0].Digest,
		`".gxp/risk_assessment.log" 1 risk "RISK-001" ` + log[1].Digest,
		`".gxp/risk_assessment.log" 2 risk "RISK-002" ` + log[2].Digest,
		`".gxp/user_stories/US-001.md" 0 user_story "US-001" ` + story,
		`".gxp/specs/bad \"one\".md" 0 spec "" rejected ` + files[0].Rejected.Content.SHA256,
	}
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n") + "\n"))
	want := hex.EncodeToString(sum[:])
	done := Given().When(Scan(Flag(), files...))
	if got := done.Completed(t).TreeDigest; got != want {
		t.Errorf("a scan records %s, want %s, of\n%s", got, want, strings.Join(lines, "\n"))
	}
	if got := done.Next().State().TreeDigest(); got != want {
		t.Errorf("the state has %s, want %s", got, want)
	}
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	if got := (domain.State{}).TreeDigest(); got != empty {
		t.Errorf("nothing has %s, want %s", got, empty)
	}
}
