package render

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gxpledger/gxpledger/projections/query"
)

// PlacedFile is a file of a repository and where it is in an export.
type PlacedFile struct {
	query.File

	Place string // "" when its bytes were not kept
}

// FilesReport lists the files of an export.
func FilesReport(s Source, files []PlacedFile) Report {
	r := Report{
		Source: s, Name: "Files of an export", Empty: "There are no files.",
		Columns: []ReportColumn{
			{Name: "path", Title: "Path"},
			{Name: "place", Title: "In this folder"},
			{Name: "kind", Title: "Kind", Width: Narrow},
			{Name: "ids", Title: "IDs", Width: Medium},
			{Name: "title", Title: "Title"},
			{Name: "size", Title: "Bytes", Form: NumberForm, Width: Narrow},
			{Name: "content_sha256", Title: "SHA-256"},
			{Name: "note", Title: "Note", Width: Medium},
		},
	}
	for _, f := range files {
		var notes []string
		if f.Rejected {
			notes = append(notes, "could not be parsed")
		}
		if f.Place == "" {
			notes = append(notes, "not kept: too large")
		}
		r.Rows = append(r.Rows, ReportRow{"Files", f.RepositoryID, f.Repository, []string{
			f.Path, f.Place, Spaced(f.Kind), strings.Join(f.GxPIDs, ", "), f.Title, strconv.FormatInt(f.Size, 10), f.ContentSHA256, strings.Join(notes, "; "),
		}})
	}
	return r
}

// MissingWords says that an export lacks files.
func MissingWords(n int) string {
	return fmt.Sprintf("%s not kept, since too large, and not in this folder: documents/files.csv names %s.",
		CountOf(n, "file was", "files were"), Verb(n, "it", "them"))
}

// ExportAbout says what the folder of an export holds.
func ExportAbout(screen *Screen, s Source, files, notKept int) {
	screen.Line("This folder is what gxpledger recorded, as of the scan above. Whatever was recorded later is not in it.")
	screen.Blank()
	for _, line := range [][2]string{
		{"documents/", "the traceability matrix, gaps and the audit trail of the repository, and the list of files,"},
		{"", "as .html for people, .csv and .xlsx for spreadsheets (escaped, not exact), .json for programs (exact)"},
		{"files/", fmt.Sprintf("%s of the repository, byte for byte", CountOf(files, "original file", "original files"))},
		{"tables.db", "all tables as of the same position, of every repository of the log: a SQLite file; its table about says"},
		{"", "what it is, its view catalogue explains every column"},
		{"export.json", "what was exported"},
		{"SHA256SUMS", "the SHA-256 of every other file: sha256sum -c SHA256SUMS checks them"},
	} {
		screen.Field(line[0], "%s", line[1])
	}
	if notKept > 0 {
		screen.Blank()
		screen.Line("%s", MissingWords(notKept))
	}
	screen.Blank()
	screen.Field("Log", "%s", s.LogID)
	screen.Field("Made by", "%s", s.Program)
}
