package tables

import (
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
)

// repositoryRow is what the row of a repository is made of.
type repositoryRow struct {
	*origin

	of        domain.Repository
	addresses []string
	isRetired when
	retired   domain.RepositoryRetired
	isScanned when
	completed domain.Head // the last scan that completed
}

// when is a condition for a value.
type when bool

// only is value, NULL unless the condition holds.
func (w when) only(value any) any {
	if !w {
		return nil
	}
	return value
}

func repositoriesTable() table[repositoryRow] {
	return newTable(projections.Table{
		Name: tableRepositories, Doc: "The repositories that are known: an administrator registered them, or a scan of them completed.",
		Key: []string{"repository_id"},
	}, []column[repositoryRow]{
		{repositoryColumn(), func(r *repositoryRow) any { return r.repository }},
		{text("name", "The operator's name for it, unique in a log."), func(r *repositoryRow) any { return str(r.of.Name) }},
		{text("registered_name", "The name that it was registered by."), func(r *repositoryRow) any { return str(r.of.Name) }},
		{null(text("url", "Where it was read from last, without credentials.")), func(r *repositoryRow) any { return opt(r.of.URL) }},
		{null(jsonColumn("addresses", "Where it may be read from, host and path, as a JSON array; NULL for anywhere, or when nothing but scans of older versions says so.")), func(r *repositoryRow) any { return jsonList(r.origin, r.addresses) }},
		{timestamp("registered_at", "When the engine recorded that it is known."), func(r *repositoryRow) any { return r.at }},
		{null(timestamp("retired_at", "When it was retired; NULL while it is scanned.")), func(r *repositoryRow) any { return r.isRetired.only(r.retired.RetiredAt) }},
		{null(text("retired_by", "Who retired it.")), func(r *repositoryRow) any { return r.isRetired.only(str(r.retired.Actor)) }},
		{null(text("retired_reason", "Why it was retired.")), func(r *repositoryRow) any { return r.isRetired.only(opt(r.retired.Reason)) }},
		{null(text("last_scan_id", "UUID of the last completed scan: the one whose tree the tables show.")), func(r *repositoryRow) any { return r.isScanned.only(r.scan) }},
		{from(1, null(integer("last_scan_number", "Number of that scan."))), func(r *repositoryRow) any { return r.isScanned.only(r.completed.Number) }},
		{null(timestamp("last_scan_at", "When the engine recorded that scan.")), func(r *repositoryRow) any { return r.isScanned.only(r.at) }},
		{null(text("last_commit_sha", "Commit that it read; NULL for a work tree without one.")), func(r *repositoryRow) any { return r.isScanned.only(opt(r.completed.Source.Commit)) }},
		{positionColumn(), func(r *repositoryRow) any { return r.position }},
	})
}

// settingsRow is what the row of a change of a repository is made of.
type settingsRow struct {
	*origin
	*domain.RepositoryChanged
}

func settingsTable() table[settingsRow] {
	return newTable(projections.Table{
		Name: tableSettings, Doc: "How administrators want repositories to be scanned: each row is all settings that hold until the next. A repository without a row has the defaults.",
		Key:     []string{"repository_id", "change_id"},
		Foreign: []projections.ForeignKey{repositoryKey()},
	}, []column[settingsRow]{
		{repositoryColumn(), func(r *settingsRow) any { return r.repository }},
		{text("change_id", "UUID of the admin action."), func(r *settingsRow) any { return r.scan }},
		{text("name", "Name of the repository from then on."), func(r *settingsRow) any { return str(r.Repository.Name) }},
		{null(jsonColumn("addresses", "Where it may be read from, host and path, as a JSON array; NULL for anywhere.")), func(r *settingsRow) any { return jsonList(r.origin, r.Settings.Addresses) }},
		{oneOf(null(text("links_policy", "What a broken link does; NULL for the default.")), domain.LinksStrict, domain.LinksFlag), func(r *settingsRow) any { return opt(string(r.Settings.Links)) }},
		{oneOf(null(text("duplicates_policy", "What a duplicate gxp_id does; NULL for the default.")), domain.DuplicatesReject, domain.DuplicatesUpdate), func(r *settingsRow) any { return opt(string(r.Settings.Duplicates)) }},
		{oneOf(null(text("unsigned_policy", "What an evidence package without a signature is worth; NULL for the default.")), domain.UnsignedUnverified, domain.UnsignedInvalid), func(r *settingsRow) any { return opt(string(r.Settings.Unsigned)) }},
		{null(text("main_line", "Branch whose history must continue from scan to scan; NULL for none.")), func(r *settingsRow) any { return opt(r.Settings.MainLine) }},
		{null(jsonColumn("limits", "Limits of the reader that are not the defaults, as a JSON object; NULL for none.")), func(r *settingsRow) any { return r.json(r.Settings.Limits) }},
		{text("actor", "Who changed it."), func(r *settingsRow) any { return str(r.Actor) }},
		{text("reason", "Why, as the actor gave it."), func(r *settingsRow) any { return str(r.Reason) }},
		{timestamp("changed_at", "When it was decided, by the engine's clock."), func(r *settingsRow) any { return r.ChangedAt }},
		{timestamp("recorded_at", "When the engine recorded it: the time that counts."), func(r *settingsRow) any { return r.at }},
		{positionColumn(), func(r *settingsRow) any { return r.position }},
	})
}

