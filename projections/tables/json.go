package tables

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/gxpledger/gxpledger/domain"
)

// linksJSON writes links as encoding/json does. Nearly every artifact has links, so this does without reflection.
func linksJSON(links []domain.Link) []byte {
	if len(links) == 0 {
		return nil
	}
	out := append(make([]byte, 0, 96*len(links)), '[')
	for i := range links {
		l := &links[i]
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, `{"edge":`...)
		out = appendString(out, string(l.Edge))
		out = append(out, `,"target":`...)
		out = appendString(out, l.Target)
		if l.To != nil {
			out = append(out, `,"to":{"number":`...)
			out = strconv.AppendInt(out, int64(l.To.Number), 10)
			out = append(out, `,"kind":`...)
			out = appendString(out, string(l.To.Kind))
			out = append(out, '}')
		}
		if l.Broken != "" {
			out = append(out, `,"broken":`...)
			out = appendString(out, string(l.Broken))
		}
		out = append(out, '}')
	}
	return append(out, ']')
}

// appendString appends text as a JSON string.
func appendString(out []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			encoded, _ := json.Marshal(text) //nolint:errchkjson // a string never fails
			return append(out, encoded...)
		}
	}
	out = append(out, '"')
	out = append(out, text...)
	return append(out, '"')
}

// appendNested appends members, evidence and findings as JSON, NULL where the artifact has none.
func appendNested(row []any, e *domain.ArtifactParsed) ([]any, error) {
	members, err := nested(len(e.Members), e.Members)
	if err != nil {
		return nil, fmt.Errorf("encode members: %w", err)
	}
	present := 0
	if e.Evidence != nil {
		present = 1
	}
	evidence, err := nested(present, e.Evidence)
	if err != nil {
		return nil, fmt.Errorf("encode evidence: %w", err)
	}
	findings, err := nested(len(e.Findings), e.Findings)
	if err != nil {
		return nil, fmt.Errorf("encode findings: %w", err)
	}
	return append(row, members, evidence, findings), nil
}

func nested[T any](n int, value T) (any, error) {
	if n == 0 {
		return nil, nil //nolint:nilnil // NULL is a value
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return withoutNUL(encoded), nil
}
