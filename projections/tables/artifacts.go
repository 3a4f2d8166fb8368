package tables

import (
	"cmp"
	"fmt"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
)

// Artifacts is the projection "artifacts": what is true now. Rows of artifacts, links and rejected files show the tree
// of the last completed scan of each repository; rows of scans stay for ever. A failed scan adds a scan and changes
// nothing else.
//
// It wants the log's contract kept: removals and relinked links agree with what was parsed, and a page ends with a batch, since
// a foreign key may point forward within one.
func Artifacts() projections.Projection {
	a := newArtifacts()
	return projections.Projection{
		Name: "artifacts", Version: version(6), Tables: a.definitions(),
		Handles: repositoryEvents(), Apply: a.apply,
	}
}

func (a *artifacts) of(kind domain.Kind) (*kindTable, error) {
	if k := a.kinds[kind]; k != nil {
		return k, nil
	}
	return nil, fmt.Errorf("kind %q has no table", kind)
}

// artifactsPage is a page that is being projected.
type artifactsPage struct {
	*artifacts
	origin

	rows *projections.Rows

	// The memory of rows that are being made, which is used for one artifact after another.
	row     artifactRow
	link    linkRow
	finding findingRow
	member  memberRow
}

func (a *artifacts) apply(page []projections.Event, rows *projections.Rows) error {
	p := &artifactsPage{artifacts: a, rows: rows}
	p.link.artifactRow, p.finding.artifactRow, p.member.artifactRow = &p.row, &p.row, &p.row
	for i := range page {
		e := &page[i]
		err := p.event(e)
		if err == nil {
			err = p.err
		}
		if err != nil {
			return eventFault("artifacts", e, err)
		}
	}
	return nil
}

func (a *artifactsPage) event(e *projections.Event) error {
	if err := a.inRepository(e); err != nil {
		return err
	}
	switch event := e.Event.(type) {
	case domain.RepositoryRegistered:
		a.repositories.insert(a.rows, &repositoryRow{origin: &a.origin, of: event.Repository, addresses: event.Addresses})
	case domain.RepositoryChanged:
		a.rename.update(a.rows, []any{a.repository}, &repositoryRow{origin: &a.origin, of: event.Repository, addresses: event.Settings.Addresses})
		a.settings.insert(a.rows, &settingsRow{&a.origin, &event})
	case domain.RepositoryRetired:
		a.retire.update(a.rows, []any{a.repository}, &repositoryRow{origin: &a.origin, isRetired: true, retired: event})
	case domain.ArtifactParsed:
		a.row = artifactRow{ArtifactParsed: event}
		return a.parsed(&a.row)
	case domain.ArtifactRejected:
		row := rejectedRow{&a.origin, &event}
		a.rows.Upsert(tableRejected, a.rejected.row(&row)...)
	case domain.ArtifactRemoved:
		return a.removed(&event)
	case domain.ArtifactRelinked:
		return a.relinked(&event)
	case domain.RejectionCleared:
		a.rows.Delete(tableRejected, a.repository, str(event.Path))
	case domain.ScanCompleted:
		return a.completed(e.Meta.Attempt, &event)
	case domain.ScanFailed:
		a.failed(e.Meta.Attempt, &event)
	case domain.AdminActed, domain.KeyTrusted, domain.KeyRevoked, domain.RelayAdded, domain.RelayRemoved, domain.ScanAttemptFailed: // of another stream, and not asked for
		return errUnhandled(event)
	default:
		return errUnhandled(event)
	}
	return nil
}

// parsed writes an artifact that is new, changed or read again, and all that hangs on it.
func (a *artifactsPage) parsed(r *artifactRow) error {
	of, err := a.of(r.Kind)
	if err != nil {
		return err
	}
	r.origin, r.number, r.kind, r.gxpID, r.path, r.ordinal = &a.origin, r.Number, of.kind, opt(r.GxPID), str(r.Path), r.Ordinal
	r.sha, r.links = r.Content.SHA256, r.Links
	if of.evidence {
		r.evidence = cmp.Or(r.Evidence, a.unread)
		r.state, r.stateReason = r.evidence.Judge()
	}
	row := of.table.row(r)
	if r.Version == 1 {
		a.rows.Insert(of.table.Name, row...)
	} else {
		a.rows.Update(of.table.Name, row[:2:2], of.changes, row[len(row)-len(of.changes):]...)
		a.rows.Delete(tableLinks, a.repository, r.number)
		a.rows.Delete(tableFindings, a.repository, r.number)
		if r.Kind == domain.KindEvidencePackage {
			a.rows.Delete(tableEvidenceFiles, a.repository, r.number)
		}
	}
	for _, s := range r.Shifted {
		a.shift(r.Path, s)
	}
	for i := range r.Links {
		a.link.set(i, &r.Links[i])
		a.links.insert(a.rows, &a.link)
	}
	for i := range r.Findings {
		a.finding.index, a.finding.finding = i, &r.Findings[i]
		a.findings.insert(a.rows, &a.finding)
	}
	for i := range r.Members {
		a.member.file = &r.Members[i]
		a.evidenceFiles.insert(a.rows, &a.member)
	}
	return nil
}

