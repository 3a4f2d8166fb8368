package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/projections/query"
)

// matrixDocument is the output of matrix --format json.
type matrixDocument struct {
	headDocument
	trace.Matrix

	unknown error // about repositories that nothing is known of
}

// The formats of a matrix.
const (
	formatTable = "table"
	formatCSV   = "csv"
	formatJSON  = "json"
	formatHTML  = "html"
)

type matrixOptions struct {
	app        *app
	repository repositoryFlag
	asOf       asOfFlag
	retired    retiredFlag
	format     *choice
	output     string
}

func newMatrix(a *app) *cobra.Command {
	o := &matrixOptions{app: a, format: oneOf(formatTable, formatCSV, formatJSON, formatHTML)}
	cmd := &cobra.Command{
		Use:   "matrix",
		Short: "Show the traceability from requirements through user stories and specs to evidence",
		Long: "Shows a row for each chain from a requirement down as far as it goes, and then what leads to nothing above it. Each\n" +
			"artifact has a state: failed, orphaned, wrong_kind, missing, duplicate, unverified, suspect, transitive or covered, the\n" +
			"most severe that applies in this order; a row has that of its worst artifact. docs/replay.md says what each means.\n" +
			"CSV is made safe for spreadsheets, and so is no true copy: JSON is. HTML is one page for a browser or printer. The name\n" +
			"of an output file implies the format: .html, .csv, .json or .txt. The exit code is 1 when no scan of a repository ever\n" +
			"completed. Retired repositories do not count.",
		Example: "  gxpledger matrix\n" +
			"  gxpledger matrix --as-of 2026-03-01 --output matrix.html\n" +
			"  gxpledger matrix --repository product --format csv > matrix.csv",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(cmd); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	o.repository.add(cmd)
	o.asOf.add(cmd)
	o.retired.add(cmd)
	cmd.Flags().Var(o.format, "format", "write a table, csv, json or html")
	cmd.Flags().StringVar(&o.output, "output", "", "write to this `FILE`, whole or not at all; its extension implies the format (default: standard output)")
	return cmd
}

func (o *matrixOptions) validate(cmd *cobra.Command) error {
	if o.app.json {
		if cmd.Flags().Changed("format") && o.format.value != formatJSON {
			return usage("--json and --format %s exclude each other: leave one out", o.format.value)
		}
		o.format.value = formatJSON
	}
	return o.format.ofFile(o.output, o.app.json || cmd.Flags().Changed("format"))
}

func (o *matrixOptions) run(ctx context.Context) error {
	return o.app.lookAt(ctx, looking{o.asOf, o.repository, []string{gxpledger.Artifacts, gxpledger.History}}, func(v *view) error {
		d, err := o.read(ctx, v)
		if errors.Is(err, trace.ErrTooManyRows) {
			return failed(err, "%v: choose one repository with --repository, or look at gxpledger gaps for links of many to many", err)
		}
		if err != nil {
			return err
		}
		if err := o.show(v, d); err != nil {
			return err
		}
		return d.unknown
	})
}

func (o *matrixOptions) show(v *view, d matrixDocument) error {
	if o.output == "" {
		if o.format.value == formatCSV || o.format.value == formatHTML {
			if err := o.app.noteHead(v); err != nil {
				return err
			}
		}
		return o.write(o.app.system.Stdout, v, d)
	}
	if err := writeWhole(o.output, func(w io.Writer) error { return o.write(w, v, d) }); err != nil {
		return err
	}
	if o.app.json {
		return nil
	}
	screen := o.app.screenOf(v)
	screen.Line("%s", matrixSummary(d.Summary))
	screen.Line("Written to %s.", o.output)
	return screen.Err()
}

func (o *matrixOptions) read(ctx context.Context, v *view) (matrixDocument, error) {
	var d matrixDocument
	id, err := o.repository.id(ctx, v)
	if err != nil {
		return d, err
	}
	without := o.retired.leaveOut(v)
	var others bool
	if others, d.unknown = v.judged(); !others {
		return d, d.unknown
	}
	if d.Matrix, err = v.Matrix(ctx, query.Scope{RepositoryID: id, WithoutRetired: without}); err != nil {
		return d, err
	}
	d.headDocument = v.document()
	return d, nil
}

func (o *matrixOptions) write(w io.Writer, v *view, d matrixDocument) error {
	switch o.format.value {
	case formatCSV:
		return writeMatrixCSV(w, d)
	case formatJSON:
		return render.Document(w, d)
	case formatHTML:
		return writeMatrixHTML(w, d)
	}
	screen := o.app.screenOn(w, v)
	showMatrix(screen, d)
	return screen.Err()
}

func showMatrix(screen *render.Screen, d matrixDocument) {
	if len(d.Rows) == 0 {
		screen.Line("There is no requirement, user story, spec or evidence.")
		return
	}
	t := columns("Repository", "Requirement", "User story", "Spec", "Evidence", "State", "Why")
	for _, r := range d.Rows {
		repository := ""
		if len(d.AsOf.Scans) > 1 {
			repository = r.Repository
		}
		t.Add(repository, cellText(r.Requirement), cellText(r.UserStory), cellText(r.Spec), cellText(r.Evidence),
			stateStyle(r.State).Of(r.State.Words()), why(r))
	}
	t.show(screen)
	screen.Blank()
	screen.Line("%s", matrixSummary(d.Summary))
}

// cellText is the name of an artifact, with its state unless that is a matter of others.
func cellText(c *trace.Cell) string {
	switch {
	case c == nil:
		return ""
	case c.State == trace.StateCovered || c.State == trace.StateTransitive:
		return c.Name()
	}
	return c.Name() + " (" + c.State.Words() + ")"
}

func stateStyle(state trace.State) render.Style {
	switch state {
	case trace.StateCovered:
		return render.Good
	case trace.StateTransitive, trace.StateSuspect, trace.StateUnverified, trace.StateDuplicate:
		return render.Notice
	case trace.StateFailed, trace.StateOrphaned, trace.StateWrongKind, trace.StateMissing:
	}
	return render.Bad
}

// why is every reason of the artifacts of a row. That something elsewhere is not well is left out where something here is
// not.
func why(r trace.MatrixRow) string {
	var own, transitive []string
	for level := range trace.LevelEvidence + 1 {
		i := r.Artifact(level)
		if i == nil {
			continue
		}
		for _, reason := range i.Reasons {
			text := i.Name() + ": " + reason.Text
			if reason.State == trace.StateTransitive {
				transitive = append(transitive, text)
				continue
			}
			own = append(own, text)
		}
	}
	if len(own) == 0 {
		own = transitive
	}
	return strings.Join(own, "; ")
}

// matrixSummary counts each state.
func matrixSummary(s trace.MatrixSummary) string {
	parts := make([]string, 0, len(trace.States()))
	for _, state := range trace.States() {
		parts = append(parts, fmt.Sprintf("%d %s", s.States[state], state.Words()))
	}
	return fmt.Sprintf("%s in %s: %s", render.Count(int(s.Artifacts), "artifact"), render.Count(int(s.Rows), "row"), strings.Join(parts, ", "))
}
