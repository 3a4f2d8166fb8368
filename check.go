package gxpledger

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
	"github.com/gxpledger/gxpledger/internal/config"
	"github.com/gxpledger/gxpledger/internal/gitrepo"
)

// Severity says what a [Problem] does to a scan.
type Severity string

// The severities of problems.
const (
	// SeverityError is a problem for which a scan is refused, or a file that cannot be read.
	SeverityError Severity = "error"
	// SeverityWarning is what a reviewer should know.
	SeverityWarning Severity = "warning"
)

// Problem is something at one place of a revision.
type Problem struct {
	Severity Severity `json:"severity"`
	Code     string   `json:"code"`           // of a domain.Violation or domain.Finding, broken_link or unreadable
	Path     string   `json:"path,omitempty"` // from the root of the repository; hostile until neutralised
	Line     int      `json:"line,omitempty"` // from 1; 0 when it is of the whole file
	Text     string   `json:"text"`           // one sentence; hostile until neutralised
}

// The codes of problems that no violation and no finding has.
const (
	ProblemBrokenLink = "broken_link"
	ProblemUnreadable = "unreadable"
)

// CheckReport says what a scan would find. The JSON names are stable.
type CheckReport struct {
	Repository domain.Repository `json:"repository"`
	Known      bool              `json:"known"` // to the log
	// Addresses are where it is read from, as [domain.CanonicalAddress] gives them: the first says which repository it is.
	Addresses []string      `json:"addresses"`
	Source    domain.Source `json:"source"`
	Policy    domain.Policy `json:"policy"` // by which it was judged
	// Refused reports whether a scan would be refused, and Read whether the files could be read at all: without, there are neither
	// counts nor links.
	Refused  bool               `json:"refused"`
	Read     bool               `json:"read"`
	Counts   []domain.Count     `json:"counts,omitempty"`
	Links    *domain.LinkCounts `json:"links,omitempty"`
	Evidence *EvidenceCounts    `json:"evidence,omitempty"`
	// Signers are the claimed ids of the keys of signatures, sorted; "" stands for signatures that claim none.
	Signers []string `json:"signers,omitempty"`
	// Problems are in the order of their paths and lines. Where a reader lists only the first of a kind, one of them says so.
	Problems []Problem `json:"problems"`
}

// Errors counts the problems of [SeverityError].
func (r CheckReport) Errors() (n int) {
	for _, p := range r.Problems {
		if p.Severity == SeverityError {
			n++
		}
	}
	return n
}

// Check says what a scan by the same request would find, and records nothing. Where there is a log that knows the repository, it is judged
// by the settings that are recorded for it; without a log, by those of the request and the defaults. Everything is read, whatever earlier scans
// have read.
//
// Errors: those of reading the repository or the log, and [ErrInvalid]. That a scan would be refused is no error. It waits for the log as
// [Config.Wait] says.
func (l *Ledger) Check(ctx context.Context, request ScanRequest) (report CheckReport, err error) {
	if request.Progress == nil {
		request.Progress = func(ScanProgress) {}
	}
	found, err := request.locate()
	if err != nil {
		return CheckReport{}, err
	}
	state, known, err := l.stateOf(ctx, request.Name, found)
	if err != nil {
		return CheckReport{}, err
	}
	keys, err := newScanKeys(known, request.Keys)
	if err != nil {
		return CheckReport{}, err
	}
	request.Progress(ScanProgress{Step: ScanOpening})
	revision, err := found.Open(ctx)
	if err != nil {
		return CheckReport{}, err
	}
	defer func() { err = errors.Join(err, revision.Close()) }()
	recorded, err := rosie.LimitsOf(state.Settings.Limits)
	if err != nil {
		return CheckReport{}, fmt.Errorf("cannot use the recorded settings: %w", err)
	}
	policy := request.policy(state.Settings)
	tree, err := rosie.Read(ctx, revision.Files(), rosie.Options{
		Keys: keys.reading, Limits: request.Limits.Over(recorded), Unsigned: policy.Unsigned, AllowSecrets: policy.AllowSecrets,
		At: l.config.Now(), Keeper: withoutContents{}, Progress: request.reading,
	})
	if err != nil {
		return CheckReport{}, err
	}
	source := revision.Source()
	relationUnknown, err := relate(ctx, revision, state, &source)
	if err != nil {
		return CheckReport{}, err
	}
	c := checking{
		report: CheckReport{
			Repository: state.Repository, Known: state.Registered, Addresses: addressesOf(found), Source: source, Policy: policy,
		},
		files: revision.Files(),
	}
	c.report.Repository.URL = found.URL() // the log has that of the first scan, or none
	err = c.judge(state, domain.Scan{
		Head: domain.Head{
			Repository: state.Repository, Source: source, Policy: policy, Reason: request.Reason,
			Settings: &domain.Settings{Keys: keys.inForce, KeysRevision: keys.revision, Overrides: request.overrides()},
		},
		Files: tree.Files, Findings: tree.Findings, Ignored: tree.Ignored, Faults: tree.Faults, Addresses: addressesOf(found),
		RevokedKeys: keys.revoked, WithoutKnownKeys: request.WithoutKnownKeys, RelationUnknown: relationUnknown,
	})
	return c.report, err
}

