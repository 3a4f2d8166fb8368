package domain_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	. "github.com/gxpledger/gxpledger/domain/domaintest"
)

// What a scan says of itself and of what it did not read is in what it records, whether it completes or is refused.
func TestAScanRecordsWhatItSaysOfItself(t *testing.T) {
	t.Parallel()
	twice := Requirement("REQ-001", "")
	twice.Path, twice.Artifacts[0].Path = ".gxp/requirements/later.md", ".gxp/requirements/later.md"
	policy := Flag()
	policy.Duplicates = domain.DuplicatesUpdate
	scan := Scan(policy, Requirement("REQ-001", ""), twice)
	who := domain.Person{Name: "Ada", Email: "ada@example.org", When: time.Unix(1, 0).UTC()}
	scan.Source = domain.Source{Ref: "main", Commit: Hash("c")[:40], Author: &who, Committer: &who, Message: "m"}
	scan.Actor, scan.ActorFrom, scan.Reason, scan.Reader = "ann", domain.ActorAuthenticated, "why", "reader/2"
	scan.Settings = &domain.Settings{Keys: []string{"k1", "k2"}, Limits: map[string]int64{"members": 3}}
	scan.StartedAt, scan.DecidedAt = time.Unix(2, 0).UTC(), time.Unix(3, 0).UTC()
	scan.Findings = []domain.Finding{{Code: "near_miss", Path: ".gxp/specs/a.MD", Text: "one"}, {Code: "collision", Path: ".gxp/B", Text: "two"}}
	want := scan.Head
	want.Number = 1

	done := Given().When(scan).Completed(t)
	if !reflect.DeepEqual(done.Head, want) {
		t.Errorf("a completed scan says\n%+v\nwant\n%+v", done.Head, want)
	}
	if n := len(scan.Findings); len(done.Findings) != n+1 || !slices.Equal(done.Findings[:n], scan.Findings) || done.Findings[n].Code != domain.FindingDuplicate {
		t.Errorf("findings are %+v, want those of the reader and then the duplicate", done.Findings)
	}
	failed := domain.Fail(domain.State{}, scan.Head, []domain.Violation{{Code: "x"}}, 1)
	if !reflect.DeepEqual(failed.Head, want) {
		t.Errorf("a failed scan says\n%+v\nwant\n%+v", failed.Head, want)
	}
}