// scanRow is what the row of a scan is made of.
type scanRow struct {
	*origin

	attempt     int
	outcome     string
	head        *domain.Head
	settings    domain.Settings // those of head, if it has any
	isCompleted when
	completed   *domain.ScanCompleted // a zero one when the scan failed
	total       domain.Count          // of completed
	failed      *domain.ScanFailed    // a zero one when it completed
}

// person is whom p says; nobody for nil.
func person(p *domain.Person) domain.Person {
	if p == nil {
		return domain.Person{}
	}
	return *p
}

func scansTable() table[scanRow] {
	return newTable(projections.Table{
		Name: tableScans, Doc: "Every scan of every repository, completed or failed.",
		Key:     []string{"repository_id", "number"},
		Indexes: []projections.Index{index("scan_id"), index("repository_id", "commit_sha"), index("recorded_at")},
	}, scanHeadColumns(), scanSourceColumns(), scanResultColumns(), []column[scanRow]{
		{positionColumn(), func(r *scanRow) any { return r.position }},
	})
}

func scanHeadColumns() []column[scanRow] {
	return []column[scanRow]{
		{repositoryColumn(), func(r *scanRow) any { return r.repository }},
		{from(1, integer("number", "Number of the scan among those of its repository, completed or failed, from 1.")), func(r *scanRow) any { return r.head.Number }},
		{text("scan_id", "UUID of the scan."), func(r *scanRow) any { return r.head.Scan }},
		{oneOf(text("outcome", "How the scan ended."), "completed", "failed"), func(r *scanRow) any { return r.outcome }},
		{null(text("code", "Why a failed scan failed: the code of its first violation.")), func(r *scanRow) any { return (!r.isCompleted).only(str(r.failed.Code)) }},
		{text("repository_name", "The operator's name for the repository at that time."), func(r *scanRow) any { return str(r.head.Repository.Name) }},
		{null(text("repository_url", "Where it was read from, without credentials.")), func(r *scanRow) any { return opt(r.head.Repository.URL) }},
		{text("actor", "Who ran the scan, as actor_from says."), func(r *scanRow) any { return str(r.head.Actor) }},
		{oneOf(null(text("actor_from", "Where the name of the actor comes from: claimed (the operating system or the command line says so) or authenticated; NULL when the scan did not record it.")), domain.ActorClaimed, domain.ActorAuthenticated), func(r *scanRow) any { return opt(string(r.head.ActorFrom)) }},
		{null(text("reason", "Why, as the actor gave it.")), func(r *scanRow) any { return opt(r.head.Reason) }},
		{oneOf(text("links_policy", "What a broken link did."), domain.LinksStrict, domain.LinksFlag), func(r *scanRow) any { return string(r.head.Policy.Links) }},
		{oneOf(text("duplicates_policy", "What a duplicate gxp_id did."), domain.DuplicatesReject, domain.DuplicatesUpdate), func(r *scanRow) any { return string(r.head.Policy.Duplicates) }},
		{oneOf(null(text("unsigned_policy", "What an evidence package without a signature was worth; NULL when the scan did not say.")), domain.UnsignedUnverified, domain.UnsignedInvalid), func(r *scanRow) any { return opt(string(r.head.Policy.Unsigned)) }},
		{null(boolean("allow_secrets", "Whether files that hold what looks like a secret were let pass; NULL when the scan did not look for any.")), func(r *scanRow) any { return when(r.head.ActorFrom != "").only(r.head.Policy.AllowSecrets) }}, // both recorded since version 2
		{null(jsonColumn("evidence_keys", "Fingerprints of the evidence keys in force, as a JSON array; NULL when the scan did not record its settings.")), func(r *scanRow) any {
			return when(r.head.Settings != nil).only(r.json(append([]string{}, r.settings.Keys...)))
		}}, // none is [] and not NULL
		{null(jsonColumn("limits", "Limits of the reader that were not the defaults, as a JSON object; NULL when there were none or the scan did not record them.")), func(r *scanRow) any { return r.json(r.settings.Limits) }},
		{
			from(0, null(integer("settings_revision", "Revision of the repository's stream up to which recorded settings were used; NULL when none were."))),
			func(r *scanRow) any {
				if r.settings.Revision == nil {
					return nil
				}
				return *r.settings.Revision
			},
		},
		{
			from(0, null(integer("keys_revision", "Revision of the stream engine of the last event about an evidence key that was used; NULL when there was none."))),
			func(r *scanRow) any {
				if r.settings.KeysRevision == nil {
					return nil
				}
				return *r.settings.KeysRevision
			},
		},
		{null(jsonColumn("overrides", "Names of the settings that were given for this scan alone, as a JSON array; NULL when there were none.")), func(r *scanRow) any { return r.json(r.settings.Overrides) }},
		{null(text("reader", "Version of the reader.")), func(r *scanRow) any { return opt(r.head.Reader) }},
		{timestamp("started_at", "When the scan started, by the engine's clock."), func(r *scanRow) any { return r.head.StartedAt }},
		{timestamp("decided_at", "When its outcome was decided, by the engine's clock."), func(r *scanRow) any { return r.head.DecidedAt }},
		{timestamp("recorded_at", "When the engine recorded it: the time that counts."), func(r *scanRow) any { return r.at }},
		{from(1, integer("attempts", "Which try of the append landed, from 1.")), func(r *scanRow) any { return r.attempt }},
	}
}

