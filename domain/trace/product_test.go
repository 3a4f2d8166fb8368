package trace_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/domaintest"
	"github.com/gxpledger/gxpledger/domain/trace"
)

// product is a repository of which trees were scanned: what events tell of it, as values for this package. The position of
// everything that a scan recorded is the number of the scan.
type product struct {
	name     string
	state    domain.State
	scans    int64
	versions []trace.Version // in the order in which they were recorded
	current  map[int]int     // index in versions, by the number of the artifact
	links    map[int][]domain.Link
	changes  []trace.LinkChange
	moves    []trace.Move
	since    map[content]int64
	coverage domain.Coverage // as the last scan counted it
}

type content struct {
	kind   domain.Kind
	digest string
}

// given scans trees one after another, each under the policy that commits everything.
func given(t failer, trees ...[]domain.File) *product {
	return givenNamed(t, "demo", trees...)
}

func givenNamed(t failer, name string, trees ...[]domain.File) *product {
	p := &product{name: name, current: map[int]int{}, links: map[int][]domain.Link{}, since: map[content]int64{}}
	for _, tree := range trees {
		p.scan(t, tree)
	}
	return p
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

func (p *product) scan(t failer, tree []domain.File) {
	t.Helper()
	events, err := domain.Decide(p.state, domaintest.Scan(domaintest.Flag(), tree...))
	if err != nil {
		t.Fatalf("given tree does not scan: %v", err)
	}
	p.state = domain.Fold(p.state.Clone(), events...)
	p.scans++
	left := map[domain.Key]int{} // numbers of what moved, by the place that it left
	for _, event := range events {
		switch e := event.(type) {
		case domain.ArtifactRemoved:
			p.end(e.Number, e.MovedTo)
			left[e.Key] = e.Number
		case domain.ArtifactParsed:
			p.end(e.Number, nil)
			p.begin(e)
			if e.MovedFrom != nil {
				p.moves = append(p.moves, trace.Move{From: int64(left[*e.MovedFrom]), To: int64(e.Number)})
			}
		case domain.ArtifactRelinked:
			for _, i := range e.Changed {
				l := trace.NewVersionLink(e.Links[i])
				p.changes = append(p.changes, trace.LinkChange{
					Number: int64(e.Number), Index: int64(i), Edge: l.Edge, Target: l.Target, State: l.State,
					ToKind: l.ToKind, ToNumber: l.ToNumber, Position: p.scans,
				})
			}
			p.links[e.Number] = e.Links
		case domain.ScanCompleted:
			p.coverage = e.Coverage.After
		case domain.RepositoryRegistered, domain.RepositoryChanged, domain.RepositoryRetired, domain.ArtifactRejected, domain.RejectionCleared,
			domain.ScanFailed, domain.AdminActed, domain.KeyTrusted, domain.KeyRevoked, domain.RelayAdded, domain.RelayRemoved, domain.ScanAttemptFailed:
		}
	}
	before := p.since
	p.since = map[content]int64{}
	for _, i := range p.current {
		c := content{p.versions[i].Kind, p.versions[i].Digest}
		p.since[c] = p.scans
		if earlier, there := before[c]; there {
			p.since[c] = earlier
		}
	}
}

func (p *product) end(number int, movedTo *domain.Key) {
	i, there := p.current[number]
	if !there {
		return
	}
	p.versions[i].EndedPosition = p.scans
	if movedTo != nil {
		p.versions[i].MovedTo = movedTo.String()
	}
	delete(p.current, number)
}

func (p *product) begin(e domain.ArtifactParsed) {
	v := trace.Version{
		RepositoryID: p.name, Number: int64(e.Number), Version: int64(e.Version), Kind: e.Kind, Path: e.Path, Ordinal: int64(e.Ordinal),
		Position: p.scans, GxPID: e.GxPID, Title: e.Title, Fields: e.Fields, Members: e.Members, Evidence: e.Evidence,
		Findings: e.Findings, ContentSHA256: e.Content.SHA256, Digest: e.Digest, Stamp: e.Stamp,
	}
	for _, l := range e.Links {
		v.Links = append(v.Links, trace.NewVersionLink(l))
	}
	p.current[e.Number], p.links[e.Number] = len(p.versions), e.Links
	p.versions = append(p.versions, v)
}

// artifacts and their links are those of the last tree.
func (p *product) artifacts() ([]trace.Artifact, []trace.Link) {
	var artifacts []trace.Artifact
	var links []trace.Link
	for number, i := range p.current {
		v := &p.versions[i]
		a := trace.Artifact{RepositoryID: p.name, Repository: p.name, LastChanged: p.since[content{v.Kind, v.Digest}]}
		a.Kind, a.Number, a.GxPID, a.Title, a.Path, a.Ordinal = v.Kind, v.Number, v.GxPID, v.Title, v.Path, v.Ordinal
		if e := v.Evidence; e != nil {
			a.Overall = string(e.Overall())
			a.Evidence, a.EvidenceReason = e.Judge()
			if n := e.Results.Totals; n != nil {
				a.Passed, a.Failed, a.Skipped = count(n.Passed), count(n.Failed), count(n.Skipped)
			}
		}
		artifacts = append(artifacts, a)
		for index, l := range p.links[number] {
			to := trace.NewVersionLink(l)
			links = append(links, trace.Link{
				RepositoryID: p.name, Repository: p.name, Number: v.Number, Index: int64(index), Kind: v.Kind, GxPID: v.GxPID, Path: v.Path,
				Ordinal: v.Ordinal, Edge: to.Edge, Target: to.Target, State: to.State, ToKind: to.ToKind, ToNumber: to.ToNumber,
			})
		}
	}
	return artifacts, links
}

func count(n int) *int64 {
	out := int64(n)
	return &out
}

func (p *product) graph() *trace.Graph { return trace.New(p.artifacts()) }

func (p *product) matrix(t failer) trace.Matrix {
	t.Helper()
	m, err := p.graph().Matrix()
	if err != nil {
		t.Fatalf("matrix: %v", err)
	}
	return m
}

// diff compares the trees of two scans.
func (p *product) diff(from, to int64) trace.Differences {
	upTo, after := max(from, to), min(from, to)
	r := trace.Record{Versions: p.versions, LinkChanges: p.changes}
	var within []trace.Move
	for _, m := range p.moves {
		for _, v := range p.versions {
			if v.Number == m.To && v.Version == 1 && v.Position > after && v.Position <= upTo {
				within = append(within, m)
			}
		}
	}
	r.Moves = trace.NewMoves(within)
	return trace.Diff(trace.Span{From: from, To: to}, r)
}

// lines renders rows for comparison, one line each.
func lines[T any](rows []T, line func(*T) string) string {
	out := make([]string, len(rows))
	for i := range rows {
		out[i] = line(&rows[i])
	}
	return strings.Join(out, "\n")
}

// want compares a text that was rendered for it.
func want(t *testing.T, got string, lines ...string) {
	t.Helper()
	if wanted := strings.Join(lines, "\n"); got != wanted {
		t.Errorf("got\n%s\nwant\n%s", got, wanted)
	}
}

// changes renders changes as "area path op old -> new".
func changes(all []trace.Change) string {
	return lines(all, func(c *trace.Change) string {
		return strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s -> %s", c.Area, c.Path, c.Op, c.Old, c.New)), " ")
	})
}
