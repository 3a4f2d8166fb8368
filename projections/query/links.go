package query

import (
	"context"
	"fmt"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/trace"
)

func linkColumns() []column[trace.Link] {
	return []column[trace.Link]{
		{"l.repository_id", func(l *trace.Link) any { return &l.RepositoryID }},
		{"r.name", func(l *trace.Link) any { return &l.Repository }},
		{"l.number", func(l *trace.Link) any { return &l.Number }},
		{"l.link_index", func(l *trace.Link) any { return &l.Index }},
		{"l.kind", func(l *trace.Link) any { return (*string)(&l.Kind) }},
		{"l.gxp_id", func(l *trace.Link) any { return optional(&l.GxPID) }},
		{"l.path", func(l *trace.Link) any { return &l.Path }},
		{"l.ordinal", func(l *trace.Link) any { return &l.Ordinal }},
		{"l.edge", func(l *trace.Link) any { return &l.Edge }},
		{"l.target", func(l *trace.Link) any { return &l.Target }},
		{"l.state", func(l *trace.Link) any { return (*string)(&l.State) }},
		{"l.to_kind", func(l *trace.Link) any { return optional((*string)(&l.ToKind)) }},
		{"l.to_number", func(l *trace.Link) any { return optional(&l.ToNumber) }},
		{toPath(), func(l *trace.Link) any { return optional(&l.ToPath) }},
		{"l.scan_id", func(l *trace.Link) any { return &l.ScanID }},
		{"l.position", func(l *trace.Link) any { return &l.Position }},
	}
}

// toPath is the path of what a link leads to.
func toPath() string {
	var paths []string
	for _, kind := range domain.LinkTargets() {
		paths = append(paths, fmt.Sprintf("(SELECT t.path FROM %s t WHERE t.repository_id = l.repository_id AND t.number = l.to_%s)", kind.Info().Table, kind))
	}
	return "COALESCE(" + strings.Join(paths, ", ") + ")"
}

const fromLinks = "FROM traceability_links l JOIN repositories r ON r.repository_id = l.repository_id"

// LinkFilter chooses links. The zero value chooses all.
type LinkFilter struct {
	RepositoryID string
	Number       int64         // of the artifact that declares the link
	ID           string        // gxp_id, path or path#ordinal of the artifact that declares it, or the target as declared
	Kinds        []domain.Kind // of the artifact that declares it
	State        trace.LinkState
	BrokenOnly   bool
	Target       string
	ToNumber     int64
	Text         string // in id, path, edge or target, without regard to case
}

func (f LinkFilter) where() *where {
	var w where
	is(&w, "l.repository_id", f.RepositoryID)
	is(&w, "l.number", f.Number)
	in(&w, "l.kind", f.Kinds)
	is(&w, "l.state", f.State)
	is(&w, "l.target", f.Target)
	is(&w, "l.to_number", f.ToNumber)
	if f.BrokenOnly {
		w.and("l.state <> ?", trace.LinkResolved)
	}
	if f.ID != "" {
		path, ordinal := splitKey(f.ID)
		w.and("(l.gxp_id = ? OR l.target = ? OR l.path = ? OR (l.path = ? AND l.ordinal = ?))", f.ID, f.ID, f.ID, path, ordinal)
	}
	return &w
}

// Links returns links in the order of repositories, and in them of paths.
func (r *Reader) Links(ctx context.Context, filter LinkFilter) ([]trace.Link, error) {
	w := filter.where()
	links, err := load(ctx, r, linkColumns(),
		fromLinks+w.String()+" ORDER BY r.name, l.repository_id, l.path, l.ordinal, l.link_index", w.args...)
	if err != nil {
		return nil, err
	}
	return containing(links, filter.Text, func(l trace.Link) []string { return []string{l.GxPID, l.Path, l.Edge, l.Target} }), nil
}