// withoutContents is a [rosie.Keeper] for who needs no bytes of files.
type withoutContents struct{}

// KeepContent implements [rosie.Keeper].
func (withoutContents) KeepContent(c rosie.Content) (rosie.Content, error) {
	c.Bytes = nil
	return c, nil
}

// KeepArtifacts implements [rosie.Keeper].
func (withoutContents) KeepArtifacts(artifacts []domain.Artifact) ([]domain.Artifact, error) {
	return artifacts, nil
}

// reading tells how far the reading is.
func (r ScanRequest) reading(p rosie.Progress) {
	if p.Total == 0 {
		r.Progress(ScanProgress{Step: ScanListing, Done: p.Listed})
		return
	}
	r.Progress(ScanProgress{Step: ScanReading, Done: p.Units, Total: p.Total})
}

// stateOf returns what the log says of a repository and of evidence keys: of a repository that it does not know, or where there is no log, its
// name alone. It needs no snapshot and makes none: whoever checks may have no right to write.
func (l *Ledger) stateOf(ctx context.Context, name string, found *gitrepo.Repository) (domain.State, recorder.KeysAt, error) {
	called := cmp.Or(name, addressesOf(found)[0])
	unknown := domain.State{Repository: domain.Repository{ID: RepositoryID(called), Name: called, URL: found.URL()}}
	log, err := l.openLog(ctx, config.ToRead)
	if errors.Is(err, ErrNoLog) {
		return unknown, recorder.KeysAt{}, nil
	}
	if err != nil {
		return domain.State{}, recorder.KeysAt{}, err
	}
	if unknown.Repository, err = l.identify(ctx, log, name, found); err != nil {
		return domain.State{}, recorder.KeysAt{}, err
	}
	keys, err := recorder.LoadKeys(ctx, log, 0)
	if err != nil {
		return domain.State{}, recorder.KeysAt{}, err
	}
	state := domain.State{}
	for record, err := range log.ReadStream(ctx, eventstore.RepositoryStream(unknown.Repository.ID), 0) {
		if err != nil {
			return domain.State{}, recorder.KeysAt{}, fmt.Errorf("cannot load what is known of %s: %w", unknown.Repository.Name, err)
		}
		event, err := eventstore.Decode(record)
		if err != nil {
			return domain.State{}, recorder.KeysAt{}, err
		}
		state = domain.Evolve(state, event)
	}
	if !state.Registered { // at most failures
		return unknown, keys, nil
	}
	return state, keys, nil
}

// checking is one check.
type checking struct {
	report CheckReport
	files  fs.FS
}

// brokenAt is a broken link: the path of its file, and the id that it names.
type brokenAt struct{ path, target string }

// judge decides on a scan as it is, and then without what would refuse it, which shows everything else.
func (c *checking) judge(state domain.State, scan domain.Scan) error {
	_, err := domain.Decide(state, scan)
	refused, isRefused := errors.AsType[*domain.RefusedError](err)
	if err != nil && !isRefused {
		return err
	}
	broken := map[brokenAt]bool{} // what is a violation already
	if c.report.Refused = isRefused; isRefused {
		for _, v := range refused.Violations {
			p := c.place(Problem{Severity: SeverityError, Code: v.Code, Path: v.Path, Text: strings.TrimPrefix(v.Text, v.Path+": ")}, v.Target)
			broken[brokenAt{v.Path, v.Target}] = v.Edge != ""
			c.report.Problems = append(c.report.Problems, p)
		}
	}
	if c.report.Read = len(scan.Files) > 0 || len(scan.Faults) == 0; !c.report.Read {
		return nil
	}
	scan.Faults, scan.Addresses = nil, nil
	scan.Policy.Links, scan.Policy.Duplicates = domain.LinksFlag, domain.DuplicatesUpdate
	events, err := domain.Decide(domain.State{Repository: state.Repository}, scan)
	if err != nil {
		return err
	}
	c.add(events, broken)
	return nil
}

// add reports what a scan with these events would.
func (c *checking) add(events []domain.Event, refused map[brokenAt]bool) {
	d := summarise(nil, events)
	c.report.Evidence = d.Evidence
	for _, event := range events {
		if e, ok := event.(domain.ScanCompleted); ok {
			c.report.Counts, c.report.Links = e.Counts, &e.Links
			d.Findings = append(d.Findings, e.Findings...)
		}
		if e, ok := event.(domain.ArtifactParsed); ok && e.Evidence != nil && e.Evidence.Signature.Verdict != domain.VerdictUnsigned {
			c.report.Signers = append(c.report.Signers, e.Evidence.Signature.KeyID)
		}
	}
	slices.Sort(c.report.Signers)
	c.report.Signers = slices.Compact(c.report.Signers)
	for _, b := range d.Broken {
		path, _, _ := strings.Cut(b.Path, "#")
		if !refused[brokenAt{path, b.Target}] {
			text := fmt.Sprintf("the %s link to %q leads nowhere: nothing has this id", b.Edge, b.Target)
			if b.Reason == domain.BrokenWrongKind {
				text = fmt.Sprintf("the %s link to %q leads to an artifact of another kind", b.Edge, b.Target)
			}
			c.report.Problems = append(c.report.Problems, c.place(Problem{Severity: SeverityWarning, Code: ProblemBrokenLink, Path: path, Text: text}, b.Target))
		}
	}
	for _, r := range d.Rejected {
		c.report.Problems = append(c.report.Problems, Problem{
			Severity: SeverityError, Code: ProblemUnreadable, Path: r.Path, Line: r.Line, Text: r.Message,
		})
	}
	for _, f := range d.Findings {
		if f.Code == domain.FindingDuplicate && c.report.Policy.Duplicates != domain.DuplicatesUpdate {
			continue // it is a violation
		}
		c.report.Problems = append(c.report.Problems, Problem{
			Severity: SeverityWarning, Code: f.Code, Path: f.Path, Line: f.Line, Text: f.Text,
		})
	}
	slices.SortStableFunc(c.report.Problems, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), a.Line-b.Line)
	})
}

// place finds the line of a file that names what is wrong.
func (c *checking) place(p Problem, name string) Problem {
	if name == "" {
		return p
	}
	file, err := c.files.Open(p.Path)
	if err != nil {
		return p // the path alone says where
	}
	defer file.Close() //nolint:errcheck // nothing was written
	const longest = 1 << 20
	data, err := io.ReadAll(io.LimitReader(file, longest))
	if err != nil {
		return p
	}
	p.Line = lineOf(data, name)
	return p
}

// lineOf returns the first line, from 1, on which an id stands by itself; 0 where there is none.
func lineOf(data []byte, id string) int {
	at := 0
	for {
		found := bytes.Index(data[at:], []byte(id))
		if found < 0 {
			return 0
		}
		from, to := at+found, at+found+len(id)
		if (from == 0 || !partOfID(data[from-1])) && (to == len(data) || !partOfID(data[to])) {
			return 1 + bytes.Count(data[:from], []byte("\n"))
		}
		at = from + 1
	}
}

func partOfID(c byte) bool {
	return c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= 0x80
}
