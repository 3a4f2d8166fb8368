package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/query"
	"github.com/gxpledger/gxpledger/projections/tables"
)

// replayDocument is the output of replay --into --json.
type replayDocument struct {
	headDocument
	Into   string           `json:"into"`
	Log    uuid.UUID        `json:"log"` // that was replayed
	MadeAt time.Time        `json:"made_at"`
	MadeBy string           `json:"made_by"`
	Tables []replayedTables `json:"tables"`
}

// replayedTables is what was made of one projection.
type replayedTables struct {
	Projection string        `json:"projection"`
	Version    int           `json:"version"`
	Tables     []tableDigest `json:"tables"`
}

type replayOptions struct {
	app         *app
	repository  repositoryFlag
	from, to    asOfFlag
	into        string
	force       bool
	followScans bool
}

func newReplay(a *app) *cobra.Command {
	o := &replayOptions{app: a}
	cmd := &cobra.Command{
		Use:   "replay --to WHEN --into FILE | --follow-scans",
		Short: "Make the tables of the past, or step through the scans",
		Long: "With --to and --into makes all tables as they were at a point in time, in a SQLite file of its own that any SQL tool\n" +
			"opens, or in a schema of its own of a PostgreSQL database: the same tables and columns as the present ones, a view\n" +
			"catalogue that explains each column, and a table about that says what they are. They are there whole or not at all.\n" +
			"WHEN is a date, a time, pos:N, scan:N or commit:SHA.\n\n" +
			"With --follow-scans steps through the scans of a repository and shows of each who ran it, when, why and of which\n" +
			"commit, and what it changed, as diff does. --json writes one document a line.",
		Example: "  gxpledger replay --to 2026-03-01 --into audit-2026-03-01.db\n" +
			"  gxpledger replay --to commit:1e19594 --into release.db --force\n" +
			"  gxpledger replay --to scan:7 --into 'postgres://USER@HOST/DATABASE?schema=audit_2026'\n" +
			"  gxpledger replay --follow-scans --from scan:3 --to scan:7\n" +
			"  gxpledger replay --follow-scans --repository product --json",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(cmd); err != nil {
				return err
			}
			if o.followScans {
				return o.follow(cmd.Context())
			}
			return o.run(cmd.Context())
		},
	}
	o.repository.add(cmd)
	flags := cmd.Flags()
	flags.Var(&o.to, "to", "the point in time `WHEN` to replay to; with --follow-scans the last scan, scan:N or commit:SHA")
	flags.StringVar(&o.into, "into", "", "make the tables in this `FILE`, or in the schema of a PostgreSQL address")
	flags.BoolVar(&o.force, "force", false, "replace a file or a schema that is there, unless it is a database that replay did not make")
	flags.BoolVar(&o.followScans, "follow-scans", false, "step through the scans and show what each changed")
	flags.Var(&o.from, "from", "with --follow-scans the first scan `WHEN`, scan:N or commit:SHA (default: the first of all)")
	return cmd
}

func (o *replayOptions) validate(cmd *cobra.Command) error {
	if o.followScans {
		return o.validateSteps(cmd)
	}
	switch {
	case o.into == "":
		return usage("replay needs --to WHEN and --into FILE, or --follow-scans: %s --help shows examples", cmd.CommandPath())
	case o.to.point.IsNow():
		return usage("the flag --to is required with --into: want %s", query.PointForms)
	case !o.from.point.IsNow():
		return usage("--from goes with --follow-scans: tables show one point in time, --to")
	}
	return nil
}

// run makes tables that somebody keeps.
func (o *replayOptions) run(ctx context.Context) (err error) {
	log, err := o.app.ledger.Log(ctx)
	if err != nil {
		return err
	}
	place, err := o.app.ledger.Locate(ctx, o.to.point, o.repository.name)
	if err != nil {
		return asked(err)
	}
	target, err := o.app.openReplayTarget(ctx, o.into, o.force)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.free()) }()
	progress := o.app.progress()
	err = o.app.ledger.Replay(ctx, place, target.db, func(at, of eventstore.Position) {
		progress.Say(fmt.Sprintf("replaying the log: position %d of %d", at, of))
	})
	progress.Done()
	if err != nil {
		return err
	}
	d := replayDocument{Into: target.name, Log: log.ID(), MadeAt: o.app.system.Now().UTC(), MadeBy: madeBy()}
	if d.Tables, err = digestsOf(ctx, target.db); err != nil {
		return err
	}
	shown, err := target.query.Shown(ctx, place, "")
	if err != nil {
		return err
	}
	d.AsOf = shown
	if err := target.describe(ctx, projections.Origin{
		Log: d.Log, Position: place.Position, RecordedAt: place.RecordedAt, Head: place.Head, Given: place.Given, MadeAt: d.MadeAt, MadeBy: d.MadeBy,
	}); err != nil {
		return err
	}
	if err := target.finish(); err != nil {
		return err
	}
	return o.show(d)
}

// digestsOf returns the digest of every table that readers of db see.
func digestsOf(ctx context.Context, db projections.Database) ([]replayedTables, error) {
	var all []replayedTables
	for _, p := range tables.All() {
		builds, err := db.Builds(ctx, p.Name)
		if err != nil {
			return nil, err
		}
		of := replayedTables{Projection: p.Name, Version: p.Version}
		for _, b := range builds {
			if b.State != projections.BuildActive {
				continue
			}
			err := db.Inspect(ctx, b.Ref, func(s projections.Snapshot) error {
				digests, err := projections.DigestTables(ctx, s, p.Tables)
				for _, d := range digests {
					of.Tables = append(of.Tables, tableDigest(d))
				}
				return err
			})
			if err != nil {
				return nil, fmt.Errorf("digest of %s: %w", p.Name, err)
			}
		}
		all = append(all, of)
	}
	return all, nil
}

func (o *replayOptions) show(d replayDocument) error {
	if o.app.json {
		return o.app.document(d)
	}
	screen := o.app.screen()
	showHead(screen, d.AsOf)
	screen.Blank()
	field(screen, "Into", "%s", d.Into)
	field(screen, "Log", "%s", d.Log)
	field(screen, "Made", "at %s by %s", d.MadeAt, d.MadeBy)
	screen.Blank()
	t := columns("Projection", "Table", "Rows>", "SHA-256")
	for _, p := range d.Tables {
		for _, table := range p.Tables {
			t.Add(p.Projection, table.Table, table.Rows, table.SHA256)
		}
	}
	t.show(screen)
	screen.Blank()
	screen.Line("%s", render.Faint.Of("Any SQL tool opens it: the table about says what it is, the view catalogue what every column means."))
	return screen.Err()
}
