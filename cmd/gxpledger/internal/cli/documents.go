package cli

import (
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/internal/wholefile"
)

// The formats of documents.
const (
	formatTable = "table"
	formatCSV   = "csv"
	formatJSON  = "json"
	formatHTML  = "html"
	formatXLSX  = "xlsx"
)

// formatNames are the extensions that imply a format.
func formatNames() map[string]string {
	return map[string]string{
		".txt": formatTable, ".csv": formatCSV, ".json": formatJSON, ".html": formatHTML, ".htm": formatHTML, ".xlsx": formatXLSX,
	}
}

// documentOptions are the flags of a command whose answer is handed over as a document.
type documentOptions struct {
	format *choice
	output string
}

// addDocument adds the flags. formats are those that the command has beside the table and JSON.
func (o *documentOptions) addDocument(cmd *cobra.Command, formats ...string) {
	o.format = oneOf(append([]string{formatTable}, append(slices.Clone(formats), formatJSON)...)...)
	last := len(o.format.words) - 1
	cmd.Flags().Var(o.format, "format", "output format: "+strings.Join(o.format.words[:last], ", ")+" or "+o.format.words[last])
	cmd.Flags().StringVar(&o.output, "output", "", "`FILE` to write, complete or not at all; its extension implies the format (default: standard output)")
}

// chooseFormat finds the format from the flags and the name of the file.
func (o *documentOptions) chooseFormat(a *app, cmd *cobra.Command) error {
	given := cmd.Flags().Changed("format")
	if a.json {
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
	implied := formatNames()[extension]
	switch {
	case given && implied != "" && implied != o.format.value:
		return usage("the name %s implies --format %s, and the format asked for is %s: change the name or the format", o.output, implied, o.format.value)
	case given || extension == "" || extension == ".":
	case slices.Contains(o.format.words, implied):
		o.format.value = implied
	default:
		return usage("the name %s does not imply a format: want one that ends in %s, or add --format", o.output, o.extensions())
	}
	return nil
}

// extensions lists what a name may end in.
func (o *documentOptions) extensions() string {
	var all []string
	for _, word := range o.format.words {
		all = append(all, "."+map[bool]string{true: "txt", false: word}[word == formatTable])
	}
	return strings.Join(all[:len(all)-1], ", ") + " or " + all[len(all)-1]
}

// document is an answer in its formats.
type document struct {
	json    any
	screen  func(*render.Screen) // below the head
	write   map[string]func(io.Writer) error
	summary string // what the screen says when a file was written; "" for nothing
}

// reportDocument is an answer that is a report in its other formats.
func reportDocument(json any, screen func(*render.Screen), report func() render.Report) document {
	return document{json: json, screen: screen, write: map[string]func(io.Writer) error{
		formatCSV:  func(w io.Writer) error { return render.ReportCSV(w, report()) },
		formatHTML: func(w io.Writer) error { return render.ReportHTML(w, report()) },
	}}
}

// deliver writes a document in the format chosen: to standard output, or to the file named.
func (o *documentOptions) deliver(v *view, d document) error {
	a := v.app
	if o.output == "" {
		return o.print(v, d)
	}
	err := wholefile.Write(o.output, func(w io.Writer) error { return o.writeTo(w, v, d) })
	if errors.As(err, new(*wholefile.Error)) {
		return failed(err, "%v: name another file with --output", err)
	}
	if err != nil || a.json {
		return err
	}
	screen := v.screen(a.system.Stdout)
	if d.summary != "" {
		screen.Line("%s", d.summary)
	}
	screen.Line("Written to %s.", o.output)
	return screen.Err()
}

// print writes a document to standard output, and the head to standard error where it is for something else.
func (o *documentOptions) print(v *view, d document) error {
	a := v.app
	if o.format.value == formatXLSX && a.terminal(a.system.Stdout).Width > 0 {
		return usage("a workbook cannot be shown: name a file with --output, such as --output matrix.xlsx")
	}
	if d.write[o.format.value] != nil {
		if err := v.noteHead(); err != nil {
			return err
		}
	}
	return o.writeTo(a.system.Stdout, v, d)
}

func (o *documentOptions) writeTo(w io.Writer, v *view, d document) error {
	if write := d.write[o.format.value]; write != nil {
		return write(w)
	}
	if o.format.value == formatJSON {
		return render.Document(w, d.json)
	}
	screen := v.screen(w)
	d.screen(screen)
	return screen.Err()
}

// source says what a document is of.
func (v *view) source(filters []render.Filter) render.Source {
	return render.Source{Shown: v.Shown, Filters: filters, LogID: v.LogID().String(), Program: programName()}
}

// programName is the name of this program with its version, and with the commit that it was built from.
func programName() string {
	info := buildInfo()
	name := "gxpledger " + info.Version
	if info.Commit != "" {
		name += ", commit " + info.Commit
	}
	return name
}

// given are the filters whose value is not empty.
func given(filters ...render.Filter) []render.Filter {
	return slices.DeleteFunc(filters, func(f render.Filter) bool { return f.Value == "" })
}
