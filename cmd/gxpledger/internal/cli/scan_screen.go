package cli

import (
	"fmt"
	"strings"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain"
)

// mostListed is how many broken links, findings or rejected files a screen lists. The JSON lists all.
const mostListed = 20

// showCompleted shows a scan that was recorded: first what was read, then who claims what of it, then what we know.
func showCompleted(screen *render.Screen, d scanDocument) {
	showSource(screen, d)
	at := any(d.RecordedAt)
	if d.RecordedAt.IsZero() {
		at = "a time that the log did not tell"
	}
	field(screen, "Recorded", "%s by %s at %s, %s, position %d, in %s", render.Good.Of(fmt.Sprintf("scan %d", d.Number)), actor(d.Actor, string(d.ActorFrom)), at,
		render.Count(d.Attempts, "attempt"), uint64(d.Position), d.duration())
	if d.Reason != "" {
		field(screen, "Reason", "%s", d.Reason)
	}
	secrets := ""
	if d.Policy.AllowSecrets {
		secrets = ", secrets allowed"
	}
	field(screen, "Rules", "links %s, duplicates %s, unsigned packages %s%s", d.Policy.Links, d.Policy.Duplicates, d.Policy.Unsigned, secrets)
	if n := d.Newer; n != nil {
		field(screen, "Reread", "read by a newer reader: %s, of which %d are evidence, %d with known results", render.Count(n.Artifacts, "artifact"), n.Evidence, n.Known)
	}
	if d.Earlier > 0 {
		field(screen, "Earlier", "%s of scans that could not reach the log recorded first", render.Count(d.Earlier, "failure"))
	}
	if d.Settled > 0 {
		field(screen, "Earlier", "%s whose outcome was unknown found in the log", render.Count(d.Settled, "scan"))
	}
	screen.Blank()
	showCounts(screen, d)
	showLinks(screen, d)
	if n := d.Ignored; n != nil && n.Count > 0 {
		field(screen, "Ignored", "%s below .gxp/: gxpledger show ignored lists %s", render.Count(n.Count, "file"), verb(n.Count, "it", "them"))
	}
	showEvidence(screen, d)
	showRejected(screen, d)
	showFindings(screen, d)
	showNext(screen, d)
}

// actor is who did something. Unless a server checked a credential, the name is a claim.
func actor(name, from string) string {
	if from == string(domain.ActorAuthenticated) {
		return name
	}
	return name + " (claimed)"
}

// field writes a line with a name in front.
func field(screen *render.Screen, name, format string, args ...any) {
	const width = 12
	screen.Line("%s"+format, append([]any{name + strings.Repeat(" ", width-len(name))}, args...)...)
}

func showSource(screen *render.Screen, d scanDocument) {
	field(screen, "Repository", "%s", render.Strong.Of(d.Repository.Name))
	if d.Repository.URL != d.Repository.Name {
		field(screen, "Read from", "%s", d.Repository.URL)
	}
	switch source := d.Source; {
	case source.Worktree && source.Commit == "":
		field(screen, "Revision", "files on disk, in no commit")
	case source.Worktree && source.Dirty:
		field(screen, "Revision", "files on disk, %s commit %s", render.Notice.Of("changed since"), render.Short(source.Commit))
	case source.Worktree:
		field(screen, "Revision", "files on disk, equal to commit %s", render.Short(source.Commit))
	case source.Commit == "":
		field(screen, "Revision", "%s, which could not be opened", source.Ref)
	default:
		field(screen, "Revision", "%s, commit %s", source.Ref, source.Commit)
	}
	showClaims(screen, d.Source)
}

// showClaims shows what the repository says of the commit, marked as such.
func showClaims(screen *render.Screen, source domain.Source) {
	if source.Author == nil || source.Committer == nil {
		return
	}
	const note = "(claims of the repository)"
	field(screen, "Message", "%s %s", render.FirstLine(source.Message), render.Faint.Of(note))
	field(screen, "Author", "%s, %s %s", person(source.Author), render.ZonedTime(source.Author.When), render.Faint.Of(note))
	field(screen, "Committer", "%s, %s %s", person(source.Committer), render.ZonedTime(source.Committer.When), render.Faint.Of(note))
}

func person(p *domain.Person) string { return p.Name + " <" + p.Email + ">" }

