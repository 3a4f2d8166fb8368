package trace

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
)

// Change is one difference between two versions of an artifact.
type Change struct {
	Area string `json:"area"`           // see the Area... constants
	Path string `json:"path,omitempty"` // what within the area, such as acceptance_criteria[2] or the edge of a link
	Op   string `json:"op"`             // added, removed or changed
	// Old and New are JSON values as they were recorded: texts, lists or objects. Old is absent for what was added, New
	// for what was removed. They are hostile until neutralised.
	Old json.RawMessage `json:"old,omitempty"`
	New json.RawMessage `json:"new,omitempty"`
}

// The areas of a change.
const (
	AreaPlace     = "place"     // path, or kind at that path
	AreaAttribute = "attribute" // id, title, risk, tier, statuses, where no field of the file says the same
	AreaField     = "field"     // a field of the front matter, signed payload or risk entry
	AreaLink      = "link"      // a declared link, or where it leads
	AreaEvidence  = "evidence"  // what checking evidence showed, and what it claims beside its payload
	AreaMember    = "member"    // a file of an evidence package
	AreaFinding   = "finding"   // what the reader noticed
	AreaContent   = "content"   // the bytes
	AreaReading   = "reading"   // how the file was read: reader and keys
)

// The operations of a change.
const (
	OpAdded   = "added"
	OpRemoved = "removed"
	OpChanged = "changed"
)

// Compare returns what differs from before to after, which are versions of one artifact, and what happened to it when it is
// evidence: one of the Evidence... constants, or "".
func Compare(before, after *Version) (changes []Change, evidence string) {
	changes = []Change{}
	add := func(area, path string, from, to any) {
		changes = append(changes, compareValues(area, path, from, to)...)
	}
	if before.Number != after.Number { // an entry that others were inserted before is where it was
		add(AreaPlace, "path", before.Key(), after.Key())
	}
	add(AreaPlace, "kind", before.Kind, after.Kind)
	fields := compareJSON("", before.Fields, after.Fields)
	changes = append(changes, unexplained(compareAttributes(before, after), fields)...)
	changes = append(changes, fields...)
	changes = append(changes, compareLinks(before.Links, after.Links)...)
	changes = append(changes, unexplained(compareEvidence(before.Evidence, after.Evidence), fields)...)
	changes = append(changes, compareMembers(before.Members, after.Members)...)
	changes = append(changes, compareFindings(before.Findings, after.Findings)...)
	add(AreaContent, "sha256", before.ContentSHA256, after.ContentSHA256)
	add(AreaReading, "stamp", before.Stamp, after.Stamp)
	return changes, evidenceChange(before, after, fields)
}

// compareValues returns the difference between two values of one thing, none when they are equal. The empty text, nil and
// null are nothing at all.
func compareValues(area, path string, from, to any) []Change {
	old, now := value(from), value(to)
	switch {
	case bytes.Equal(old, now):
		return nil
	case old == nil:
		return []Change{{Area: area, Path: path, Op: OpAdded, New: now}}
	case now == nil:
		return []Change{{Area: area, Path: path, Op: OpRemoved, Old: old}}
	default:
		return []Change{{Area: area, Path: path, Op: OpChanged, Old: old, New: now}}
	}
}

// value is v as JSON; nil for what says nothing.
func value(v any) json.RawMessage {
	if raw, ok := v.(json.RawMessage); ok {
		return raw
	}
	if v == nil || v == "" {
		return nil
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil // only values that JSON can hold are compared
	}
	if raw := bytes.TrimSpace(out.Bytes()); !bytes.Equal(raw, []byte("null")) {
		return raw
	}
	return nil
}

func compareAttributes(before, after *Version) []Change {
	var out []Change
	for _, a := range []struct{ name, from, to string }{
		{"gxp_id", before.GxPID, after.GxPID},
		{"title", before.Title, after.Title},
		{"risk", before.Risk, after.Risk},
		{"tier", before.Tier, after.Tier},
		{"status", before.Status, after.Status},
		{"validation_status", before.ValidationStatus, after.ValidationStatus},
		{"assurance_status", before.AssuranceStatus, after.AssuranceStatus},
	} {
		out = append(out, compareValues(AreaAttribute, a.name, a.from, a.to)...)
	}
	return out
}

// unexplained leaves out changes that a change of a field shows already: attributes and claims are read from fields.
func unexplained(changes, fields []Change) []Change {
	return slices.DeleteFunc(changes, func(a Change) bool {
		return slices.ContainsFunc(fields, func(f Change) bool { return bytes.Equal(a.Old, f.Old) && bytes.Equal(a.New, f.New) })
	})
}

