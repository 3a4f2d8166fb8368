package tables

import (
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
)

func registered(o *origin, r domain.Repository, rows *projections.Rows) {
	rows.Insert(tableRepositories,
		o.repository, str(r.Name), opt(r.URL), o.at, nil, nil, nil, nil, nil, nil, nil, o.position)
}

func retired(o *origin, e domain.RepositoryRetired, rows *projections.Rows) {
	rows.Update(tableRepositories, []any{o.repository},
		[]string{"retired_at", "retired_by", "retired_reason", "position"},
		e.RetiredAt, str(e.Actor), opt(e.Reason), o.position)
}

// completed writes the scan, what concerns its tree as a whole, and that the repository's rows show it now.
func (a *artifacts) completed(o *origin, attempt int, e *domain.ScanCompleted, rows *projections.Rows) error {
	row := appendHead(o, attempt, &e.Head, "completed", nil)
	total := domain.Count{}
	for _, c := range e.Counts {
		total = add(total, c)
	}
	row = append(row,
		total.Found, total.New, total.Changed, total.Reread, total.Unchanged, total.Removed, total.Rejected,
		e.Links.Sound, e.Links.Missing, e.Links.WrongKind, len(e.Relinked), len(e.Findings), 0, e.TreeDigest, o.position,
	)
	rows.Insert(tableScans, row...)
	for _, c := range e.Counts {
		rows.Insert(tableScanCounts, o.repository, e.Number, string(c.Kind),
			c.Found, c.New, c.Changed, c.Reread, c.Unchanged, c.Removed, c.Rejected)
	}
	tree := place{origin: o, number: 0}
	rows.Delete(tableFindings, o.repository, 0)
	for i := range e.Findings {
		insertFinding(&tree, i, &e.Findings[i], rows)
	}
	rows.Update(tableRepositories, []any{o.repository},
		[]string{"name", "url", "last_scan_id", "last_scan_number", "last_scan_at", "last_commit_sha", "position"},
		str(e.Repository.Name), opt(e.Repository.URL), o.scan, e.Number, o.at, opt(e.Source.Commit), o.position)
	return a.relinked(o, e.Relinked, rows)
}

func add(a, b domain.Count) domain.Count {
	return domain.Count{
		Found: a.Found + b.Found, New: a.New + b.New, Changed: a.Changed + b.Changed, Reread: a.Reread + b.Reread,
		Unchanged: a.Unchanged + b.Unchanged, Removed: a.Removed + b.Removed, Rejected: a.Rejected + b.Rejected,
	}
}

// failed writes the scan and every reason why it failed (I2).
func failed(o *origin, attempt int, e *domain.ScanFailed, rows *projections.Rows) {
	row := appendHead(o, attempt, &e.Head, "failed", str(e.Code))
	row = append(row,
		nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, len(e.Violations), nil, o.position,
	)
	rows.Insert(tableScans, row...)
	for i, v := range e.Violations {
		rows.Insert(tableScanViolations, o.repository, e.Number, i, str(v.Code), opt(v.Path), opt(v.GxPID),
			opt(string(v.Edge)), opt(v.Target), str(v.Text))
	}
}

// scanColumns is how many columns scans has.
const scanColumns = 45

// appendHead begins a row with the values of scanHeadColumns and scanSourceColumns.
func appendHead(o *origin, attempt int, h *domain.Head, outcome string, code any) []any {
	row := append(make([]any, 0, scanColumns),
		o.repository, h.Number, h.Scan, outcome, code, str(h.Repository.Name), opt(h.Repository.URL),
		str(h.Actor), opt(h.Reason), string(h.Policy.Links), string(h.Policy.Duplicates), opt(h.Reader),
		h.StartedAt, h.DecidedAt, o.at, attempt,
		opt(h.Source.Ref), opt(h.Source.Commit), opt(h.Source.Tree),
	)
	row = appendPerson(row, h.Source.Author)
	row = appendPerson(row, h.Source.Committer)
	return append(row, opt(h.Source.Message), h.Source.Worktree, h.Source.Dirty)
}

func appendPerson(row []any, p *domain.Person) []any {
	if p == nil {
		return append(row, nil, nil, nil, nil)
	}
	return append(row, opt(p.Name), opt(p.Email), p.When, p.When.Format("-07:00"))
}
