package cli

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/internal/wholefile"
	"github.com/gxpledger/gxpledger/projections/query"
)

// The formats of a matrix.
const (
	formatTable = "table"
	formatCSV   = "csv"
	formatJSON  = "json"
	formatHTML  = "html"
)

type matrixOptions struct {
	readOptions
	format *choice
	output string
}

func newMatrix(a *app) *cobra.Command {
	o := &matrixOptions{readOptions: readOptions{app: a}, format: oneOf(formatTable, formatCSV, formatJSON, formatHTML)}
	cmd := &cobra.Command{
		Use:   "matrix",
		Short: "Show the traceability matrix from requirements through user stories and specs to evidence",
		Long: "Show the traceability matrix: a row for each path from a requirement down as far as it goes, and then the artifacts that\n" +
			"lead to nothing above them. Each artifact has a state: failed, orphaned, wrong_kind, missing, duplicate, unverified,\n" +
			"suspect, transitive or covered, the most severe that applies in this order; a row has that of its worst artifact.\n" +
			"docs/replay.md says what each means. CSV is escaped for spreadsheets and therefore not exact: JSON is. HTML is one page\n" +
			"for a browser or printer. The name of an output file implies the format: .html, .csv, .json or .txt. The exit code is\n" +
			"1 when no scan of a repository ever completed. Retired repositories are left out.",
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
	o.add(cmd)
	o.addRetired(cmd)
	cmd.Flags().Var(o.format, "format", "output format: table, csv, json or html")
	cmd.Flags().StringVar(&o.output, "output", "", "`FILE` to write, complete or not at all; its extension implies the format (default: standard output)")
	return cmd
}

func (o *matrixOptions) validate(cmd *cobra.Command) error {
	given := cmd.Flags().Changed("format")
	if o.app.json {
		if given && o.format.value != formatJSON {
			return usage("--json and --format %s exclude each other: leave one out", o.format.value)
		}
		o.format.value, given = formatJSON, true
	}
	switch o.output {
	case "":
		return nil
	case "-":
		return usage("--output takes the name of a file: leave it out for standard output")
	}
	if err := wholefile.Check(o.output); err != nil {
		return failed(err, "%v: name another file with --output", err)
	}
	extension := strings.ToLower(filepath.Ext(o.output))
	implied, known := map[string]string{
		".txt": formatTable, ".csv": formatCSV, ".json": formatJSON, ".html": formatHTML, ".htm": formatHTML,
	}[extension]
	switch {
	case given && known && implied != o.format.value:
		return usage("the name %s implies --format %s, and the format asked for is %s: change the name or the format", o.output, implied, o.format.value)
	case given || extension == "" || extension == ".":
	case known:
		o.format.value = implied
	default:
		return usage("the name %s does not imply a format: want one that ends in .html, .csv, .json or .txt, or add --format", o.output)
	}
	return nil
}

func (o *matrixOptions) run(ctx context.Context) error {
	return o.read(ctx, withHistory, func(v *view) error {
		without := o.leaveOutRetired(v)
		others, unknown := v.judged()
		if !others {
			return unknown
		}
		matrix, err := v.Matrix(ctx, query.Scope{RepositoryID: v.repositoryID, WithoutRetired: without})
		if errors.Is(err, trace.ErrTooManyRows) {
			return failed(err, "%v: choose one repository with --repository, or look at gxpledger gaps for links of many to many", err)
		}
		if err != nil {
			return err
		}
		if err := o.show(v, render.Matrix{AsOf: v.Shown, Matrix: matrix}); err != nil {
			return err
		}
		return unknown
	})
}

func (o *matrixOptions) show(v *view, m render.Matrix) error {
	if o.output == "" {
		if slices.Contains([]string{formatCSV, formatHTML}, o.format.value) {
			if err := v.noteHead(); err != nil {
				return err
			}
		}
		return o.write(o.app.system.Stdout, v, m)
	}
	err := wholefile.Write(o.output, func(w io.Writer) error { return o.write(w, v, m) })
	if errors.As(err, new(*wholefile.Error)) {
		return failed(err, "%v: name another file with --output", err)
	}
	if err != nil || o.app.json {
		return err
	}
	screen := v.screen(o.app.system.Stdout)
	screen.Line("%s", render.MatrixSummary(m.Summary))
	screen.Line("Written to %s.", o.output)
	return screen.Err()
}

func (o *matrixOptions) write(w io.Writer, v *view, m render.Matrix) error {
	switch o.format.value {
	case formatCSV:
		return render.MatrixCSV(w, m)
	case formatJSON:
		return render.Document(w, m)
	case formatHTML:
		return render.MatrixHTML(w, m)
	}
	screen := v.screen(w)
	render.MatrixTable(screen, m)
	return screen.Err()
}
