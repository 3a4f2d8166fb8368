package cli

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/projections/query"
)

// auditDocument is the output of audit --json.
type auditDocument struct {
	headDocument
	Filter []render.Filter `json:"filter,omitempty"` // in force
	Audit  []query.Audit   `json:"audit"`
	Note   string          `json:"note,omitempty"` // why nothing is listed
}

type auditOptions struct {
	readOptions
	documentOptions
	filter       query.AuditFilter
	since, until string
	outcome      *choice
}

func newAudit(a *app) *cobra.Command {
	o := &auditOptions{readOptions: readOptions{app: a}, outcome: &choice{words: []string{"succeeded", "failed", "cancelled", "interrupted", "rejected"}}}
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Show the audit trail: who did what, when and why",
		Long: "Show the audit trail: one line for each recorded event, the newest last. Times and actors are those that gxpledger\n" +
			"recorded, in UTC. A date without a time means the whole day. All filters that are given must match.",
		Example: "  gxpledger audit --limit 20\n" +
			"  gxpledger audit --resource REQ-001\n" +
			"  gxpledger audit --action artifact_removed --since 2026-02-01 --until 2026-02-28\n" +
			"  gxpledger audit --actor ci --outcome failed --json\n" +
			"  gxpledger audit --since 2026-02-01 --output audit.csv",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			if err := o.chooseFormat(a, cmd); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	o.add(cmd)
	o.addDocument(cmd, formatCSV, formatHTML)
	flags := cmd.Flags()
	flags.StringVar(&o.filter.Actor, "actor", "", "filter by `NAME` of the actor, exactly")
	flags.StringVar(&o.filter.Action, "action", "", "filter by `ACTION`, such as ARTIFACT_UPDATED")
	flags.StringVar(&o.filter.Resource, "resource", "", "filter by `RESOURCE`: a type, a path, a gxp_id or the id of a scan, exactly")
	flags.StringVar(&o.since, "since", "", "earliest `TIME`: 2026-03-01 or 2026-03-01T12:00:00Z")
	flags.StringVar(&o.until, "until", "", "latest `TIME`, exclusive; a date includes its whole day")
	flags.Var(o.outcome, "outcome", "filter by outcome")
	flags.Int64Var(&o.filter.Limit, "limit", 0, "maximum number `N` of lines, the newest (default: all)")
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
		return usage("--until %s is before --since %s: no time is between", o.until, o.since)
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
	return o.read(ctx, []string{gxpledger.Artifacts, gxpledger.Audit}, func(v *view) error {
		o.filter.RepositoryID = v.repositoryID
		rows, err := v.Audit(ctx, o.filter)
		if err != nil {
			return err
		}
		note, err := o.note(ctx, v, len(rows))
		if err != nil {
			return err
		}
		return o.deliver(v, reportDocument(auditDocument{v.head(), o.filters(), rows, note}, func(screen *render.Screen) {
			showAudit(screen, v, rows)
			if note != "" {
				screen.Line("%s", note)
			}
		}, func() render.Report { return render.AuditReport(v.source(o.filters()), rows, note) }))
	})
}

// filters are those in force.
func (o *auditOptions) filters() []render.Filter {
	limit := ""
	if o.filter.Limit > 0 {
		limit = strconv.FormatInt(o.filter.Limit, 10)
	}
	f := o.filter
	return given(render.Filter{Name: "repository", Value: o.repository}, render.Filter{Name: "actor", Value: f.Actor},
		render.Filter{Name: "action", Value: f.Action}, render.Filter{Name: "resource", Value: f.Resource},
		render.Filter{Name: "outcome", Value: f.Outcome}, render.Filter{Name: "since", Value: o.since}, render.Filter{Name: "until", Value: o.until},
		render.Filter{Name: "limit", Value: limit})
}

// note says why there are no lines, and which actors and actions the trail has; "" when there are some.
func (o *auditOptions) note(ctx context.Context, v *view, n int) (string, error) {
	if n > 0 {
		return "", nil
	}
	var actors, actions []string
	for _, column := range []struct {
		given string
		of    query.AuditWord
		words *[]string
	}{{o.filter.Actor, query.AuditActor, &actors}, {o.filter.Action, query.AuditAction, &actions}} {
		if column.given == "" {
			continue
		}
		words, err := v.AuditWords(ctx, column.of)
		if err != nil {
			return "", err
		}
		*column.words = words
	}
	f := o.filter
	note := noMatch("line of the audit trail", givenFilter{name: "--actor", value: f.Actor, present: actors},
		givenFilter{name: "--action", value: f.Action, present: actions}, givenFilter{name: "--resource", value: f.Resource},
		givenFilter{name: "--outcome", value: f.Outcome}, givenFilter{name: "--since", value: o.since}, givenFilter{name: "--until", value: o.until},
		givenFilter{name: "--repository", value: o.repository})
	return cmp.Or(note, "The audit trail is empty."), nil
}

func showAudit(screen *render.Screen, v *view, rows []query.Audit) {
	for _, a := range rows {
		action := any(a.Action)
		if a.Outcome != "succeeded" {
			action = render.Bad.Of(a.Action)
		}
		where := ""
		if name := v.of(a.Repository); name != "" {
			where = " in " + name
		}
		screen.Line("%d  %s  %s  %s%s", a.Sequence, a.RecordedAt, action, a.Actor, where)
		reason := ""
		if a.Reason != "" {
			reason = " Reason: " + a.Reason
		}
		screen.Line("    %s%s", a.Summary, reason)
	}
}
