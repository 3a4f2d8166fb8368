package domain_test

import (
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	. "github.com/gxpledger/gxpledger/domain/domaintest"
)

// at is a requirement in a file of that name.
func at(name, id, saying string) domain.File {
	return File(domain.KindRequirement, ".gxp/requirements/"+name+".md", id, saying)
}

// named is f, its bytes as they are, as a reader reads it that finds another id in them.
func named(id string, f domain.File) domain.File {
	f.Artifacts[0].GxPID = id
	return f
}

// adr is a decision record, which has no id, in a file of that name.
func adr(name, saying string) domain.File {
	return File(domain.KindADR, ".gxp/adr/"+name+".md", "", saying)
}

func TestNumbersFollowWhatStaysAndMovesNameTheRest(t *testing.T) {
	t.Parallel()
	req := func(name string) string { return ".gxp/requirements/" + name + ".md" }
	doc := func(name string) string { return ".gxp/adr/" + name + ".md" }
	for name, c := range map[string]struct {
		before, after []domain.File
		want          []Fact
	}{
		"a row of files is renamed": {
			Tree(at("a", "R-1", "x"), at("b", "R-2", "y"), at("c", "R-3", "z")),
			Tree(at("b", "R-1", "x"), at("c", "R-2", "y"), at("d", "R-3", "z")),
			[]Fact{
				MovedAway(req("a"), req("b")), MovedAway(req("b"), req("c")), MovedAway(req("c"), req("d")),
				Moved(req("a"), req("b"), 4), Moved(req("b"), req("c"), 5), Moved(req("c"), req("d"), 6),
			},
		},
		"names are swapped": {
			Tree(at("a", "R-1", "x"), at("b", "R-2", "y")), Tree(at("a", "R-2", "y"), at("b", "R-1", "x")),
			[]Fact{
				MovedAway(req("a"), req("b")), MovedAway(req("b"), req("a")),
				Moved(req("b"), req("a"), 3), Moved(req("a"), req("b"), 4),
			},
		},
		"names go round": {
			Tree(at("a", "R-1", "x"), at("b", "R-2", "y"), at("c", "R-3", "z")),
			Tree(at("a", "R-3", "z"), at("b", "R-1", "x"), at("c", "R-2", "y")),
			[]Fact{
				MovedAway(req("a"), req("b")), MovedAway(req("b"), req("c")), MovedAway(req("c"), req("a")),
				Moved(req("c"), req("a"), 4), Moved(req("a"), req("b"), 5), Moved(req("b"), req("c"), 6),
			},
		},
		"names of files without ids are swapped": {
			Tree(adr("a", "x"), adr("b", "y")), Tree(adr("a", "y"), adr("b", "x")),
			[]Fact{
				MovedAway(doc("a"), doc("b")), MovedAway(doc("b"), doc("a")),
				Moved(doc("b"), doc("a"), 3), Moved(doc("a"), doc("b"), 4),
			},
		},
		"names of files with one id are swapped": {
			Tree(at("a", "R-1", "x"), at("b", "R-1", "y")), Tree(at("a", "R-1", "y"), at("b", "R-1", "x")),
			[]Fact{
				MovedAway(req("a"), req("b")), MovedAway(req("b"), req("a")),
				Moved(req("b"), req("a"), 3), Moved(req("a"), req("b"), 4),
			},
		},
		"a file is renamed and edited, and another takes its name": {
			Tree(at("a", "R-1", "x")), Tree(at("a", "R-2", "y"), at("b", "R-1", "edited")),
			[]Fact{MovedAway(req("a"), req("b")), New(req("a"), 2), Moved(req("a"), req("b"), 3)},
		},
		"a file moves over one that goes": {
			Tree(at("a", "R-1", "x"), at("b", "R-2", "y")), Tree(at("b", "R-1", "x")),
			[]Fact{MovedAway(req("a"), req("b")), Removed(req("b")), Moved(req("a"), req("b"), 3)},
		},
		"a file is edited and moves over one that goes": {
			Tree(at("a", "R-1", "x"), at("b", "R-2", "y")), Tree(at("b", "R-1", "z")),
			[]Fact{MovedAway(req("a"), req("b")), Removed(req("b")), Moved(req("a"), req("b"), 3)},
		},
		"a file is edited where it is": {
			Tree(at("a", "R-1", "x"), at("b", "R-2", "y")), Tree(at("a", "R-1", "edited"), at("b", "R-2", "y")),
			[]Fact{Changed(req("a"), 2)},
		},
		"a file is edited and a copy of what it said is kept": {
			Tree(at("a", "R-1", "x")), Tree(at("a", "R-1", "edited"), at("copy", "R-1", "x")),
			[]Fact{Changed(req("a"), 2), New(req("copy"), 2)},
		},
		"a copy is made": {
			Tree(at("b", "R-1", "x")), Tree(at("a", "R-1", "x"), at("b", "R-1", "x"), at("c", "R-1", "x")),
			[]Fact{New(req("a"), 2), New(req("c"), 3)},
		},
		"a file gets another id, which nobody had": {
			Tree(at("a", "R-1", "x"), at("b", "R-2", "y")), Tree(at("a", "R-9", "x"), at("b", "R-2", "y")),
			[]Fact{Changed(req("a"), 2)},
		},
		"a file gets its first id": {
			Tree(at("a", "", "x")), Tree(at("a", "R-1", "x")),
			[]Fact{Changed(req("a"), 2)},
		},
		"two files swap their ids and nothing else": {
			Tree(at("a", "R-1", "x"), at("b", "R-2", "y")), Tree(at("a", "R-2", "x"), at("b", "R-1", "y")),
			[]Fact{
				MovedAway(req("a"), req("b")), MovedAway(req("b"), req("a")),
				Moved(req("b"), req("a"), 3), Moved(req("a"), req("b"), 4),
			},
		},
		"an exact move is preferred to one with an edit, however far": {
			Tree(at("sub/a", "R-1", "x"), at("sub/b", "R-1", "y")), Tree(at("sub/aa", "R-1", "z"), at("far/away", "R-1", "x")),
			[]Fact{
				MovedAway(req("sub/a"), req("far/away")), MovedAway(req("sub/b"), req("sub/aa")),
				Moved(req("sub/a"), req("far/away"), 3), Moved(req("sub/b"), req("sub/aa"), 4),
			},
		},
		"the nearest directory is preferred": {
			Tree(adr("one/two/x", "x"), adr("one/x", "x"), adr("x", "x")),
			Tree(adr("y", "x"), adr("one/y", "x"), adr("one/two/y", "x")),
			[]Fact{
				MovedAway(doc("one/two/x"), doc("one/two/y")), MovedAway(doc("one/x"), doc("one/y")), MovedAway(doc("x"), doc("y")),
				Moved(doc("one/two/x"), doc("one/two/y"), 4), Moved(doc("one/x"), doc("one/y"), 5), Moved(doc("x"), doc("y"), 6),
			},
		},
		"files keep their names when a directory is renamed": {
			Tree(adr("old/a", "x"), adr("old/b", "x"), adr("old/c", "x")), Tree(adr("new/a", "x"), adr("new/c", "x")),
			[]Fact{
				MovedAway(doc("old/a"), doc("new/a")), Removed(doc("old/b")), MovedAway(doc("old/c"), doc("new/c")),
				Moved(doc("old/a"), doc("new/a"), 4), Moved(doc("old/c"), doc("new/c"), 5),
			},
		},
		"the nearest name is preferred": {
			Tree(adr("0002", "x")), Tree(adr("0001-a", "x"), adr("0002-a", "x"), adr("0003-a", "x")),
			[]Fact{
				MovedAway(doc("0002"), doc("0002-a")),
				New(doc("0001-a"), 2), Moved(doc("0002"), doc("0002-a"), 3), New(doc("0003-a"), 4),
			},
		},
		"bytes move that are read to have another id": {
			Tree(at("a", "R-1", "x"), at("c", "R-3", "y")), Tree(named("R-2", at("b", "R-1", "x")), at("c", "R-3", "y")),
			[]Fact{MovedAway(req("a"), req("b")), Moved(req("a"), req("b"), 3)},
		},
		"bytes stay that are read to have another id, which another had": {
			Tree(at("a", "R-1", "x"), at("b", "R-2", "y")), Tree(ReadBy("rosie/2", named("R-2", at("a", "R-1", "x")))),
			[]Fact{Removed(req("b")), Reread(req("a"), 2)},
		},
		"a file moves away from one that cannot be parsed": {
			Tree(at("a", "R-1", "x")), Tree(Malformed(domain.KindRequirement, req("a"), "---\n["), at("b", "R-1", "x")),
			[]Fact{MovedAway(req("a"), req("b")), Moved(req("a"), req("b"), 2), Rejected(req("a"))},
		},
		"files of two kinds are never one artifact": {
			Tree(at("a", "A-1", "x")), Tree(File(domain.KindADR, req("b"), "A-1", "x")),
			[]Fact{Removed(req("a")), New(req("b"), 2)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := GivenScanned(t, c.before).When(Scan(Flag(), c.after...)).Then(t, c.want...)
			if got, want := d.Next().State().TreeDigest(), d.Completed(t).TreeDigest; got != want {
				t.Error("the state does not have the digest that the scan recorded")
			}
		})
	}
}

