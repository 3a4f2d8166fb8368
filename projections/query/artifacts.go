package query

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/trace"
)

// Artifact is an artifact as the last completed scan left it.
type Artifact struct {
	RepositoryID           string          `json:"repository_id"`
	Repository             string          `json:"repository"`
	Number                 int64           `json:"number"`
	ID                     string          `json:"id"`
	Kind                   string          `json:"kind"`
	Path                   string          `json:"path"`
	Ordinal                int64           `json:"ordinal"`
	GxPID                  string          `json:"gxp_id,omitempty"`
	Title                  string          `json:"title,omitempty"`
	Risk                   string          `json:"risk,omitempty"`
	RiskNormal             string          `json:"risk_normal,omitempty"`
	Tier                   string          `json:"tier,omitempty"`
	TierNormal             string          `json:"tier_normal,omitempty"`
	Status                 string          `json:"status,omitempty"`
	StatusNormal           string          `json:"status_normal,omitempty"`
	ValidationStatus       string          `json:"validation_status,omitempty"`
	ValidationStatusNormal string          `json:"validation_status_normal,omitempty"`
	AssuranceStatus        string          `json:"assurance_status,omitempty"`
	AssuranceStatusNormal  string          `json:"assurance_status_normal,omitempty"`
	Fields                 json.RawMessage `json:"fields,omitempty"`
	Version                int64           `json:"version"`
	ContentSHA256          string          `json:"content_sha256"`
	Blob                   string          `json:"blob"`
	Size                   int64           `json:"size"`
	Digest                 string          `json:"digest"`
	Stamp                  string          `json:"stamp"`
	FirstScan              int64           `json:"first_scan"` // number of the scan that recorded it first
	FirstAt                time.Time       `json:"first_at"`
	Scan                   int64           `json:"scan"` // number of the scan that recorded the last version
	ChangedAt              time.Time       `json:"changed_at"`
	Position               int64           `json:"position"`
	Links                  []trace.Link    `json:"links"` // that it declares
	Evidence               *Evidence       `json:"evidence,omitempty"`

	evidence                  Evidence
	firstScanID, changeScanID string
}

// Key is the key of the artifact as text: the path, with #ordinal behind it unless that is 0.
func (a *Artifact) Key() string { return domain.Key{Path: a.Path, Ordinal: int(a.Ordinal)}.String() }

// Name is the gxp_id of the artifact, or else its key.
func (a *Artifact) Name() string { return cmp.Or(a.GxPID, a.Key()) }

func artifactColumns() []column[Artifact] {
	return append(append(identityColumns(), termColumns()...), contentColumns()...)
}

func identityColumns() []column[Artifact] {
	return []column[Artifact]{
		{"a.repository_id", func(a *Artifact) any { return &a.RepositoryID }},
		{"r.name", func(a *Artifact) any { return &a.Repository }},
		{"a.number", func(a *Artifact) any { return &a.Number }},
		{"a.id", func(a *Artifact) any { return &a.ID }},
		{"a.kind", func(a *Artifact) any { return &a.Kind }},
		{"a.path", func(a *Artifact) any { return &a.Path }},
		{"a.ordinal", func(a *Artifact) any { return &a.Ordinal }},
		{"a.gxp_id", func(a *Artifact) any { return optional(&a.GxPID) }},
		{"a.title", func(a *Artifact) any { return optional(&a.Title) }},
		{"a.first_scan_id", func(a *Artifact) any { return &a.firstScanID }},
		{"a.first_at", func(a *Artifact) any { return instant(&a.FirstAt) }},
	}
}

func termColumns() []column[Artifact] {
	return []column[Artifact]{
		{"a.risk", func(a *Artifact) any { return optional(&a.Risk) }},
		{"a.risk_normal", func(a *Artifact) any { return optional(&a.RiskNormal) }},
		{"a.tier", func(a *Artifact) any { return optional(&a.Tier) }},
		{"a.tier_normal", func(a *Artifact) any { return optional(&a.TierNormal) }},
		{"a.status", func(a *Artifact) any { return optional(&a.Status) }},
		{"a.status_normal", func(a *Artifact) any { return optional(&a.StatusNormal) }},
		{"a.validation_status", func(a *Artifact) any { return optional(&a.ValidationStatus) }},
		{"a.validation_status_normal", func(a *Artifact) any { return optional(&a.ValidationStatusNormal) }},
		{"a.assurance_status", func(a *Artifact) any { return optional(&a.AssuranceStatus) }},
		{"a.assurance_status_normal", func(a *Artifact) any { return optional(&a.AssuranceStatusNormal) }},
	}
}

func contentColumns() []column[Artifact] {
	return []column[Artifact]{
		{"a.fields", func(a *Artifact) any { return document(&a.Fields) }},
		{"a.version", func(a *Artifact) any { return &a.Version }},
		{"a.content_sha256", func(a *Artifact) any { return &a.ContentSHA256 }},
		{"a.blob", func(a *Artifact) any { return &a.Blob }},
		{"a.size", func(a *Artifact) any { return &a.Size }},
		{"a.digest", func(a *Artifact) any { return &a.Digest }},
		{"a.stamp", func(a *Artifact) any { return &a.Stamp }},
		{"a.scan_id", func(a *Artifact) any { return &a.changeScanID }},
		{"a.changed_at", func(a *Artifact) any { return instant(&a.ChangedAt) }},
		{"a.position", func(a *Artifact) any { return &a.Position }},
	}
}