// shift lets the rows of an entry of the file at path follow it to another ordinal.
func (a *artifactsPage) shift(path string, s domain.Shift) {
	a.rows.Update(domain.KindRisk.Info().Table, []any{a.repository, s.Number}, []string{"id", "ordinal"}, shiftedTo(&a.origin, path, s)...)
	for i := range s.Links {
		a.rows.Update(tableLinks, []any{a.repository, s.Number, i}, []string{"ordinal"}, s.To)
	}
}

// removed deletes an artifact and all that hangs on it, children first. What points at it is relinked in the same
// batch.
func (a *artifactsPage) removed(e *domain.ArtifactRemoved) error {
	of, err := a.of(e.Kind)
	if err != nil {
		return err
	}
	number := any(e.Number)
	a.rows.Delete(tableFindings, a.repository, number)
	a.rows.Delete(tableLinks, a.repository, number)
	if e.Kind == domain.KindEvidencePackage {
		a.rows.Delete(tableEvidenceFiles, a.repository, number)
	}
	a.rows.Delete(of.table.Name, a.repository, number)
	return nil
}

// relinked updates links of an artifact that did not change itself, and which parents it has.
func (a *artifactsPage) relinked(e *domain.ArtifactRelinked) error {
	row := artifactRow{origin: &a.origin, links: e.Links}
	link := linkRow{artifactRow: &row}
	for _, index := range e.Changed {
		if index < 0 || index >= len(e.Links) {
			return fmt.Errorf("relinked %s: link %d of %d", e.Key, index, len(e.Links))
		}
		link.set(index, &e.Links[index])
		a.relink.update(a.rows, []any{a.repository, e.Number, index}, &link)
	}
	of, err := a.of(e.Kind)
	if err != nil {
		return fmt.Errorf("relinked %s: %w", e.Key, err)
	}
	if len(of.parents.columns) > 0 {
		of.parents.update(a.rows, []any{a.repository, e.Number}, &row)
	}
	return nil
}

// definitions returns the tables, parents before children.
func (a *artifacts) definitions() []projections.Table {
	all := []projections.Table{a.repositories.Table, a.settings.Table, a.scans.Table, a.scanCounts.Table, a.scanViolations.Table}
	for _, t := range a.groups {
		all = append(all, t.Table)
		if t.Name == a.evidenceFiles.Foreign[0].Table {
			all = append(all, a.evidenceFiles.Table)
		}
	}
	return append(all, a.links.Table, a.findings.Table, a.rejected.Table)
}

func newArtifacts() *artifacts {
	a := &artifacts{
		repositories: repositoriesTable(), settings: settingsTable(), scans: scansTable(), scanCounts: scanCountsTable(), scanViolations: scanViolationsTable(),
		evidenceFiles: evidenceFilesTable(), links: linksTable(), findings: findingsTable(), rejected: rejectedTable(),
		kinds: map[domain.Kind]*kindTable{},
		unread: &domain.Evidence{
			Signature: domain.Signature{Verdict: domain.VerdictNotRun},
			Results:   domain.Results{State: domain.ResultsUnknown, Reason: domain.ResultsAbsent},
		},
	}
	a.retire = a.repositories.change("retired_at", "retired_by", "retired_reason", "position")
	a.rename = a.repositories.change("name", "addresses", "position")
	a.show = a.repositories.change("name", "url", "last_scan_id", "last_scan_number", "last_scan_at", "last_commit_sha", "position")
	a.relink = linkChange(&a.links)
	for _, g := range domain.Groups() {
		t := artifactTable(g)
		a.groups = append(a.groups, t)
		for _, kind := range g.Kinds {
			k := &kindTable{table: &t, kind: string(kind), evidence: kind.Info().Level == domain.LevelEvidence}
			for _, c := range t.Columns[len(identityColumns(nil)):] {
				k.changes = append(k.changes, c.Name)
			}
			var numbers []string
			for _, p := range kind.Info().Parents {
				numbers = append(numbers, p.Number)
			}
			k.parents = t.change(numbers...)
			a.kinds[kind] = k
		}
	}
	return a
}
