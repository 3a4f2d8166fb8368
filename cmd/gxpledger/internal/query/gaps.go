package query

import (
	"context"
	"fmt"

	"github.com/gxpledger/gxpledger/domain"
)

// Gap is a place where the chain from requirement to evidence does not hold.
type Gap struct {
	RepositoryID string `json:"repository_id"`
	Repository   string `json:"repository"`
	// Gap is broken_link, no_story, no_spec or no_valid_evidence.
	Gap string `json:"gap"`
	// State is what a traceability matrix calls it: orphaned, wrong_kind, missing, failed or unverified.
	State   string `json:"state"`
	Kind    string `json:"kind"`
	Number  int64  `json:"number"`
	GxPID   string `json:"gxp_id,omitempty"`
	Title   string `json:"title,omitempty"`
	Path    string `json:"path"`
	Ordinal int64  `json:"ordinal"`
	Risk    string `json:"risk,omitempty"`
	// Edge and Target are those of a broken link.
	Edge   string `json:"edge,omitempty"`
	Target string `json:"target,omitempty"`
	// Evidence is what a spec without valid evidence has instead.
	Evidence []GapEvidence `json:"evidence,omitempty"`
}

// GapEvidence is a piece of evidence that does not prove its spec: it is not valid, or it is and says that tests failed.
type GapEvidence struct {
	Name    string `json:"name"` // gxp_id or path
	Path    string `json:"path"`
	Overall string `json:"overall"`
	Failed  int64  `json:"failed,omitempty"` // tests that failed, as it claims

	repository string
	spec       int64
}

// The gaps.
const (
	GapBrokenLink = "broken_link"       // a link that leads nowhere, or to another level
	GapNoStory    = "no_story"          // a requirement that no user story leads to
	GapNoSpec     = "no_spec"           // a user story that no spec leads to
	GapNoEvidence = "no_valid_evidence" // a spec that no valid evidence of tests that passed leads to
)

// The states of gaps, as a traceability matrix calls them.
const (
	StateOrphaned   = "orphaned"   // it names a parent that is not there
	StateWrongKind  = "wrong_kind" // it names a parent at another level
	StateMissing    = "missing"    // nothing leads to it
	StateFailed     = "failed"     // valid evidence leads to it, and says that tests failed
	StateUnverified = "unverified" // evidence leads to it, and none is valid
)

// GapFilter chooses gaps. The zero value chooses all.
type GapFilter struct{ RepositoryID string }

// Name is how people call the artifact: its gxp_id, or else its place.
func (g Gap) Name() string {
	if g.GxPID != "" {
		return g.GxPID
	}
	return keyText(g.Path, g.Ordinal)
}

// Coverage is how much of each level is covered by the next.
type Coverage struct {
	Links        Covered `json:"links"`        // sound, of all
	Requirements Covered `json:"requirements"` // with a user story
	Stories      Covered `json:"user_stories"` // with a spec
	Specs        Covered `json:"specs"`        // with valid evidence of tests that passed
}

// Covered is a part of a whole.
type Covered struct {
	Covered int64 `json:"covered"`
	Total   int64 `json:"total"`
}

// Conditions on an artifact a: something leads to it by a sound link of whatever edge.
const (
	hasStory = `EXISTS (SELECT 1 FROM traceability_links l WHERE l.repository_id = a.repository_id
		AND l.to_requirement = a.number AND l.kind = 'user_story')`
	hasSpec = `EXISTS (SELECT 1 FROM traceability_links l WHERE l.repository_id = a.repository_id
		AND l.to_user_story = a.number AND l.kind = 'spec')`
	hasEvidence = `EXISTS (SELECT 1 FROM traceability_links l JOIN evidence e
			ON e.repository_id = l.repository_id AND e.number = l.number
		WHERE l.repository_id = a.repository_id AND l.to_spec = a.number AND e.overall = 'valid' AND COALESCE(e.failed, 0) = 0)`
)

// Gaps returns every gap, broken links first and then down the levels, each in the order of repositories and paths, and
// how much is covered. Evidence is valid when its signature is and, for a package, each of its checks. It proves its spec
// when it is valid and claims no failed test: a signature under a failure only proves the failure.
func (r *Reader) Gaps(ctx context.Context, filter GapFilter) ([]Gap, Coverage, error) {
	var coverage Coverage
	gaps, err := r.brokenLinks(ctx, filter, &coverage)
	if err != nil {
		return nil, coverage, fmt.Errorf("find broken links: %w", err)
	}
	for _, level := range []struct {
		gap     string
		shelf   Shelf
		has     string
		covered *Covered
	}{
		{GapNoStory, ShelfRequirements, hasStory, &coverage.Requirements},
		{GapNoSpec, ShelfStories, hasSpec, &coverage.Stories},
		{GapNoEvidence, ShelfSpecs, hasEvidence, &coverage.Specs},
	} {
		found, err := r.uncovered(ctx, level.shelf, level.has, filter)
		if err != nil {
			return nil, coverage, fmt.Errorf("find gaps of %s: %w", level.shelf, err)
		}
		for i := range found {
			found[i].Gap = level.gap
		}
		if *level.covered, err = r.covered(ctx, level.shelf, filter); err != nil {
			return nil, coverage, fmt.Errorf("count %s: %w", level.shelf, err)
		}
		level.covered.Covered = level.covered.Total - int64(len(found))
		gaps = append(gaps, found...)
	}
	return gaps, coverage, r.addUnfit(ctx, filter, gaps)
}

