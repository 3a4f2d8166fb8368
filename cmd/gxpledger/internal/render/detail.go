package render

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/projections/query"
)

// Detail shows what is known of an artifact.
func Detail(screen *Screen, d query.Detail) {
	screen.Line("%s %s", Spaced(d.Kind), Strong.Of(d.Name()))
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
			screen.Field(f.name, "%s", f.value)
		}
	}
	screen.Field("Version", "%d, recorded in scan %d at %s", d.Version, d.Scan, d.ChangedAt)
	screen.Field("First", "recorded in scan %d at %s", d.FirstScan, d.FirstAt)
	screen.Field("Content", "%s, %s", d.ContentSHA256, Bytes(d.Size))
	screen.Field("Git blob", "%s", d.Blob)
	showEvidenceDetail(screen, d.Evidence)
	showFields(screen, d.Fields)
	showDetailLinks(screen, "Links to", d.Links, func(l trace.Link) string { return l.Target })
	showDetailLinks(screen, "Linked by", d.LinksIn, LinkSource)
	showMembers(screen, d.Members)
	if len(d.Findings) > 0 {
		screen.Blank()
		screen.Line("%s", Strong.Of("Findings"))
		for _, f := range d.Findings {
			screen.Line("  %s %s", Notice.Of(f.Code), f.Text)
		}
	}
}

func showEvidenceDetail(screen *Screen, e *query.Evidence) {
	if e == nil {
		return
	}
	screen.Blank()
	screen.Line("%s %s", Strong.Of("Evidence"), Expected(e.Overall, "valid"))
	screen.Field("State", "%s", EvidenceState(e))
	signature := e.Verdict
	if e.Reason != "" {
		signature += ": " + e.Reason
	}
	screen.Field("Signature", "%s", signature)
	if e.Fingerprint != "" {
		screen.Field("Key", "SHA-256 %s", e.Fingerprint)
	}
	for _, c := range []struct{ name, verdict string }{
		{"presence", e.CheckPresence}, {"signature", e.CheckSignature}, {"integrity", e.CheckIntegrity}, {"completeness", e.CheckCompleteness},
	} {
		if c.verdict != "" {
			screen.Field("Check", "%s: %s", c.name, Expected(c.verdict, "valid"))
		}
	}
	showProblems(screen, e.Problems)
	if e.Expired {
		screen.Field("Expired", "%s, before the scan; an archived record stays valid", e.ExpiresAt)
	}
	for _, f := range []struct{ name, value string }{
		{"Algorithm", e.Algorithm},
		{"Key id", e.KeyID},
		{"Signed", Time(e.IssuedAt)},
		{"For spec", e.SpecID},
		{"For story", e.TracedUserStory},
		{"Tests ran", e.TimestampClaimed},
		{"Test tool", strings.TrimSpace(e.Tool + " " + e.ToolVersion)},
		{"Tests", testTotals(e)},
		{"Git commit", e.GitCommit},
		{"State hash", e.SystemStateHash},
	} {
		if f.value != "" {
			screen.Field(f.name, "%s %s", f.value, Faint.Of("(claim)"))
		}
	}
}

func testTotals(e *query.Evidence) string {
	if e.Passed == nil || e.Failed == nil || e.Skipped == nil {
		return ""
	}
	return fmt.Sprintf("%d passed, %d failed, %d skipped", *e.Passed, *e.Failed, *e.Skipped)
}

func showProblems(screen *Screen, raw json.RawMessage) {
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
func showFields(screen *Screen, raw json.RawMessage) {
	lines := trace.Fields(raw)
	if len(lines) == 0 {
		return
	}
	screen.Blank()
	screen.Line("%s", Strong.Of("Fields"))
	for _, l := range lines {
		screen.Line("  %s: %s", l.Path, l.Text)
	}
}

func showDetailLinks(screen *Screen, title string, links []trace.Link, name func(trace.Link) string) {
	if len(links) == 0 {
		return
	}
	screen.Blank()
	screen.Line("%s", Strong.Of(title))
	for _, l := range links {
		kind, note := Spaced(l.Kind), ""
		if title == "Links to" {
			kind = Spaced(l.ToKind)
		}
		if l.State != trace.LinkResolved {
			note = ": " + Spaced(l.State)
		}
		screen.Line("  %s", strings.Join(strings.Fields(strings.Join([]string{l.Edge, kind}, " ")), " ")+" "+name(l)+note)
	}
}

func showMembers(screen *Screen, members []query.Member) {
	if len(members) == 0 {
		return
	}
	screen.Blank()
	t := NewList("File", "Size>", "SHA-256")
	for _, m := range members {
		t.Add(m.Path, Bytes(m.Size), m.SHA256)
	}
	screen.List(t)
}

// EvidenceState is the state of evidence and, where it does not cover its spec, why.
func EvidenceState(e *query.Evidence) Styled {
	if e.State == string(domain.EvidencePassed) {
		return Good.Of(e.State)
	}
	text := e.State
	if e.StateReason != "" {
		text += ": " + trace.EvidenceWord(domain.EvidenceState(e.State), e.StateReason, e.Reason)
	}
	return Bad.Of(text)
}

// Spaced is a kind or a state with blanks for underscores.
func Spaced[T ~string](word T) string { return strings.ReplaceAll(string(word), "_", " ") }

// Tests is the totals that evidence claims.
func Tests(e *query.Evidence) any {
	if e == nil || e.Passed == nil {
		return nil
	}
	text := fmt.Sprintf("%d passed", *e.Passed)
	if e.Failed != nil && *e.Failed > 0 {
		return Bad.Of(fmt.Sprintf("%s, %d failed", text, *e.Failed))
	}
	return text
}

// LinkSource names the artifact that declares a link.
func LinkSource(l trace.Link) string {
	if l.GxPID == "" {
		return l.Key()
	}
	return l.GxPID
}
