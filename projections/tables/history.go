package tables

import (
	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
)

// History is the projection "history": every version of every artifact, and every change of a link that no version
// shows. A version ends when its artifact changes, is read anew, is removed or moves.
func History() projections.Projection {
	return projections.Projection{
		Name: "history", Version: 2, Tables: []projections.Table{versionsTable(), linkChangesTable()},
		Handles: []string{eventstore.TypeArtifactParsed, eventstore.TypeArtifactRemoved, eventstore.TypeScanCompleted}, Apply: history,
	}
}

func history(page []projections.Event, rows *projections.Rows) error {
	var o origin
	for i := range page {
		e := &page[i]
		if err := historyEvent(&o, e, rows); err != nil {
			return poison("history", e, err)
		}
	}
	return nil
}

func historyEvent(o *origin, e *projections.Event, rows *projections.Rows) error {
	if err := o.inRepository(e); err != nil {
		return err
	}
	switch event := e.Event.(type) {
	case domain.ArtifactParsed:
		return begin(o, e.Meta.Actor, &event, rows)
	case domain.ArtifactRemoved:
		reason := "removed"
		if event.MovedTo != nil {
			reason = "moved"
		}
		end(o, version{event.Number, event.Version}, reason, optKey(event.MovedTo), rows)
	case domain.ScanCompleted:
		for i := range event.Relinked {
			changed(o, i, &event.Relinked[i], rows)
		}
	case domain.RepositoryRegistered, domain.RepositoryRetired, domain.ArtifactRejected, domain.RejectionCleared,
		domain.ScanFailed, domain.AdminActed: // not asked for
		return errUnhandled(event)
	default:
		return errUnhandled(event)
	}
	return nil
}

// version names a version within its repository.
type version struct{ number, version int }

// end writes what ended a version.
func end(o *origin, v version, reason string, movedTo any, rows *projections.Rows) {
	rows.Update(tableVersions, []any{o.repository, v.number, v.version},
		[]string{"ended_scan_id", "ended_at", "ended_position", "end_reason", "moved_to"},
		o.scan, o.at, o.position, reason, movedTo)
}

// begin writes a version, and the end of the one before.
func begin(o *origin, actor string, e *domain.ArtifactParsed, rows *projections.Rows) error {
	if e.Version > 1 {
		end(o, version{e.Number, e.Version - 1}, string(e.Change), nil, rows)
	}
	row := make([]any, 0, versionColumns)
	row = append(row,
		o.repository, e.Number, e.Version, ArtifactID(o.id, e.Key).String(), o.kinds.of(string(e.Kind)), str(e.Path), e.Ordinal,
		o.actions.of(string(e.Change)), optKey(e.MovedFrom), opt(e.Previous), o.actors.of(actor), o.scan, o.at, o.position,
		opt(e.GxPID), opt(e.Title),
	)
	for i, t := range terms(e) {
		row = append(row, o.raw(i, t))
	}
	row = append(row, optJSON(e.Fields), optJSON(linksJSON(e.Links)))
	row, err := appendNested(row, e)
	if err != nil {
		return err
	}
	row = append(row,
		e.Content.SHA256, e.Content.Blob, e.Content.Size, e.Digest, o.stamps.of(e.Stamp),
		nil, nil, nil, nil, nil,
	)
	rows.Insert(tableVersions, row...)
	return nil
}

// changed writes a link of an unchanged artifact that resolves differently now.
func changed(o *origin, i int, r *domain.Relinked, rows *projections.Rows) {
	to := linkTarget(&r.Link)
	rows.Insert(tableLinkChanges,
		o.repository, o.position, i, r.Number, r.Index, string(r.Kind), str(r.Path), r.Ordinal,
		string(r.Edge), str(r.Target), linkState(&r.Link), to[0], to[1], o.scan, o.at)
}
