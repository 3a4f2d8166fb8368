package query

import (
	"context"

	"github.com/gxpledger/gxpledger/domain"
)

// Link is a declared link from an artifact to the gxp_id of another, and where it leads.
type Link struct {
	RepositoryID string `json:"repository_id"`
	Repository   string `json:"repository"`
	Number       int64  `json:"number"`     // of the artifact that declares it
	Index        int64  `json:"link_index"` // in its file, from 0
	Kind         string `json:"kind"`
	GxPID        string `json:"gxp_id,omitempty"`
	Path         string `json:"path"`
	Ordinal      int64  `json:"ordinal"`
	Edge         string `json:"edge"`
	Target       string `json:"target"`
	State        string `json:"state"` // sound, missing or wrong_kind
	ToKind       string `json:"to_kind,omitempty"`
	ToNumber     int64  `json:"to_number,omitempty"`
	ToPath       string `json:"to_path,omitempty"`
	ScanID       string `json:"scan_id"` // since which it is so
	Position     int64  `json:"position"`
}

// StateSound is the state of a link that leads somewhere; any other is broken.
const StateSound = "sound"

// Key is the place of the artifact that declares the link.
func (l Link) Key() string { return keyText(l.Path, l.Ordinal) }

// keyText is what the tables call a key: the path, with #ordinal behind it unless that is 0.
func keyText(path string, ordinal int64) string {
	return domain.Key{Path: path, Ordinal: int(ordinal)}.String()
}

func linkColumns() []column[Link] {
	return []column[Link]{
		{"l.repository_id", func(l *Link) any { return &l.RepositoryID }},
		{"r.name", func(l *Link) any { return &l.Repository }},
		{"l.number", func(l *Link) any { return &l.Number }},
		{"l.link_index", func(l *Link) any { return &l.Index }},
		{"l.kind", func(l *Link) any { return &l.Kind }},
		{"l.gxp_id", func(l *Link) any { return optional(&l.GxPID) }},
		{"l.path", func(l *Link) any { return &l.Path }},
		{"l.ordinal", func(l *Link) any { return &l.Ordinal }},
		{"l.edge", func(l *Link) any { return &l.Edge }},
		{"l.target", func(l *Link) any { return &l.Target }},
		{"l.state", func(l *Link) any { return &l.State }},
		{"l.to_kind", func(l *Link) any { return optional(&l.ToKind) }},
		{"l.to_number", func(l *Link) any { return optional(&l.ToNumber) }},
		{toPath, func(l *Link) any { return optional(&l.ToPath) }},
		{"l.scan_id", func(l *Link) any { return &l.ScanID }},
		{"l.position", func(l *Link) any { return &l.Position }},
	}
}

// toPath is the path of what a link leads to.
const toPath = `COALESCE(
	(SELECT t.path FROM requirements t WHERE t.repository_id = l.repository_id AND t.number = l.to_requirement),
	(SELECT t.path FROM user_stories t WHERE t.repository_id = l.repository_id AND t.number = l.to_user_story),
	(SELECT t.path FROM specs t WHERE t.repository_id = l.repository_id AND t.number = l.to_spec))`

const fromLinks = "FROM traceability_links l JOIN repositories r ON r.repository_id = l.repository_id"

// LinkFilter chooses links. The zero value chooses all.
type LinkFilter struct {
	RepositoryID string
	Number       int64         // of the artifact that declares the link
	ID           string        // gxp_id, path or path#ordinal of the artifact that declares it, or the target as declared
	Kinds        []domain.Kind // of the artifact that declares it
	State        string
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
		w.and("l.state <> ?", StateSound)
	}
	if f.ID != "" {
		path, ordinal := splitKey(f.ID)
		w.and("(l.gxp_id = ? OR l.target = ? OR l.path = ? OR (l.path = ? AND l.ordinal = ?))", f.ID, f.ID, f.ID, path, ordinal)
	}
	return &w
}

// Links returns links in the order of repositories, and in them of paths.
func (r *Reader) Links(ctx context.Context, filter LinkFilter) ([]Link, error) {
	w := filter.where()
	links, err := load(ctx, r, linkColumns(),
		fromLinks+w.String()+" ORDER BY r.name, l.repository_id, l.path, l.ordinal, l.link_index", w.args...)
	if err != nil {
		return nil, err
	}
	return containing(links, filter.Text, func(l Link) []string { return []string{l.GxPID, l.Path, l.Edge, l.Target} }), nil
}
