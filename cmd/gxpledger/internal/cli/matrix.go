package cli

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/projections/query"
)

type matrixOptions struct {
	readOptions
	documentOptions
}

func newMatrix(a *app) *cobra.Command {
	o := &matrixOptions{readOptions: readOptions{app: a}}
	cmd := &cobra.Command{
		Use:   "matrix",
		Short: "Show the traceability matrix from requirements through user stories and specs to evidence",
		Long: "Show the traceability matrix: a row for each path from a requirement down as far as it goes, and then the artifacts that\n" +
			"lead to nothing above them. Each artifact has a state: failed, orphaned, wrong_kind, missing, duplicate, unverified,\n" +
			"suspect, transitive or covered, the most severe that applies in this order; a row has that of its worst artifact.\n" +
			"docs/replay.md says what each means. CSV and XLSX are escaped for spreadsheets and therefore not exact: JSON is. HTML is\n" +
			"one page for a browser or printer, with a summary by risk, test totals, keys, a legend and room for signatures. The name\n" +
			"of an output file implies the format: .html, .csv, .xlsx, .json or .txt. The exit code is 1 when no scan of a repository\n" +
			"ever completed. Retired repositories are left out.",
		Example: "  gxpledger matrix\n" +
			"  gxpledger matrix --as-of 2026-03-01 --output matrix.html\n" +
			"  gxpledger matrix --repository product --format csv > matrix.csv",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.chooseFormat(a, cmd); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	o.add(cmd)
	o.addRetired(cmd)
	o.addDocument(cmd, formatCSV, formatXLSX, formatHTML)
	return cmd
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
		filters := given(render.Filter{Name: "repository", Value: o.repository})
		if err := o.deliver(v, matrixDocument(render.Matrix{Source: v.source(filters), Matrix: matrix})); err != nil {
			return err
		}
		return unknown
	})
}

func matrixDocument(m render.Matrix) document {
	return document{
		json: m, screen: func(screen *render.Screen) { render.MatrixTable(screen, m) }, summary: render.MatrixSummary(m.Summary),
		write: map[string]func(io.Writer) error{
			formatCSV:  func(w io.Writer) error { return render.MatrixCSV(w, m) },
			formatXLSX: func(w io.Writer) error { return render.MatrixXLSX(w, m) },
			formatHTML: func(w io.Writer) error { return render.MatrixHTML(w, m) },
		},
	}
}
