package eventstore

import (
	"bytes"
	"reflect"
	"time"
	"unicode/utf8"

	"github.com/gxpledger/gxpledger/domain"
)

// canonical returns event with every time in the zone in which it is stored and read, so that neither the stored bytes nor
// what a projection makes of them depend on the zone of a machine (I6). It changes nothing that event points to.
func canonical(event domain.Event) domain.Event {
	switch e := event.(type) {
	case domain.RepositoryChanged:
		e.ChangedAt = e.ChangedAt.UTC()
		return e
	case domain.RepositoryRetired:
		e.RetiredAt = e.RetiredAt.UTC()
		return e
	case domain.ArtifactParsed:
		if e.Evidence == nil {
			return event // no times, and not worth a copy
		}
		e.Evidence = canonicalEvidence(e.Evidence)
		return e
	case domain.ScanCompleted:
		e.Head = canonicalHead(e.Head)
		return e
	case domain.ScanFailed:
		e.Head = canonicalHead(e.Head)
		return e
	case domain.AdminActed:
		e.At = e.At.UTC()
		return e
	case domain.KeyTrusted:
		e.TrustedAt = e.TrustedAt.UTC()
		return e
	case domain.KeyRevoked:
		e.RevokedAt = e.RevokedAt.UTC()
		return e
	case domain.RelayAdded:
		e.AddedAt = e.AddedAt.UTC()
		return e
	case domain.RelayRemoved:
		e.RemovedAt = e.RemovedAt.UTC()
		return e
	case domain.ScanAttemptFailed:
		e.StartedAt, e.FailedAt = e.StartedAt.UTC(), e.FailedAt.UTC()
		e.Source = canonicalSource(e.Source)
		return e
	case domain.RepositoryRegistered, domain.ArtifactRejected, domain.ArtifactRemoved, domain.ArtifactRelinked,
		domain.RejectionCleared:
		return event // no times
	}
	return event
}

func canonicalEvidence(e *domain.Evidence) *domain.Evidence {
	if e == nil {
		return nil
	}
	c := *e
	c.Signature.IssuedAt = inUTC(e.Signature.IssuedAt)
	c.Signature.ExpiresAt = inUTC(e.Signature.ExpiresAt)
	return &c
}

func canonicalHead(h domain.Head) domain.Head {
	h.StartedAt = h.StartedAt.UTC()
	h.DecidedAt = h.DecidedAt.UTC()
	h.Source = canonicalSource(h.Source)
	return h
}

func canonicalSource(s domain.Source) domain.Source {
	s.Author, s.Committer = inOwnZone(s.Author), inOwnZone(s.Committer)
	return s
}

func inUTC(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	utc := t.UTC()
	return &utc
}

// inOwnZone keeps the offset that git recorded and drops the name, which encoding/json takes from the machine when the
// offset happens to be the local one.
func inOwnZone(p *domain.Person) *domain.Person {
	if p == nil {
		return nil
	}
	c := *p
	if _, offset := p.When.Zone(); offset == 0 {
		c.When = p.When.UTC()
	} else {
		c.When = p.When.In(time.FixedZone("", offset))
	}
	return &c
}

// checkText refuses an event whose text is not UTF-8. encoding/json writes such text with the escape \ufffd in place of
// what it could not read, and keeps the bytes of a json.RawMessage as they are. The slow look at the event itself is
// only for data that may have been fixed so.
func checkText(e domain.Event, data []byte) error {
	if !utf8.Valid(data) {
		return errNotUTF8
	}
	if bytes.Contains(data, []byte(`\ufffd`)) && !validText(reflect.ValueOf(e)) {
		return errNotUTF8
	}
	return nil
}

// validText reports whether every string that v holds is UTF-8.
func validText(v reflect.Value) bool {
	switch v.Kind() { //nolint:exhaustive // the other kinds hold no text
	case reflect.String:
		return utf8.ValidString(v.String())
	case reflect.Pointer, reflect.Interface:
		return v.IsNil() || validText(v.Elem())
	case reflect.Struct:
		for _, field := range v.Fields() {
			if !validText(field) {
				return false
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if !validText(v.Index(i)) {
				return false
			}
		}
	case reflect.Map:
		for key, value := range v.Seq2() {
			if !validText(key) || !validText(value) {
				return false
			}
		}
	}
	return true
}
