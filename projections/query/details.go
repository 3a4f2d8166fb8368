package query

import (
	"context"
	"fmt"
	"slices"

	"github.com/gxpledger/gxpledger/domain/trace"
)

// Detail is all that is known of one artifact as it is now.
type Detail struct {
	Artifact
	LinksIn  []trace.Link `json:"links_in"` // of other artifacts that lead here
	Members  []Member     `json:"members"`  // of an evidence package
	Findings []Finding    `json:"findings"`
}

// Member is one file of an evidence package.
type Member struct {
	Path   string `json:"path"` // within the package
	SHA256 string `json:"sha256"`
	Blob   string `json:"blob"`
	Size   int64  `json:"size"`
}

// Details returns every artifact of the group that the filter chooses by its ID; several when a gxp_id is claimed twice.
// The error is an *UnknownError when there is none, and an *AmbiguousError when they are of several repositories.
func (r *Reader) Details(ctx context.Context, group trace.ArtifactGroup, filter ArtifactFilter) ([]Detail, error) {
	artifacts, err := r.Artifacts(ctx, group, filter)
	if err != nil {
		return nil, err
	}
	if len(artifacts) == 0 {
		return nil, r.unknownArtifact(ctx, group, filter)
	}
	var in []string
	details := make([]Detail, len(artifacts))
	for i, a := range artifacts {
		if !slices.Contains(in, a.Repository) {
			in = append(in, a.Repository)
		}
		details[i].Artifact = a
	}
	if len(in) > 1 {
		return nil, &AmbiguousError{What: "repository", Given: filter.ID, Choices: in}
	}
	for i := range details {
		if err := r.complete(ctx, &details[i]); err != nil {
			return nil, fmt.Errorf("details of %s: %w", details[i].Name(), err)
		}
	}
	return details, nil
}

func (r *Reader) complete(ctx context.Context, d *Detail) error {
	var err error
	if d.LinksIn, err = r.Links(ctx, LinkFilter{RepositoryID: d.RepositoryID, ToNumber: d.Number}); err != nil {
		return err
	}
	if d.Findings, err = r.Findings(ctx, FindingFilter{RepositoryID: d.RepositoryID, Number: d.Number}); err != nil {
		return err
	}
	d.Members, err = load(ctx, r, []column[Member]{
		{"path", func(m *Member) any { return &m.Path }},
		{"sha256", func(m *Member) any { return &m.SHA256 }},
		{"blob", func(m *Member) any { return &m.Blob }},
		{"size", func(m *Member) any { return &m.Size }},
	}, "FROM evidence_files WHERE repository_id = ? AND number = ? ORDER BY path", d.RepositoryID, d.Number)
	return err
}

// unknownArtifact says what is near an id that the group does not hold, and where else the id is or was.
func (r *Reader) unknownArtifact(ctx context.Context, group trace.ArtifactGroup, filter ArtifactFilter) error {
	unknown := &UnknownError{What: group.Singular(), Given: filter.ID}
	hint, err := r.elsewhere(ctx, filter)
	if err != nil {
		return err
	}
	unknown.Hint = hint
	var known []string
	all, err := r.Artifacts(ctx, group, ArtifactFilter{RepositoryID: filter.RepositoryID})
	if err != nil {
		return err
	}
	for _, a := range all {
		if a.GxPID != "" && !slices.Contains(known, a.GxPID) {
			known = append(known, a.GxPID)
		}
		known = append(known, a.Key())
	}
	unknown.Near = near(filter.ID, known)
	return unknown
}

// elsewhere says in one sentence where an id is that is not where it was looked for; "" when it is nowhere.
func (r *Reader) elsewhere(ctx context.Context, filter ArtifactFilter) (string, error) {
	versions, err := r.named(ctx, filter.RepositoryID, filter.ID)
	if err != nil || len(versions) == 0 {
		return "", err
	}
	last := versions[len(versions)-1]
	for _, v := range versions {
		if v.EndReason == "" {
			last = v
		}
	}
	if last.EndReason == "" {
		group := trace.GroupOf(last.Kind)
		return fmt.Sprintf("it is a %s: look among the %s", group.Singular(), group), nil
	}
	return fmt.Sprintf("it was there until %s: its history still is", last.EndedAt.Format("2006-01-02 15:04:05Z")), nil
}
