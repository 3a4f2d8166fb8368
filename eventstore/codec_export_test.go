package eventstore

import "github.com/gxpledger/gxpledger/domain"

// DecodeThrough decodes r with a table in which each of from leads to the next name by upcast, and all other names are
// as stored.
func DecodeThrough(r Record, next map[string]string, upcast func(data []byte) ([]byte, error)) (domain.Event, error) {
	return decode(r, func(name string) (codec, bool) {
		if to, ok := next[name]; ok {
			return codec{next: to, upcast: upcast}, true
		}
		return stored(name)
	})
}

// ParsedFromPlain is what Decode tries first on an ArtifactParsed.
func ParsedFromPlain(data []byte) (domain.ArtifactParsed, bool) { return parsedFromPlain(data) }

// ParsedFromJSON is what it leaves the rest to.
func ParsedFromJSON(data []byte) (domain.Event, error) { return decodeAs[domain.ArtifactParsed](data) }
