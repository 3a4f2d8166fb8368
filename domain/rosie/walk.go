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
	"strings"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/invisible"
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
	// dropped are the entries below a package directory that are not read.
	dropped []dropped
}

// dropped is an entry that is left out, and why. Its path is relative to the package directory.
type dropped struct{ path, code, text string }

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

	nearContext string // an ignored file that is nearly called as the system context; "" for none
}

// walk lists a directory and everything below it. Below a package directory all files are its members.
func (w *walker) walk(ctx context.Context, dir string, inside *unit) error {
	children, left, err := w.list(ctx, dir)
	if err != nil {
		return err
	}
	w.dirs[dir] = true
	w.listed(w.entries)
	if inside == nil && strings.HasPrefix(dir, evidenceDir+"/") && slices.ContainsFunc(children, marksPackage) {
		inside = &unit{path: dir, kind: domain.KindEvidencePackage}
		w.units = append(w.units, inside)
	}
	if inside != nil {
		for _, d := range left {
			d.path = strings.TrimPrefix(d.path, inside.path+"/")
			inside.dropped = append(inside.dropped, d)
		}
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
	w.ignore(file.path)
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

// kindOf decides the kind of a single file by its path alone; "" for one that is ignored. A Markdown file below .gxp/evidence/
// is a record if it reads like one: see isRecord.
func kindOf(file string) domain.Kind {
	if path.Ext(file) == ".md" && strings.EqualFold(path.Base(file), "README.md") {
		return ""
	}
	rel := strings.TrimPrefix(file, gxpDir+"/")
	for _, kind := range domain.Kinds() {
		info := kind.Info()
		if info.File != "" && info.File == rel {
			return kind
		}
		if info.Dir != "" && strings.HasPrefix(rel, info.Dir+"/") && path.Ext(rel) == info.Suffix {
			return kind
		}
	}
	return ""
}

// list returns the regular files and directories of dir, by name, and notes names that some systems hold for one: all of
// them are read (I17). What must not be followed or cannot be named safely is left out, with a finding.
func (w *walker) list(ctx context.Context, dir string) (kept []entry, left []dropped, err error) {
	found, err := w.readDir(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	kept = make([]entry, 0, len(found))
	names := make([]string, 0, len(found))
	for _, d := range found {
		file := dir + "/" + d.Name()
		if code, text := reject(d, file); code != "" {
			w.skip(code, file, text)
			left = append(left, dropped{path: strings.ToValidUTF8(file, "\ufffd"), code: code, text: text})
			continue
		}
		kept, names = append(kept, entry{path: file, DirEntry: d}), append(names, d.Name())
	}
	other := collisions(names)
	for _, e := range kept {
		if before, ok := other[e.Name()]; ok {
			w.note(domain.FindingOddPath, e.path, fmt.Sprintf("some systems hold it for %+q beside it, and have one of the two: give one of them another name; both are read", before))
		} else if remark := nameRemark(e.Name()); remark != "" {
			w.note(domain.FindingOddPath, e.path, remark+": give it another name; it is read")
		}
	}
	return kept, left, nil
}

// collisions returns, for each of these sibling names that some systems hold for an earlier one, that one.
func collisions(names []string) map[string]string {
	other := make(map[string]string)
	first := make(map[string]string, len(names))
	for _, name := range slices.Sorted(slices.Values(names)) {
		key := foldName(name)
		if before, ok := first[key]; ok {
			other[name] = before
			continue
		}
		first[key] = name
	}
	return other
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
		return domain.FindingOddPath, "it is not a regular file"
	}
	return "", ""
}

// nameRemark says what is odd about a name that is read all the same; "" when nothing is.
func nameRemark(name string) string {
	switch {
	case strings.ContainsFunc(name, invisible.Is):
		return "it holds characters that do not show"
	case len(name) > maxName:
		return "it is longer than 255 bytes, which some systems cannot hold"
	}
	return ""
}

func (w *walker) skip(code, file, text string) { w.note(code, file, "not read: "+text) }

func (w *walker) note(code, file, text string) {
	shown, _ := cut(strings.ToValidUTF8(file, "\ufffd"), maxPath)
	text, _ = cut(text, maxMessage)
	w.notes.add(domain.Finding{Code: code, Path: shown, Text: text})
}

// readDir reads a directory in pieces, so that the limit of the scan stops it before a huge one is in memory.
func (w *walker) readDir(ctx context.Context, dir string) ([]fs.DirEntry, error) {
	opened, err := w.fsys.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot list %s: %w", dir, err)
	}
	defer opened.Close() //nolint:errcheck // nothing was written
	reader, ok := opened.(fs.ReadDirFile)
	if !ok {
		return nil, fmt.Errorf("cannot list %s: %w", dir, &fs.PathError{Op: "readdir", Path: dir, Err: errors.ErrUnsupported})
	}
	var all []fs.DirEntry
	for {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("cannot list %s: %w", dir, err)
		}
		some, err := reader.ReadDir(1000)
		all = append(all, some...)
		w.entries += len(some)
		if w.entries > w.limits.Files {
			return nil, &limitError{what: "files and directories", setting: "files", limit: int64(w.limits.Files), found: int64(w.entries)}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("cannot list %s: %w", dir, err)
		}
		if err != nil || len(some) == 0 {
			slices.SortFunc(all, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
			return all, nil
		}
	}
}
