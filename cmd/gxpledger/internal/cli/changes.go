package cli

import (
	"encoding/json"
	"fmt"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/trace"
)

// longestValue is how many characters of a value a screen shows. The JSON has all.
const longestValue = 200

// showChanges lists changes, one a line: added, removed or changed, where, and from what to what.
func showChanges(screen *render.Screen, indent string, changes []trace.Change) {
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
	}
}

func changeMark(op string) render.Styled {
	switch op {
	case trace.OpAdded:
		return render.Good.Of("+")
	case trace.OpRemoved:
		return render.Bad.Of("-")
	default:
		return render.Notice.Of("~")
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
		return render.Short(trace.Text(raw))
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
	return l.Target + ", " + spaced(l.State)
}