// ArtifactFilter chooses artifacts; all that is given must hold. The zero value chooses all.
type ArtifactFilter struct {
	RepositoryID string
	ID           string // gxp_id, path or path#ordinal, exactly
	Risk         string // compared as Normal
	Tier         string // compared as Normal
	Status       string // compared as Normal with status, validation status and assurance status
	Parent       string // gxp_id that a link of the artifact names, exactly, wherever it leads
	Text         string // in id, path, title or fields, without regard to case
}

func (f ArtifactFilter) where(kinds []domain.Kind) *where {
	var w where
	is(&w, "a.repository_id", f.RepositoryID)
	in(&w, "a.kind", kinds)
	is(&w, "a.risk_normal", Normal(f.Risk))
	is(&w, "a.tier_normal", Normal(f.Tier))
	if status := Normal(f.Status); status != "" {
		w.and("(a.status_normal = ? OR a.validation_status_normal = ? OR a.assurance_status_normal = ?)", status, status, status)
	}
	if f.Parent != "" {
		w.and(`EXISTS (SELECT 1 FROM traceability_links l WHERE l.repository_id = a.repository_id AND l.number = a.number
			AND l.target = ?)`, f.Parent)
	}
	if f.ID != "" {
		path, ordinal := splitKey(f.ID)
		w.and("(a.gxp_id = ? OR (a.path = ? AND a.ordinal = 0) OR (a.path = ? AND a.ordinal = ?))", f.ID, f.ID, path, ordinal)
	}
	return &w
}

// Artifacts returns the artifacts of a group in the order of repositories, and in them of ids and paths, each with the
// links that it declares and, for evidence, what checking it showed.
func (r *Reader) Artifacts(ctx context.Context, group trace.ArtifactGroup, filter ArtifactFilter) ([]Artifact, error) {
	from, err := fromGroup(group)
	if err != nil {
		return nil, err
	}
	w := filter.where(group.Kinds())
	columns := artifactColumns()
	if group == trace.GroupEvidence {
		columns = append(columns, evidenceColumns()...)
	}
	artifacts, err := load(ctx, r, columns, from+w.String()+" ORDER BY r.name, a.repository_id, "+
		"a.gxp_id IS NULL, a.gxp_id, a.path, a.ordinal", w.args...)
	if err != nil {
		return nil, fmt.Errorf("cannot list %s: %w", group, err)
	}
	artifacts = containing(artifacts, filter.Text, func(a Artifact) []string {
		return append([]string{a.GxPID, a.Path, a.Title}, scalars(a.Fields)...)
	})
	if len(artifacts) == 0 {
		return artifacts, nil
	}
	if group == trace.GroupEvidence {
		for i := range artifacts {
			artifacts[i].Evidence = &artifacts[i].evidence
		}
	}
	if err := r.addScans(ctx, artifacts); err != nil {
		return nil, err
	}
	return artifacts, r.addLinks(ctx, group, filter, artifacts)
}

// scalars returns every text of a JSON document, keys included.
func scalars(document json.RawMessage) []string {
	var out []string
	tokens := json.NewDecoder(bytes.NewReader(document))
	tokens.UseNumber()
	for {
		token, err := tokens.Token()
		if err != nil {
			return out
		}
		switch token := token.(type) {
		case string:
			out = append(out, token)
		case json.Number:
			out = append(out, token.String())
		}
	}
}

// errNoGroup is the error of what is no group of artifacts.
var errNoGroup = errors.New("no such group of artifacts")

// fromGroup names the table that holds a group.
func fromGroup(g trace.ArtifactGroup) (string, error) {
	table := g.Info().Table
	if table == "" {
		return "", fmt.Errorf("%w: %q", errNoGroup, string(g))
	}
	return "FROM " + table + " a JOIN repositories r ON r.repository_id = a.repository_id", nil
}

// addScans turns the ids of scans into their numbers.
func (r *Reader) addScans(ctx context.Context, artifacts []Artifact) error {
	var numbers map[string]int64
	of := ""
	for i := range artifacts {
		a := &artifacts[i]
		if a.RepositoryID != of {
			var err error
			if numbers, err = r.scanNumbers(ctx, a.RepositoryID); err != nil {
				return err
			}
			of = a.RepositoryID
		}
		a.FirstScan, a.Scan = numbers[a.firstScanID], numbers[a.changeScanID]
	}
	return nil
}

func (r *Reader) addLinks(ctx context.Context, group trace.ArtifactGroup, filter ArtifactFilter, artifacts []Artifact) error {
	links := LinkFilter{RepositoryID: filter.RepositoryID, Kinds: group.Kinds()}
	if len(artifacts) == 1 {
		links.RepositoryID, links.Number = artifacts[0].RepositoryID, artifacts[0].Number
	}
	declared, err := r.Links(ctx, links)
	if err != nil {
		return err
	}
	type key struct {
		repository string
		number     int64
	}
	of := map[key][]trace.Link{}
	for _, l := range declared {
		at := key{l.RepositoryID, l.Number}
		of[at] = append(of[at], l)
	}
	for i := range artifacts {
		a := &artifacts[i]
		if a.Links = of[key{a.RepositoryID, a.Number}]; a.Links == nil {
			a.Links = []trace.Link{}
		}
	}
	return nil
}
