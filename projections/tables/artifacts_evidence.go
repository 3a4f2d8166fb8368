package tables

import (
	"encoding/json"
	"fmt"

	"github.com/gxpledger/gxpledger/domain"
)

// appendEvidence appends the values of the evidence table's own columns.
func appendEvidence(row []any, o *origin, parents []parent, e *domain.ArtifactParsed) ([]any, error) {
	ev := e.Evidence
	if ev == nil { // nothing was read of it
		ev = &domain.Evidence{Signature: domain.Signature{Verdict: domain.VerdictNotRun}}
	}
	row = append(row,
		opt(ev.SpecID), parents[0].number(e.Links),
		opt(ev.UserStory), parents[1].number(e.Links),
	)
	row = appendSignature(row, o, ev)
	row = appendTests(row, ev)
	return appendChecks(row, o, ev)
}

func appendSignature(row []any, o *origin, ev *domain.Evidence) []any {
	s := &ev.Signature
	return append(row,
		o.verdicts.of(string(overall(ev))), o.verdicts.of(string(s.Verdict)), opt(s.Reason), opt(s.Algorithm), opt(s.KeyID), opt(s.Fingerprint),
		optTime(s.IssuedAt), optTime(s.ExpiresAt), s.Expired, opt(ev.SignerFile),
	)
}

// overall is the worst verdict of signature and checks. What was not run or could not be verified speaks neither for the
// evidence nor against it.
func overall(ev *domain.Evidence) domain.Verdict {
	worst := domain.VerdictValid
	note := func(v domain.Verdict) {
		switch v {
		case domain.VerdictValid:
		case domain.VerdictInvalid:
			worst = domain.VerdictInvalid
		case domain.VerdictUnverifiable, domain.VerdictNotRun:
			worst = doubt(worst)
		default: // of a later version: says nothing that is understood here
			worst = doubt(worst)
		}
	}
	note(ev.Signature.Verdict)
	for _, c := range ev.Checks {
		note(c.Verdict)
	}
	return worst
}

func doubt(worst domain.Verdict) domain.Verdict {
	if worst == domain.VerdictValid {
		return domain.VerdictUnverifiable
	}
	return worst
}

func appendTests(row []any, ev *domain.Evidence) []any {
	if t := ev.Tests; t != nil {
		row = append(row, opt(t.Tool), opt(t.Version), t.Passed, t.Failed, t.Skipped, opt(t.DurationMS))
	} else {
		row = append(row, nil, nil, nil, nil, nil, nil)
	}
	return append(row, opt(ev.Timestamp), opt(ev.StateHash), opt(ev.GitCommit))
}

// fault is a problem of a package as the column problems lists it.
type fault struct {
	Check domain.CheckName `json:"check"`
	domain.Problem
}

func appendChecks(row []any, o *origin, ev *domain.Evidence) ([]any, error) {
	var verdicts [4]any
	var faults []fault
	for _, c := range ev.Checks {
		switch c.Name {
		case domain.CheckPresence:
			verdicts[0] = o.verdicts.of(string(c.Verdict))
		case domain.CheckSignature:
			verdicts[1] = o.verdicts.of(string(c.Verdict))
		case domain.CheckIntegrity:
			verdicts[2] = o.verdicts.of(string(c.Verdict))
		case domain.CheckCompleteness:
			verdicts[3] = o.verdicts.of(string(c.Verdict))
		default:
			return nil, fmt.Errorf("evidence check %q has no column", c.Name)
		}
		for _, p := range c.Problems {
			faults = append(faults, fault{Check: c.Name, Problem: p})
		}
	}
	row = append(row, verdicts[:]...)
	if len(faults) == 0 {
		return append(row, nil), nil
	}
	problems, err := json.Marshal(faults)
	if err != nil {
		return nil, fmt.Errorf("encode problems: %w", err)
	}
	return append(row, withoutNUL(problems)), nil
}
