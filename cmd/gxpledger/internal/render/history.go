package render

import (
	"fmt"
	"strings"

	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/projections/query"
)

// Lineage shows the history of an artifact, with the texts that changed.
func Lineage(screen *Screen, repository string, l query.Lineage, texts TextDiffs) {
	presence := Good.Of("present")
	if !l.Present {
		presence = Bad.Of("removed")
	}
	screen.Line("%s %s of %s, %s", Spaced(l.Kind), Strong.Of(l.Name), repository, presence)
	for _, e := range l.Entries {
		screen.Blank()
		screen.Line("%s", entryTitle(e))
		screen.Field("  Recorded", "by %s at %s, position %d%s", Actor(e.Actor, e.ActorFrom), e.RecordedAt, e.Position, ReasonGiven(e.Reason))
		screen.Field("  Claimed", "%s", Claimed(e.Claims))
		Changes(screen, "  ", e.Changes, texts)
	}
}

func entryTitle(e query.Entry) Styled { return Strong.Of(entryWords(e)) }

func entryWords(e query.Entry) string {
	title := fmt.Sprintf("Scan %d: %s", e.Scan, e.What)
	switch v := e.Version; {
	case e.What == query.WhatRejected:
		title += ", the file is present and could not be parsed"
	case v == nil:
	case e.What == trace.WhatNew:
		title += " at " + v.Key()
	case e.What == trace.WhatMoved:
		title += " to " + v.Key()
	default:
		title += fmt.Sprintf(", version %d", v.Version)
	}
	if e.Evidence != "" {
		title += ", evidence " + e.Evidence
	}
	return title
}

// ReasonGiven ends a sentence with the reason, if there is one.
func ReasonGiven(reason string) string {
	if reason == "" {
		return ""
	}
	return fmt.Sprintf("; reason: %s", reason)
}

// Claimed is what git says of a revision, in one line.
func Claimed(c query.Claims) string {
	text := Revision(c)
	if c.AuthorName != "" || c.AuthorEmail != "" {
		text += fmt.Sprintf(" by %s <%s>, %s", c.AuthorName, c.AuthorEmail, Time(c.AuthorAt))
	}
	if c.CommitterEmail != c.AuthorEmail || !c.CommitterAt.Equal(c.AuthorAt) {
		text += fmt.Sprintf("; committed by %s <%s>, %s", c.CommitterName, c.CommitterEmail, Time(c.CommitterAt))
	}
	if first := FirstLine(c.Message); first != "" {
		text += ": " + first
	}
	return text
}

// Revision names what a scan read, in a few characters.
func Revision(c query.Claims) string {
	switch {
	case c.Worktree && c.Commit == "":
		return "work tree"
	case c.Worktree && c.Dirty:
		return "work tree, changed since " + Short(c.Commit)
	case c.Worktree:
		return "work tree at " + Short(c.Commit)
	case c.Commit == "":
		return c.Ref
	case c.Ref == "" || strings.HasPrefix(c.Commit, c.Ref):
		return Short(c.Commit)
	default:
		return c.Ref + " " + Short(c.Commit)
	}
}

// Expected paints a word as good when it is the expected one, and else as bad.
func Expected(word, expected string) Styled {
	if word == expected {
		return Good.Of(word)
	}
	return Bad.Of(word)
}