func scanSourceColumns() []column[scanRow] {
	return []column[scanRow]{
		{null(text("ref", "Revision as the operator gave it.")), func(r *scanRow) any { return opt(r.head.Source.Ref) }},
		{null(text("full_ref", "Ref that it was found by, in full; NULL for a commit that was not found by one, or when the scan did not record it.")), func(r *scanRow) any { return opt(r.head.Source.FullRef) }},
		{null(text("previous_commit_sha", "Commit of the completed scan before, on the main line of the one before on it; NULL when there was none or the scan did not record it.")), func(r *scanRow) any { return opt(r.head.Source.Previous) }},
		{null(text("commit_sha", "Commit that was read; NULL for a work tree without one.")), func(r *scanRow) any { return opt(r.head.Source.Commit) }},
		{null(text("tree_sha", "Git id of the tree of that commit.")), func(r *scanRow) any { return opt(r.head.Source.Tree) }},
		{null(text("author_name", "Author of the commit, as git claims.")), func(r *scanRow) any { return opt(person(r.head.Source.Author).Name) }},
		{null(text("author_email", "Address of the author, as git claims.")), func(r *scanRow) any { return opt(person(r.head.Source.Author).Email) }},
		{null(timestamp("author_at", "When the author wrote it, as git claims.")), func(r *scanRow) any { return when(r.head.Source.Author != nil).only(person(r.head.Source.Author).When) }},
		{null(text("author_zone", "Offset from UTC of the author's clock, as git claims: +02:00.")), func(r *scanRow) any {
			return when(r.head.Source.Author != nil).only(person(r.head.Source.Author).When.Format("-07:00"))
		}},
		{null(text("committer_name", "Committer, as git claims.")), func(r *scanRow) any { return opt(person(r.head.Source.Committer).Name) }},
		{null(text("committer_email", "Address of the committer, as git claims.")), func(r *scanRow) any { return opt(person(r.head.Source.Committer).Email) }},
		{null(timestamp("committer_at", "When it was committed, as git claims.")), func(r *scanRow) any {
			return when(r.head.Source.Committer != nil).only(person(r.head.Source.Committer).When)
		}},
		{null(text("committer_zone", "Offset from UTC of the committer's clock, as git claims.")), func(r *scanRow) any {
			return when(r.head.Source.Committer != nil).only(person(r.head.Source.Committer).When.Format("-07:00"))
		}},
		{null(text("message", "Commit message, at most 4 KiB: the claimed reason of the change.")), func(r *scanRow) any { return opt(r.head.Source.Message) }},
		{boolean("worktree", "Whether files were read as they lay on disk, not from a revision."), func(r *scanRow) any { return r.head.Source.Worktree }},
		{boolean("dirty", "Whether that work tree differed from the commit."), func(r *scanRow) any { return r.head.Source.Dirty }},
		{null(text("dirty_unknown", "Why it is unknown whether that work tree differed, which counts as if it did; NULL when it is known.")), func(r *scanRow) any { return opt(r.head.Source.DirtyUnknown) }},
		{oneOf(null(text("relation", "How the commit relates to previous_commit_sha: same, descendant, ancestor, unrelated or unknown; NULL when there is none or nobody looked.")), domain.RelationSame, domain.RelationDescendant, domain.RelationAncestor, domain.RelationUnrelated, domain.RelationUnknown), func(r *scanRow) any { return opt(string(r.head.Source.Relation)) }},
	}
}

