package query

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gxpledger/gxpledger/internal/spelling"
)

// Scan is one recorded scan, completed or failed.
type Scan struct {
	RepositoryID     string    `json:"repository_id"`
	Repository       string    `json:"repository"` // the name at that time
	Number           int64     `json:"number"`     // among the scans of its repository, from 1
	ScanID           string    `json:"scan_id"`
	Outcome          string    `json:"outcome"` // completed or failed
	Code             string    `json:"code,omitempty"`
	Actor            string    `json:"actor"`
	ActorFrom        string    `json:"actor_from,omitempty"` // claimed or authenticated; absent when it was not recorded
	Reason           string    `json:"reason,omitempty"`
	LinksPolicy      string    `json:"links_policy"`
	DuplicatesPolicy string    `json:"duplicates_policy"`
	UnsignedPolicy   string    `json:"unsigned_policy,omitempty"` // on packages without a signature; absent when it was not recorded
	Reader           string    `json:"reader,omitempty"`
	StartedAt        time.Time `json:"started_at"`
	DecidedAt        time.Time `json:"decided_at"`
	RecordedAt       time.Time `json:"recorded_at"`
	Attempts         int64     `json:"attempts"`
	// Claims is what git says of the revision.
	Claims Claims `json:"claims"`
	// Totals is nil for a failed scan.
	Totals     *Totals     `json:"totals,omitempty"`
	Violations []Violation `json:"violations"` // of a failed scan, the first domain.MaxViolations
	// ViolationsTotal is how many there were.
	ViolationsTotal int64 `json:"violations_total"`
	// Ignored is how many files below .gxp/ no artifact was made of; nil when the scan did not count them.
	Ignored    *int64 `json:"ignored,omitempty"`
	TreeDigest string `json:"tree_digest,omitempty"`
	Position   int64  `json:"position"`

	totals Totals
}

// Claims is what git says of a revision. Nothing verifies it.
type Claims struct {
	Ref            string    `json:"ref,omitempty"`
	Commit         string    `json:"commit_sha,omitempty"`
	Tree           string    `json:"tree_sha,omitempty"`
	AuthorName     string    `json:"author_name,omitempty"`
	AuthorEmail    string    `json:"author_email,omitempty"`
	AuthorAt       time.Time `json:"author_at,omitzero"` // in UTC
	AuthorZone     string    `json:"author_zone,omitempty"`
	CommitterName  string    `json:"committer_name,omitempty"`
	CommitterEmail string    `json:"committer_email,omitempty"`
	CommitterAt    time.Time `json:"committer_at,omitzero"` // in UTC
	CommitterZone  string    `json:"committer_zone,omitempty"`
	Message        string    `json:"message,omitempty"`
	Worktree       bool      `json:"worktree"`
	Dirty          bool      `json:"dirty"`
	FullRef        string    `json:"full_ref,omitempty"` // what Ref was found by, such as refs/heads/main
	// Previous is the commit of the completed scan before, on the main line of the one before on it, and Relation how Commit relates to
	// it: same, descendant, ancestor, unrelated or unknown. Absent when there was none, or nobody looked.
	Previous string `json:"previous_commit_sha,omitempty"`
	Relation string `json:"relation,omitempty"`
}

// Totals is what a completed scan counted.
type Totals struct {
	Found          int64 `json:"found"`
	Added          int64 `json:"added"`
	Changed        int64 `json:"changed"`
	Reread         int64 `json:"reread"`
	Unchanged      int64 `json:"unchanged"`
	Removed        int64 `json:"removed"`
	Rejected       int64 `json:"rejected"`
	LinksResolved  int64 `json:"links_resolved"`
	LinksMissing   int64 `json:"links_missing"`
	LinksWrongKind int64 `json:"links_wrong_kind"`
	Relinked       int64 `json:"relinked"`
	Findings       int64 `json:"findings"`
}

// Broken is how many links of the tree lead nowhere.
func (t Totals) Broken() int64 { return t.LinksMissing + t.LinksWrongKind }

// Violation is one reason why a scan failed.
type Violation struct {
	Code   string `json:"code"`
	Path   string `json:"path,omitempty"`
	GxPID  string `json:"gxp_id,omitempty"`
	Edge   string `json:"edge,omitempty"`
	Target string `json:"target,omitempty"`
	Text   string `json:"text"`

	repository string
	number     int64
}

func scanColumns() []column[Scan] {
	return append(append(scanHeadColumns(), claimColumns()...), totalColumns()...)
}

