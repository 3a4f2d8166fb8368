package tables

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
)

// History is the projection "history": every version of every artifact, and every change of a link that no version
// shows. A version ends when its artifact changes, is read again, is removed or moves.
func History() projections.Projection {
	h := &history{versions: versionsTable(), linkChanges: linkChangesTable()}
	h.end = h.versions.change("ended_scan_id", "ended_at", "ended_position", "end_reason", "moved_to")
	return projections.Projection{
		Name: "history", Version: version(4), Tables: []projections.Table{h.versions.Table, h.linkChanges.Table},
		Handles: []domain.Event{domain.ArtifactParsed{}, domain.ArtifactRemoved{}, domain.ArtifactRelinked{}, domain.ScanCompleted{}},
		Apply:   h.apply,
	}
}

// history is the tables of the projection. It never changes once it is made.
type history struct {
	versions    table[versionRow]
	end         change[versionRow]
	linkChanges table[linkChangeRow]
}

// historyPage is a page that is being projected.
type historyPage struct {
	*history
	origin

	rows *projections.Rows
	row  versionRow // its memory is used for one version after another
}

func (h *history) apply(page []projections.Event, rows *projections.Rows) error {
	p := &historyPage{history: h, rows: rows}
	for i := range page {
		e := &page[i]
		err := p.event(e)
		if err == nil {
			err = p.err
		}
		if err != nil {
			return eventFault("history", e, err)
		}
	}
	return nil
}

func (h *historyPage) event(e *projections.Event) error {
	if err := h.inRepository(e); err != nil {
		return err
	}
	switch event := e.Event.(type) {
	case domain.ArtifactParsed:
		h.row = versionRow{origin: &h.origin, ArtifactParsed: event, actor: e.Meta.Actor}
		h.parsed(&h.row)
	case domain.ArtifactRemoved:
		reason := "removed"
		if event.MovedTo != nil {
			reason = "moved"
		}
		h.ended(event.Number, event.Version, reason, event.MovedTo)
	case domain.ArtifactRelinked:
		_, err := h.relinked(0, &event)
		return err
	case domain.ScanCompleted: // version 1 alone
		at := 0
		for i := range event.Relinked {
			var err error
			if at, err = h.relinked(at, &event.Relinked[i]); err != nil {
				return err
			}
		}
	case domain.RepositoryRegistered, domain.RepositoryChanged, domain.RepositoryRetired, domain.ArtifactRejected, domain.RejectionCleared,
		domain.ScanFailed, domain.AdminActed, domain.KeyTrusted, domain.KeyRevoked, domain.RelayAdded, domain.RelayRemoved, domain.ScanAttemptFailed: // not asked for
		return errUnhandled(event)
	default:
		return errUnhandled(event)
	}
	return nil
}

// ended writes what ended a version.
func (h *historyPage) ended(number, version int, reason string, movedTo *domain.Key) {
	h.end.update(h.rows, []any{h.repository, number, version}, &versionRow{origin: &h.origin, endReason: reason, movedTo: movedTo})
}

// parsed writes a version, and the end of the one before. The open versions of entries that shift follow them.
func (h *historyPage) parsed(r *versionRow) {
	for _, s := range r.Shifted {
		h.rows.Update(tableVersions, []any{h.repository, s.Number, s.Version}, []string{"id", "ordinal"}, shiftedTo(&h.origin, r.Path, s)...)
	}
	if r.Version > 1 {
		h.ended(r.Number, r.Version-1, string(r.Change), nil)
	}
	h.versions.insert(h.rows, r)
}

// shiftedTo returns the id and the ordinal that an entry of the file at path has now.
func shiftedTo(o *origin, path string, s domain.Shift) []any {
	return []any{ArtifactID(o.id, domain.Key{Path: path, Ordinal: s.To}).String(), s.To}
}

// relinked writes the links of an unchanged artifact that resolve differently now, from the index at on, and returns the
// next index.
func (h *historyPage) relinked(at int, e *domain.ArtifactRelinked) (int, error) {
	artifact := artifactRow{origin: &h.origin, number: e.Number, kind: h.kind(e.Kind), path: str(e.Path), ordinal: e.Ordinal}
	row := linkChangeRow{linkRow: linkRow{artifactRow: &artifact}}
	for _, index := range e.Changed {
		if index < 0 || index >= len(e.Links) {
			return 0, fmt.Errorf("relinked %s: link %d of %d", e.Key, index, len(e.Links))
		}
		row.set(index, &e.Links[index])
		row.change = at
		h.linkChanges.insert(h.rows, &row)
		at++
	}
	return at, nil
}

// Names of the tables of the projection "history".
const (
	tableVersions    = "artifact_versions"
	tableLinkChanges = "link_changes"
)

// versionRow is what the row of a version is made of.
type versionRow struct {
	*origin
	domain.ArtifactParsed // zero in a row of which only the end is written

	actor     string
	endReason string // "" for a version that did not end
	movedTo   *domain.Key
}

func (r *versionRow) whenEnded(value any) any {
	if r.endReason == "" {
		return nil
	}
	return value
}

func versionsTable() table[versionRow] {
	return newTable(projections.Table{
		Name: tableVersions, Doc: "Every version of every artifact that was ever recorded, with the scan that made it and the scan that ended it.",
		Key: []string{"repository_id", "number", "version"},
		Indexes: []projections.Index{
			index("repository_id", "gxp_id"), index("repository_id", "path"), index("repository_id", "position"),
			index("repository_id", "moved_from"), index("scan_id"), index("ended_scan_id"),
		},
	}, versionIdentityColumns(), versionContentColumns(), versionEndColumns())
}

func versionIdentityColumns() []column[versionRow] {
	return []column[versionRow]{
		{repositoryColumn(), func(r *versionRow) any { return r.repository }},
		{numberColumn(), func(r *versionRow) any { return r.Number }},
		{from(1, integer("version", "Counts the versions of this number, from 1.")), func(r *versionRow) any { return r.Version }},
		{text("id", "UUIDv5 of repository, path and ordinal: the same for ever for every artifact at that place."), func(r *versionRow) any { return ArtifactID(r.id, r.Key).String() }},
		{kind(text("kind", "What the artifact is.")), func(r *versionRow) any { return r.kind(r.Kind) }},
		{text("path", "Path from the repository's root; for an evidence package that of its directory."), func(r *versionRow) any { return str(r.Path) }},
		{from(0, integer("ordinal", "Place in a file that holds several artifacts, from 1; 0 for the file itself. For an entry of a risk log the place where the last scan that had this version, or ended it, found the entry.")), func(r *versionRow) any { return r.Ordinal }},
		{oneOf(text("change", "Why there is this version: new, changed, or reread (same bytes, another reader or other keys)."), domain.ChangeNew, domain.ChangeChanged, domain.ChangeReread), func(r *versionRow) any { return r.actions.of(string(r.Change)) }},
		{null(text("moved_from", "Where the same artifact was removed in the same scan: its path, with #ordinal unless that is 0.")), func(r *versionRow) any { return optKey(r.MovedFrom) }},
		{null(text("previous_sha256", "SHA-256 of the content of the version before.")), func(r *versionRow) any { return opt(r.Previous) }},
		{text("actor", "Who ran the scan that made this version."), func(r *versionRow) any { return r.actors.of(r.actor) }},
		{text("scan_id", "UUID of that scan."), func(r *versionRow) any { return r.scan }},
		{timestamp("recorded_at", "When the engine recorded this version."), func(r *versionRow) any { return r.at }},
		{from(1, integer("position", "Position in the log of the event that made this version.")), func(r *versionRow) any { return r.position }},
	}
}

