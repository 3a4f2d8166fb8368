package domaintest

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/gxpledger/gxpledger/domain"
)

// Flag is the policy that commits everything.
func Flag() domain.Policy {
	return domain.Policy{Links: domain.LinksFlag, Duplicates: domain.DuplicatesUpdate}
}

// Scan is a scan of files under policy, by "tester".
func Scan(policy domain.Policy, files ...domain.File) domain.Scan {
	at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	return domain.Scan{Head: domain.Head{
		Scan:       "019c0000-0000-7000-8000-000000000001",
		Repository: domain.Repository{ID: "6f1b1f5e-0000-5000-8000-000000000001", Name: "demo", URL: "https://example.org/demo"},
		Actor:      "tester", Policy: policy, Reader: Stamp, StartedAt: at, DecidedAt: at.Add(time.Second),
	}, Files: files}
}

// Stamp is the stamp of every built file.
const Stamp = "rosie/1"

// Hash is a stand-in for a hash of text: 64 hexadecimal digits.
func Hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// File is a file at path that holds one artifact of kind with that id; saying is what it says beside.
func File(kind domain.Kind, path, id, saying string, links ...domain.Link) domain.File {
	sha := Hash(id + saying)
	return domain.File{Path: path, Blob: sha[:40], Stamp: Stamp, Artifacts: []domain.Artifact{{
		Key: domain.Key{Path: path}, Kind: kind, GxPID: id, Title: "Title of " + id,
		Content: domain.Content{SHA256: sha, Blob: sha[:40], Size: int64(len(saying))}, Digest: sha, Links: links,
	}}}
}

// Requirement is a requirement in a file that is named for its id.
func Requirement(id, saying string) domain.File {
	return File(domain.KindRequirement, ".gxp/requirements/"+id+".md", id, saying)
}

// UserStory is a user story with a parent.
func UserStory(id, parent string) domain.File {
	return File(domain.KindUserStory, ".gxp/user_stories/"+id+".md", id, parent,
		domain.Link{Edge: domain.EdgeParentID, Target: parent})
}

// Spec is a spec with a parent.
func Spec(id, parent string) domain.File {
	return File(domain.KindSpec, ".gxp/specs/"+id+".md", id, parent, domain.Link{Edge: domain.EdgeParentID, Target: parent})
}

// RiskLog is a risk log whose entries are given as id and saying, in turn.
func RiskLog(entries ...string) domain.File {
	const path = ".gxp/risk_assessment.log"
	f := File(domain.KindRiskLog, path, "", strings.Join(entries, "\n"))
	for i := 0; i+1 < len(entries); i += 2 {
		a := f.Artifacts[0]
		a.Key, a.Kind, a.GxPID = domain.Key{Path: path, Ordinal: i/2 + 1}, domain.KindRisk, entries[i]
		a.Digest = Hash(entries[i] + entries[i+1])
		f.Artifacts = append(f.Artifacts, a)
	}
	return f
}

// Totals are known results of a test run.
func Totals(passed, failed, skipped int) domain.Results {
	return domain.Results{
		State: domain.ResultsKnown, Totals: &domain.TestTotals{Passed: passed, Failed: failed, Skipped: skipped}, Failing: failed > 0,
	}
}

// Malformed is a file of kind that could not be parsed; saying is what it says.
func Malformed(kind domain.Kind, path, saying string) domain.File {
	sha := Hash(saying)
	return domain.File{Path: path, Blob: sha[:40], Stamp: Stamp, Rejected: &domain.Rejection{
		Kind: kind, Line: 3, Column: 7, Message: "unexpected end of mapping",
		Content: domain.Content{SHA256: sha, Blob: sha[:40], Size: int64(len(saying))},
	}}
}

// Unchanged is f as a reader returns it that did not read it again.
func Unchanged(f domain.File) domain.File {
	return domain.File{Path: f.Path, Blob: f.Blob, Stamp: f.Stamp, Unchanged: true}
}

// ReadBy is f read under another stamp.
func ReadBy(stamp string, f domain.File) domain.File {
	f.Stamp = stamp
	return f
}

// Tree is a list of files.
func Tree(files ...domain.File) []domain.File { return files }
