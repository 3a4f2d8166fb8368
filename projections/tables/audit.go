package tables

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/projections"
)

// Audit is the projection "audit": the audit trail, one row for each event of the log (I10).
func Audit() projections.Projection {
	t := auditTable()
	return projections.Projection{
		Name: "audit", Version: 5, Tables: []projections.Table{t.Table},
		Handles: append(repositoryEvents(), engineEvents()...),
		Apply: func(page []projections.Event, rows *projections.Rows) error {
			var o origin
			var s sentence
			row := auditRow{origin: &o}
			for i := range page {
				row.event = &page[i]
				if err := row.describe(&s); err != nil {
					return eventFault("audit", row.event, err)
				}
				t.insert(rows, &row)
			}
			return nil
		},
	}
}

// describe fills a row with what its event did.
func (r *auditRow) describe(s *sentence) error {
	s.buf = s.buf[:0]
	var err error
	if r.auditedAction, err = describe(r.event.Event, s); err != nil {
		return err
	}
	r.summary = s.String()
	if ofEngine(r.event.Event) {
		r.move(r.event)
		return nil
	}
	return r.inRepository(r.event)
}

// auditedAction is what an event did, and to what.
type auditedAction struct {
	action, resource, resourceID, gxpID, outcome string
}

// Resource types beside the kinds of artifact.
const (
	resourceRepository = "repository"
	resourceScan       = "scan"
	resourceFile       = "file"
	resourceEngine     = "engine"
	resourceKey        = "key"
	resourceRelay      = "relay"
)

// Outcomes, beside those that an admin action states.
const (
	outcomeSucceeded = "succeeded"
	outcomeFailed    = "failed"
	outcomeRejected  = "rejected"
)

// describe says what e did, and writes it into s as one sentence.
func describe(e domain.Event, s *sentence) (auditedAction, error) {
	switch e := e.(type) {
	case domain.RepositoryRegistered:
		s.text("Registered repository ").quote(e.Repository.Name)
		if e.Repository.URL != "" {
			s.text(", read from ").quote(e.Repository.URL)
		}
		s.text(".")
		return auditedAction{"REPOSITORY_REGISTERED", resourceRepository, string(e.Repository.ID), "", outcomeSucceeded}, nil
	case domain.RepositoryChanged:
		sayChanged(&e, s)
		return auditedAction{"REPOSITORY_CHANGED", resourceRepository, string(e.Repository.ID), "", outcomeSucceeded}, nil
	case domain.RepositoryRetired:
		s.text("Retired repository ").quote(e.Repository.Name).text(": it is scanned no more and its history stays.")
		return auditedAction{"REPOSITORY_RETIRED", resourceRepository, string(e.Repository.ID), "", outcomeSucceeded}, nil
	case domain.ArtifactParsed:
		action := sayParsed(&e, s)
		return auditedAction{action, string(e.Kind), e.String(), e.GxPID, outcomeSucceeded}, nil
	case domain.ArtifactRejected:
		sayRejected(&e, s)
		return auditedAction{"ARTIFACT_REJECTED", resourceFile, e.Path, "", outcomeRejected}, nil
	case domain.ArtifactRemoved:
		sayRemoved(&e, s)
		return auditedAction{"ARTIFACT_REMOVED", string(e.Kind), e.String(), e.GxPID, outcomeSucceeded}, nil
	case domain.ArtifactRelinked:
		s.text("Links of ").artifact(e.Kind, e.GxPID, "").at(e.Key).text(", which did not change itself, lead elsewhere than before: ").
			number(len(e.Changed)).text(" of ").count(len(e.Links), "link").text(".")
		return auditedAction{"ARTIFACT_RELINKED", string(e.Kind), e.String(), e.GxPID, outcomeSucceeded}, nil
	case domain.RejectionCleared:
		s.text("File ").quote(e.Path).text(" is no longer rejected: it is gone or can be read.")
		return auditedAction{"REJECTION_CLEARED", resourceFile, e.Path, "", outcomeSucceeded}, nil
	case domain.ScanCompleted:
		sayCompleted(&e, s)
		return auditedAction{"SCAN_COMPLETED", resourceScan, e.Scan, "", outcomeSucceeded}, nil
	case domain.ScanFailed:
		sayFailed(&e, s)
		return auditedAction{"SCAN_FAILED", resourceScan, e.Scan, "", outcomeFailed}, nil
	case domain.AdminActed:
		sayActed(&e, s)
		return auditedAction{"ADMIN_" + capitals(e.Action), resourceEngine, actedOn(&e), "", e.Outcome}, nil
	case domain.KeyTrusted:
		s.text("Trusted evidence key ").quote(e.Name).text(" (").quote(e.Fingerprint).text("): it verifies evidence from the next scan on.")
		return auditedAction{"KEY_TRUSTED", resourceKey, e.Fingerprint, "", outcomeSucceeded}, nil
	case domain.KeyRevoked:
		s.text("Revoked evidence key ").quote(e.Name).text(" (").quote(e.Fingerprint).text("): what only it verifies is unverified from the next scan on.")
		return auditedAction{"KEY_REVOKED", resourceKey, e.Fingerprint, "", outcomeSucceeded}, nil
	case domain.RelayAdded, domain.RelayRemoved:
		return sayRelay(e, s)
	case domain.ScanAttemptFailed:
		sayAttemptFailed(&e, s)
		return auditedAction{"SCAN_ATTEMPT_FAILED", resourceScan, e.Scan, "", outcomeFailed}, nil
	}
	return auditedAction{}, errUnhandled(e)
}

