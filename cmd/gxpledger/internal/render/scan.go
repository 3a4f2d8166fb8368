package render

import (
	"fmt"
	"time"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/domain"
)

// MostListed is how many broken links, findings or rejected files a screen lists. The JSON lists all.
const MostListed = 20

// Scan shows a completed scan: first what was read, then what is claimed of it, then what was recorded.
func Scan(screen *Screen, d gxpledger.ScanReport) {
	showSource(screen, d)
	at := any(d.RecordedAt)
	if d.RecordedAt.IsZero() {
		at = "an unknown time"
	}
	screen.Field("Recorded", "%s by %s at %s, %s, position %d, in %s", Good.Of(fmt.Sprintf("scan %d", d.Number)), Actor(d.Actor, string(d.ActorFrom)), at,
		Count(d.Attempts, "attempt"), uint64(d.Position), time.Duration(d.DurationMS)*time.Millisecond)
	if d.Reason != "" {
		screen.Field("Reason", "%s", d.Reason)
	}
	secrets := ""
	if d.Policy.AllowSecrets {
		secrets = ", secrets allowed"
	}
	screen.Field("Policy", "links %s, duplicates %s, unsigned packages %s%s", d.Policy.Links, d.Policy.Duplicates, d.Policy.Unsigned, secrets)
	if n := d.Newer; n != nil {
		screen.Field("Reread", "%s read again by a newer reader, of which %d are evidence, %d with known results", Count(n.Artifacts, "artifact"), n.Evidence, n.Known)
	}
	if d.Earlier > 0 {
		screen.Field("Earlier", "%s of scans that could not reach the log recorded first", Count(d.Earlier, "failure"))
	}
	if d.Found > 0 {
		screen.Field("Earlier", "%s whose outcome was unknown found in the log", Count(d.Found, "scan"))
	}
	screen.Blank()
	showCounts(screen, d)
	showLinks(screen, d)
	if n := d.Ignored; n != nil && n.Count > 0 {
		screen.Field("Ignored", "%s below .gxp/: gxpledger show ignored lists %s", Count(n.Count, "file"), Verb(n.Count, "it", "them"))
	}
	showEvidence(screen, d)
	showRejected(screen, d)
	showFindings(screen, d)
	showNext(screen, d)
}

// Actor is who did something. Unless a server checked a credential, the name is a claim.
func Actor(name, from string) string {
	if from == string(domain.ActorAuthenticated) {
		return name
	}
	return name + " (claimed)"
}

func showSource(screen *Screen, d gxpledger.ScanReport) {
	if d.NewRepository {
		screen.Field("Repository", "%s, a new repository", Strong.Of(d.Repository.Name))
	} else {
		screen.Field("Repository", "%s", Strong.Of(d.Repository.Name))
	}
	if d.Repository.URL != d.Repository.Name {
		screen.Field("Read from", "%s", d.Repository.URL)
	}
	switch source := d.Source; {
	case source.Worktree && source.Commit == "":
		screen.Field("Revision", "files on disk, in no commit")
	case source.Worktree && source.Dirty:
		screen.Field("Revision", "files on disk, %s commit %s", Notice.Of("changed since"), Short(source.Commit))
	case source.Worktree:
		screen.Field("Revision", "files on disk, equal to commit %s", Short(source.Commit))
	case source.Commit == "":
		screen.Field("Revision", "%s, which could not be opened", source.Ref)
	default:
		screen.Field("Revision", "%s, commit %s", source.Ref, source.Commit)
	}
	showOrder(screen, d.Source)
	showClaims(screen, d.Source)
}

// showOrder says how the revision relates to the one that was scanned before.
func showOrder(screen *Screen, source domain.Source) {
	if source.Previous == "" {
		return
	}
	screen.Field("History", "%s", RelationWords(string(source.Relation), Short(source.Previous)))
}

// RelationWords says how a commit relates to the one that was scanned before.
func RelationWords(relation, previous string) Styled {
	switch domain.Relation(relation) {
	case domain.RelationSame:
		return Styled{value: "the commit scanned before"}
	case domain.RelationDescendant:
		return Styled{value: "continues from commit " + previous}
	case domain.RelationAncestor:
		return Notice.Of("went back from commit " + previous)
	case domain.RelationUnrelated:
		return Notice.Of("went sideways from commit " + previous)
	case domain.RelationUnknown:
	}
	return Notice.Of("unknown whether it continues from commit " + previous)
}

// showClaims shows the claims of the repository about the commit.
func showClaims(screen *Screen, source domain.Source) {
	if source.Author == nil || source.Committer == nil {
		return
	}
	const note = "(claims of the repository)"
	screen.Field("Message", "%s %s", FirstLine(source.Message), Faint.Of(note))
	screen.Field("Author", "%s, %s %s", person(source.Author), ZonedTime(source.Author.When), Faint.Of(note))
	screen.Field("Committer", "%s, %s %s", person(source.Committer), ZonedTime(source.Committer.When), Faint.Of(note))
}

func person(p *domain.Person) string { return p.Name + " <" + p.Email + ">" }

