package query

import (
	"context"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/trace"
)

// versionLinks takes the links of a version, which are stored as the event has them.
type versionLinks struct{ dst *[]trace.VersionLink }

// Scan takes a value of the database.
func (l versionLinks) Scan(src any) error {
	var links []domain.Link
	if err := (decoded{&links}).Scan(src); err != nil {
		return err
	}
	*l.dst = make([]trace.VersionLink, len(links))
	for i, link := range links {
		(*l.dst)[i] = trace.NewVersionLink(link)
	}
	return nil
}

func versionColumns() []column[trace.Version] {
	return []column[trace.Version]{
		{"v.repository_id", func(v *trace.Version) any { return &v.RepositoryID }},
		{"v.number", func(v *trace.Version) any { return &v.Number }},
		{"v.version", func(v *trace.Version) any { return &v.Version }},
		{"v.id", func(v *trace.Version) any { return &v.ID }},
		{"v.kind", func(v *trace.Version) any { return (*string)(&v.Kind) }},
		{"v.path", func(v *trace.Version) any { return &v.Path }},
		{"v.ordinal", func(v *trace.Version) any { return &v.Ordinal }},
		{"v.change", func(v *trace.Version) any { return &v.Change }},
		{"v.moved_from", func(v *trace.Version) any { return optional(&v.MovedFrom) }},
		{"v.previous_sha256", func(v *trace.Version) any { return optional(&v.PreviousSHA256) }},
		{"v.actor", func(v *trace.Version) any { return &v.Actor }},
		{"v.scan_id", func(v *trace.Version) any { return &v.ScanID }},
		{"v.recorded_at", func(v *trace.Version) any { return instant(&v.RecordedAt) }},
		{"v.position", func(v *trace.Version) any { return &v.Position }},
		{"v.gxp_id", func(v *trace.Version) any { return optional(&v.GxPID) }},
		{"v.title", func(v *trace.Version) any { return optional(&v.Title) }},
		{"v.risk", func(v *trace.Version) any { return optional(&v.Risk) }},
		{"v.tier", func(v *trace.Version) any { return optional(&v.Tier) }},
		{"v.status", func(v *trace.Version) any { return optional(&v.Status) }},
		{"v.validation_status", func(v *trace.Version) any { return optional(&v.ValidationStatus) }},
		{"v.assurance_status", func(v *trace.Version) any { return optional(&v.AssuranceStatus) }},
		{"v.fields", func(v *trace.Version) any { return document(&v.Fields) }},
		{"v.links", func(v *trace.Version) any { return versionLinks{&v.Links} }},
		{"v.members", func(v *trace.Version) any { return document(&v.Members) }},
		{"v.evidence", func(v *trace.Version) any { return document(&v.Evidence) }},
		{"v.findings", func(v *trace.Version) any { return document(&v.Findings) }},
		{"v.content_sha256", func(v *trace.Version) any { return &v.ContentSHA256 }},
		{"v.blob", func(v *trace.Version) any { return &v.Blob }},
		{"v.size", func(v *trace.Version) any { return &v.Size }},
		{"v.digest", func(v *trace.Version) any { return &v.Digest }},
		{"v.stamp", func(v *trace.Version) any { return &v.Stamp }},
		{"v.ended_scan_id", func(v *trace.Version) any { return optional(&v.EndedScanID) }},
		{"v.ended_at", func(v *trace.Version) any { return instant(&v.EndedAt) }},
		{"v.ended_position", func(v *trace.Version) any { return optional(&v.EndedPosition) }},
		{"v.end_reason", func(v *trace.Version) any { return optional(&v.EndReason) }},
		{"v.moved_to", func(v *trace.Version) any { return optional(&v.MovedTo) }},
	}
}

// versions reads versions in the order in which they were recorded.
func (r *Reader) versions(ctx context.Context, w *where) ([]trace.Version, error) {
	return load(ctx, r, versionColumns(), "FROM artifact_versions v"+w.String()+" ORDER BY v.position", w.args...)
}

// named returns the versions that ever bore an id, or lay at a path or path#ordinal; of any repository when that is "".
func (r *Reader) named(ctx context.Context, repository, id string) ([]trace.Version, error) {
	var w where
	is(&w, "v.repository_id", repository)
	path, ordinal := splitKey(id)
	w.and("(v.gxp_id = ? OR (v.path = ? AND v.ordinal = 0) OR (v.path = ? AND v.ordinal = ?))", id, id, path, ordinal)
	return r.versions(ctx, &w)
}

// linkChanges reads changes of links in the order in which they were recorded.
func (r *Reader) linkChanges(ctx context.Context, w *where) ([]trace.LinkChange, error) {
	return load(ctx, r, []column[trace.LinkChange]{
		{"c.number", func(c *trace.LinkChange) any { return &c.Number }},
		{"c.link_index", func(c *trace.LinkChange) any { return &c.Index }},
		{"c.kind", func(c *trace.LinkChange) any { return (*string)(&c.Kind) }},
		{"c.path", func(c *trace.LinkChange) any { return &c.Path }},
		{"c.ordinal", func(c *trace.LinkChange) any { return &c.Ordinal }},
		{"c.edge", func(c *trace.LinkChange) any { return &c.Edge }},
		{"c.target", func(c *trace.LinkChange) any { return &c.Target }},
		{"c.state", func(c *trace.LinkChange) any { return (*string)(&c.State) }},
		{"c.to_kind", func(c *trace.LinkChange) any { return optional((*string)(&c.ToKind)) }},
		{"c.to_number", func(c *trace.LinkChange) any { return optional(&c.ToNumber) }},
		{"c.scan_id", func(c *trace.LinkChange) any { return &c.ScanID }},
		{"c.recorded_at", func(c *trace.LinkChange) any { return instant(&c.RecordedAt) }},
		{"c.position", func(c *trace.LinkChange) any { return &c.Position }},
	}, "FROM link_changes c"+w.String()+" ORDER BY c.position, c.change_index", w.args...)
}
