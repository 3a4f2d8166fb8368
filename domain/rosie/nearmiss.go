package rosie

import (
	"path"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
)

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
