package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
)

func newVerify(a *app) *cobra.Command {
	deep := false
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Verify the integrity of the log, its contents and the tables",
		Long: "Verify the integrity of the log: that no position, revision or event of a batch is missing, that ids are derived from\n" +
			"their scans, that times never decrease, that every event can be decoded, follows from those before it and agrees with\n" +
			"its metadata and with the outcome of its scan, that every content that an event names is stored and has its SHA-256,\n" +
			"and that an event names each, that snapshots equal the events, and that the guards which keep the log append-only are\n" +
			"intact: the file and its triggers; on PostgreSQL tables, triggers and rights; on an\n" +
			"EventStoreDB that no stream was truncated, deleted or opened to others. Then replay the log, compare every row of\n" +
			"every table, and check views, indexes, triggers and the catalogue. Each fault is listed with what to do, and so is each check that\n" +
			"could not be made, whose result is unknown; the exit code is 3 when there is either. Clock steps, and foreign streams,\n" +
			"are listed as warnings. --deep reads the stored contents again, with the present reader, and compares what events say\n" +
			"of them, except for signatures, which take the keys; it warns of what another version of the reader recorded otherwise.\n" +
			"Nothing is changed, except that tables behind the log are caught up first.",
		Example: "  gxpledger verify\n  gxpledger verify --deep --json",
		Args:    none,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.verify(cmd.Context(), deep) },
	}
	cmd.Flags().BoolVar(&deep, "deep", false, "read the stored contents again and compare what events say of them")
	return cmd
}

func (a *app) verify(ctx context.Context, deep bool) error { //revive:disable-line:flag-parameter // a flag of the command
	progress := a.progress()
	result, err := a.ledger.Verify(ctx, gxpledger.VerifyOptions{
		Deep: deep,
		Progress: func(step gxpledger.VerifyStep, done, total uint64, projection string) {
			if text := verifyProgress(step, done, total, projection); text != "" {
				progress.Say(text)
			}
		},
	})
	progress.Done()
	if err != nil {
		return err
	}
	a.describe(logrus.Fields{
		"position": uint64(result.Log.Head), "faults": len(result.Faults), "unknown": len(result.Unknown), "warnings": len(result.Warnings),
	})
	err = a.answer(result, func(screen *render.Screen) { showVerified(screen, result) })
	if err == nil && !result.Intact {
		return found()
	}
	return err
}

// verifyProgress says how far a verification is, every now and then: the text is costly and most of them are not shown.
func verifyProgress(step gxpledger.VerifyStep, done, total uint64, projection string) string {
	const pace = 1 << 10
	switch {
	case step == gxpledger.VerifyTables:
		return "replaying " + projection
	case done%pace != 0:
		return ""
	case step == gxpledger.VerifyContents:
		return fmt.Sprintf("reading contents: %d", done)
	}
	return fmt.Sprintf("reading the log: %d of %d", done, total)
}

func showVerified(screen *render.Screen, d gxpledger.Verification) {
	screen.Field("Log", "%s in %s of %s up to position %d, %s, %s", render.Count(int(d.Log.Events), "event"), //nolint:gosec // no log has 2^63 events
		render.CountOf(int(d.Log.Batches), "batch", "batches"), render.Count(int(d.Log.Streams), "stream"), uint64(d.Log.Head), //nolint:gosec // nor batches
		render.Count(int(d.Log.Contents), "content"), render.Count(int(d.Log.Snapshots), "snapshot")) //nolint:gosec // nor contents
	for _, t := range d.Tables {
		screen.Field("Tables", "%s: %d rows in %s compared with a replay up to position %d", t.Projection, rowsOf(t.Tables),
			render.Count(len(t.Tables), "table"), t.Position)
	}
	screen.Blank()
	for _, w := range d.Warnings[:min(len(d.Warnings), render.MostListed)] {
		screen.Line("%s %s: %s", render.Notice.Of("warning: "+string(w.Code)), w.Where, w.Text)
	}
	if len(d.Warnings) > 0 {
		render.More(screen, len(d.Warnings))
		var remedies []string // each once
		for _, w := range d.Warnings {
			if !slices.Contains(remedies, w.Remedy) {
				remedies = append(remedies, w.Remedy)
				screen.Line("    %s", w.Remedy)
			}
		}
		screen.Blank()
	}
	if d.Intact {
		screen.Line("%s", render.Good.Of("No faults found."))
		return
	}
	for _, f := range d.Faults {
		screen.Line("%s %s: %s", render.Bad.Of(string(f.Code)), f.Where, f.Text)
		screen.Line("    %s", f.Remedy)
	}
	for _, f := range d.Unknown {
		screen.Line("%s %s: %s", render.Notice.Of("unknown: "+string(f.Code)), f.Where, f.Text)
		screen.Line("    %s", f.Remedy)
	}
	screen.Blank()
	if len(d.Unknown) > 0 {
		screen.Line("%s", render.Notice.Of(render.Count(len(d.Unknown), "check")+" could not be made: the result is unknown."))
	}
	if len(d.Faults) > 0 {
		screen.Line("%s", render.Bad.Of(render.Count(len(d.Faults), "fault")+" found."))
	}
}
