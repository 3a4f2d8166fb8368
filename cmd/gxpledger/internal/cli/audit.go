package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/query"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
)

// auditDocument is the output of audit --json.
type auditDocument struct {
	pastDocument
	Audit []query.Audit `json:"audit"`
}

type auditOptions struct {
	app          *app
	repository   repositoryFlag
	asOf         asOfFlag
	filter       query.AuditFilter
	since, until string
	outcome      *choice
}

func newAudit(a *app) *cobra.Command {
	o := &auditOptions{app: a, outcome: &choice{words: []string{"succeeded", "failed", "cancelled", "interrupted", "rejected"}}}
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Show the audit trail: who did what, when and why",
		Long: "Shows one line for each event that was ever recorded, the newest last. Times and actors are what the engine\n" +
			"recorded, in UTC. A date without a time means the whole day. All filters that are given must hold.",
		Example: "  gxpledger audit --limit 20\n" +
			"  gxpledger audit --resource REQ-001\n" +
			"  gxpledger audit --action artifact_removed --since 2026-02-01 --until 2026-02-28\n" +
			"  gxpledger audit --actor ci --outcome failed --json",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	o.repository.add(cmd)
	o.asOf.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.filter.Actor, "actor", "", "only acts of this `WHO`, exactly")
	flags.StringVar(&o.filter.Action, "action", "", "only this `ACTION`, such as ARTIFACT_UPDATED")
	flags.StringVar(&o.filter.Resource, "resource", "", "only this `RESOURCE`: a type, a path, a gxp_id or the id of a scan, exactly")
	flags.StringVar(&o.since, "since", "", "only from this `TIME` on: 2026-03-01 or 2026-03-01T12:00:00Z")
	flags.StringVar(&o.until, "until", "", "only before this `TIME`; of a date, its end")
	flags.Var(o.outcome, "outcome", "only what came to this")
	flags.Int64Var(&o.filter.Limit, "limit", 0, "at most `N` lines, the newest (default all)")
	return cmd
}

func (o *auditOptions) validate() (err error) {
	if o.filter.Limit < 0 {
		return usage("the flag --limit does not take %d: want a number from 1, or 0 for all", o.filter.Limit)
	}
	if o.filter.Since, err = parseTime("since", o.since, 0); err != nil {
		return err
	}
	if o.filter.Until, err = parseTime("until", o.until, 1); err != nil {
		return err
	}
	if !o.filter.Until.IsZero() && o.filter.Until.Before(o.filter.Since) {
		return usage("--until %s is before --since %s: nothing can be between", o.until, o.since)
	}
	o.filter.Action = strings.ToUpper(o.filter.Action)
	o.filter.Outcome = o.outcome.value
	return nil
}

// parseTime reads a time, or a date in UTC and so many days after it; the zero time for "".
func parseTime(flag, text string, days int) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if date, err := time.Parse(time.DateOnly, text); err == nil {
		return date.AddDate(0, 0, days), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, usage("the flag --%s does not take %q: want a date such as 2026-03-01, or a time with its zone such as 2026-03-01T12:00:00Z", flag, text)
	}
	return t, nil
}

func (o *auditOptions) run(ctx context.Context) error {
	return o.app.lookAt(ctx, looking{o.asOf, o.repository, []string{artifactTables, auditTables}}, func(v *view) error {
		id, err := o.repository.id(ctx, v)
		if err != nil {
			return err
		}
		o.filter.RepositoryID = id
		rows, err := v.query.Audit(ctx, o.filter)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			if err := o.misspelt(ctx, v); err != nil {
				return err
			}
		}
		if o.app.json {
			return o.app.document(auditDocument{v.document(), rows})
		}
		several, err := o.repository.several(ctx, v)
		if err != nil {
			return err
		}
		screen := o.app.screenOf(v)
		showAudit(screen, rows, several)
		return screen.Err()
	})
}

// misspelt says which actor or action may have been meant, when none of that name is known.
func (o *auditOptions) misspelt(ctx context.Context, v *view) error {
	for _, word := range []struct {
		what, given string
		of          query.AuditWord
	}{{"actor", o.filter.Actor, query.AuditActor}, {"action", o.filter.Action, query.AuditAction}} {
		if word.given == "" {
			continue
		}
		if err := v.query.KnowsAuditWord(ctx, word.of, word.what, word.given); err != nil {
			return err
		}
	}
	return nil
}

func showAudit(screen *render.Screen, rows []query.Audit, several bool) { //revive:disable-line:flag-parameter // a fact of the log, not a switch
	if len(rows) == 0 {
		screen.Line("No line of the audit trail matches.")
		return
	}
	for _, a := range rows {
		action := any(a.Action)
		if a.Outcome != "succeeded" {
			action = render.Bad.Of(a.Action)
		}
		where := ""
		if several && a.Repository != "" {
			where = " in " + a.Repository
		}
		screen.Line("%d  %s  %s  %s%s", a.Sequence, a.RecordedAt, action, a.Actor, where)
		reason := ""
		if a.Reason != "" {
			reason = " Reason: " + a.Reason
		}
		screen.Line("    %s%s", a.Summary, reason)
	}
}
