package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain/trace"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/internal/wholefile"
	"github.com/gxpledger/gxpledger/projections/query"
)

// exportDocument is the output of export --json, and export.json in the folder, which knows neither Folder nor Manifest.
type exportDocument struct {
	headDocument
	LogID    string         `json:"log_id"`
	Program  string         `json:"program"`
	Scan     query.Scan     `json:"scan"`
	Files    []exportedFile `json:"files"`
	NotKept  int            `json:"not_kept"` // files of which there are no bytes
	Folder   string         `json:"folder,omitempty"`
	Manifest string         `json:"manifest_sha256,omitempty"` // SHA-256 of SHA256SUMS
}

// exportedFile is a file of the repository and where it is in the folder.
type exportedFile struct {
	query.File

	Place string `json:"place,omitempty"` // absent when its bytes were not kept
}

type exportOptions struct {
	readOptions
	scan int64
	out  string
}

func newExport(a *app) *cobra.Command {
	o := &exportOptions{readOptions: readOptions{app: a}}
	cmd := &cobra.Command{
		Use:   "export --scan N --out FOLDER",
		Short: "Write all that a reviewer of a release needs into one folder",
		Long: "Write one folder with what was true after a scan: the matrix, gaps and audit trail as documents for people and programs,\n" +
			"all tables as a SQLite file, the original files of the repository, and SHA256SUMS, which sha256sum -c checks. The folder\n" +
			"appears complete or not at all, and nothing is replaced. Names that some systems cannot hold are escaped; files.csv says\n" +
			"which file is where. Tables are of every repository of the log, all else is of one.",
		Example: "  gxpledger export --scan 7 --out release-1.4\n" +
			"  gxpledger export --scan 7 --repository product --out release-1.4\n" +
			"  cd release-1.4 && sha256sum -c SHA256SUMS",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case o.scan < 1:
				return usage("export needs the number of a scan with --scan, from 1: gxpledger scans lists them")
			case o.out == "":
				return usage("export needs the name of a new folder with --out")
			}
			if err := o.asOf.Set(fmt.Sprintf("scan:%d", o.scan)); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	o.addRepository(cmd)
	cmd.Flags().Int64Var(&o.scan, "scan", 0, "number `N` of the completed scan to export (required)")
	cmd.Flags().StringVar(&o.out, "out", "", "`FOLDER` to write, which must not exist (required)")
	return cmd
}

func (o *exportOptions) run(ctx context.Context) error {
	return o.read(ctx, nil, func(v *view) error {
		repository, err := v.Find(ctx, o.repository)
		if err != nil {
			return err
		}
		v.repositoryID, v.several = repository.ID, false
		v.Shown.Only(repository.ID)
		scan, err := v.Scan(ctx, repository, o.scan)
		if err != nil {
			return err
		}
		if scan.Outcome != outcomeCompleted {
			return failed(nil, "scan %d of %q did not complete, so that there is no state to export: gxpledger scans lists those that did", o.scan, repository.Name)
		}
		folder, err := wholefile.NewFolder(o.out)
		if err != nil {
			return failed(err, "%v: name another folder with --out", err)
		}
		w := exportWriter{exportOptions: o, view: v, folder: folder, document: exportDocument{
			headDocument: v.head(), LogID: v.LogID().String(), Program: programName(), Scan: scan, Files: []exportedFile{},
		}}
		if err := errors.Join(w.writeAll(ctx), folder.Discard()); err != nil {
			return err
		}
		return v.answer(w.document, w.show)
	})
}

// exportWriter fills the folder of an export.
type exportWriter struct {
	*exportOptions

	view     *view
	folder   *wholefile.Folder
	document exportDocument
}

func (w *exportWriter) writeAll(ctx context.Context) error {
	for _, write := range []func(context.Context) error{w.writeMatrix, w.writeGaps, w.writeAudit, w.writeFiles, w.writeTables} {
		if err := write(ctx); err != nil {
			return err
		}
	}
	about, document := w.about(), w.document // before it knows where it is
	for name, write := range map[string]func(io.Writer) error{
		"README.txt":  func(out io.Writer) error { _, err := out.Write(about); return err },
		"export.json": func(out io.Writer) error { return render.Document(out, document) },
	} {
		if _, err := w.folder.Write(name, write); err != nil {
			return err
		}
	}
	sum, err := w.folder.Keep()
	if errors.Is(err, fs.ErrExist) {
		return failed(err, "%s is there already: name another folder with --out", w.out)
	}
	w.document.Folder, w.document.Manifest = w.out, sum
	return err
}

// writeDocument writes an answer in each of its formats but the table.
func (w *exportWriter) writeDocument(name string, d document) error {
	d.write[formatJSON] = func(out io.Writer) error { return render.Document(out, d.json) }
	for format, write := range d.write {
		if _, err := w.folder.Write("documents/"+name+"."+format, write); err != nil {
			return err
		}
	}
	return nil
}