func compareLinks(before, after []VersionLink) []Change {
	return compareByKey(AreaLink, before, after, func(l VersionLink) keyed[linkKey] {
		return keyed[linkKey]{key: l.key(), path: l.Edge, value: l}
	})
}

func compareEvidence(before, after *domain.Evidence) []Change {
	var out []Change
	from, to := claims(before), claims(after)
	for i := range to {
		out = append(out, compareValues(AreaEvidence, to[i].name, from[i].value, to[i].value)...)
	}
	return out
}

type claim struct {
	name  string
	value any
}

// claims is what an evidence says beside its payload or, as the payload says it too, in words of our own; in the order
// in which people read it. The values of no evidence are nothing. When it was issued and expires is in the payload alone.
func claims(e *domain.Evidence) []claim {
	if e == nil {
		e = &domain.Evidence{}
	}
	s := e.Signature
	out := []claim{
		{"verdict", string(s.Verdict)},
		{"reason", s.Reason},
		{"fingerprint", s.Fingerprint},
		{"kid", s.KeyID},
		{"alg", s.Algorithm},
		{"signer_file", e.SignerFile},
		{"spec_id", e.SpecID},
		{"traced_user_story", e.UserStory},
		{"git_commit", e.GitCommit},
		{"system_state_hash", e.StateHash},
		{"timestamp", e.Timestamp},
	}
	tests := claim{name: "tests"}
	if len(e.Checks) > 0 { // a package: their totals are in a file of it, not in the payload
		tests.value = e.Results
	}
	out = append(out, tests)
	for _, name := range []domain.CheckName{
		domain.CheckPresence, domain.CheckSignature, domain.CheckIntegrity, domain.CheckCompleteness,
	} {
		c := claim{name: "check." + string(name)}
		for _, check := range e.Checks {
			if check.Name == name {
				c.value = check
			}
		}
		out = append(out, c)
	}
	return out
}

func compareMembers(before, after []domain.Member) []Change {
	return compareByKey(AreaMember, before, after, func(m domain.Member) keyed[string] {
		return keyed[string]{key: m.Path, path: m.Path, value: m.SHA256}
	})
}

func compareFindings(before, after []domain.Finding) []Change {
	return compareByKey(AreaFinding, before, after, func(f domain.Finding) keyed[domain.Finding] {
		return keyed[domain.Finding]{key: f, path: f.Code, value: f.Text}
	})
}

// keyed is an item of a list in which key identifies it; path is what a change calls it.
type keyed[K comparable] struct {
	key   K
	path  string
	value any
}

// compareByKey compares two lists by the keys of their items; of several with one key, the first counts. What was there
// before comes first.
func compareByKey[T any, K comparable](area string, before, after []T, item func(T) keyed[K]) []Change {
	values := func(list []T) map[K]any {
		out := make(map[K]any, len(list))
		for _, t := range list {
			if i := item(t); out[i.key] == nil {
				out[i.key] = i.value
			}
		}
		return out
	}
	old, now := values(before), values(after)
	var out []Change
	for _, t := range before {
		i := item(t)
		out = append(out, compareValues(area, i.path, i.value, now[i.key])...)
	}
	for _, t := range after {
		if i := item(t); old[i.key] == nil {
			out = append(out, compareValues(area, i.path, nil, i.value)...)
		}
	}
	return out
}

// within is the path of a key within a map at path: plain keys behind a dot, others in brackets and quotes.
func within(path, key string) string {
	plain := key != "" && !strings.ContainsFunc(key, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	switch {
	case !plain:
		return fmt.Sprintf("%s[%q]", path, key)
	case path == "":
		return key
	default:
		return path + "." + key
	}
}

// evidenceChange says what happened to evidence from before to after; "" for what is no evidence or did not change. fields
// is what differs between their fields.
func evidenceChange(before, after *Version, fields []Change) string {
	switch {
	case before.Evidence == nil || after.Evidence == nil:
		return ""
	case before.Digest == after.Digest && before.Stamp == after.Stamp:
		return ""
	case before.Digest == after.Digest && domain.NewerReader(before.Stamp, after.Stamp):
		return EvidenceNewer
	case before.Digest == after.Digest:
		return EvidenceReverified
	case !sameClaims(before, after, fields):
		return EvidenceReplaced
	case before.Evidence.Payload != "" && before.Evidence.Payload == after.Evidence.Payload:
		return EvidenceSignature
	case before.Evidence.Payload != "" && after.Evidence.Payload != "", len(fields) > 0:
		return EvidenceResigned
	default:
		return EvidenceSameClaims
	}
}
