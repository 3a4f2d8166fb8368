package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/projections/query"
)

// detailsDocument is the output of show KIND ID --json: several artifacts when they claim the same id.
type detailsDocument struct {
	headDocument
	Artifacts []query.Detail `json:"artifacts"`
}

func (o *showOptions) showDetails(ctx context.Context, v *view) error {
	details, err := v.Details(ctx, o.subject.group, o.filter)
	if err != nil {
		return err
	}
	if o.app.json {
		return o.app.document(detailsDocument{v.document(), details})
	}
	screen := o.app.screenOf(v)
	for i, d := range details {
		if i > 0 {
			screen.Blank()
		}
		showDetail(screen, d)
	}
	return screen.Err()
}

func showDetail(screen *render.Screen, d query.Detail) {
	screen.Line("%s %s", spaced(d.Kind), render.Strong.Of(d.Name()))
	for _, f := range []struct{ name, value string }{
		{"Title", d.Title},
		{"Risk", d.Risk},
		{"Tier", d.Tier},
		{"Status", d.Status},
		{"Validation", d.ValidationStatus},
		{"Assurance", d.AssuranceStatus},
		{"Repository", d.Repository},
		{"Path", d.Key()},
	} {
		if f.value != "" {
			field(screen, f.name, "%s", f.value)
		}
	}
	field(screen, "Version", "%d, recorded in scan %d at %s", d.Version, d.Scan, d.ChangedAt)
	field(screen, "First", "recorded in scan %d at %s", d.FirstScan, d.FirstAt)
	field(screen, "Content", "%s, %s", d.ContentSHA256, render.Bytes(d.Size))
	field(screen, "Git blob", "%s", d.Blob)
	showProof(screen, d.Evidence)
	showFields(screen, d.Fields)
	showDetailLinks(screen, "Links to", d.Links, func(l trace.Link) string { return l.Target })
	showDetailLinks(screen, "Linked by", d.LinksIn, func(l trace.Link) string {
		if l.GxPID == "" {
			return l.Key()
		}
		return l.GxPID
	})
	showMembers(screen, d.Members)
	if len(d.Findings) > 0 {
		screen.Blank()
		screen.Line("%s", render.Strong.Of("Findings"))
		for _, f := range d.Findings {
			screen.Line("  %s %s", render.Notice.Of(f.Code), f.Text)
		}
	}
}

func showProof(screen *render.Screen, e *query.Evidence) {
	if e == nil {
		return
	}
	screen.Blank()
	screen.Line("%s %s", render.Strong.Of("Evidence"), good(e.Overall, "valid"))
	field(screen, "Worth", "%s", evidenceWorth(e))
	signature := e.Verdict
	if e.Reason != "" {
		signature += ": " + e.Reason
	}
	field(screen, "Signature", "%s", signature)
	if e.Fingerprint != "" {
		field(screen, "Key", "SHA-256 %s", e.Fingerprint)
	}
	for _, c := range []struct{ name, verdict string }{
		{"presence", e.CheckPresence}, {"signature", e.CheckSignature}, {"integrity", e.CheckIntegrity}, {"completeness", e.CheckCompleteness},
	} {
		if c.verdict != "" {
			field(screen, "Check", "%s: %s", c.name, good(c.verdict, "valid"))
		}
	}
	showProblems(screen, e.Problems)
	if e.Expired {
		field(screen, "Expired", "%s, before the scan; an archived record stays valid", e.ExpiresAt)
	}
	for _, f := range []struct{ name, value string }{
		{"Algorithm", e.Algorithm},
		{"Key id", e.KeyID},
		{"Signed", render.Time(e.IssuedAt)},
		{"For spec", e.SpecID},
		{"For story", e.TracedUserStory},
		{"Tests ran", e.TimestampClaimed},
		{"Test tool", strings.TrimSpace(e.Tool + " " + e.ToolVersion)},
		{"Tests", testTotals(e)},
		{"Git commit", e.GitCommit},
		{"State hash", e.SystemStateHash},
	} {
		if f.value != "" {
			field(screen, f.name, "%s %s", f.value, render.Faint.Of("(claim)"))
		}
	}
}

func testTotals(e *query.Evidence) string {
	if e.Passed == nil || e.Failed == nil || e.Skipped == nil {
		return ""
	}
	return fmt.Sprintf("%d passed, %d failed, %d skipped", *e.Passed, *e.Failed, *e.Skipped)
}

func showProblems(screen *render.Screen, raw json.RawMessage) {
	var problems []struct {
		Check string `json:"check"`
		domain.Problem
	}
	if raw == nil || json.Unmarshal(raw, &problems) != nil {
		return
	}
	for _, p := range problems {
		screen.Line("  %s", strings.Join(strings.Fields(strings.Join([]string{p.Check, p.Code, p.Path, p.Text}, " ")), " "))
	}
}

// showFields lists the fields of the file, lists and maps item by item.
func showFields(screen *render.Screen, raw json.RawMessage) {
	lines := trace.Fields(raw)
	if len(lines) == 0 {
		return
	}
	screen.Blank()
	screen.Line("%s", render.Strong.Of("Fields"))
	for _, l := range lines {
		screen.Line("  %s: %s", l.Path, l.Text)
	}
}

func showDetailLinks(screen *render.Screen, title string, links []trace.Link, name func(trace.Link) string) {
	if len(links) == 0 {
		return
	}
	screen.Blank()
	screen.Line("%s", render.Strong.Of(title))
	for _, l := range links {
		kind := spaced(l.Kind)
		if title == "Links to" {
			kind = spaced(l.ToKind)
		}
		screen.Line("  %s", strings.Join(strings.Fields(strings.Join([]string{l.Edge, kind}, " ")), " ")+" "+name(l)+linkNote(l))
	}
}

func linkNote(l trace.Link) string {
	if l.State == trace.LinkResolved {
		return ""
	}
	return ": " + spaced(l.State)
}

func showMembers(screen *render.Screen, members []query.Member) {
	if len(members) == 0 {
		return
	}
	screen.Blank()
	t := columns("File", "Size>", "SHA-256")
	for _, m := range members {
		t.Add(m.Path, render.Bytes(m.Size), m.SHA256)
	}
	t.show(screen)
}