func showCounts(screen *Screen, d gxpledger.ScanReport) {
	table := Table{Columns: []Column{{Title: "Kind"}}}
	for _, title := range []string{"Found", "New", "Changed", "Reread", "Unchanged", "Removed", "Rejected"} {
		table.Columns = append(table.Columns, Column{Title: title, Align: Right})
	}
	var sum domain.Count
	for _, c := range d.Counts {
		table.Add(string(c.Kind), c.Found, c.New, c.Changed, c.Reread, c.Unchanged, c.Removed, c.Rejected)
		sum = domain.Count{
			Found: sum.Found + c.Found, New: sum.New + c.New, Changed: sum.Changed + c.Changed, Reread: sum.Reread + c.Reread,
			Unchanged: sum.Unchanged + c.Unchanged, Removed: sum.Removed + c.Removed, Rejected: sum.Rejected + c.Rejected,
		}
	}
	if len(d.Counts) > 1 {
		table.Add("all", sum.Found, sum.New, sum.Changed, sum.Reread, sum.Unchanged, sum.Removed, sum.Rejected)
	}
	screen.Table(table)
	screen.Blank()
}

func showLinks(screen *Screen, d gxpledger.ScanReport) {
	broken := d.Links.Missing + d.Links.WrongKind
	if broken == 0 {
		screen.Field("Links", "%d resolved, none broken", d.Links.Sound)
		return
	}
	screen.Field("Links", "%d resolved, %s: %d to missing artifacts, %d to the wrong kind", d.Links.Sound,
		Bad.Of(fmt.Sprintf("%d broken", broken)), d.Links.Missing, d.Links.WrongKind)
	if len(d.Broken) == 0 {
		screen.Line("  the same as before: gxpledger gaps lists them")
	}
	table := Table{Columns: []Column{{Title: "  From"}, {Title: "Link"}, {Title: "To"}, {Title: "Reason"}, {Title: "File"}}}
	for _, b := range d.Broken[:min(len(d.Broken), MostListed)] {
		from := b.GxPID
		if from == "" {
			from = fmt.Sprintf("artifact %d", b.Number)
		}
		table.Add("  "+from, string(b.Edge), b.Target, string(b.Reason), b.Path)
	}
	screen.Table(table)
	More(screen, len(d.Broken))
}

// More says how many lines of a list are not shown.
func More(screen *Screen, all int) {
	if all > MostListed {
		screen.Line("  and %d more: --json lists all", all-MostListed)
	}
}

func showEvidence(screen *Screen, d gxpledger.ScanReport) {
	e := d.Evidence
	if e == nil {
		return
	}
	unsigned := ""
	if e.Unsigned > 0 {
		unsigned = fmt.Sprintf("; %d not signed", e.Unsigned)
	}
	if e.Revoked > 0 {
		unsigned += fmt.Sprintf("; %d by a revoked key", e.Revoked)
	}
	screen.Field("Evidence", "%d read: signatures %d valid, %d invalid, %d unverifiable%s", e.Valid+e.Invalid+e.Unverifiable+e.Unsigned+e.Revoked, e.Valid, e.Invalid, e.Unverifiable, unsigned)
	if e.Incomplete > 0 {
		screen.Field("", "%s with a valid signature %s another check", Count(e.Incomplete, "package"), Verb(e.Incomplete, "fails", "fail"))
	}
}

func showRejected(screen *Screen, d gxpledger.ScanReport) {
	if len(d.Rejected) == 0 {
		return
	}
	screen.Field("Rejected", "%s: %s", Bad.Of(Count(len(d.Rejected), "file")), keptBytes(d.Rejected))
	for _, r := range d.Rejected[:min(len(d.Rejected), MostListed)] {
		screen.Line("  %s: %s", Location(r.Path, r.Line, r.Column), r.Message)
	}
	More(screen, len(d.Rejected))
}

// keptBytes says of which files the bytes are stored. Those of a file above a limit were never read.
func keptBytes(rejected []gxpledger.RejectedFile) string {
	kept := 0
	for _, r := range rejected {
		if r.SHA256 != "" {
			kept++
		}
	}
	switch {
	case kept == len(rejected):
		return Verb(kept, "its bytes are kept", "their bytes are kept")
	case kept == 0:
		return Verb(len(rejected), "it is", "they are") + " too large, so that nothing of " + Verb(len(rejected), "it", "them") + " was kept"
	default:
		return fmt.Sprintf("the bytes of %d are kept, the others are too large", kept)
	}
}

// Location names a line as compilers do.
func Location(path string, line, column int) string {
	switch {
	case line == 0:
		return path
	case column == 0:
		return fmt.Sprintf("%s:%d", path, line)
	}
	return fmt.Sprintf("%s:%d:%d", path, line, column)
}

func showFindings(screen *Screen, d gxpledger.ScanReport) {
	if len(d.Findings) == 0 {
		return
	}
	screen.Field("Findings", "%s", Notice.Of(Count(len(d.Findings), "finding")))
	table := Table{Columns: []Column{{Title: "  Code"}, {Title: "File"}, {Title: "Finding"}}}
	for _, f := range d.Findings[:min(len(d.Findings), MostListed)] {
		table.Add("  "+f.Code, Location(f.Path, f.Line, 0), f.Text)
	}
	screen.Table(table)
	More(screen, len(d.Findings))
}

// showNext suggests what to do next.
func showNext(screen *Screen, d gxpledger.ScanReport) {
	screen.Blank()
	if d.Evidence != nil && d.Evidence.Unverifiable > 0 {
		screen.Field("Hint", "gxpledger keys trust FILE makes scans verify signatures with a public key")
	}
	screen.Field("Next", "gxpledger show requirements, gxpledger gaps, gxpledger history ID")
}