func scanHeadColumns() []column[Scan] {
	return []column[Scan]{
		{"s.repository_id", func(s *Scan) any { return &s.RepositoryID }},
		{"s.repository_name", func(s *Scan) any { return &s.Repository }},
		{"s.number", func(s *Scan) any { return &s.Number }},
		{"s.scan_id", func(s *Scan) any { return &s.ScanID }},
		{"s.outcome", func(s *Scan) any { return &s.Outcome }},
		{"s.code", func(s *Scan) any { return optional(&s.Code) }},
		{"s.actor", func(s *Scan) any { return &s.Actor }},
		{"s.actor_from", func(s *Scan) any { return optional(&s.ActorFrom) }},
		{"s.unsigned_policy", func(s *Scan) any { return optional(&s.UnsignedPolicy) }},
		{"s.ignored", func(s *Scan) any { return pointer(&s.Ignored) }},
		{"s.reason", func(s *Scan) any { return optional(&s.Reason) }},
		{"s.links_policy", func(s *Scan) any { return &s.LinksPolicy }},
		{"s.duplicates_policy", func(s *Scan) any { return &s.DuplicatesPolicy }},
		{"s.reader", func(s *Scan) any { return optional(&s.Reader) }},
		{"s.started_at", func(s *Scan) any { return instant(&s.StartedAt) }},
		{"s.decided_at", func(s *Scan) any { return instant(&s.DecidedAt) }},
		{"s.recorded_at", func(s *Scan) any { return instant(&s.RecordedAt) }},
		{"s.attempts", func(s *Scan) any { return &s.Attempts }},
		{"s.tree_digest", func(s *Scan) any { return optional(&s.TreeDigest) }},
		{"s.violations", func(s *Scan) any { return &s.ViolationsTotal }},
		{"s.position", func(s *Scan) any { return &s.Position }},
	}
}

func claimColumns() []column[Scan] {
	return []column[Scan]{
		{"s.ref", func(s *Scan) any { return optional(&s.Claims.Ref) }},
		{"s.commit_sha", func(s *Scan) any { return optional(&s.Claims.Commit) }},
		{"s.tree_sha", func(s *Scan) any { return optional(&s.Claims.Tree) }},
		{"s.author_name", func(s *Scan) any { return optional(&s.Claims.AuthorName) }},
		{"s.author_email", func(s *Scan) any { return optional(&s.Claims.AuthorEmail) }},
		{"s.author_at", func(s *Scan) any { return instant(&s.Claims.AuthorAt) }},
		{"s.author_zone", func(s *Scan) any { return optional(&s.Claims.AuthorZone) }},
		{"s.committer_name", func(s *Scan) any { return optional(&s.Claims.CommitterName) }},
		{"s.committer_email", func(s *Scan) any { return optional(&s.Claims.CommitterEmail) }},
		{"s.committer_at", func(s *Scan) any { return instant(&s.Claims.CommitterAt) }},
		{"s.committer_zone", func(s *Scan) any { return optional(&s.Claims.CommitterZone) }},
		{"s.message", func(s *Scan) any { return optional(&s.Claims.Message) }},
		{"s.worktree", func(s *Scan) any { return &s.Claims.Worktree }},
		{"s.dirty", func(s *Scan) any { return &s.Claims.Dirty }},
		{"s.full_ref", func(s *Scan) any { return optional(&s.Claims.FullRef) }},
		{"s.previous_commit_sha", func(s *Scan) any { return optional(&s.Claims.Previous) }},
		{"s.relation", func(s *Scan) any { return optional(&s.Claims.Relation) }},
	}
}

func totalColumns() []column[Scan] {
	return []column[Scan]{
		{"s.found", func(s *Scan) any { return optional(&s.totals.Found) }},
		{"s.added", func(s *Scan) any { return optional(&s.totals.Added) }},
		{"s.changed", func(s *Scan) any { return optional(&s.totals.Changed) }},
		{"s.reread", func(s *Scan) any { return optional(&s.totals.Reread) }},
		{"s.unchanged", func(s *Scan) any { return optional(&s.totals.Unchanged) }},
		{"s.removed", func(s *Scan) any { return optional(&s.totals.Removed) }},
		{"s.rejected", func(s *Scan) any { return optional(&s.totals.Rejected) }},
		{"s.links_resolved", func(s *Scan) any { return optional(&s.totals.LinksResolved) }},
		{"s.links_missing", func(s *Scan) any { return optional(&s.totals.LinksMissing) }},
		{"s.links_wrong_kind", func(s *Scan) any { return optional(&s.totals.LinksWrongKind) }},
		{"s.relinked", func(s *Scan) any { return optional(&s.totals.Relinked) }},
		{"s.findings", func(s *Scan) any { return optional(&s.totals.Findings) }},
	}
}

// ScanFilter chooses scans. The zero value chooses all.
type ScanFilter struct {
	RepositoryID string
	ScanID       string
	Number       int64
	Outcome      string    // completed or failed
	Commit       string    // the first digits of it, in lower case
	Ref          string    // name of a ref, as git resolves it
	UpTo         int64     // recorded at or before this position
	By           time.Time // recorded at or before this time; zero for any
	Last         bool      // only the one that was recorded last of these
}

// completed is the outcome of a scan that did not fail.
const completed = "completed"

