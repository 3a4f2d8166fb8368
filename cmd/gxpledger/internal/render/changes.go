package render

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/trace"
)

// Differences lists what happened to artifacts and links, with the texts that changed, and returns the summary.
func Differences(screen *Screen, indent string, d trace.Differences, texts TextDiffs) string {
	artifacts, links := d.Artifacts, d.Links
	counts := map[string]int{}
	for _, a := range artifacts {
		counts[a.What]++
		showArtifactDiff(screen, indent, a, texts)
	}
	for _, l := range links {
		counts[l.What]++
		screen.Line(indent+"%s link %s of %s %s to %s%s", linkMark(l.What), l.Edge, Spaced(l.Kind), nameOf(l), l.Target, linkChange(l))
	}
	return diffSummary(counts)
}

// longestValue is how many characters of a value a screen shows. The JSON has all.
const longestValue = 200

// Changes lists changes, one a line: added, removed or changed, where, and from what to what. What text changed in a file is
// below its line.
func Changes(screen *Screen, indent string, changes []trace.Change, texts TextDiffs) {
	for _, c := range changes {
		mark, what := changeMark(c.Op), c.Area
		if c.Path != "" {
			what += " " + c.Path
		}
		switch c.Op {
		case trace.OpAdded:
			screen.Line(indent+"%s %s: %s", mark, what, changeValue(c, c.New))
		case trace.OpRemoved:
			screen.Line(indent+"%s %s: %s", mark, what, changeValue(c, c.Old))
		default:
			screen.Line(indent+"%s %s: %s -> %s", mark, what, changeValue(c, c.Old), changeValue(c, c.New))
		}
		if diff, ok := texts.of(c); ok {
			showTextDiff(screen, indent+"    ", diff)
		}
	}
}

func changeMark(op string) Styled {
	switch op {
	case trace.OpAdded:
		return Good.Of("+")
	case trace.OpRemoved:
		return Bad.Of("-")
	default:
		return Notice.Of("~")
	}
}

// changeValue is a value in a few words.
func changeValue(c trace.Change, raw json.RawMessage) string {
	switch c.Area {
	case trace.AreaLink:
		var link trace.VersionLink
		if json.Unmarshal(raw, &link) == nil {
			return linkValue(link)
		}
	case trace.AreaContent, trace.AreaMember:
		return Short(trace.Text(raw))
	case trace.AreaEvidence:
		var check domain.Check
		if json.Unmarshal(raw, &check) == nil && check.Verdict != "" {
			return string(check.Verdict)
		}
	}
	value := string(raw)
	if runes := []rune(value); len(runes) > longestValue {
		value = string(runes[:longestValue]) + fmt.Sprintf("... (%d characters)", len(runes))
	}
	return value
}

func linkValue(l trace.VersionLink) string {
	if l.State == trace.LinkResolved {
		return fmt.Sprintf("%s, artifact %d", l.Target, l.ToNumber)
	}
	return l.Target + ", " + Spaced(l.State)
}

func showArtifactDiff(screen *Screen, indent string, a trace.ArtifactDiff, texts TextDiffs) {
	mark := Notice.Of("~ " + a.What)
	switch a.What {
	case trace.WhatNew:
		mark = Good.Of("+ new")
	case trace.WhatRemoved:
		mark = Bad.Of("- removed")
	}
	text := Spaced(a.Kind) + " " + a.Name()
	if a.Title != "" {
		text += ", " + a.Title
	}
	if a.MovedFrom != "" {
		text += ", from " + a.MovedFrom
	}
	if a.Evidence != "" {
		text += ", " + a.Evidence
	}
	if len(a.Replaces) > 0 {
		text += ", replaces " + strings.Join(a.Replaces, ", ")
	}
	screen.Line(indent+"%s %s", mark, text)
	Changes(screen, indent+"    ", a.Changes, texts)
}

func nameOf(l trace.LinkDiff) string {
	if l.GxPID != "" {
		return l.GxPID
	}
	return l.Path
}

func linkMark(what string) Styled {
	if what == trace.WhatBroken {
		return Bad.Of("! broken")
	}
	return Good.Of("* " + what)
}

func linkChange(l trace.LinkDiff) string {
	switch {
	case l.Before == "":
		return ": " + Spaced(l.After)
	case l.After == "":
		return ": was " + Spaced(l.Before) + ", is no longer declared"
	default:
		return ": was " + Spaced(l.Before) + ", is " + Spaced(l.After)
	}
}

// diffSummary counts what happened, in a fixed order.
func diffSummary(counts map[string]int) string {
	var parts []string
	for _, what := range []string{
		trace.WhatNew, trace.WhatChanged, trace.WhatReread, trace.WhatMoved, trace.WhatReadded, trace.WhatRelinked, trace.WhatRemoved,
	} {
		if n := counts[what]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	for _, what := range []string{trace.WhatBroken, trace.WhatHealed, trace.WhatDropped} {
		if n := counts[what]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", Count(n, "link"), what))
		}
	}
	return strings.Join(parts, ", ")
}
