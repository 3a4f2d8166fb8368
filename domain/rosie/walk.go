package rosie

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
)

// Where everything is, relative to the repository's root.
const (
	gxpDir      = ".gxp"
	contextPath = gxpDir + "/system_context.md"
	riskLogPath = gxpDir + "/risk_assessment.log"
	evidenceDir = gxpDir + "/evidence"
)

// unit is what is read as one: a file of a known kind, or a package directory with all files below it.
type unit struct {
	path  string
	kind  domain.Kind
	files []entry
}

// entry is one regular file of the tree.
type entry struct {
	path string
	fs.DirEntry
}

// walker lists the tree below .gxp/ and sorts it into units.
type walker struct {
	fsys    fs.FS
	limits  *Limits
	notes   *notes
	listed  func(files int) // told after each directory
	entries int
	units   []*unit
	ignored []string
	dirs    map[string]bool
}

// walk lists a directory and everything below it. Below a package directory all files are its members.
func (w *walker) walk(ctx context.Context, dir string, inside *unit) error {
	children, err := w.list(ctx, dir)
	if err != nil {
		return err
	}
	w.dirs[dir] = true
	w.listed(w.entries)
	if inside == nil && strings.HasPrefix(dir, evidenceDir+"/") && slices.ContainsFunc(children, marksPackage) {
		inside = &unit{path: dir, kind: domain.KindEvidencePackage}
		w.units = append(w.units, inside)
	}
	for _, child := range children {
		if child.IsDir() {
			if err := w.walk(ctx, child.path, inside); err != nil {
				return err
			}
			continue
		}
		w.file(child, inside)
	}
	return nil
}

func (w *walker) file(file entry, inside *unit) {
	if inside != nil {
		inside.files = append(inside.files, file)
		return
	}
	if kind := kindOf(file.path); kind != "" {
		w.units = append(w.units, &unit{path: file.path, kind: kind, files: []entry{file}})
		return
	}
	w.ignored = append(w.ignored, file.path)
}

func marksPackage(e entry) bool {
	if e.IsDir() {
		return false
	}
	switch e.Name() {
	case manifestFile, metadataFile, manifestJWS, signatureFile:
		return true
	}
	return false
}

// kindOf decides the kind of a single file by its path alone; "" for one that is ignored.
func kindOf(file string) domain.Kind {
	switch file {
	case contextPath:
		return domain.KindSystemContext
	case riskLogPath:
		return domain.KindRiskLog
	}
	if strings.HasPrefix(file, evidenceDir+"/") && path.Ext(file) == ".jws" {
		return domain.KindEvidenceJWS
	}
	if path.Ext(file) != ".md" || strings.EqualFold(path.Base(file), "README.md") {
		return ""
	}
	dir, _, _ := strings.Cut(strings.TrimPrefix(file, gxpDir+"/"), "/")
	switch dir {
	case "requirements":
		return domain.KindRequirement
	case "user_stories":
		return domain.KindUserStory
	case "specs":
		return domain.KindSpec
	case "adr":
		return domain.KindADR
	case "vendor_assessments":
		return domain.KindVendorAssessment
	}
	return ""
}

// list returns the regular files and directories of dir, by name. What must not be followed or cannot be named on
// every system is left out, with a finding.
func (w *walker) list(ctx context.Context, dir string) ([]entry, error) {
	found, err := w.readDir(ctx, dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(found))
	for i, d := range found {
		names[i] = d.Name()
	}
	taken := collisions(names)
	kept := make([]entry, 0, len(found))
	for _, d := range found {
		file := dir + "/" + d.Name()
		switch code, text := reject(d, file); {
		case code != "":
			w.skip(code, file, text)
		case taken[d.Name()] != "":
			w.skip(domain.FindingOddPath, file, "some systems hold it for "+strconv.Quote(taken[d.Name()])+" beside it")
		default:
			kept = append(kept, entry{path: file, DirEntry: d})
		}
	}
	return kept, nil
}

// reject says why an entry must be left out; the empty code when it need not.
func reject(d fs.DirEntry, file string) (code, text string) {
	if odd := oddName(d.Name()); odd != "" || strings.Contains(d.Name(), "/") {
		return domain.FindingOddPath, cmp.Or(odd, "it holds a slash")
	}
	if len(file) > maxPath {
		return domain.FindingOddPath, "its path is longer than 1024 bytes"
	}
	switch kind := d.Type(); {
	case kind&fs.ModeSymlink != 0:
		return domain.FindingSymlink, "it is a symbolic link"
	case d.IsDir() && kind&fs.ModeIrregular != 0:
		return domain.FindingSubmodule, "it is a submodule"
	case !d.IsDir() && !kind.IsRegular():
		return domain.FindingOddPath, "it is no regular file"
	}
	return "", ""
}

func (w *walker) skip(code, file, text string) {
	shown, _ := cut(strings.ToValidUTF8(file, "\ufffd"), maxTitle)
	w.notes.add(domain.Finding{Code: code, Path: shown, Text: "not read: " + text})
}

// readDir reads a directory in pieces, so that the limit of the scan stops it before a huge one is in memory.
func (w *walker) readDir(ctx context.Context, dir string) ([]fs.DirEntry, error) {
	opened, err := w.fsys.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	defer opened.Close() //nolint:errcheck // nothing was written
	reader, ok := opened.(fs.ReadDirFile)
	if !ok {
		return nil, fmt.Errorf("list %s: %w", dir, &fs.PathError{Op: "readdir", Path: dir, Err: errors.ErrUnsupported})
	}
	var all []fs.DirEntry
	for {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("list %s: %w", dir, err)
		}
		some, err := reader.ReadDir(1000)
		all = append(all, some...)
		w.entries += len(some)
		if w.entries > w.limits.Files {
			return nil, &limitError{what: "files and directories", setting: "files", limit: int64(w.limits.Files), found: int64(w.entries)}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("list %s: %w", dir, err)
		}
		if err != nil || len(some) == 0 {
			slices.SortFunc(all, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
			return all, nil
		}
	}
}
