package domain_test

import (
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	. "github.com/gxpledger/gxpledger/domain/domaintest"
)

// TestPropertyRenamingFilesIsMovesAndNothingElse: files with ids of their own, or of one kind without ids and bytes of their
// own, get names of each other and new ones.
func TestPropertyRenamingFilesIsMovesAndNothingElse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var before, after []domain.File
		kinds := []domain.Kind{domain.KindRequirement, domain.KindADR}
		for _, kind := range kinds {
			n := rapid.IntRange(0, 6).Draw(t, "files")
			names := rapid.Permutation([]int{0, 1, 2, 3, 4, 5, 6, 7}).Draw(t, "names")
			for i := range n {
				id := fmt.Sprint("ID-", i)
				if kind == domain.KindADR {
					id = ""
				}
				text := fmt.Sprint("text ", i)
				before = append(before, File(kind, fmt.Sprintf(".gxp/%s/%d.md", kind, i), id, text))
				after = append(after, File(kind, fmt.Sprintf(".gxp/%s/%d.md", kind, names[i]), id, text))
			}
		}
		story := Given()
		first := story.When(Scan(Flag(), before...))
		second := first.Next().When(Scan(domain.DefaultPolicy(), rapid.Permutation(after).Draw(t, "order")...))
		if second.Err() != nil {
			t.Fatal(second.Err())
		}
		moved := 0
		for i := range before {
			if before[i].Path != after[i].Path {
				moved++
			}
		}
		parsed, removed := 0, 0
		for _, e := range second.Events() {
			switch e := e.(type) {
			case domain.ArtifactParsed:
				parsed++
				if e.Change != domain.ChangeNew || e.MovedFrom == nil || e.Version != 1 || e.Number <= len(before) {
					t.Fatalf("%s is told as %s, version %d of number %d, moved from %v", e.Key, e.Change, e.Version, e.Number, e.MovedFrom)
				}
				from := slices.IndexFunc(before, func(f domain.File) bool { return f.Path == e.MovedFrom.Path })
				if before[from].Artifacts[0].Digest != e.Digest || after[from].Path != e.Path {
					t.Fatalf("%s is told to be from %s", e.Key, e.MovedFrom)
				}
			case domain.ArtifactRemoved:
				removed++
				if e.MovedTo == nil {
					t.Fatalf("%s is told as removed", e.Key)
				}
			case domain.RepositoryRegistered, domain.RepositoryChanged, domain.RepositoryRetired, domain.ArtifactRejected, domain.RejectionCleared,
				domain.ArtifactRelinked, domain.ScanCompleted, domain.ScanFailed, domain.AdminActed, domain.KeyTrusted, domain.KeyRevoked, domain.RelayAdded, domain.RelayRemoved, domain.ScanAttemptFailed:
			}
		}
		if parsed != moved || removed != moved {
			t.Fatalf("%d files were renamed; %d are told as gone, %d as come", moved, removed, parsed)
		}
		checkTree(t, second.Next().State(), after)
	})
}

// drawLikely draws trees of few directories, names, ids and words, in which many artifacts are alike. The same bytes may have
// different ids: a reader of another stamp may find another one in them.
func drawLikely(t *rapid.T, stamp string) []domain.File {
	var files []domain.File
	for _, dir := range []string{"", "one/", "one/two/", "three/"} {
		for _, name := range []string{"a", "b", "ab"} {
			if !rapid.Bool().Draw(t, "there") {
				continue
			}
			id := rapid.SampledFrom([]string{"", "R-1", "R-2"}).Draw(t, "id")
			f := at(dir+name, id, rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "word"))
			if stamp != Stamp && rapid.Bool().Draw(t, "bytes of another id") {
				f = named(id, at(dir+name, "R-1", "x"))
			}
			files = append(files, ReadBy(stamp, f))
		}
	}
	return rapid.Permutation(files).Draw(t, "order")
}

// side is what a decision tells of one artifact that left its path or arrived at one.
type side struct {
	key, other domain.Key
	kind       domain.Kind
	id, digest string
	paired     bool
}

