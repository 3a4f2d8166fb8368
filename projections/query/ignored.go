package query

import "context"

// Ignored is the files below .gxp/ of one repository of which its last completed scan made no artifact (I18).
type Ignored struct {
	RepositoryID string `json:"repository_id"`
	Repository   string `json:"repository"`
	Scan         int64  `json:"scan"`
	// Count is exact; nil when the scan did not record it, so that it is unknown.
	Count *int64   `json:"count"`
	Paths []string `json:"paths"` // the first domain.MaxIgnored, in order
}

// Ignored returns the ignored files of a repository, or of each when that is "", by name.
func (r *Reader) Ignored(ctx context.Context, repository string) ([]Ignored, error) {
	var w where
	is(&w, "r.repository_id", repository)
	all, err := load(ctx, r, []column[Ignored]{
		{"r.repository_id", func(i *Ignored) any { return &i.RepositoryID }},
		{"r.name", func(i *Ignored) any { return &i.Repository }},
		{"s.number", func(i *Ignored) any { return &i.Scan }},
		{"s.ignored", func(i *Ignored) any { return pointer(&i.Count) }},
		{"s.ignored_paths", func(i *Ignored) any { return document(&i.Paths) }},
	}, "FROM repositories r JOIN scans s ON s.repository_id = r.repository_id AND s.number = r.last_scan_number"+w.String()+
		" ORDER BY r.name, r.repository_id", w.args...)
	for i := range all {
		if all[i].Paths == nil {
			all[i].Paths = []string{}
		}
	}
	return all, err
}
