package query

import (
	"context"
	"time"
)

// Finding is something that a reviewer should look at. It does not fail a scan.
type Finding struct {
	RepositoryID string `json:"repository_id"`
	Repository   string `json:"repository"`
	Number       int64  `json:"number"` // of the artifact; 0 for the tree as a whole
	Code         string `json:"code"`
	Kind         string `json:"kind,omitempty"`
	GxPID        string `json:"gxp_id,omitempty"`
	Path         string `json:"path,omitempty"`
	Line         int64  `json:"line,omitempty"`
	Text         string `json:"text"`
	ScanID       string `json:"scan_id"`
	Position     int64  `json:"position"`
}

// FindingFilter chooses findings. The zero value chooses all.
type FindingFilter struct {
	RepositoryID string
	Number       int64 // of the artifact
	ID           string
	Text         string // in code, id, path or text, without regard to case
}

// Findings returns findings in the order of repositories, and in them of paths.
func (r *Reader) Findings(ctx context.Context, filter FindingFilter) ([]Finding, error) {
	var w where
	is(&w, "f.repository_id", filter.RepositoryID)
	is(&w, "f.number", filter.Number)
	if filter.ID != "" {
		w.and("(f.gxp_id = ? OR f.path = ? OR f.code = ?)", filter.ID, filter.ID, filter.ID)
	}
	findings, err := load(ctx, r, []column[Finding]{
		{"f.repository_id", func(f *Finding) any { return &f.RepositoryID }},
		{"r.name", func(f *Finding) any { return &f.Repository }},
		{"f.number", func(f *Finding) any { return &f.Number }},
		{"f.code", func(f *Finding) any { return &f.Code }},
		{"f.kind", func(f *Finding) any { return optional(&f.Kind) }},
		{"f.gxp_id", func(f *Finding) any { return optional(&f.GxPID) }},
		{"f.path", func(f *Finding) any { return optional(&f.Path) }},
		{"f.line", func(f *Finding) any { return optional(&f.Line) }},
		{"f.text", func(f *Finding) any { return &f.Text }},
		{"f.scan_id", func(f *Finding) any { return &f.ScanID }},
		{"f.position", func(f *Finding) any { return &f.Position }},
	}, "FROM findings f JOIN repositories r ON r.repository_id = f.repository_id"+w.String()+
		" ORDER BY r.name, f.repository_id, f.path, f.number, f.finding_index", w.args...)
	if err != nil {
		return nil, err
	}
	return containing(findings, filter.Text, func(f Finding) []string { return []string{f.Code, f.GxPID, f.Path, f.Text} }), nil
}

// Rejected is a file of a known kind that the last completed scan could not parse.
type Rejected struct {
	RepositoryID  string    `json:"repository_id"`
	Repository    string    `json:"repository"`
	Path          string    `json:"path"`
	Kind          string    `json:"kind"`
	Line          int64     `json:"line,omitempty"`
	Column        int64     `json:"col,omitempty"`
	Message       string    `json:"message"`
	ContentSHA256 string    `json:"content_sha256,omitempty"` // absent when the file was too large to read
	Blob          string    `json:"blob,omitempty"`
	Size          int64     `json:"size"`
	ScanID        string    `json:"scan_id"`
	RejectedAt    time.Time `json:"rejected_at"`
	Position      int64     `json:"position"`
}

// RejectedFilter chooses rejected files. The zero value chooses all.
type RejectedFilter struct {
	RepositoryID string
	Path         string
	Text         string // in path or message, without regard to case
}

// Rejected returns rejected files in the order of repositories, and in them of paths.
func (r *Reader) Rejected(ctx context.Context, filter RejectedFilter) ([]Rejected, error) {
	var w where
	is(&w, "f.repository_id", filter.RepositoryID)
	is(&w, "f.path", filter.Path)
	rejected, err := load(ctx, r, []column[Rejected]{
		{"f.repository_id", func(f *Rejected) any { return &f.RepositoryID }},
		{"r.name", func(f *Rejected) any { return &f.Repository }},
		{"f.path", func(f *Rejected) any { return &f.Path }},
		{"f.kind", func(f *Rejected) any { return &f.Kind }},
		{"f.line", func(f *Rejected) any { return optional(&f.Line) }},
		{"f.col", func(f *Rejected) any { return optional(&f.Column) }},
		{"f.message", func(f *Rejected) any { return &f.Message }},
		{"f.content_sha256", func(f *Rejected) any { return optional(&f.ContentSHA256) }},
		{"f.blob", func(f *Rejected) any { return optional(&f.Blob) }},
		{"f.size", func(f *Rejected) any { return &f.Size }},
		{"f.scan_id", func(f *Rejected) any { return &f.ScanID }},
		{"f.rejected_at", func(f *Rejected) any { return instant(&f.RejectedAt) }},
		{"f.position", func(f *Rejected) any { return &f.Position }},
	}, "FROM rejected_files f JOIN repositories r ON r.repository_id = f.repository_id"+w.String()+
		" ORDER BY r.name, f.repository_id, f.path", w.args...)
	if err != nil {
		return nil, err
	}
	return containing(rejected, filter.Text, func(f Rejected) []string { return []string{f.Path, f.Message} }), nil
}
