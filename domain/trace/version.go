package trace

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/gxpledger/gxpledger/domain"
)

// Version is one version of an artifact: its content, and from when until when it was current.
type Version struct {
	RepositoryID     string           `json:"-"`
	Number           int64            `json:"number"` // of the artifact
	Version          int64            `json:"version"`
	ID               string           `json:"id"`
	Kind             domain.Kind      `json:"kind"`
	Path             string           `json:"path"`
	Ordinal          int64            `json:"ordinal"`
	Change           string           `json:"change"` // new, changed or reread
	MovedFrom        string           `json:"moved_from,omitempty"`
	PreviousSHA256   string           `json:"previous_sha256,omitempty"`
	Actor            string           `json:"actor"`
	ScanID           string           `json:"scan_id"`
	RecordedAt       time.Time        `json:"recorded_at"`
	Position         int64            `json:"position"` // from which on it is current
	GxPID            string           `json:"gxp_id,omitempty"`
	Title            string           `json:"title,omitempty"`
	Risk             string           `json:"risk,omitempty"`
	Tier             string           `json:"tier,omitempty"`
	Status           string           `json:"status,omitempty"`
	ValidationStatus string           `json:"validation_status,omitempty"`
	AssuranceStatus  string           `json:"assurance_status,omitempty"`
	Fields           json.RawMessage  `json:"fields,omitempty"`
	Links            []VersionLink    `json:"links"`
	Members          []domain.Member  `json:"members,omitempty"`
	Evidence         *domain.Evidence `json:"evidence,omitempty"`
	Findings         []domain.Finding `json:"findings,omitempty"`
	ContentSHA256    string           `json:"content_sha256"`
	Blob             string           `json:"blob"`
	Size             int64            `json:"size"`
	Digest           string           `json:"digest"`
	Stamp            string           `json:"stamp"`
	EndedScanID      string           `json:"ended_scan_id,omitempty"` // absent while it is the current version
	EndedAt          time.Time        `json:"ended_at,omitzero"`
	EndedPosition    int64            `json:"ended_position,omitempty"` // from which on it is not current any more
	EndReason        string           `json:"end_reason,omitempty"`
	MovedTo          string           `json:"moved_to,omitempty"`
}

// Key is the key of the artifact as text: the path, with #ordinal behind it unless that is 0.
func (v *Version) Key() string { return keyText(v.Path, v.Ordinal) }

// Name is the gxp_id of the artifact, or else its key.
func (v *Version) Name() string { return cmp.Or(v.GxPID, v.Key()) }

func (v *Version) currentAt(position int64) bool {
	return v.Position <= position && (v.EndedPosition == 0 || v.EndedPosition > position)
}

// VersionLink is a link as one version declares it and as one scan resolved it.
type VersionLink struct {
	Edge     string      `json:"edge"`
	Target   string      `json:"target"`
	State    LinkState   `json:"state"`
	ToKind   domain.Kind `json:"to_kind,omitempty"`
	ToNumber int64       `json:"to_number,omitempty"`
}

// NewVersionLink returns a link as its event has it.
func NewVersionLink(l domain.Link) VersionLink {
	v := VersionLink{Edge: string(l.Edge), Target: l.Target, State: LinkResolved}
	if l.Broken != "" {
		v.State = LinkState(l.Broken)
	}
	if l.To != nil {
		v.ToKind, v.ToNumber = l.To.Kind, int64(l.To.Number)
	}
	return v
}

// LinkChange is a link of an unchanged artifact that a scan resolved differently than the scan before.
type LinkChange struct {
	Number     int64       `json:"number"`     // of the artifact
	Index      int64       `json:"link_index"` // in its file, from 0
	Kind       domain.Kind `json:"kind"`
	Path       string      `json:"path"`
	Ordinal    int64       `json:"ordinal"`
	Edge       string      `json:"edge"`
	Target     string      `json:"target"`
	State      LinkState   `json:"state"`
	ToKind     domain.Kind `json:"to_kind,omitempty"`
	ToNumber   int64       `json:"to_number,omitempty"`
	ScanID     string      `json:"scan_id"`
	RecordedAt time.Time   `json:"recorded_at"`
	Position   int64       `json:"position"` // of the scan
}

// CompareLinkChanges returns what each change made different. versions are those of one artifact and changes those of its
// links, both in the order in which they were recorded.
func CompareLinkChanges(versions []Version, changes []LinkChange) [][]Change {
	links := linksOf(versions)
	out := make([][]Change, len(changes))
	for i, c := range changes {
		before, after := links.apply(c)
		out[i] = compareValues(AreaLink, c.Edge, before, after)
	}
	return out
}

// currentLinks is the links of one artifact as they resolve after the changes applied so far.
type currentLinks struct {
	versions []Version // that are still to come
	links    []VersionLink
}

func linksOf(versions []Version) *currentLinks { return &currentLinks{versions: versions} }

// advance goes on to the version that was current at position.
func (c *currentLinks) advance(position int64) {
	for len(c.versions) > 0 && c.versions[0].Position <= position {
		c.links = slices.Clone(c.versions[0].Links)
		c.versions = c.versions[1:]
	}
}

// apply makes a change, which must not be older than the last one, and returns the link before and after it.
func (c *currentLinks) apply(change LinkChange) (before, after VersionLink) {
	c.advance(change.Position)
	after = VersionLink{Edge: change.Edge, Target: change.Target, State: change.State, ToKind: change.ToKind, ToNumber: change.ToNumber}
	if change.Index < 0 || change.Index >= int64(len(c.links)) {
		return VersionLink{}, after // the record contradicts itself; the change is shown as it is
	}
	before, c.links[change.Index] = c.links[change.Index], after
	return before, after
}