func scanResultColumns() []column[scanRow] {
	return []column[scanRow]{
		{from(0, null(integer("found", "Artifacts of the tree: added + changed + reread + unchanged; NULL for a failed scan, like all totals."))), func(r *scanRow) any { return r.isCompleted.only(r.total.Found) }},
		{from(0, null(integer("added", "Artifacts that were new."))), func(r *scanRow) any { return r.isCompleted.only(r.total.New) }},
		{from(0, null(integer("changed", "Artifacts that were changed."))), func(r *scanRow) any { return r.isCompleted.only(r.total.Changed) }},
		{from(0, null(integer("reread", "Artifacts with the bytes of before, read by another reader or with other keys."))), func(r *scanRow) any { return r.isCompleted.only(r.total.Reread) }},
		{from(0, null(integer("unchanged", "Artifacts that were as before."))), func(r *scanRow) any { return r.isCompleted.only(r.total.Unchanged) }},
		{from(0, null(integer("removed", "Artifacts that were gone."))), func(r *scanRow) any { return r.isCompleted.only(r.total.Removed) }},
		{from(0, null(integer("rejected", "Files that could not be parsed, in this scan or before."))), func(r *scanRow) any { return r.isCompleted.only(r.total.Rejected) }},
		{from(0, null(integer("links_resolved", "Links of the tree that lead to an artifact of the right kind."))), func(r *scanRow) any { return r.isCompleted.only(r.completed.Links.Sound) }},
		{from(0, null(integer("links_missing", "Links of the tree to an id that nothing has."))), func(r *scanRow) any { return r.isCompleted.only(r.completed.Links.Missing) }},
		{from(0, null(integer("links_wrong_kind", "Links of the tree to an id at another level."))), func(r *scanRow) any { return r.isCompleted.only(r.completed.Links.WrongKind) }},
		{from(0, null(integer("relinked", "Links of unchanged artifacts that lead elsewhere than before."))), func(r *scanRow) any { return r.isCompleted.only(r.completed.RelinkedLinks) }},
		{from(0, null(integer("findings", "Findings of the tree as a whole."))), func(r *scanRow) any { return r.isCompleted.only(len(r.completed.Findings)) }},
		{
			from(0, null(integer("ignored", "Files below .gxp/ that no artifact was made of; NULL when the scan did not count them."))),
			func(r *scanRow) any {
				if r.completed.Ignored == nil {
					return nil
				}
				return r.completed.Ignored.Count
			},
		},
		{
			null(jsonColumn("ignored_paths", "The first 1,000 of them, in order, as a JSON array; NULL when there are none.")),
			func(r *scanRow) any {
				if r.completed.Ignored == nil {
					return nil
				}
				return r.json(r.completed.Ignored.Paths)
			},
		},
		{null(jsonColumn("coverage", "Coverage of requirements, user stories and specifications before and after the scan, and what it left uncovered that was not so before, as a JSON object; NULL when the scan did not record it.")), func(r *scanRow) any { return r.isCompleted.only(r.json(r.completed.Coverage)) }},
		{from(0, integer("violations", "How many reasons the scan failed for; 0 for a completed one. scan_violations lists the first 1,000.")), func(r *scanRow) any { return max(r.failed.Total, len(r.failed.Violations)) }},
		{null(text("tree_digest", "SHA-256 over the tree; two scans with one digest saw the same artifacts.")), func(r *scanRow) any { return r.isCompleted.only(r.completed.TreeDigest) }},
	}
}

func scanKey() projections.ForeignKey { return reference("number", tableScans) }

// countRow is what the row of the totals of one kind in one scan is made of.
type countRow struct {
	*origin
	*domain.Count

	scan int // its number
}