func sides(before domain.State, events []domain.Event) (left, came []side) {
	for _, e := range events {
		switch e := e.(type) {
		case domain.ArtifactRemoved:
			unit := before.Units[e.Path].Artifacts
			i := slices.IndexFunc(unit, func(k domain.Known) bool { return k.Ordinal == e.Ordinal })
			s := side{key: e.Key, kind: e.Kind, id: e.GxPID, digest: unit[i].Digest}
			if e.MovedTo != nil {
				s.paired, s.other = true, *e.MovedTo
			}
			left = append(left, s)
		case domain.ArtifactParsed:
			if e.Change != domain.ChangeNew {
				continue
			}
			s := side{key: e.Key, kind: e.Kind, id: e.GxPID, digest: e.Digest}
			if e.MovedFrom != nil {
				s.paired, s.other = true, *e.MovedFrom
			}
			came = append(came, s)
		case domain.RepositoryRegistered, domain.RepositoryChanged, domain.RepositoryRetired, domain.ArtifactRejected, domain.RejectionCleared,
			domain.ArtifactRelinked, domain.ScanCompleted, domain.ScanFailed, domain.AdminActed, domain.KeyTrusted, domain.KeyRevoked, domain.RelayAdded, domain.RelayRemoved, domain.ScanAttemptFailed:
		}
	}
	return left, came
}

// TestPropertyPairingIsAMatchingAndTheBestOne: each is paired once at most; by id and bytes as often as can be, then by id,
// then by bytes; and no two that are alike are nearer to each other than each is to the one that it is paired with.
func TestPropertyPairingIsAMatchingAndTheBestOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		first := Given().When(Scan(Flag(), drawLikely(t, Stamp)...)).Next()
		files := drawLikely(t, rapid.SampledFrom([]string{Stamp, "rosie/2"}).Draw(t, "stamp"))
		d := first.When(Scan(Flag(), files...))
		if d.Err() != nil {
			t.Fatal(d.Err())
		}
		left, came := sides(first.State(), d.Events())
		for _, a := range left {
			for _, b := range came {
				if (a.paired && a.other == b.key) != (b.paired && b.other == a.key) {
					t.Fatalf("%+v and %+v contradict each other", a, b)
				}
				if a.key == b.key && !a.paired && !b.paired {
					t.Fatalf("%s is told as removed and as new", a.key)
				}
				checkBest(t, a, b, left, came)
			}
		}
		checkTree(t, d.Next().State(), files)
		if got, want := d.Next().State().TreeDigest(), completedOf(t, d).TreeDigest; got != want {
			t.Fatal("the state does not have the digest that the scan recorded")
		}
	})
}

// likeness is 3 for the same id and bytes, 2 for the same id, 1 for the same bytes, 0 for neither.
func likeness(a, b side) int {
	switch {
	case a.kind != b.kind:
		return 0
	case a.id == b.id && a.digest == b.digest:
		return 3
	case a.id == b.id && a.id != "":
		return 2
	case a.digest == b.digest:
		return 1
	}
	return 0
}

// closeness orders pairs: by likeness, then by directories in common, by the name of the file, and by the leading bytes.
func closeness(a, b side) []int {
	dir := func(s side) []string { return strings.Split(path.Dir(s.key.Path), "/") }
	common := 0
	for x, y := dir(a), dir(b); common < min(len(x), len(y)) && x[common] == y[common]; common++ {
	}
	name, bytes := 0, 0
	if path.Base(a.key.Path) == path.Base(b.key.Path) {
		name = 1
	}
	for x, y := a.key.Path, b.key.Path; bytes < min(len(x), len(y)) && x[bytes] == y[bytes]; bytes++ {
	}
	return []int{likeness(a, b), common, name, bytes}
}

func checkBest(t *rapid.T, a, b side, left, came []side) {
	this := closeness(a, b)
	if this[0] == 0 {
		if a.paired && a.other == b.key {
			t.Fatalf("%+v and %+v are not alike and are told as one", a, b)
		}
		return
	}
	better := func(s side, others []side, of func(other side) []int) bool {
		if !s.paired {
			return false
		}
		i := slices.IndexFunc(others, func(o side) bool { return o.key == s.other })
		return slices.Compare(of(others[i]), this) >= 0
	}
	if !better(a, came, func(o side) []int { return closeness(a, o) }) && !better(b, left, func(o side) []int { return closeness(o, b) }) {
		t.Fatalf("%+v and %+v are nearer to each other than to what they are paired with", a, b)
	}
}