func TestRiskEntriesAreKnownByTheirIds(t *testing.T) {
	t.Parallel()
	key := func(ordinal string) string { return riskPath + "#" + ordinal }
	three := []string{"RISK-001", "low", "RISK-002", "high", "RISK-003", "low"}
	for name, c := range map[string]struct {
		before, after []string
		want          []Fact
	}{
		"one is inserted on top": {
			three, append([]string{"RISK-000", "new"}, three...),
			[]Fact{Changed(riskPath, 2).Shifting(1, 2, 2, 3, 3, 4), New(key("1"), 5)},
		},
		"one is inserted on top while another is rated anew": {
			three,
			[]string{"RISK-000", "new", "RISK-001", "low", "RISK-002", "medium", "RISK-003", "low"},
			[]Fact{Changed(riskPath, 2).Shifting(1, 2, 2, 3, 3, 4), New(key("1"), 5), Changed(key("3"), 2)},
		},
		"the first goes": {
			three, three[2:],
			[]Fact{Removed(key("1")), Changed(riskPath, 2).Shifting(2, 1, 3, 2)},
		},
		"they are sorted the other way": {
			three,
			[]string{"RISK-003", "low", "RISK-002", "high", "RISK-001", "low"},
			[]Fact{Changed(riskPath, 2).Shifting(3, 1, 1, 3)},
		},
		"one gets another id": {
			three,
			[]string{"RISK-001", "low", "RISK-009", "high", "RISK-003", "low"},
			[]Fact{Removed(key("2")), Changed(riskPath, 2), New(key("2"), 5)},
		},
		"an id repeats: the same bytes first, then the nearest": {
			[]string{"R", "a", "X", "", "R", "b", "Y", "", "R", "c"},
			[]string{"R", "b", "R", "a", "X", "", "Y", "", "R", "d"},
			[]Fact{Changed(riskPath, 2).Shifting(3, 1, 1, 2, 2, 3), Changed(key("5"), 2)},
		},
		"an id repeats and one goes": {
			[]string{"R", "a", "X", "", "Y", "", "R", "b"},
			[]string{"X", "", "Y", "", "R", "c"},
			[]Fact{Removed(key("1")), Changed(riskPath, 2).Shifting(2, 1, 3, 2, 4, 3), Changed(key("3"), 2)},
		},
		"entries without an id: the same bytes first, then the nearest": {
			[]string{"", "a", "", "b", "X", ""},
			[]string{"X", "", "", "a", "", "c"},
			[]Fact{Changed(riskPath, 2).Shifting(3, 1, 1, 2, 2, 3), Changed(key("3"), 2)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := GivenScanned(t, Tree(RiskLog(c.before...))).When(Scan(Flag(), RiskLog(c.after...))).Then(t, c.want...)
			after := d.Next()
			if got, want := after.State().TreeDigest(), d.Completed(t).TreeDigest; got != want {
				t.Error("the state does not have the digest that the scan recorded")
			}
			after.When(Scan(Flag(), RiskLog(c.after...))).Then(t)
			back := after.When(Scan(Flag(), RiskLog(c.before...))).Next()
			if got, want := back.State().TreeDigest(), GivenScanned(t, Tree(RiskLog(c.before...))).State().TreeDigest(); got != want {
				t.Error("going back does not lead to the tree that was")
			}
		})
	}
}

func TestALinkOfAnEntryThatShiftsIsRelinkedWhereItIs(t *testing.T) {
	t.Parallel()
	log := func(entries ...string) domain.File {
		f := RiskLog(entries...)
		for i := range f.Artifacts[1:] {
			f.Artifacts[i+1].Links = []domain.Link{{Edge: domain.EdgeRiskRequirement, Target: "REQ-001"}}
		}
		return f
	}
	d := GivenScanned(t, Tree(log("RISK-001", "low"))).
		When(Scan(Flag(), log("RISK-000", "new", "RISK-001", "low"), Requirement("REQ-001", "x"))).
		Then(t, New(reqPath, 3), Changed(riskPath, 2).Shifting(1, 2), New(riskPath+"#1", 4), Relinked(riskPath+"#2"))
	if r := d.Relinked()[0]; r.Number != 2 {
		t.Errorf("relinked number %d, want 2", r.Number)
	}
	entry := d.Next().State().Units[riskPath].Artifacts[2]
	if entry.Number != 2 || entry.Version != 1 || entry.Links[0].To == nil {
		t.Errorf("the state knows %+v; want number 2, version 1 and a link to the requirement", entry)
	}
}