func (r *Reader) brokenLinks(ctx context.Context, filter GapFilter, coverage *Coverage) ([]Gap, error) {
	links, err := r.Links(ctx, LinkFilter{RepositoryID: filter.RepositoryID, BrokenOnly: true})
	if err != nil {
		return nil, err
	}
	var w where
	is(&w, "repository_id", filter.RepositoryID)
	all, err := count(ctx, r, "FROM traceability_links"+w.String(), w.args...)
	if err != nil {
		return nil, err
	}
	coverage.Links = Covered{Covered: all - int64(len(links)), Total: all}
	gaps := make([]Gap, len(links))
	for i, l := range links {
		gaps[i] = Gap{
			RepositoryID: l.RepositoryID, Repository: l.Repository, Gap: GapBrokenLink, State: StateOrphaned, Kind: l.Kind,
			Number: l.Number, GxPID: l.GxPID, Path: l.Path, Ordinal: l.Ordinal, Edge: l.Edge, Target: l.Target,
		}
		if l.State == string(domain.BrokenWrongKind) {
			gaps[i].State = StateWrongKind
		}
	}
	return gaps, nil
}

func (r *Reader) uncovered(ctx context.Context, shelf Shelf, has string, filter GapFilter) ([]Gap, error) {
	from, err := shelf.from()
	if err != nil {
		return nil, err
	}
	var w where
	is(&w, "a.repository_id", filter.RepositoryID)
	w.and("NOT " + has)
	gaps, err := load(ctx, r, []column[Gap]{
		{"a.repository_id", func(g *Gap) any { return &g.RepositoryID }},
		{"r.name", func(g *Gap) any { return &g.Repository }},
		{"a.kind", func(g *Gap) any { return &g.Kind }},
		{"a.number", func(g *Gap) any { return &g.Number }},
		{"a.gxp_id", func(g *Gap) any { return optional(&g.GxPID) }},
		{"a.title", func(g *Gap) any { return optional(&g.Title) }},
		{"a.path", func(g *Gap) any { return &g.Path }},
		{"a.ordinal", func(g *Gap) any { return &g.Ordinal }},
		{"a.risk", func(g *Gap) any { return optional(&g.Risk) }},
	}, from+w.String()+" ORDER BY r.name, a.repository_id, a.path, a.ordinal", w.args...)
	for i := range gaps {
		gaps[i].State = StateMissing
	}
	return gaps, err
}

func (r *Reader) covered(ctx context.Context, shelf Shelf, filter GapFilter) (Covered, error) {
	from, err := shelf.from()
	if err != nil {
		return Covered{}, err
	}
	var w where
	is(&w, "a.repository_id", filter.RepositoryID)
	total, err := count(ctx, r, from+w.String(), w.args...)
	return Covered{Total: total}, err
}

// addUnfit names the evidence that leads to a spec and does not prove it.
func (r *Reader) addUnfit(ctx context.Context, filter GapFilter, gaps []Gap) error {
	var w where
	is(&w, "l.repository_id", filter.RepositoryID)
	w.and("(e.overall <> 'valid' OR e.failed > 0)")
	found, err := load(ctx, r, []column[GapEvidence]{
		{"l.repository_id", func(e *GapEvidence) any { return &e.repository }},
		{"l.to_spec", func(e *GapEvidence) any { return &e.spec }},
		{"COALESCE(e.gxp_id, e.path)", func(e *GapEvidence) any { return &e.Name }},
		{"e.path", func(e *GapEvidence) any { return &e.Path }},
		{"e.overall", func(e *GapEvidence) any { return &e.Overall }},
		{"COALESCE(e.failed, 0)", func(e *GapEvidence) any { return &e.Failed }},
	}, `FROM traceability_links l JOIN evidence e ON e.repository_id = l.repository_id AND e.number = l.number
			AND l.to_spec IS NOT NULL`+w.String()+" ORDER BY e.path, l.link_index", w.args...)
	if err != nil {
		return fmt.Errorf("find evidence that proves nothing: %w", err)
	}
	type spec struct {
		repository string
		number     int64
	}
	of := map[spec][]GapEvidence{}
	for _, e := range found {
		at := spec{e.repository, e.spec}
		if n := len(of[at]); n > 0 && of[at][n-1] == e {
			continue // two links of it lead to the same spec
		}
		of[at] = append(of[at], e)
	}
	for i := range gaps {
		g := &gaps[i]
		if g.Gap != GapNoEvidence {
			continue
		}
		if g.Evidence = of[spec{g.RepositoryID, g.Number}]; len(g.Evidence) > 0 {
			g.State = stateOf(g.Evidence)
		}
	}
	return nil
}

// stateOf is failed where a failure is proved, and unverified where nothing is.
func stateOf(evidence []GapEvidence) string {
	for _, e := range evidence {
		if e.Overall == string(domain.VerdictValid) {
			return StateFailed
		}
	}
	return StateUnverified
}
