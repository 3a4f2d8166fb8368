package eventstore

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/domain"
)

// EngineStream holds the admin actions, the evidence keys, and failed scans of what is no repository that the log knows.
const EngineStream StreamID = "engine"

// ActionLogCopied is the admin action that a copy of a log ends with. Its batch holds contents that no event names, where the
// original had any.
const ActionLogCopied = "log.copied"

// RepositoryStream returns the stream of a repository.
func RepositoryStream(id domain.RepositoryID) StreamID { return StreamID("repository-" + string(id)) }

// OfEngine reports whether the events of s are facts of the engine: of a repository or of an administrator. Events of
// other streams are foreign: services append them where the operator lets them. They are kept and served like any other,
// and never decoded, folded or projected.
func (s StreamID) OfEngine() bool {
	return s == EngineStream || strings.HasPrefix(string(s), RepositoryPrefix)
}

// RepositoryPrefix begins the name of every repository's stream.
const RepositoryPrefix = "repository-"

// DeriveEventID derives the id of the index-th event of a scan (I4): the same scan and index give the same id for ever.
// It is a UUIDv8 (RFC 9562 section 5.8): the first 48 bits are the time of the UUIDv7 scan, so that ids of one time are
// near each other in an index; the rest is SHA-256 over scan and index. docs/adr/0002 says why it is not a UUIDv5.
func DeriveEventID(scan uuid.UUID, index int) EventID {
	var in [24]byte
	copy(in[:16], scan[:])
	binary.BigEndian.PutUint64(in[16:], uint64(index)) //nolint:gosec // an index of a slice is not negative
	sum := sha256.Sum256(in[:])
	var id EventID
	copy(id[:6], scan[:6])
	copy(id[6:], sum[:10])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}
