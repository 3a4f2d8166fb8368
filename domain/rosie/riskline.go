package rosie

import "strings"

// riskLine takes an entry of one line apart: a date in brackets, and behind it columns between bars.
func riskLine(text string) (date string, columns []string, ok bool) {
	inner, rest, closed := strings.Cut(strings.TrimPrefix(text, "["), "]")
	if !strings.HasPrefix(text, "[") || !closed || !strings.Contains(rest, "|") {
		return "", nil, false
	}
	return strings.TrimSpace(inner), strings.Split(rest, "|"), true
}

// riskHeading takes a heading of the second level apart that starts with a risk id.
func riskHeading(text string) (id, title string, ok bool) {
	rest, ok := strings.CutPrefix(text, "##")
	if !ok || rest == "" || rest[0] != ' ' && rest[0] != '\t' {
		return "", "", false
	}
	id, rest = riskID(strings.TrimSpace(rest))
	title = strings.TrimLeft(rest, " \t:\u2013\u2014-")
	if id == "" || rest != "" && title == rest {
		return "", "", false
	}
	return id, strings.TrimSpace(title), true
}

// riskID splits off the risk id that text starts with; "" when it starts otherwise.
func riskID(text string) (id, rest string) {
	end := strings.IndexFunc(text, func(r rune) bool { return r != '-' && !letter(r) && (r < '0' || r > '9') })
	if end < 0 {
		end = len(text)
	}
	id = strings.TrimRight(text[:end], "-")
	if !strings.HasPrefix(id, "RISK-") {
		return "", text
	}
	return id, text[len(id):]
}

// riskLabel takes "Label: text" apart.
func riskLabel(text string) (label, rest string, ok bool) {
	label, rest, ok = strings.Cut(strings.TrimSpace(text), ":")
	label = strings.TrimSpace(label)
	if !ok || !plainLabel(label) {
		return "", "", false
	}
	return label, rest, true
}

// riskBullet takes a line of a list apart: "- **Label:** text", "**Label**: text" or "- Label: text".
func riskBullet(text string) (label, rest string, ok bool) {
	item := text
	for _, bullet := range []string{"- ", "* ", "+ "} {
		item = strings.TrimPrefix(item, bullet)
	}
	item = strings.TrimSpace(item)
	bold, isBold := strings.CutPrefix(item, "**")
	switch {
	case isBold:
		label, rest, ok = strings.Cut(bold, "**")
		inside, colon := strings.CutSuffix(strings.TrimSpace(label), ":")
		if !colon {
			rest, colon = strings.CutPrefix(strings.TrimSpace(rest), ":")
		}
		label = strings.TrimSpace(inside)
		ok = ok && colon && plainLabel(label)
	case len(item) < len(text):
		label, rest, ok = riskLabel(item)
		ok = ok && (rest == "" || rest[0] == ' ' || rest[0] == '\t')
	}
	return label, rest, ok
}

// plainLabel reports whether text can be the name of a column: up to 40 letters, blanks, dashes.
func plainLabel(text string) bool {
	if text == "" || len(text) > 40 || !letter(rune(text[0])) {
		return false
	}
	return strings.IndexFunc(text, func(r rune) bool { return !letter(r) && !strings.ContainsRune(" _-", r) }) < 0
}

func letter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }
