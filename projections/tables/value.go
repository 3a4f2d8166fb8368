package tables

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // for UUIDv5
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
)

// ArtifactID derives the id of whatever artifact is at key of a repository: a UUIDv5 in the namespace
// 0d3c5fa5-6e0b-5a0e-9d1f-3f2c8a7b9e41 over the repository's id, NUL, the path, NUL, and the ordinal in decimal.
// It is the same in every log and for ever.
func ArtifactID(repository domain.RepositoryID, key domain.Key) uuid.UUID {
	namespace := artifactNamespace()
	in := append(make([]byte, 0, 256), namespace[:]...)
	in = append(in, repository...)
	in = append(in, 0)
	in = append(in, key.Path...)
	in = append(in, 0)
	in = strconv.AppendInt(in, int64(key.Ordinal), 10)
	sum := sha1.Sum(in) //nolint:gosec // RFC 9562 defines UUIDv5 by SHA-1; nothing relies on it against a forger
	id := uuid.UUID(sum[:16])
	id[6] = id[6]&0x0f | 0x50
	id[8] = id[8]&0x3f | 0x80
	return id
}

func artifactNamespace() uuid.UUID {
	return uuid.UUID{0x0d, 0x3c, 0x5f, 0xa5, 0x6e, 0x0b, 0x5a, 0x0e, 0x9d, 0x1f, 0x3f, 0x2c, 0x8a, 0x7b, 0x9e, 0x41}
}

const replacement = "\uFFFD"

// str is s as a value: what no database can hold replaced.
func str(s string) any {
	if strings.IndexByte(s, 0) >= 0 {
		return strings.ReplaceAll(s, "\x00", replacement)
	}
	return s
}

// opt is s as a value, NULL when it is empty.
func opt(s string) any {
	if s == "" {
		return nil
	}
	return str(s)
}

// positive is n as a value, NULL when it is 0: a line, a column.
func positive(n int) any {
	if n == 0 {
		return nil
	}
	return n
}

// optTime is t as a value, NULL when there is none.
func optTime(t *time.Time) any {
	if t == nil {
		return nil
	}
	return *t
}

// optKey is the text of k, NULL when there is none.
func optKey(k *domain.Key) any {
	if k == nil {
		return nil
	}
	return str(k.String())
}

// optJSON is raw as a value, NULL when it is empty.
func optJSON(raw []byte) any {
	if len(raw) == 0 {
		return nil
	}
	return withoutNUL(raw)
}

// withoutNUL replaces the character NUL, which JSON writes as \u0000 and PostgreSQL cannot hold. A backslash that is
// itself escaped does not begin an escape.
func withoutNUL(raw []byte) []byte {
	const nul = `\u0000`
	if !bytes.Contains(raw, []byte(nul)) {
		return raw
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		switch {
		case raw[i] != '\\':
			out = append(out, raw[i])
			i++
		case bytes.HasPrefix(raw[i:], []byte(nul)):
			out = append(out, replacement...)
			i += len(nul)
		default:
			end := min(i+2, len(raw))
			out = append(out, raw[i:end]...)
			i = end
		}
	}
	return out
}
