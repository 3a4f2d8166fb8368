package tables

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
)

// Audit is the projection "audit": the audit trail, one row for each event of the log (I10).
func Audit() projections.Projection {
	return projections.Projection{
		Name: "audit", Version: 2, Tables: []projections.Table{auditTable()},
		Handles: append(repositoryEvents(), eventstore.TypeAdminActed), Apply: audit,
	}
}

func audit(page []projections.Event, rows *projections.Rows) error {
	var o origin
	var s sentence
	for i := range page {
		e := &page[i]
		s.reset()
		a, err := describe(e.Event, &s)
		if err == nil && a.resource != resourceEngine {
			err = o.inRepository(e)
		} else {
			o.move(e)
		}
		if err != nil {
			return poison("audit", e, err)
		}
		insertAct(&o, e, &a, s.String(), rows)
	}
	return nil
}

func insertAct(o *origin, e *projections.Event, a *act, summary string, rows *projections.Rows) {
	var digits [2 * sha256.Size]byte
	sum := sha256.Sum256(e.Data)
	hex.Encode(digits[:], sum[:])
	rows.Insert(tableAudit,
		o.position, o.at, o.actors.of(e.Meta.Actor), o.actions.of(a.action), o.resources.of(a.resource), str(a.id),
		o.repository, opt(a.gxpID), o.outcomes.of(a.outcome), opt(e.Meta.Reason), summary, string(digits[:]), o.scan,
		e.ID.String(), o.streams.of(string(e.Stream)), int64(e.Revision), o.position, //nolint:gosec // no stream has 2^63 events
	)
}

// act is what an event did, and to what.
type act struct {
	action, resource, id, gxpID, outcome string
}

// Resource types beside the kinds of artifact.
const (
	resourceRepository = "repository"
	resourceScan       = "scan"
	resourceFile       = "file"
	resourceEngine     = "engine"
)

// Outcomes, beside those that an administrator's act states.
const (
	outcomeSucceeded = "succeeded"
	outcomeFailed    = "failed"
	outcomeRejected  = "rejected"
)

// describe says what e did, and writes it into s as one sentence.
func describe(e domain.Event, s *sentence) (act, error) {
	switch e := e.(type) {
	case domain.RepositoryRegistered:
		s.text("Registered repository ").quote(e.Repository.Name)
		if e.Repository.URL != "" {
			s.text(", read from ").quote(e.Repository.URL)
		}
		s.text(".")
		return act{"REPOSITORY_REGISTERED", resourceRepository, string(e.Repository.ID), "", outcomeSucceeded}, nil
	case domain.RepositoryRetired:
		s.text("Retired repository ").quote(e.Repository.Name).text(": it is scanned no more and its history stays.")
		return act{"REPOSITORY_RETIRED", resourceRepository, string(e.Repository.ID), "", outcomeSucceeded}, nil
	case domain.ArtifactParsed:
		action := sayParsed(&e, s)
		return act{action, string(e.Kind), e.String(), e.GxPID, outcomeSucceeded}, nil
	case domain.ArtifactRejected:
		sayRejected(&e, s)
		return act{"ARTIFACT_REJECTED", resourceFile, e.Path, "", outcomeRejected}, nil
	case domain.ArtifactRemoved:
		sayRemoved(&e, s)
		return act{"ARTIFACT_REMOVED", string(e.Kind), e.String(), e.GxPID, outcomeSucceeded}, nil
	case domain.RejectionCleared:
		s.text("File ").quote(e.Path).text(" is no longer rejected: it is gone or can be read.")
		return act{"REJECTION_CLEARED", resourceFile, e.Path, "", outcomeSucceeded}, nil
	case domain.ScanCompleted:
		sayCompleted(&e, s)
		return act{"SCAN_COMPLETED", resourceScan, e.Scan, "", outcomeSucceeded}, nil
	case domain.ScanFailed:
		sayFailed(&e, s)
		return act{"SCAN_FAILED", resourceScan, e.Scan, "", outcomeFailed}, nil
	case domain.AdminActed:
		sayActed(&e, s)
		return act{"ADMIN_" + capitals(e.Action), resourceEngine, actedOn(&e), "", e.Outcome}, nil
	}
	return act{}, errUnhandled(e)
}

// actedOn is the target of an act, or the engine itself.
func actedOn(e *domain.AdminActed) string {
	if e.Target == "" {
		return resourceEngine
	}
	return e.Target
}

// capitals makes an action of the name of an act: "projection.rebuild" gives PROJECTION_REBUILD.
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