// TestPropertyAnIdOrBytesThatStayAreNeverPairedAway: what has the same bytes at its path keeps its number; so does what has
// the same id there, unless the bytes that are there now were at another path and are there no more.
func TestPropertyAnIdOrBytesThatStayAreNeverPairedAway(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		first := Given().When(Scan(Flag(), drawLikely(t, Stamp)...)).Next()
		files := drawLikely(t, rapid.SampledFrom([]string{Stamp, "rosie/2"}).Draw(t, "stamp"))
		after := first.When(Scan(Flag(), files...)).Next().State()
		type bytes struct{ id, digest string }
		left := map[bytes]bool{}
		for path, unit := range first.State().Units {
			was := unit.Artifacts[0]
			if now := after.Units[path]; now == nil || now.Artifacts[0].Digest != was.Digest {
				left[bytes{was.GxPID, was.Digest}] = true
			}
		}
		for path, unit := range first.State().Units {
			if after.Units[path] == nil {
				continue
			}
			was, is := unit.Artifacts[0], after.Units[path].Artifacts[0]
			sameID := was.GxPID == is.GxPID && is.GxPID != "" && !left[bytes{is.GxPID, is.Digest}]
			if (was.Digest == is.Digest || sameID) && was.Number != is.Number {
				t.Fatalf("%s was %+v and is %+v; want the same number", path, was, is)
			}
		}
	})
}

// TestPropertyTheOrderOfFilesIsNoMatter: the same events, whatever the order in which files are read.
func TestPropertyTheOrderOfFilesIsNoMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		first := Given().When(Scan(Flag(), drawLikely(t, Stamp)...)).Next()
		files := append(drawLikely(t, "rosie/2"), drawTree(t)...)
		want := first.When(Scan(Flag(), files...)).Events()
		for range 3 {
			got := first.When(Scan(Flag(), rapid.Permutation(files).Draw(t, "again")...)).Events()
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("recorded\n%+v\nand, in another order,\n%+v", want, got)
			}
		}
	})
}

// TestPropertyRiskEntriesWithIdsOfTheirOwnNeverChangeByTheirPlace: any entries, in any order, others between them.
func TestPropertyRiskEntriesWithIdsOfTheirOwnNeverChangeByTheirPlace(t *testing.T) {
	t.Parallel()
	draw := func(t *rapid.T) []string {
		var entries []string
		for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(1, 8), 1, 8, rapid.ID).Draw(t, "entries") {
			entries = append(entries, fmt.Sprint("RISK-", n), "text")
		}
		return entries
	}
	rapid.Check(t, func(t *rapid.T) {
		story, numbers := Given(), map[string]int{}
		for range rapid.IntRange(2, 5).Draw(t, "scans") {
			entries := draw(t)
			d := story.When(Scan(Flag(), RiskLog(entries...)))
			story = d.Next()
			if story.State().TreeDigest() != completedOf(t, d).TreeDigest {
				t.Fatal("the state does not have the digest that the scan recorded")
			}
			now := map[string]int{}
			for i, k := range story.State().Units[riskPath].Artifacts[1:] {
				if k.Version != 1 || k.Ordinal != i+1 || k.GxPID != entries[2*i] {
					t.Fatalf("entry %d is %+v, want %s at version 1", i+1, k, entries[2*i])
				}
				if old, there := numbers[k.GxPID]; there && old != k.Number {
					t.Fatalf("%s was number %d and is %d", k.GxPID, old, k.Number)
				}
				now[k.GxPID] = k.Number
			}
			numbers = now
		}
	})
}

// TestManyThatAreAlikeArePairedAtOnce: comparing each with each would be ten thousand million comparisons.
func TestManyThatAreAlikeArePairedAtOnce(t *testing.T) {
	t.Parallel()
	const n = 100_000
	for name, of := range map[string]func(dir, i int) domain.File{
		"in one directory, one id":      func(dir, i int) domain.File { return at(fmt.Sprintf("%d-%d", dir, i), "R", fmt.Sprint(dir, i)) },
		"in many directories, one name": func(dir, i int) domain.File { return adr(fmt.Sprintf("%d/%d/a", dir, i), "x") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var before, after []domain.File
			for i := range n {
				before, after = append(before, of(0, i)), append(after, of(1, i))
			}
			d := GivenScanned(t, before).When(Scan(Flag(), after...))
			moved := 0
			for _, e := range d.Events() {
				if p, ok := e.(domain.ArtifactParsed); ok && p.MovedFrom != nil {
					moved++
				}
			}
			if moved != n {
				t.Errorf("%d of %d are told as moved", moved, n)
			}
		})
	}
}

func completedOf(t *rapid.T, d Decision) domain.ScanCompleted {
	events := d.Events()
	done, ok := events[len(events)-1].(domain.ScanCompleted)
	if !ok {
		t.Fatalf("last event is %T, want ScanCompleted", events[len(events)-1])
	}
	return done
}
