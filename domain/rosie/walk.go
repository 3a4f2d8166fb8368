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

// knownDirectory is a kind whose files are in a directory below .gxp/.
type knownDirectory struct{ domain.KindInfo }

func knownDirectories() []knownDirectory {
	var all []knownDirectory
	for _, kind := range domain.Kinds() {
		if info := kind.Info(); info.Dir != "" && info.Form != domain.FormRecord { // records are beside the signed evidence
			all = append(all, knownDirectory{info})
		}
	}
	return all
}

// ignore notes a file that is not read, and what it would have to be called to be read when its name is near to that.
func (w *walker) ignore(file string) {
	w.ignored = append(w.ignored, file)
	should := nearMiss(file)
	if should == "" {
		return
	}
	form := "a file of a package, or a compact JWS"
	switch kindOf(should).Info().Form {
	case domain.FormFrontMatter, domain.FormRecord:
		form = "Markdown with a front matter"
	case domain.FormHeadings:
		form = "Markdown"
	case domain.FormRiskLog:
		form = "lines or headings of entries"
	case domain.FormJWS:
		form = "a compact JWS"
	}
	w.note(domain.FindingNearMiss, file, "not read: if it is meant to be, call it "+should+" ("+form+")")
	if should == contextPath {
		w.nearContext = file
	}
}

// nearMiss says what a file that is not read would have to be called to be read; "" when its name is not near to one. One
// rule for all names: upper and lower case, marks between words, singular and plural, another suffix of a text, a slip of
// the keyboard or two, and a file whose id tells its kind in a knownDirectory where none is read.
func nearMiss(file string) string {
	rel := strings.TrimPrefix(file, gxpDir+"/")
	base := path.Base(rel)
	if strings.HasPrefix(base, ".") || plainName(stemOf(base)) == "readme" {
		return ""
	}
	first, rest, inside := strings.Cut(rel, "/")
	if !inside {
		return nearFile(base)
	}
	known := knownDirectories()
	i := slices.IndexFunc(known, func(p knownDirectory) bool { return p.Dir == first })
	if i < 0 {
		i = slices.IndexFunc(known, func(p knownDirectory) bool { return p.near(first) })
	}
	if i < 0 {
		return byID(base)
	}
	name := known[i].nearName(path.Base(rest))
	if name == "" {
		return ""
	}
	if path.Dir(rest) == "." && known[i].Suffix == ".jws" && nearMember(name) != "" {
		name = path.Join("NAME", name) // a package has a directory of its own
	}
	if should := path.Join(gxpDir, known[i].Dir, path.Dir(rest), name); should != file {
		return should
	}
	return ""
}

// nearFile is nearMiss for a file directly in .gxp/.
func nearFile(base string) string {
	stem := plainName(stemOf(base))
	if suffixes := strings.ToLower(base[len(stemOf(base)):]); suffixes == "" || isText(suffixes) {
		switch {
		case alike(stem, "systemcontext"):
			return contextPath
		case alike(stem, "riskassessment"), slices.Contains([]string{"risk", "risklog", "riskregister", "riskassessmentlog"}, singular(stem)):
			return riskLogPath
		}
	}
	return byID(base)
}

// byID is where a file belongs by the id that its name begins with, or by its suffix.
func byID(base string) string {
	for _, p := range knownDirectories() {
		if strings.EqualFold(path.Ext(base), ".jws") && p.Suffix == ".jws" || p.hasID(base) && isText(strings.ToLower(path.Ext(base))) {
			if name := p.nearName(base); name != "" {
				return path.Join(gxpDir, p.Dir, name)
			}
		}
	}
	return ""
}

// hasID reports whether a name begins as ids of this knownDirectory do.
func (p knownDirectory) hasID(base string) bool {
	return slices.ContainsFunc(p.Prefixes, func(id string) bool {
		return len(base) > len(id)+1 && strings.EqualFold(base[:len(id)], id) && strings.ContainsRune("-_ ", rune(base[len(id)])) &&
			strings.ContainsAny(base, "0123456789")
	})
}

