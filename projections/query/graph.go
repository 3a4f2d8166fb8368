package query

import (
	"context"
	"fmt"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/trace"
)

// Matrix returns the traceability matrix. The error matches trace.ErrTooManyRows when many-to-many links multiply beyond
// memory.
func (r *Reader) Matrix(ctx context.Context, of Scope) (trace.Matrix, error) {
	graph, err := r.graph(ctx, of)
	if err != nil {
		return trace.Matrix{}, err
	}
	return graph.Matrix()
}

// Gaps returns the gaps in traceability, how much is covered, and what a reviewer should look at.
func (r *Reader) Gaps(ctx context.Context, of Scope) (trace.Gaps, error) {
	return r.SelectedGaps(ctx, of, trace.Selection{})
}

// SelectedGaps is [Reader.Gaps] of the artifacts of a selection. Its risk and tier are compared as [Normal].
func (r *Reader) SelectedGaps(ctx context.Context, of Scope, selection trace.Selection) (trace.Gaps, error) {
	graph, err := r.graph(ctx, of)
	if err != nil {
		return trace.Gaps{}, err
	}
	return graph.SelectedGaps(normalSelection(selection)), nil
}

// Select returns which artifacts are of a selection, by repository and number. Its risk and tier are compared as [Normal].
func (r *Reader) Select(ctx context.Context, of Scope, selection trace.Selection) (func(repositoryID string, number int64) trace.Match, error) {
	graph, err := r.graph(ctx, of)
	if err != nil {
		return nil, err
	}
	return graph.Select(normalSelection(selection)), nil
}

func normalSelection(s trace.Selection) trace.Selection {
	s.Risk, s.Tier = Normal(s.Risk), Normal(s.Tier)
	return s
}

// graph reads the artifacts from requirement to evidence of the repositories within a scope, and all links.
func (r *Reader) graph(ctx context.Context, within Scope) (*trace.Graph, error) {
	var rows []tracedRow
	for level := range trace.LevelEvidence + 1 {
		of, err := r.traced(ctx, level, within)
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", level.Group(), err)
		}
		rows = append(rows, of...)
	}
	if err := r.addLastChanged(ctx, rows, within.RepositoryID); err != nil {
		return nil, fmt.Errorf("cannot read the scans of changes: %w", err)
	}
	links, err := r.declared(ctx, within)
	if err != nil {
		return nil, fmt.Errorf("cannot read links: %w", err)
	}
	artifacts := make([]trace.Artifact, len(rows))
	for i := range rows {
		artifacts[i] = rows[i].Artifact
	}
	return trace.New(artifacts, links), nil
}

// tracedRow is an artifact of a level, and what says which scan last changed it.
type tracedRow struct {
	trace.Artifact
	changeScanID, firstScanID string
	digest                    string // of what it says
}

// changeScan is the id of the scan that last changed the bytes of an artifact: an older one than that of its last version
// when that only read them again.
const changeScan = `CASE WHEN a.version = 1 THEN a.scan_id ELSE COALESCE((SELECT v.scan_id FROM artifact_versions v
	WHERE v.repository_id = a.repository_id AND v.number = a.number AND v.change <> 'reread'
	ORDER BY v.version DESC LIMIT 1), a.scan_id) END`

func (r *Reader) traced(ctx context.Context, level trace.Level, within Scope) ([]tracedRow, error) {
	from, err := fromGroup(level.Group())
	if err != nil {
		return nil, err
	}
	columns := []column[tracedRow]{
		{"a.repository_id", func(t *tracedRow) any { return &t.RepositoryID }},
		{"r.name", func(t *tracedRow) any { return &t.Repository }},
		{"a.kind", func(t *tracedRow) any { return (*string)(&t.Kind) }},
		{"a.number", func(t *tracedRow) any { return &t.Number }},
		{"a.gxp_id", func(t *tracedRow) any { return optional(&t.GxPID) }},
		{"a.title", func(t *tracedRow) any { return optional(&t.Title) }},
		{"a.path", func(t *tracedRow) any { return &t.Path }},
		{"a.ordinal", func(t *tracedRow) any { return &t.Ordinal }},
		{"a.risk", func(t *tracedRow) any { return optional(&t.Risk) }},
		{"a.risk_normal", func(t *tracedRow) any { return optional(&t.RiskNormal) }},
		{"a.tier", func(t *tracedRow) any { return optional(&t.Tier) }},
		{"a.tier_normal", func(t *tracedRow) any { return optional(&t.TierNormal) }},
		{"a.digest", func(t *tracedRow) any { return &t.digest }},
		{"a.first_scan_id", func(t *tracedRow) any { return &t.firstScanID }},
		{changeScan, func(t *tracedRow) any { return &t.changeScanID }},
	}
	if level == trace.LevelEvidence {
		columns = append(columns,
			column[tracedRow]{"a.overall", func(t *tracedRow) any { return &t.Overall }},
			column[tracedRow]{"a.state", func(t *tracedRow) any { return (*string)(&t.Evidence) }},
			column[tracedRow]{"a.state_reason", func(t *tracedRow) any { return optional(&t.EvidenceReason) }},
			column[tracedRow]{
				"CASE WHEN a.state_reason = '" + domain.UnverifiedRevoked + "' THEN a.reason END",
				func(t *tracedRow) any { return optional(&t.EvidenceDetail) },
			},
			column[tracedRow]{"a.fingerprint", func(t *tracedRow) any { return optional(&t.Fingerprint) }},
			column[tracedRow]{"a.passed", func(t *tracedRow) any { return pointer(&t.Passed) }},
			column[tracedRow]{"a.failed", func(t *tracedRow) any { return pointer(&t.Failed) }},
			column[tracedRow]{"a.skipped", func(t *tracedRow) any { return pointer(&t.Skipped) }})
	}
	var w where
	within.limit(&w, "a.repository_id")
	return load(ctx, r, columns, from+w.String(), w.args...)
}

// declared reads every link that artifacts declare, with what [trace.New] needs of it.
func (r *Reader) declared(ctx context.Context, within Scope) ([]trace.Link, error) {
	const name = "(SELECT r.name FROM repositories r WHERE r.repository_id = l.repository_id)"
	broken := func(sql string) string {
		return "CASE WHEN l.state <> '" + string(trace.LinkResolved) + "' THEN " + sql + " END"
	}
	var w where
	within.limit(&w, "l.repository_id")
	return load(ctx, r, []column[trace.Link]{
		{"l.repository_id", func(l *trace.Link) any { return &l.RepositoryID }},
		{"l.number", func(l *trace.Link) any { return &l.Number }},
		{"l.edge", func(l *trace.Link) any { return &l.Edge }},
		{"l.target", func(l *trace.Link) any { return &l.Target }},
		{"l.state", func(l *trace.Link) any { return (*string)(&l.State) }},
		{"l.to_number", func(l *trace.Link) any { return optional(&l.ToNumber) }},
		{broken(name), func(l *trace.Link) any { return optional(&l.Repository) }},
		{broken("l.kind"), func(l *trace.Link) any { return optional((*string)(&l.Kind)) }},
		{broken("l.gxp_id"), func(l *trace.Link) any { return optional(&l.GxPID) }},
		{broken("l.path"), func(l *trace.Link) any { return optional(&l.Path) }},
		{broken("l.ordinal"), func(l *trace.Link) any { return optional(&l.Ordinal) }},
	}, "FROM traceability_links l"+w.String()+" ORDER BY l.repository_id, l.number, l.link_index", w.args...)
}
