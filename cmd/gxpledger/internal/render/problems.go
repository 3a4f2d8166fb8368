package render

import (
	"fmt"
	"strings"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/domain"
)

// firstOfKind is how many problems of one kind are listed where there are more.
const firstOfKind = 3

// Violations lists the violations of a scan that was refused: of each kind the first ones, or all.
func Violations(screen *Screen, d gxpledger.ScanReport, all bool) {
	problems := make([]gxpledger.Problem, len(d.Violations))
	for i, v := range d.Violations {
		problems[i] = gxpledger.Problem{Severity: gxpledger.SeverityError, Code: v.Code, Path: v.Path, Text: strings.TrimPrefix(v.Text, v.Path+": ")}
	}
	listProblems(screen, problems, all)
	if more := d.Total - len(d.Violations); more > 0 {
		screen.Line("and %s more, counted and not listed", Count(more, "violation"))
	}
}

// listProblems lists problems by kind, in the order in which the kinds first come: of each the first ones, or all.
func listProblems(screen *Screen, problems []gxpledger.Problem, all bool) { //nolint:revive // what was asked for
	of := map[string][]gxpledger.Problem{}
	var kinds []string
	for _, p := range problems {
		if of[p.Code] == nil {
			kinds = append(kinds, p.Code)
		}
		of[p.Code] = append(of[p.Code], p)
	}
	for _, kind := range kinds {
		problems, style := of[kind], Notice
		if problems[0].Severity == gxpledger.SeverityError {
			style = Bad
		}
		if all || len(problems) <= firstOfKind {
			for _, p := range problems {
				screen.Line("%s %s", style.Of(kind), place(p))
			}
			continue
		}
		screen.Line("%s %d times, of which --all lists every one; the first %d:", style.Of(kind), len(problems), firstOfKind)
		for _, p := range problems[:firstOfKind] {
			screen.Line("  %s", place(p))
		}
	}
}

// place is a problem with its place before it.
func place(p gxpledger.Problem) string {
	if p.Path == "" {
		return p.Text
	}
	return Location(p.Path, p.Line, 0) + ": " + p.Text
}

// Check shows what a scan would find.
func Check(screen *Screen, r gxpledger.CheckReport, all bool) {
	showSource(screen, gxpledger.ScanReport{
		Head: &domain.Head{Repository: r.Repository, Source: r.Source}, NewRepository: !r.Known,
	})
	screen.Field("Policy", "links %s, duplicates %s, unsigned packages %s", r.Policy.Links, r.Policy.Duplicates, r.Policy.Unsigned)
	screen.Blank()
	if r.Read {
		showRead(screen, r)
	} else {
		screen.Line("The files were not read, because of what follows.")
	}
	if len(r.Problems) > 0 {
		screen.Blank()
		listProblems(screen, r.Problems, all)
	}
	screen.Blank()
	errors := r.Errors()
	outcome := "a scan would be recorded"
	if r.Refused {
		outcome = "a scan would be refused"
	}
	screen.Line("%s, %s: %s; nothing was recorded", Count(errors, "error"), Count(len(r.Problems)-errors, "warning"), outcome)
}

// showRead shows what a check has read.
func showRead(screen *Screen, r gxpledger.CheckReport) {
	table := Table{Columns: []Column{{Title: "Kind"}, {Title: "Found", Align: Right}, {Title: "Rejected", Align: Right}}}
	for _, c := range r.Counts {
		table.Add(string(c.Kind), c.Found, c.Rejected)
	}
	screen.Table(table)
	screen.Blank()
	broken := "none broken"
	if n := r.Links.Missing + r.Links.WrongKind; n > 0 {
		broken = fmt.Sprintf("%d broken", n)
	}
	screen.Field("Links", "%d resolved, %s", r.Links.Sound, broken)
	showEvidence(screen, gxpledger.ScanReport{Evidence: r.Evidence})
	if n := len(r.Signers); n > 0 {
		screen.Field("Signers", "%s: %s", Count(n, "claimed key id"), signers(r.Signers))
	}
}

// signers lists the first claimed ids of keys.
func signers(ids []string) string {
	const most = 5
	names := make([]string, 0, most)
	for _, id := range ids[:min(len(ids), most)] {
		if id == "" {
			id = "none claimed"
		}
		names = append(names, id)
	}
	if len(ids) > most {
		names = append(names, "...")
	}
	return strings.Join(names, ", ")
}