// near reports whether a directory is nearly called as this knownDirectory.
func (p knownDirectory) near(dir string) bool {
	name := plainName(dir)
	return alike(name, plainName(p.Dir)) || slices.Contains(p.Synonyms, singular(name))
}

// nearName is what a file would have to be called in this knownDirectory; "" when it is not near to anything.
func (p knownDirectory) nearName(base string) string {
	suffix := path.Ext(base)
	stem := strings.TrimSuffix(base, suffix)
	lower := strings.ToLower(suffix)
	if p.Suffix == ".jws" {
		if member := nearMember(base); member != "" {
			return member
		}
		switch {
		case lower == ".md":
			return base // in a directory that is nearly called so
		case lower == p.Suffix, slices.Contains([]string{".json", ".jwt", ".jose", ".jwe"}, lower), slip(lower, ".jws"), p.hasID(base) && (suffix == "" || isText(lower)):
			return withoutSuffixes(stem) + p.Suffix
		}
		return ""
	}
	if lower == ".jws" || suffix != "" && !isText(lower) && !slip(lower, ".md") || suffix == "" && !p.hasID(base) {
		return ""
	}
	return withoutSuffixes(stem) + p.Suffix
}

// nearMember is the file of a package that a name is nearly; "" when it is nearly none.
func nearMember(base string) string {
	for _, member := range []string{metadataFile, manifestFile, manifestJWS, signatureFile} {
		same := strings.EqualFold(path.Ext(base), path.Ext(member))
		if same && alike(plainName(stemOf(base)), stemOf(member)) {
			return member
		}
	}
	if slices.Contains([]string{"environment.json", "test-results.json", "test-output.log", "coverage-report.json"}, strings.ToLower(base)) {
		return metadataFile // a package without the file that makes it one
	}
	return ""
}

// isText reports whether all of these suffixes, in lower case, are of formats that people write such files in.
func isText(suffixes string) bool {
	known := []string{
		"md", "markdown", "mdown", "mkd", "mkdn", "mdwn", "mdtxt", "mdtext", "mdx", "log", "txt", "text", "yaml", "yml", "json", "toml",
		"rst", "adoc", "asciidoc", "org",
	}
	parts := strings.Split(strings.TrimPrefix(suffixes, "."), ".")
	return suffixes != "" && !slices.ContainsFunc(parts, func(part string) bool { return !slices.Contains(known, part) })
}

// withoutSuffixes takes suffixes of texts from the end of a name: REQ-1.md of REQ-1.md.txt.
func withoutSuffixes(stem string) string {
	for {
		suffix := strings.ToLower(path.Ext(stem))
		if suffix != ".jws" && !isText(suffix) || len(suffix) == len(stem) {
			return stem
		}
		stem = stem[:len(stem)-len(suffix)]
	}
}

// stemOf is what comes before the first dot of a name.
func stemOf(base string) string {
	stem, _, _ := strings.Cut(base, ".")
	return stem
}

// plainName is a name without case and without marks between words.
func plainName(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("-_ .+~", r) {
			return -1
		}
		return r
	}, foldName(name))
}

// alike reports whether two plain names are the same but for their number or a slip of the keyboard.
func alike(name, known string) bool {
	return singular(name) == singular(known) || slip(name, known) || slip(singular(name), singular(known))
}

// slip reports whether a name is one keystroke from a known one, or two if that is long. Very short names have no slips but
// letters that were swapped.
func slip(name, known string) bool {
	far := keystrokes(name, known)
	switch {
	case len(known) >= 10:
		return far <= 2
	case len(known) >= 5:
		return far <= 1
	}
	return far == 1 && len(name) == len(known) && known[0] == name[0] && strings.ContainsAny(name, known[len(known)-1:])
}

func singular(name string) string {
	if stem, ok := strings.CutSuffix(name, "ies"); ok {
		return stem + "y"
	}
	return strings.TrimSuffix(name, "s")
}

// keystrokes is how many bytes are to be added, dropped, changed or swapped with their neighbour to get from a to b. Of
// texts that differ much in length it is just that difference.
func keystrokes(a, b string) int {
	if apart := max(len(a)-len(b), len(b)-len(a)); apart > 3 {
		return apart
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			same := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				same++
			}
			rows[i][j] = min(same, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