// sayRelay says what was done to a relay.
func sayRelay(e domain.Event, s *sentence) (auditedAction, error) {
	if added, ok := e.(domain.RelayAdded); ok {
		s.text("Added relay ").quote(added.Name).text(", which sends events to ").quote(added.To).text(".")
		return auditedAction{"RELAY_ADDED", resourceRelay, added.Name, "", outcomeSucceeded}, nil
	}
	if removed, ok := e.(domain.RelayRemoved); ok {
		s.text("Removed relay ").quote(removed.Name).text(", which sent events to ").quote(removed.To).text(".")
		return auditedAction{"RELAY_REMOVED", resourceRelay, removed.Name, "", outcomeSucceeded}, nil
	}
	return auditedAction{}, errUnhandled(e)
}

// actedOn is the target of an admin action, or the engine itself.
func actedOn(e *domain.AdminActed) string {
	if e.Target == "" {
		return resourceEngine
	}
	return e.Target
}

// capitals makes an action of the name of an admin action: "projection.rebuild" gives PROJECTION_REBUILD.
func capitals(name string) string {
	out := []byte(name)
	for i, c := range out {
		switch {
		case 'a' <= c && c <= 'z':
			out[i] = c - 'a' + 'A'
		case 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		default:
			out[i] = '_'
		}
	}
	return string(out)
}

// auditRow is what the row of an event is made of.
type auditRow struct {
	*origin
	auditedAction

	event   *projections.Event
	summary string
}

func auditTable() table[auditRow] {
	return newTable(projections.Table{
		Name: "audit_log", Doc: "The audit trail: one row for each event of the log, never changed and never deleted.",
		Key: []string{"sequence"},
		Indexes: []projections.Index{
			index("recorded_at"), index("resource_id"), index("resource_type", "resource_id"), index("actor"), index("gxp_id"), index("scan_id"),
		},
		AppendOnly: true,
	}, []column[auditRow]{
		{from(1, integer("sequence", "Number of the row: the position of the event in the log.")), func(r *auditRow) any { return r.position }},
		{timestamp("recorded_at", "When the engine recorded the event, by its own clock."), func(r *auditRow) any { return r.at }},
		{text("actor", "Who did it, as the engine knows."), func(r *auditRow) any { return r.actors.of(r.event.Meta.Actor) }},
		{text("action", "What was done: ARTIFACT_INSERTED, SCAN_FAILED, ADMIN_REBUILD and so on; docs/tables.md lists them."), func(r *auditRow) any { return r.actions.of(r.action) }},
		{text("resource_type", "What it was done to: a kind of artifact, file, scan, repository, key, relay or engine."), func(r *auditRow) any { return r.resources.of(r.resource) }},
		{text("resource_id", "Which one: an artifact's path with #ordinal behind it unless that is 0, a file's path, the id of a scan or repository, the fingerprint of a key, the name of a relay, or what an administrator acted on."), func(r *auditRow) any { return str(r.resourceID) }},
		{null(text("repository_id", "UUID of the repository; NULL for what is of none, such as admin actions on the engine.")), func(r *auditRow) any { return r.repository }},
		{null(text("gxp_id", "gxp_id of the artifact at that time.")), func(r *auditRow) any { return opt(r.gxpID) }},
		{text("outcome", "succeeded, failed, cancelled, interrupted or rejected."), func(r *auditRow) any { return r.outcomes.of(r.outcome) }},
		{null(text("reason", "Why, as the actor gave it.")), func(r *auditRow) any { return opt(r.event.Meta.Reason) }},
		{text("summary", "The event as one plain sentence, safe to print: text from a repository is quoted, cut and escaped."), func(r *auditRow) any { return r.summary }},
		{
			text("payload_sha256", "SHA-256 of the event's data, byte for byte as recorded."),
			func(r *auditRow) any {
				sum := sha256.Sum256(r.event.Data)
				var digits [2 * sha256.Size]byte
				hex.Encode(digits[:], sum[:])
				return string(digits[:])
			},
		},
		{null(text("scan_id", "UUID of the scan, or of the admin action, that the event belongs to.")), func(r *auditRow) any { return r.scan }},
		{text("event_id", "UUID of the event."), func(r *auditRow) any { return r.event.ID.String() }},
		{text("stream", "Stream of the event."), func(r *auditRow) any { return r.streams.of(string(r.event.Stream)) }},
		{
			from(0, integer("revision", "Place of the event in its stream, from 0.")),
			func(r *auditRow) any { return int64(r.event.Revision) }, //nolint:gosec // no stream has 2^63 events
		},
		{from(1, integer("position", "Position of the event in the log.")), func(r *auditRow) any { return r.position }},
	})
}