func (w *exportWriter) scope() query.Scope { return query.Scope{RepositoryID: w.view.repositoryID} }

func (w *exportWriter) writeMatrix(ctx context.Context) error {
	matrix, err := w.view.Matrix(ctx, w.scope())
	if errors.Is(err, trace.ErrTooManyRows) {
		return failed(err, "%v: repair the links of many to many, which gxpledger gaps lists", err)
	}
	if err != nil {
		return err
	}
	return w.writeDocument("matrix", matrixDocument(render.Matrix{Source: w.view.source(nil), Matrix: matrix}))
}

func (w *exportWriter) writeGaps(ctx context.Context) error {
	gaps, err := w.view.Gaps(ctx, w.scope())
	if err != nil {
		return err
	}
	return w.writeDocument("gaps", reportDocument(gapsDocument{w.view.head(), nil, gaps}, nil,
		func() render.Report { return render.GapsReport(w.view.source(nil), gaps) }))
}

func (w *exportWriter) writeAudit(ctx context.Context) error {
	rows, err := w.view.Audit(ctx, query.AuditFilter{RepositoryID: w.view.repositoryID})
	if err != nil {
		return err
	}
	filters := []render.Filter{{Name: "repository", Value: w.document.AsOf.Scans[0].Repository}}
	return w.writeDocument("audit", reportDocument(auditDocument{w.view.head(), filters, rows, ""}, nil,
		func() render.Report { return render.AuditReport(w.view.source(filters), rows, "") }))
}

// writeFiles writes the original files, one at a time, and the list of them.
func (w *exportWriter) writeFiles(ctx context.Context) error {
	files, err := w.view.Files(ctx, w.scope())
	if err != nil {
		return err
	}
	var names wholefile.Names
	for _, f := range files {
		exported := exportedFile{File: f}
		if f.ContentSHA256 == "" {
			w.document.NotKept++
		} else {
			exported.Place = "files/" + names.Place(f.Path)
			if err := w.writeFile(ctx, exported); err != nil {
				return err
			}
		}
		w.document.Files = append(w.document.Files, exported)
	}
	report := w.filesReport()
	return w.writeDocument("files", reportDocument(w.document, nil, func() render.Report { return report }))
}

func (w *exportWriter) writeFile(ctx context.Context, f exportedFile) error {
	data, err := w.view.ContentOf(ctx, f.ContentSHA256)
	if errors.Is(err, eventstore.ErrNotFound) {
		return failed(err, "the log does not hold the content %s of %s: run gxpledger verify", f.ContentSHA256, f.Path)
	}
	if err != nil {
		return err
	}
	sum, err := w.folder.Write(f.Place, func(out io.Writer) error { _, err := out.Write(data); return err })
	if err == nil && sum != f.ContentSHA256 {
		err = failed(nil, "the content of %s is not the one that was recorded: run gxpledger verify", f.Path)
	}
	return err
}

func (w *exportWriter) filesReport() render.Report {
	files := make([]render.PlacedFile, len(w.document.Files))
	for i, f := range w.document.Files {
		files[i] = render.PlacedFile{File: f.File, Place: f.Place}
	}
	return render.FilesReport(w.view.source(nil), files)
}

// writeTables lets the tables be built as of the same position, into a file that any SQL tool opens.
func (w *exportWriter) writeTables(ctx context.Context) error {
	const name = "tables.db"
	progress := w.app.progress()
	defer progress.Done()
	_, err := w.app.ledger.Export(ctx, gxpledger.ExportRequest{
		AsOf: w.asOf.String(), Repository: w.view.repositoryID, Into: filepath.Join(w.folder.Temporary, name), MadeBy: programName(),
		Progress: replayProgress(progress),
	})
	if err != nil {
		return err
	}
	return w.folder.Add(name)
}

// about is README.txt: what the folder is, for whoever finds it.
func (w *exportWriter) about() []byte {
	var out bytes.Buffer
	screen := render.NewScreen(&out, render.Terminal{})
	render.Head(screen, w.view.Shown)
	screen.Blank()
	render.ExportAbout(screen, w.view.source(nil), len(w.document.Files)-w.document.NotKept, w.document.NotKept)
	return out.Bytes()
}

func (w *exportWriter) show(screen *render.Screen) {
	screen.Field("Folder", "%s", w.document.Folder)
	screen.Field("Files", "%d originals", len(w.document.Files)-w.document.NotKept)
	if n := w.document.NotKept; n > 0 {
		screen.Line("%s", render.Notice.Of(render.MissingWords(n)))
	}
	screen.Field("Manifest", "SHA-256 %s", w.document.Manifest)
	screen.Blank()
	screen.Line("%s", render.Faint.Of("Check it with sha256sum -c SHA256SUMS in the folder. Keep the SHA-256 of the manifest elsewhere."))
}
