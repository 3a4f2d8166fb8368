package query

import (
	"context"
	"encoding/json"
	"time"

	"github.com/gxpledger/gxpledger/domain"
)

// Version is one version of an artifact: what it said, and from when to when it was so.
type Version struct {
	RepositoryID     string           `json:"-"`
	Number           int64            `json:"number"`
	Version          int64            `json:"version"`
	ID               string           `json:"id"`
	Kind             string           `json:"kind"`
	Path             string           `json:"path"`
	Ordinal          int64            `json:"ordinal"`
	Change           string           `json:"change"` // new, changed or reread
	MovedFrom        string           `json:"moved_from,omitempty"`
	PreviousSHA256   string           `json:"previous_sha256,omitempty"`
	Actor            string           `json:"actor"`
	ScanID           string           `json:"scan_id"`
	RecordedAt       time.Time        `json:"recorded_at"`
	Position         int64            `json:"position"`
	GxPID            string           `json:"gxp_id,omitempty"`
	Title            string           `json:"title,omitempty"`
	Risk             string           `json:"risk,omitempty"`
	Tier             string           `json:"tier,omitempty"`
	Status           string           `json:"status,omitempty"`
	ValidationStatus string           `json:"validation_status,omitempty"`
	AssuranceStatus  string           `json:"assurance_status,omitempty"`
	Fields           json.RawMessage  `json:"fields,omitempty"`
	Links            []VersionLink    `json:"links"`
	Members          []domain.Member  `json:"members,omitempty"`
	Evidence         *domain.Evidence `json:"evidence,omitempty"`
	Findings         []domain.Finding `json:"findings,omitempty"`
	ContentSHA256    string           `json:"content_sha256"`
	Blob             string           `json:"blob"`
	Size             int64            `json:"size"`
	Digest           string           `json:"digest"`
	Stamp            string           `json:"stamp"`
	EndedScanID      string           `json:"ended_scan_id,omitempty"` // absent while it is the current version
	EndedAt          time.Time        `json:"ended_at,omitzero"`
	EndedPosition    int64            `json:"ended_position,omitempty"`
	EndReason        string           `json:"end_reason,omitempty"`
	MovedTo          string           `json:"moved_to,omitempty"`
}

// Key is the place of the artifact: the path, with #ordinal behind it unless that is 0.
func (v Version) Key() string { return keyText(v.Path, v.Ordinal) }

// Name is how people call the artifact: its gxp_id, or else its place.
func (v Version) Name() string {
	if v.GxPID != "" {
		return v.GxPID
	}
	return v.Key()
}

// VersionLink is a link as one version declares it and as it resolved at some scan.
type VersionLink struct {
	Edge     string `json:"edge"`
	Target   string `json:"target"`
	State    string `json:"state"` // sound, missing or wrong_kind
	ToKind   string `json:"to_kind,omitempty"`
	ToNumber int64  `json:"to_number,omitempty"`
}

// versionLinks takes the links of a version, which are stored as the event has them.
type versionLinks struct{ dst *[]VersionLink }

// Scan takes a value of the database.
func (l versionLinks) Scan(src any) error {
	var links []domain.Link
	if err := (decoded{&links}).Scan(src); err != nil {
		return err
	}
	*l.dst = make([]VersionLink, len(links))
	for i, link := range links {
		v := VersionLink{Edge: string(link.Edge), Target: link.Target, State: StateSound}
		if link.Broken != "" {
			v.State = string(link.Broken)
		}
		if link.To != nil {
			v.ToKind, v.ToNumber = string(link.To.Kind), int64(link.To.Number)
		}
		(*l.dst)[i] = v
	}
	return nil
}

func allVersionColumns() []column[Version] {
	return append(append(versionHeadColumns(), versionBodyColumns()...), versionEndColumns()...)
}

func versionHeadColumns() []column[Version] {
	return []column[Version]{
		{"v.repository_id", func(v *Version) any { return &v.RepositoryID }},
		{"v.number", func(v *Version) any { return &v.Number }},
		{"v.version", func(v *Version) any { return &v.Version }},
		{"v.id", func(v *Version) any { return &v.ID }},
		{"v.kind", func(v *Version) any { return &v.Kind }},
		{"v.path", func(v *Version) any { return &v.Path }},
		{"v.ordinal", func(v *Version) any { return &v.Ordinal }},
		{"v.change", func(v *Version) any { return &v.Change }},
		{"v.moved_from", func(v *Version) any { return optional(&v.MovedFrom) }},
		{"v.previous_sha256", func(v *Version) any { return optional(&v.PreviousSHA256) }},
		{"v.actor", func(v *Version) any { return &v.Actor }},
		{"v.scan_id", func(v *Version) any { return &v.ScanID }},
		{"v.recorded_at", func(v *Version) any { return instant(&v.RecordedAt) }},
		{"v.position", func(v *Version) any { return &v.Position }},
	}
}