func showCounts(screen *render.Screen, d scanDocument) {
	table := render.Table{Columns: []render.Column{{Title: "Kind"}}}
	for _, title := range []string{"Found", "New", "Changed", "Reread", "Unchanged", "Removed", "Rejected"} {
		table.Columns = append(table.Columns, render.Column{Title: title, Align: render.Right})
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

func showLinks(screen *render.Screen, d scanDocument) {
	broken := d.Links.Missing + d.Links.WrongKind
	if broken == 0 {
		field(screen, "Links", "%d sound, none broken", d.Links.Sound)
		return
	}
	field(screen, "Links", "%d sound, %s: %d to what is missing, %d to the wrong kind", d.Links.Sound,
		render.Bad.Of(fmt.Sprintf("%d broken", broken)), d.Links.Missing, d.Links.WrongKind)
	if len(d.Broken) == 0 {
		screen.Line("  the same as before: gxpledger gaps lists them")
	}
	table := render.Table{Columns: []render.Column{{Title: "  From"}, {Title: "Link"}, {Title: "To"}, {Title: "Reason"}, {Title: "File"}}}
	for _, b := range d.Broken[:min(len(d.Broken), mostListed)] {
		from := b.GxPID
		if from == "" {
			from = fmt.Sprintf("artifact %d", b.Number)
		}
		table.Add("  "+from, string(b.Edge), b.Target, string(b.Reason), b.Path)
	}
	screen.Table(table)
	more(screen, len(d.Broken))
}

// more says how many lines of a list are not shown.
func more(screen *render.Screen, all int) {
	if all > mostListed {
		screen.Line("  and %d more: --json lists all", all-mostListed)
	}
}

func showEvidence(screen *render.Screen, d scanDocument) {
	e := d.Evidence
	if e == nil {
		return
	}
	unsigned := ""
	if e.Unsigned > 0 {
		unsigned = fmt.Sprintf("; %d not signed", e.Unsigned)
	}
	field(screen, "Evidence", "%d read: signatures %d valid, %d invalid, %d unverifiable%s", e.Valid+e.Invalid+e.Unverifiable+e.Unsigned, e.Valid, e.Invalid, e.Unverifiable, unsigned)
	if e.Incomplete > 0 {
		field(screen, "", "%s with a valid signature %s another check", render.Count(e.Incomplete, "package"), verb(e.Incomplete, "fails", "fail"))
	}
}

func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func showRejected(screen *render.Screen, d scanDocument) {
	if len(d.Rejected) == 0 {
		return
	}
	field(screen, "Rejected", "%s: %s", render.Bad.Of(render.Count(len(d.Rejected), "file")), whatIsKept(d.Rejected))
	for _, r := range d.Rejected[:min(len(d.Rejected), mostListed)] {
		screen.Line("  %s: %s", place(r.Path, r.Line, r.Column), r.Message)
	}
	more(screen, len(d.Rejected))
}

// whatIsKept says of which files the bytes are stored. Those of a file above a limit were never read.
func whatIsKept(rejected []rejectedFile) string {
	kept := 0
	for _, r := range rejected {
		if r.SHA256 != "" {
			kept++
		}
	}
	switch {
	case kept == len(rejected):
		return verb(kept, "its bytes are kept", "their bytes are kept")
	case kept == 0:
		return verb(len(rejected), "it is", "they are") + " too large, so that nothing of " + verb(len(rejected), "it", "them") + " was kept"
	default:
		return fmt.Sprintf("the bytes of %d are kept, the others are too large", kept)
	}
}

// place names a spot as compilers do.
func place(path string, line, column int) string {
	switch {
	case line == 0:
		return path
	case column == 0:
		return fmt.Sprintf("%s:%d", path, line)
	}
	return fmt.Sprintf("%s:%d:%d", path, line, column)
}

func showFindings(screen *render.Screen, d scanDocument) {
	if len(d.Findings) == 0 {
		return
	}
	field(screen, "Findings", "%s", render.Notice.Of(render.Count(len(d.Findings), "finding")))
	table := render.Table{Columns: []render.Column{{Title: "  Code"}, {Title: "File"}, {Title: "Finding"}}}
	for _, f := range d.Findings[:min(len(d.Findings), mostListed)] {
		table.Add("  "+f.Code, place(f.Path, f.Line, 0), f.Text)
	}
	screen.Table(table)
	more(screen, len(d.Findings))
}

// showNext says what one can do now.
func showNext(screen *render.Screen, d scanDocument) {
	screen.Blank()
	if d.Evidence != nil && d.Evidence.Unverifiable > 0 {
		field(screen, "Hint", "--evidence-key FILE verifies signatures by the key that you trust")
	}
	field(screen, "Next", "gxpledger show requirements, gxpledger gaps, gxpledger history ID")
}

// showViolations lists every reason why a scan was refused.
func showViolations(screen *render.Screen, d scanDocument) {
	for _, v := range d.Violations {
		text := v.Text
		if !strings.Contains(text, v.Path) {
			text = v.Path + ": " + text
		}
		screen.Line("%s %s", render.Bad.Of(v.Code), text)
	}
	if more := d.Total - len(d.Violations); more > 0 {
		screen.Line("and %s more, counted and not listed", render.Count(more, "reason"))
	}
}
