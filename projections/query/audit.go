package query

import (
	"context"
	"slices"
	"time"
)

// Audit is one row of the audit trail: one event of the log.
type Audit struct {
	Sequence     int64     `json:"sequence"` // the position of the event
	RecordedAt   time.Time `json:"recorded_at"`
	Actor        string    `json:"actor"`
	Action       string    `json:"action"`
	ResourceType string    `json:"resource_type"`
	ResourceID   string    `json:"resource_id"`
	RepositoryID string    `json:"repository_id,omitempty"`
	Repository   string    `json:"repository,omitempty"` // absent for admin actions on the engine
	GxPID        string    `json:"gxp_id,omitempty"`
	Outcome      string    `json:"outcome"`
	Reason       string    `json:"reason,omitempty"`
	Summary      string    `json:"summary"` // safe to print
	PayloadHash  string    `json:"payload_sha256"`
	ScanID       string    `json:"scan_id,omitempty"`
	EventID      string    `json:"event_id"`
	Stream       string    `json:"stream"`
	Revision     int64     `json:"revision"`
}

// AuditFilter chooses rows of the audit trail; all that is given must hold. The zero value chooses all.
type AuditFilter struct {
	RepositoryID string
	Actor        string
	Action       string    // exactly, such as ARTIFACT_UPDATED
	Resource     string    // resource type, resource id or gxp_id, exactly
	Outcome      string    // succeeded, failed, cancelled, interrupted or rejected
	Since        time.Time // recorded at or after; zero for the beginning
	Until        time.Time // recorded before; zero for the end
	Limit        int64     // at most so many, the newest; 0 for all
}

func auditColumns() []column[Audit] {
	return []column[Audit]{
		{"sequence", func(a *Audit) any { return &a.Sequence }},
		{"recorded_at", func(a *Audit) any { return instant(&a.RecordedAt) }},
		{"actor", func(a *Audit) any { return &a.Actor }},
		{"action", func(a *Audit) any { return &a.Action }},
		{"resource_type", func(a *Audit) any { return &a.ResourceType }},
		{"resource_id", func(a *Audit) any { return &a.ResourceID }},
		{"repository_id", func(a *Audit) any { return optional(&a.RepositoryID) }},
		{"gxp_id", func(a *Audit) any { return optional(&a.GxPID) }},
		{"outcome", func(a *Audit) any { return &a.Outcome }},
		{"reason", func(a *Audit) any { return optional(&a.Reason) }},
		{"summary", func(a *Audit) any { return &a.Summary }},
		{"payload_sha256", func(a *Audit) any { return &a.PayloadHash }},
		{"scan_id", func(a *Audit) any { return optional(&a.ScanID) }},
		{"event_id", func(a *Audit) any { return &a.EventID }},
		{"stream", func(a *Audit) any { return &a.Stream }},
		{"revision", func(a *Audit) any { return &a.Revision }},
	}
}

// Audit returns rows of the audit trail, the newest last.
func (r *Reader) Audit(ctx context.Context, filter AuditFilter) ([]Audit, error) {
	var w where
	is(&w, "repository_id", filter.RepositoryID)
	is(&w, "actor", filter.Actor)
	is(&w, "action", filter.Action)
	is(&w, "outcome", filter.Outcome)
	if v := filter.Resource; v != "" {
		w.and("(resource_type = ? OR resource_id = ? OR gxp_id = ?)", v, v, v)
	}
	if !filter.Since.IsZero() {
		w.and("recorded_at >= ?", r.moment(filter.Since))
	}
	if !filter.Until.IsZero() {
		w.and("recorded_at < ?", r.moment(filter.Until))
	}
	rest := "FROM audit_log" + w.String() + " ORDER BY sequence DESC"
	if filter.Limit > 0 {
		rest += " LIMIT ?"
		w.args = append(w.args, filter.Limit)
	}
	rows, err := load(ctx, r, auditColumns(), rest, w.args...)
	if err != nil {
		return nil, err
	}
	names, err := r.names(ctx)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		rows[i].Repository = names[rows[i].RepositoryID]
	}
	slices.Reverse(rows)
	return rows, nil
}

// AuditWord is a column of the audit trail that holds one of few words.
type AuditWord int

// The columns.
const (
	AuditActor AuditWord = iota + 1
	AuditAction
)

// AuditWords returns the words that a column of the audit trail has, each once. It is never nil.
func (r *Reader) AuditWords(ctx context.Context, of AuditWord) ([]string, error) {
	name := "action"
	if of == AuditActor {
		name = "actor"
	}
	words, err := load(ctx, r, []column[string]{{"DISTINCT " + name, func(s *string) any { return s }}}, "FROM audit_log ORDER BY 1")
	return append([]string{}, words...), err
}