func versionBodyColumns() []column[Version] {
	return []column[Version]{
		{"v.gxp_id", func(v *Version) any { return optional(&v.GxPID) }},
		{"v.title", func(v *Version) any { return optional(&v.Title) }},
		{"v.risk", func(v *Version) any { return optional(&v.Risk) }},
		{"v.tier", func(v *Version) any { return optional(&v.Tier) }},
		{"v.status", func(v *Version) any { return optional(&v.Status) }},
		{"v.validation_status", func(v *Version) any { return optional(&v.ValidationStatus) }},
		{"v.assurance_status", func(v *Version) any { return optional(&v.AssuranceStatus) }},
		{"v.fields", func(v *Version) any { return document(&v.Fields) }},
		{"v.links", func(v *Version) any { return versionLinks{&v.Links} }},
		{"v.members", func(v *Version) any { return document(&v.Members) }},
		{"v.evidence", func(v *Version) any { return document(&v.Evidence) }},
		{"v.findings", func(v *Version) any { return document(&v.Findings) }},
		{"v.content_sha256", func(v *Version) any { return &v.ContentSHA256 }},
		{"v.blob", func(v *Version) any { return &v.Blob }},
		{"v.size", func(v *Version) any { return &v.Size }},
		{"v.digest", func(v *Version) any { return &v.Digest }},
		{"v.stamp", func(v *Version) any { return &v.Stamp }},
	}
}

func versionEndColumns() []column[Version] {
	return []column[Version]{
		{"v.ended_scan_id", func(v *Version) any { return optional(&v.EndedScanID) }},
		{"v.ended_at", func(v *Version) any { return instant(&v.EndedAt) }},
		{"v.ended_position", func(v *Version) any { return optional(&v.EndedPosition) }},
		{"v.end_reason", func(v *Version) any { return optional(&v.EndReason) }},
		{"v.moved_to", func(v *Version) any { return optional(&v.MovedTo) }},
	}
}

// versions reads versions in the order in which they were recorded.
func (r *Reader) versions(ctx context.Context, w *where) ([]Version, error) {
	return load(ctx, r, allVersionColumns(), "FROM artifact_versions v"+w.String()+" ORDER BY v.position", w.args...)
}

// named returns the versions that ever bore an id, or lay at a path or path#ordinal; of any repository when that is "".
func (r *Reader) named(ctx context.Context, repository, id string) ([]Version, error) {
	var w where
	is(&w, "v.repository_id", repository)
	path, ordinal := splitKey(id)
	w.and("(v.gxp_id = ? OR (v.path = ? AND v.ordinal = 0) OR (v.path = ? AND v.ordinal = ?))", id, id, path, ordinal)
	return r.versions(ctx, &w)
}

// LinkChange is a link of an unchanged artifact that a scan resolved differently than the scan before.
type LinkChange struct {
	Number     int64     `json:"number"`
	Index      int64     `json:"link_index"`
	Kind       string    `json:"kind"`
	Path       string    `json:"path"`
	Ordinal    int64     `json:"ordinal"`
	Edge       string    `json:"edge"`
	Target     string    `json:"target"`
	State      string    `json:"state"`
	ToKind     string    `json:"to_kind,omitempty"`
	ToNumber   int64     `json:"to_number,omitempty"`
	ScanID     string    `json:"scan_id"`
	RecordedAt time.Time `json:"recorded_at"`
	Position   int64     `json:"position"` // of the scan
}

// linkChanges reads changes of links in the order in which they were recorded.
func (r *Reader) linkChanges(ctx context.Context, w *where) ([]LinkChange, error) {
	return load(ctx, r, []column[LinkChange]{
		{"c.number", func(c *LinkChange) any { return &c.Number }},
		{"c.link_index", func(c *LinkChange) any { return &c.Index }},
		{"c.kind", func(c *LinkChange) any { return &c.Kind }},
		{"c.path", func(c *LinkChange) any { return &c.Path }},
		{"c.ordinal", func(c *LinkChange) any { return &c.Ordinal }},
		{"c.edge", func(c *LinkChange) any { return &c.Edge }},
		{"c.target", func(c *LinkChange) any { return &c.Target }},
		{"c.state", func(c *LinkChange) any { return &c.State }},
		{"c.to_kind", func(c *LinkChange) any { return optional(&c.ToKind) }},
		{"c.to_number", func(c *LinkChange) any { return optional(&c.ToNumber) }},
		{"c.scan_id", func(c *LinkChange) any { return &c.ScanID }},
		{"c.recorded_at", func(c *LinkChange) any { return instant(&c.RecordedAt) }},
		{"c.position", func(c *LinkChange) any { return &c.Position }},
	}, "FROM link_changes c"+w.String()+" ORDER BY c.position, c.change_index", w.args...)
}