func versionContentColumns() []column[versionRow] {
	columns := []column[versionRow]{
		{null(text("gxp_id", "Id that the file gives.")), func(r *versionRow) any { return opt(r.GxPID) }},
		{null(text("title", "Title as the author wrote it.")), func(r *versionRow) any { return opt(r.Title) }},
	}
	for _, t := range terms() {
		columns = append(columns, column[versionRow]{
			null(text(t.name, t.what+" as the author wrote it.")), func(r *versionRow) any { return t.raw(r.origin, &r.ArtifactParsed) },
		})
	}
	return append(columns, []column[versionRow]{
		{null(jsonColumn("fields", "The whole front matter, signed payload without test cases, or risk entry, as one JSON object with text scalars.")), func(r *versionRow) any { return optJSON(r.Fields) }},
		{null(jsonColumn("links", "Declared links as a JSON array, resolved in the tree of that scan; link_changes says how they resolved later.")), func(r *versionRow) any { return optJSON(linksJSON(r.Links)) }},
		{null(jsonColumn("members", "Files of an evidence package as a JSON array.")), func(r *versionRow) any { return jsonList(r.origin, r.Members) }},
		{null(jsonColumn("evidence", "What the evidence claims and what checking it showed, as a JSON object.")), func(r *versionRow) any { return r.json(r.Evidence) }},
		{null(jsonColumn("findings", "What the reader noticed, as a JSON array.")), func(r *versionRow) any { return jsonList(r.origin, r.Findings) }},
		{text("content_sha256", "SHA-256 of the raw bytes that this version was read from, the name of the stored content; for a package those of its manifest or else its first file."), func(r *versionRow) any { return r.Content.SHA256 }},
		{text("blob", "Git blob id of the same bytes."), func(r *versionRow) any { return r.Content.Blob }},
		{from(0, integer("size", "Bytes of that content.")), func(r *versionRow) any { return r.Content.Size }},
		{text("digest", "SHA-256 of what this artifact says: one entry of a risk log, or all files of a package."), func(r *versionRow) any { return r.Digest }},
		{text("stamp", "How the file was read: the reader's version and, for evidence, the keys."), func(r *versionRow) any { return r.stamps.of(r.Stamp) }},
	}...)
}

func versionEndColumns() []column[versionRow] {
	return []column[versionRow]{
		{null(text("ended_scan_id", "UUID of the scan that ended this version; NULL while it is the current one.")), func(r *versionRow) any { return r.whenEnded(r.scan) }},
		{null(timestamp("ended_at", "When the engine recorded that end.")), func(r *versionRow) any { return r.whenEnded(r.at) }},
		{from(1, null(integer("ended_position", "Position in the log of the event that ended this version."))), func(r *versionRow) any { return r.whenEnded(r.position) }},
		{oneOf(null(text("end_reason", "Why it ended.")), "changed", "reread", "removed", "moved"), func(r *versionRow) any { return r.whenEnded(r.endReason) }},
		{null(text("moved_to", "Where the same artifact was added in the scan that ended this: its path, with #ordinal unless that is 0.")), func(r *versionRow) any { return optKey(r.movedTo) }},
	}
}

// linkChangeRow is what the row of a changed link is made of.
type linkChangeRow struct {
	linkRow

	change int // its place among the changes of the event
}

func linkChangesTable() table[linkChangeRow] {
	return newTable(projections.Table{
		Name: tableLinkChanges, Doc: "Every link of an unchanged artifact that a scan resolved differently than the scan before.",
		Key:     []string{"repository_id", "position", "change_index"},
		Indexes: []projections.Index{index("repository_id", "number")},
	}, []column[linkChangeRow]{
		{repositoryColumn(), func(r *linkChangeRow) any { return r.repository }},
		{from(1, integer("position", "Position in the log of the event that says so.")), func(r *linkChangeRow) any { return r.position }},
		{from(0, integer("change_index", "Place among the changes that this event tells of, from 0.")), func(r *linkChangeRow) any { return r.change }},
		{numberColumn(), func(r *linkChangeRow) any { return r.number }},
		{from(0, integer("link_index", "Place of the link in its file, from 0.")), func(r *linkChangeRow) any { return r.index }},
		{kind(text("kind", "Kind of the artifact that declares the link.")), func(r *linkChangeRow) any { return r.kind }},
		{text("path", "Its path."), func(r *linkChangeRow) any { return r.path }},
		{from(0, integer("ordinal", "Its place in the file.")), func(r *linkChangeRow) any { return r.ordinal }},
		{oneOf(text("edge", "Field that declares the link."), domain.Edges()...), func(r *linkChangeRow) any { return string(r.link.Edge) }},
		{text("target", "gxp_id that the link names, verbatim."), func(r *linkChangeRow) any { return str(r.link.Target) }},
		{oneOf(text("state", "How it resolves since."), linkStates()...), func(r *linkChangeRow) any { return r.state() }},
		{kind(null(text("to_kind", "Kind of the artifact that it leads to."))), func(r *linkChangeRow) any { return r.toKind }},
		{from(1, null(integer("to_number", "Number of the artifact that it leads to."))), func(r *linkChangeRow) any { return r.toNumber }},
		{text("scan_id", "UUID of the scan."), func(r *linkChangeRow) any { return r.scan }},
		{timestamp("recorded_at", "When the engine recorded it."), func(r *linkChangeRow) any { return r.at }},
	})
}

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