// sayParsed says what became of an artifact and returns the action.
func sayParsed(e *domain.ArtifactParsed, s *sentence) string {
	var action string
	switch {
	case e.Change == domain.ChangeChanged:
		action = "ARTIFACT_UPDATED"
		s.text("Changed ").artifact(e.Kind, e.GxPID, e.Title).at(e.Key).text(": version ").number(e.Version)
	case e.Change == domain.ChangeReread:
		action = "ARTIFACT_REREAD"
		s.text("Read ").artifact(e.Kind, e.GxPID, e.Title).at(e.Key).
			text(" again, unchanged, with another reader or other keys: version ").number(e.Version)
	case e.MovedFrom != nil:
		action = "ARTIFACT_MOVED"
		s.text("Moved ").artifact(e.Kind, e.GxPID, e.Title).text(" from ").key(*e.MovedFrom).text(" to ").key(e.Key)
	default:
		action = "ARTIFACT_INSERTED"
		s.text("Added ").artifact(e.Kind, e.GxPID, e.Title).at(e.Key)
	}
	if e.Evidence != nil {
		s.text("; as evidence it is ").text(string(e.Evidence.Overall()))
	}
	s.text(".")
	return action
}

func sayRemoved(e *domain.ArtifactRemoved, s *sentence) {
	s.text("Removed ").artifact(e.Kind, e.GxPID, "").at(e.Key)
	if e.MovedTo != nil {
		s.text("; it moved to ").key(*e.MovedTo)
	}
	s.text(". History keeps its ").count(e.Version, "version").text(".")
}

func sayRejected(e *domain.ArtifactRejected, s *sentence) {
	s.text("Could not read ").text(e.Kind.Info().One).text(" ").quote(e.Path)
	if e.Line > 0 {
		s.text(" at line ").number(e.Line)
	}
	if e.Column > 0 {
		s.text(", column ").number(e.Column)
	}
	s.text(": ").tell(e.Message)
	if e.Content.SHA256 != "" {
		s.text(". Its bytes are kept")
	}
	s.text(".")
}

func sayCompleted(e *domain.ScanCompleted, s *sentence) {
	total := total(e)
	s.text("Completed ").scan(&e.Head).text(": ").count(total.Found, "artifact").text(" (").
		number(total.New).text(" new, ").number(total.Changed).text(" changed, ").
		number(total.Reread).text(" read again, ").number(total.Unchanged).text(" unchanged), ").
		number(total.Removed).text(" removed, ").number(total.Rejected).text(" rejected; ").
		count(e.Links.Sound+e.Links.Missing+e.Links.WrongKind, "link").text(", ").
		number(e.Links.Missing+e.Links.WrongKind).text(" broken; ").
		count(len(e.Findings), "finding").text(" about the tree.")
}

func sayFailed(e *domain.ScanFailed, s *sentence) {
	s.text("Failed ").scan(&e.Head).text(", and changed nothing, for ").count(max(e.Total, len(e.Violations)), "reason")
	if len(e.Violations) > 0 {
		s.text(", the first: ").tell(e.Violations[0].Text)
	}
	s.text(".")
}

func sayAttemptFailed(e *domain.ScanAttemptFailed, s *sentence) {
	s.text("Failed to scan ").quote(e.Name).text(", which is not a known repository")
	if e.Source.Ref != "" {
		s.text(", at ").quote(e.Source.Ref)
	}
	if len(e.Violations) > 0 {
		s.text(": ").tell(e.Violations[0].Text)
	}
	s.text(".")
}

// sayChanged tells all settings that a repository has from now on.
func sayChanged(e *domain.RepositoryChanged, s *sentence) {
	set := e.Settings
	s.text("Settings of repository ").quote(e.Repository.Name).text(" from now on: ")
	if len(set.Addresses) == 0 {
		s.text("it may be read from anywhere")
	}
	for i, address := range set.Addresses {
		if i == 0 {
			s.text("read from ")
		} else {
			s.text(", ")
		}
		s.quote(address)
	}
	for _, x := range []struct{ name, value string }{
		{"links policy", string(set.Links)},
		{"duplicates policy", string(set.Duplicates)},
		{"unsigned packages", string(set.Unsigned)},
		{"main line", set.MainLine},
	} {
		if x.value != "" {
			s.text("; ").text(x.name).text(" ").quote(x.value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(set.Limits)) {
		s.text("; limit ").quote(name).text(" ").quote(strconv.FormatInt(set.Limits[name], 10))
	}
	s.text(".")
}

func sayActed(e *domain.AdminActed, s *sentence) {
	s.text("Administrator ").quote(e.Actor).text(" ran ").quote(e.Action)
	if e.Target != "" {
		s.text(" on ").quote(e.Target)
	}
	for i, name := range slices.Sorted(maps.Keys(e.Arguments)) {
		if i == 0 {
			s.text(" with ")
		} else {
			s.text(", ")
		}
		s.quote(name).text(" = ").quote(e.Arguments[name])
	}
	s.text(": ").tell(e.Outcome)
	if e.Detail != "" {
		s.text(", ").tell(e.Detail)
	}
	s.text(".")
}
