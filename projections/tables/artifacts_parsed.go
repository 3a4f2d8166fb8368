package tables

import (
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
)

// parsed writes an artifact that is new, changed or read again, and all that hangs on it.
func (a *artifacts) parsed(o *origin, e *domain.ArtifactParsed, rows *projections.Rows) error {
	s, err := a.shape(e.Kind)
	if err != nil {
		return err
	}
	row := make([]any, 0, s.columns)
	row = append(row,
		o.repository, e.Number,
		ArtifactID(o.id, e.Key).String(), s.kind, str(e.Path), e.Ordinal, o.scan, o.at,
	)
	row = appendContent(row, o, e)
	if row, err = appendOwn(row, o, s, e); err != nil {
		return err
	}
	if e.Version == 1 {
		rows.Insert(s.table, row...)
	} else {
		rows.Update(s.table, row[:2:2], s.changes, row[fixedColumns:]...)
		rows.Delete(tableLinks, row[0], row[1])
		rows.Delete(tableFindings, row[0], row[1])
		if e.Kind == domain.KindEvidencePackage {
			rows.Delete(tableEvidenceFiles, row[0], row[1])
		}
	}
	place := place{origin: o, number: row[1], kind: s.kind, gxpID: row[fixedColumns], path: row[4], ordinal: row[5]}
	for i := range e.Links {
		insertLink(&place, i, &e.Links[i], rows)
	}
	for i := range e.Findings {
		insertFinding(&place, i, &e.Findings[i], rows)
	}
	for _, m := range e.Members {
		rows.Insert(tableEvidenceFiles, row[0], row[1], str(m.Path), m.SHA256, m.Blob, m.Size)
	}
	return nil
}

// place is what links and findings say of the artifact that they belong to.
type place struct {
	*origin
	number, kind, gxpID, path, ordinal any
}

// appendContent appends the values of contentColumns.
func appendContent(row []any, o *origin, e *domain.ArtifactParsed) []any {
	row = append(row, opt(e.GxPID), opt(e.Title))
	for i, t := range terms(e) {
		row = append(row, o.raw(i, t), o.normal(i, t))
	}
	sha := any(e.Content.SHA256)
	digest := sha
	if e.Digest != e.Content.SHA256 {
		digest = e.Digest
	}
	return append(row,
		optJSON(e.Fields), e.Version,
		sha, e.Content.Blob, e.Content.Size, digest, o.stamps.of(e.Stamp),
		o.scan, o.at, o.position,
	)
}

// terms are the words of an artifact, in the order of the columns.
func terms(e *domain.ArtifactParsed) [5]*domain.Term {
	return [5]*domain.Term{e.Risk, e.Tier, e.Status, e.ValidationStatus, e.AssuranceStatus}
}

// raw is the i-th term as the author wrote it.
func (o *origin) raw(i int, t *domain.Term) any {
	if t == nil {
		return nil
	}
	return o.terms[2*i].of(t.Raw)
}

// normal is the i-th term as it is compared.
func (o *origin) normal(i int, t *domain.Term) any {
	if t == nil {
		return nil
	}
	return o.terms[2*i+1].of(t.Normal)
}

// appendOwn appends the values of the columns that only the table of this kind has.
func appendOwn(row []any, o *origin, s shape, e *domain.ArtifactParsed) ([]any, error) {
	switch e.Kind {
	case domain.KindRequirement, domain.KindUserStory, domain.KindSpec, domain.KindRisk:
		p := s.parents[0]
		return append(row, declared(e.Links, p.edge), p.number(e.Links)), nil
	case domain.KindEvidenceJWS, domain.KindEvidencePackage:
		return appendEvidence(row, o, s.parents, e)
	case domain.KindSystemContext, domain.KindADR, domain.KindRiskLog, domain.KindVendorAssessment:
	}
	return row, nil
}

// removed deletes an artifact and all that hangs on it, children first. What points at it is relinked by the
// ScanCompleted of the same batch.
func (a *artifacts) removed(o *origin, e *domain.ArtifactRemoved, rows *projections.Rows) error {
	s, err := a.shape(e.Kind)
	if err != nil {
		return err
	}
	number := any(e.Number)
	rows.Delete(tableFindings, o.repository, number)
	rows.Delete(tableLinks, o.repository, number)
	if e.Kind == domain.KindEvidencePackage {
		rows.Delete(tableEvidenceFiles, o.repository, number)
	}
	rows.Delete(s.table, o.repository, number)
	return nil
}

// rejected writes a file that could not be parsed, for the first time or again.
func rejected(o *origin, e *domain.ArtifactRejected, rows *projections.Rows) {
	rows.Upsert(tableRejected,
		o.repository, str(e.Path), string(e.Kind), positive(e.Line), positive(e.Column), str(e.Message),
		opt(e.Content.SHA256), opt(e.Content.Blob), e.Content.Size, str(e.Stamp), o.scan, o.at, o.position,
	)
}

func insertFinding(p *place, i int, f *domain.Finding, rows *projections.Rows) {
	path := p.path
	if f.Path != "" {
		path = str(f.Path)
	}
	rows.Insert(tableFindings,
		p.repository, p.number, i, f.Code, p.kind, p.gxpID, path, positive(f.Line), str(f.Text), p.scan, p.position,
	)
}
