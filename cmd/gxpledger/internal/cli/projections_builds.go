package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/projections"
)

// buildsDocument is the output of projections builds --json.
type buildsDocument struct {
	Builds []buildDocument `json:"builds"`
}

type buildDocument struct {
	Projection string    `json:"projection"`
	Build      int       `json:"build"`
	Version    int       `json:"version"`
	State      string    `json:"state"` // filling, ready, active or retired
	Position   uint64    `json:"position"`
	Log        string    `json:"log_id,omitempty"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"` // when the position last moved
	// Tables are the digests that were taken when the build was put in front of readers.
	Tables []tableDigest `json:"tables,omitempty"`
}

func newProjectionsBuilds(a *app) *cobra.Command {
	o := &acting{app: a}
	cmd := &cobra.Command{
		Use:   "builds [NAME]",
		Short: "List the builds of projections: what readers see, saw before, and will see",
		Long: "Lists the builds of a projection, or of all: the active one, which readers see, retired ones, which projections prune\n" +
			"removes, and one that is being made. With --json also the SHA-256 of each table as it was when the build was put in front of\n" +
			"readers. Nothing is brought up to date.",
		Example: "  gxpledger projections builds\n  gxpledger projections builds artifacts --json",
		Args:    func(cmd *cobra.Command, args []string) error { return atMostOne(cmd, "projection", args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			o.all = len(args) == 0
			if err := o.which(args); err != nil {
				return err
			}
			return o.showBuilds(cmd.Context())
		},
	}
	return cmd
}

func (o *acting) showBuilds(ctx context.Context) (err error) {
	v, err := o.app.openStill(ctx, o.app.openLogToRead)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	document := buildsDocument{Builds: []buildDocument{}}
	for _, name := range o.names {
		builds, err := v.tables.Builds(ctx, name)
		if err != nil {
			return err
		}
		for _, b := range builds {
			digests, err := v.tables.Digests(ctx, b.Ref)
			if err != nil {
				return err
			}
			document.Builds = append(document.Builds, buildOf(b, digests))
		}
	}
	if o.app.json {
		return o.app.document(document)
	}
	screen := o.app.screen()
	t := columns("Projection", "Build>", "Version>", "State", "Position>", "Made", "Moved last", "Rows when shown>")
	for _, b := range document.Builds {
		rows := any(nil)
		if len(b.Tables) > 0 {
			var n int64
			for _, table := range b.Tables {
				n += table.Rows
			}
			rows = n
		}
		t.Add(b.Projection, b.Build, b.Version, b.State, b.Position, b.CreatedAt.Format(time.RFC3339), b.UpdatedAt.Format(time.RFC3339), rows)
	}
	t.show(screen)
	return screen.Err()
}

func buildOf(b projections.Build, digests []projections.Digest) buildDocument {
	out := buildDocument{
		Projection: b.Projection, Build: b.Number, Version: b.Checkpoint.Version, State: string(b.State),
		Position: uint64(b.Checkpoint.Position), CreatedAt: b.CreatedAt.UTC(), UpdatedAt: b.UpdatedAt.UTC(),
	}
	if b.Checkpoint.Position > 0 {
		out.Log = b.Checkpoint.Log.String()
	}
	for _, d := range digests {
		out.Tables = append(out.Tables, tableDigest(d))
	}
	return out
}