func (f ScanFilter) where() *where {
	var w where
	is(&w, "s.repository_id", f.RepositoryID)
	is(&w, "s.scan_id", f.ScanID)
	is(&w, "s.number", f.Number)
	is(&w, "s.outcome", f.Outcome)
	if f.Commit != "" {
		w.and("SUBSTR(s.commit_sha, 1, ?) = ?", len(f.Commit), f.Commit)
	}
	if f.Ref != "" {
		names := refNames(f.Ref)
		in := "IN (?" + strings.Repeat(", ?", len(names)-1) + ")"
		w.and("(s.ref "+in+" OR s.full_ref "+in+")", append(slices.Clone(names), names...)...)
	}
	if f.UpTo != 0 {
		w.and("s.position <= ?", f.UpTo)
	}
	return &w
}

// Scans returns scans in the order in which they were recorded.
func (r *Reader) Scans(ctx context.Context, filter ScanFilter) ([]Scan, error) {
	w, order := filter.where(), ""
	if !filter.By.IsZero() {
		w.and("s.recorded_at <= ?", r.moment(filter.By))
	}
	if filter.Last {
		order = " DESC LIMIT 1"
	}
	scans, err := load(ctx, r, scanColumns(), "FROM scans s"+w.String()+" ORDER BY s.position"+order, w.args...)
	if err != nil {
		return nil, err
	}
	if filter.Last && len(scans) > 0 {
		w = ScanFilter{RepositoryID: scans[0].RepositoryID, Number: scans[0].Number}.where()
	}
	failed := false
	for i := range scans {
		s := &scans[i]
		s.Violations = []Violation{}
		failed = failed || s.ViolationsTotal > 0
		if s.Outcome == completed {
			s.Totals = &s.totals
		}
	}
	if !failed {
		return scans, nil
	}
	return scans, r.addViolations(ctx, scans, w)
}

func (r *Reader) addViolations(ctx context.Context, scans []Scan, w *where) error {
	violations, err := load(ctx, r, []column[Violation]{
		{"v.repository_id", func(v *Violation) any { return &v.repository }},
		{"v.number", func(v *Violation) any { return &v.number }},
		{"v.code", func(v *Violation) any { return &v.Code }},
		{"v.path", func(v *Violation) any { return optional(&v.Path) }},
		{"v.gxp_id", func(v *Violation) any { return optional(&v.GxPID) }},
		{"v.edge", func(v *Violation) any { return optional(&v.Edge) }},
		{"v.target", func(v *Violation) any { return optional(&v.Target) }},
		{"v.text", func(v *Violation) any { return &v.Text }},
	}, `FROM scan_violations v JOIN scans s ON s.repository_id = v.repository_id AND s.number = v.number`+
		w.String()+" ORDER BY v.repository_id, v.number, v.violation_index", w.args...)
	if err != nil {
		return err
	}
	type key struct {
		repository string
		number     int64
	}
	at := make(map[key]*Scan, len(scans))
	for i := range scans {
		at[key{scans[i].RepositoryID, scans[i].Number}] = &scans[i]
	}
	for _, v := range violations {
		if s := at[key{v.repository, v.number}]; s != nil {
			s.Violations = append(s.Violations, v)
		}
	}
	return nil
}

// Scan returns the scan with that number. The error is an *UnknownError when there is none.
func (r *Reader) Scan(ctx context.Context, repository Repository, number int64) (Scan, error) {
	scans, err := r.Scans(ctx, ScanFilter{RepositoryID: repository.ID, Number: number})
	if err != nil {
		return Scan{}, err
	}
	if number < 1 || len(scans) == 0 {
		return Scan{}, r.unknownScan(ctx, repository, number)
	}
	return scans[0], nil
}

func (r *Reader) unknownScan(ctx context.Context, repository Repository, number int64) error {
	all, err := r.Scans(ctx, ScanFilter{RepositoryID: repository.ID})
	if err != nil {
		return err
	}
	unknown := &UnknownError{What: "scan", Given: strconv.FormatInt(number, 10)}
	if len(all) > 0 {
		first, last := all[0], all[len(all)-1]
		unknown.Hint = fmt.Sprintf("%q has the scans %d to %d, recorded from %s to %s", repository.Name, first.Number, last.Number,
			shortTime(first.RecordedAt), shortTime(last.RecordedAt))
	}
	return unknown
}

// scanNumbers maps the id of each scan of a repository, or of all when that is "", to its number.
func (r *Reader) scanNumbers(ctx context.Context, repository string) (map[string]int64, error) {
	type pair struct {
		id     string
		number int64
	}
	var w where
	is(&w, "repository_id", repository)
	pairs, err := load(ctx, r, []column[pair]{
		{"scan_id", func(p *pair) any { return &p.id }},
		{"number", func(p *pair) any { return &p.number }},
	}, "FROM scans"+w.String(), w.args...)
	numbers := make(map[string]int64, len(pairs))
	for _, p := range pairs {
		numbers[p.id] = p.number
	}
	return numbers, err
}

// near is the neighbours of what was given among all that is known.
func near(given string, known []string) []string { return spelling.Nearest(given, known, nearest) }