func scanCountsTable() table[countRow] {
	return newTable(projections.Table{
		Name: tableScanCounts, Doc: "The totals of each completed scan by kind; kinds without any are left out.",
		Key:     []string{"repository_id", "number", "kind"},
		Foreign: []projections.ForeignKey{scanKey()},
	}, []column[countRow]{
		{repositoryColumn(), func(r *countRow) any { return r.repository }},
		{from(1, integer("number", "Number of the scan.")), func(r *countRow) any { return r.scan }},
		{kind(text("kind", "Kind of artifact.")), func(r *countRow) any { return string(r.Kind) }},
		{from(0, integer("found", "Artifacts of the tree: added + changed + reread + unchanged.")), func(r *countRow) any { return r.Found }},
		{from(0, integer("added", "Artifacts that were new.")), func(r *countRow) any { return r.New }},
		{from(0, integer("changed", "Artifacts that were changed.")), func(r *countRow) any { return r.Changed }},
		{from(0, integer("reread", "Artifacts with the bytes of before, read by another reader or with other keys.")), func(r *countRow) any { return r.Reread }},
		{from(0, integer("unchanged", "Artifacts that were as before.")), func(r *countRow) any { return r.Unchanged }},
		{from(0, integer("removed", "Artifacts that were gone.")), func(r *countRow) any { return r.Removed }},
		{from(0, integer("rejected", "Files that could not be parsed, in this scan or before.")), func(r *countRow) any { return r.Rejected }},
	})
}

// violationRow is what the row of a violation is made of.
type violationRow struct {
	*origin
	*domain.Violation

	scan, index int
}

func scanViolationsTable() table[violationRow] {
	return newTable(projections.Table{
		Name: tableScanViolations, Doc: "The reasons why a failed scan failed, the first 1,000; scans.violations counts them all.",
		Key:     []string{"repository_id", "number", "violation_index"},
		Foreign: []projections.ForeignKey{scanKey()},
	}, []column[violationRow]{
		{repositoryColumn(), func(r *violationRow) any { return r.repository }},
		{from(1, integer("number", "Number of the scan.")), func(r *violationRow) any { return r.scan }},
		{from(0, integer("violation_index", "Place among the violations of the scan, from 0.")), func(r *violationRow) any { return r.index }},
		{text("code", "What is violated, as a code."), func(r *violationRow) any { return str(r.Code) }},
		{null(text("path", "Where.")), func(r *violationRow) any { return opt(r.Path) }},
		{null(text("gxp_id", "gxp_id of the artifact there.")), func(r *violationRow) any { return opt(r.GxPID) }},
		{null(text("edge", "Field of the link that is broken.")), func(r *violationRow) any { return opt(string(r.Edge)) }},
		{null(text("target", "gxp_id that the link names.")), func(r *violationRow) any { return opt(r.Target) }},
		{text("text", "One sentence: what is there, what was expected, what to do."), func(r *violationRow) any { return str(r.Text) }},
	})
}

// completed writes the scan, what concerns its tree as a whole, and that the repository's rows show it now.
func (a *artifactsPage) completed(attempt int, e *domain.ScanCompleted) error {
	a.insertScan(&scanRow{
		attempt: attempt, head: &e.Head, outcome: "completed", isCompleted: true, completed: e, total: total(e), failed: &domain.ScanFailed{},
	})
	for i := range e.Counts {
		a.scanCounts.insert(a.rows, &countRow{&a.origin, &e.Counts[i], e.Number})
	}
	a.rows.Delete(tableFindings, a.repository, 0)
	tree := findingRow{artifactRow: &artifactRow{origin: &a.origin, number: 0}}
	for i := range e.Findings {
		tree.index, tree.finding = i, &e.Findings[i]
		a.findings.insert(a.rows, &tree)
	}
	a.show.update(a.rows, []any{a.repository}, &repositoryRow{origin: &a.origin, of: e.Repository, isScanned: true, completed: e.Head})
	for i := range e.Relinked { // version 1 alone
		if err := a.relinked(&e.Relinked[i]); err != nil {
			return err
		}
	}
	return nil
}

// total adds up what a scan counted of each kind.
func total(e *domain.ScanCompleted) (t domain.Count) {
	for _, c := range e.Counts {
		t = domain.Count{
			Found: t.Found + c.Found, New: t.New + c.New, Changed: t.Changed + c.Changed, Reread: t.Reread + c.Reread,
			Unchanged: t.Unchanged + c.Unchanged, Removed: t.Removed + c.Removed, Rejected: t.Rejected + c.Rejected,
		}
	}
	return t
}

// failed writes the scan and every reason why it failed (I2).
func (a *artifactsPage) failed(attempt int, e *domain.ScanFailed) {
	a.insertScan(&scanRow{attempt: attempt, head: &e.Head, outcome: "failed", completed: &domain.ScanCompleted{}, failed: e})
	for i := range e.Violations {
		a.scanViolations.insert(a.rows, &violationRow{&a.origin, &e.Violations[i], e.Number, i})
	}
}

func (a *artifactsPage) insertScan(r *scanRow) {
	r.origin = &a.origin
	if r.head.Settings != nil {
		r.settings = *r.head.Settings
	}
	a.scans.insert(a.rows, r)
}
