package rosie_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
)

// validText is the text of a requirement that would be read.
const validText = "---\ngxp_id: REQ-666\ntitle: T\nrisk: LOW\n---\n"

// skippedAll reads a tree in which every entry but the context must be left out, with one finding of this code.
func skippedAll(t *testing.T, fsys fstest.MapFS, code string) domain.Finding {
	t.Helper()
	fsys[contextPath] = &fstest.MapFile{Data: []byte(contextText)}
	for _, dir := range []string{"requirements", "user_stories", "specs"} {
		fsys[".gxp/"+dir+"/.gitkeep"] = &fstest.MapFile{}
	}
	tree := read(t, fsys, rosie.Options{})
	equal(t, "units", len(tree.Files), 1)
	equal(t, "findings", codes(tree.Findings), []string{code})
	if len(tree.Findings) == 0 {
		return domain.Finding{}
	}
	return tree.Findings[0]
}

// Entries that must not be followed, or that cannot be named everywhere, are left out with a finding.
func TestHostileEntries(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		path string
		mode fs.FileMode
		code string
	}{
		"a link to a file":        {reqPath, fs.ModeSymlink, "symlink"},
		"a link to a directory":   {".gxp/requirements/all", fs.ModeSymlink, "symlink"},
		"a link in a package":     {packagePath, fs.ModeSymlink, "symlink"},
		"a submodule":             {".gxp/requirements/module", fs.ModeDir | fs.ModeIrregular, "submodule"},
		"a pipe":                  {reqPath, fs.ModeNamedPipe, "odd_path"},
		"a device":                {reqPath, fs.ModeDevice, "odd_path"},
		"a newline":               {".gxp/requirements/a\nb.md", 0, "odd_path"},
		"an escape":               {".gxp/requirements/a\x1b[31m.md", 0, "odd_path"},
		"a NUL":                   {".gxp/requirements/a\x00.md", 0, "odd_path"},
		"a C1 control":            {".gxp/requirements/a\u009b.md", 0, "odd_path"},
		"text that turns around":  {".gxp/requirements/a\u202edm.exe.md", 0, "odd_path"},
		"isolated text":           {".gxp/requirements/a\u2067dm.exe\u2069.md", 0, "odd_path"},
		"a separator of lines":    {".gxp/requirements/a\u2028.md", 0, "odd_path"},
		"a backslash":             {`.gxp/requirements/..\..\x.md`, 0, "odd_path"},
		"not UTF-8":               {".gxp/requirements/a\xff.md", 0, "odd_path"},
		"a step up":               {".gxp/requirements/../requirements/x.md", 0, "odd_path"},
		"a git directory":         {".gxp/requirements/.git/x.md", 0, "odd_path"},
		"a git directory in case": {".gxp/requirements/.GIT/x.md", 0, "odd_path"},
		"a git directory of DOS":  {".gxp/requirements/GIT~1/x.md", 0, "odd_path"},
		"a path too long":         {".gxp/requirements/" + strings.Repeat(strings.Repeat("d", 200)+"/", 6) + "x.md", 0, "odd_path"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			finding := skippedAll(t, fstest.MapFS{test.path: {Data: []byte(validText), Mode: test.mode}}, test.code)
			if !strings.HasPrefix(finding.Text, "not read: ") || len(finding.Path) > 2000 {
				t.Errorf("finding %+v", finding)
			}
		})
	}
}

// Names that some systems hold for one, at whatever level, are all read (I17). Each but the first of them gets a finding that
// names the first.
func TestCollidingNames(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		names []string
		found string // names with a finding
	}{
		"case":                    {[]string{"REQ-A.md", "REQ-a.md"}, "REQ-a.md"},
		"case beyond ASCII":       {[]string{"REQ-Ä.md", "REQ-ä.md"}, "REQ-ä.md"},
		"case of a suffix":        {[]string{"REQ-1.MD", "REQ-1.md"}, "REQ-1.md"},
		"the Kelvin sign":         {[]string{"k.md", "\u212a.md"}, "\u212a.md"},
		"sharp s":                 {[]string{"mass.md", "maß.md"}, "maß.md"},
		"final sigma":             {[]string{"ς.md", "σ.md", "Σ.md"}, "ς.md σ.md"},
		"composed and decomposed": {[]string{"e\u0301.md", "\u00e9.md"}, "\u00e9.md"},
		"Hangul":                  {[]string{"\u1100\u1161.md", "\uac00.md"}, "\uac00.md"},
		"order of marks":          {[]string{"a\u0323\u0307.md", "a\u0307\u0323.md"}, "a\u0323\u0307.md"},
		"Greek case and accents":  {[]string{"Ά.md", "\u03b1\u0301.md"}, "\u03b1\u0301.md"},
		"three":                   {[]string{"A.md", "a.md", "b.md"}, "a.md"},
		"other letters":           {[]string{"é.md", "è.md", "e.md"}, ""},
		"directories":             {[]string{"Sub/x.md", "sub/x.md"}, "sub"},
		"directories below":       {[]string{"a/Sub/x.md", "a/sub/x.md", "b/sub/x.md"}, "a/sub"},
		"other directories":       {[]string{"a/X.md", "b/x.md"}, ""},
		"a directory and a file":  {[]string{"x.md", "X.md/y.md"}, "x.md"},
		"Japanese":                {[]string{"監査ロク\u3099.md", "電子署名.md"}, ""},
		"Thai":                    {[]string{"ข้อกำหนด.md", "การทดสอบ.md"}, ""},
		"Hindi":                   {[]string{"आवश्यकता.md", "परीक्षण.md", "क्\u200dष.md"}, "क्\u200dष.md"},
		"Hebrew":                  {[]string{"דְּרִישָׁה.md", "בדיקה.md"}, ""},
		"Arabic":                  {[]string{"مُتَطَلَّب.md", "اختبار.md"}, ""},
		"Persian":                 {[]string{"نیازمندی\u200cها.md", "آزمون.md"}, "نیازمندی\u200cها.md"},
		"Greek":                   {[]string{"Απαίτηση.md", "Δοκιμή.md"}, ""},
		"NFD beside NFC":          {[]string{"REQ-a\u0308.md", "REQ-\u00f6.md"}, ""},
		"dotless i":               {[]string{"REQ-ı.md", "REQ-i.md"}, ""},
		"emoji":                   {[]string{"\u2764\ufe0f.md", "\u2764.md"}, "\u2764\ufe0f.md"},
		"what does not show":      {[]string{"REQ\u200b-1.md", "REQ-1.md"}, "REQ\u200b-1.md"},
		"a long name":             {[]string{strings.Repeat("監", 100) + ".md"}, strings.Repeat("監", 100) + ".md"},
		"private use":             {[]string{"\ue000.md"}, "\ue000.md"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repository := make(files)
			for _, n := range test.names {
				repository[".gxp/requirements/"+n] = validText
			}
			tree := read(t, repository.fs(), rosie.Options{})
			var got []string
			for _, f := range slices.Concat(pathsOf(tree), tree.Ignored) {
				if rest, ok := strings.CutPrefix(f, ".gxp/requirements/"); ok {
					got = append(got, rest)
				}
			}
			equal(t, "read or ignored", slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(test.names)))
			var odd []string
			for _, f := range onlyOf(tree.Findings, domain.FindingOddPath) {
				odd = append(odd, strings.TrimPrefix(f.Path, ".gxp/requirements/"))
			}
			equal(t, "findings", strings.Join(odd, " "), test.found)
		})
	}
}

func pathsOf(tree rosie.Tree) []string {
	var all []string
	for _, f := range tree.Files {
		all = append(all, f.Path)
	}
	return all
}

// Whatever two names are, both are read; they have a finding when a system that ignores case or Unicode form holds them for
// one, as package norm and the simple folding of package unicode tell, which are not what the reader compares by.
func TestPropertyNoNameHidesAnother(t *testing.T) {
	t.Parallel()
	letters := []rune("aAäÄ\u0308\u0323\u0307iİıIſsSßẞkK\u212aσςΣグク\u3099אְ\u05bcกำ่कि\u200dع\u064e-1é\u0301ǅǆ가\u1100\u1161Å\u212bﬁ")
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.Map(rapid.SliceOfN(rapid.SampledFrom(letters), 1, 4), func(r []rune) string { return string(r) + ".md" })
		one, two := name.Draw(rt, "one"), name.Draw(rt, "two")
		tree, err := rosie.Read(t.Context(), files{".gxp/specs/" + one: validText, ".gxp/specs/" + two: validText}.fs(), rosie.Options{})
		if err != nil {
			rt.Fatal(err)
		}
		read := make(map[string]bool)
		for _, f := range tree.Files {
			read[f.Path] = true
		}
		if !read[".gxp/specs/"+one] || !read[".gxp/specs/"+two] {
			rt.Fatalf("%+q and %+q: read %+q", one, two, pathsOf(tree))
		}
		same := one != two && (norm.NFD.String(one) == norm.NFD.String(two) || strings.EqualFold(one, two))
		if same && len(onlyOf(tree.Findings, domain.FindingOddPath)) == 0 {
			rt.Fatalf("%+q and %+q collide, without a finding", one, two)
		}
	})
}

// A link on disk, wherever it points, is neither followed nor opened, even when it was a file while it was listed.
func TestLinksOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret.md")
	for path, text := range map[string]string{
		outside: validText, filepath.Join(dir, contextPath): contextText, filepath.Join(dir, specPath): validText,
		filepath.Join(dir, ".gxp/user_stories/US-1.md"): validText, filepath.Join(dir, packagePath, "metadata.json"): `{}`,
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		".gxp/requirements":            filepath.Dir(outside),
		".gxp/user_stories/passwd.md":  "/etc/passwd",
		".gxp/specs/secret.md":         outside,
		packagePath + "/manifest.json": outside,
	} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Skipf("symbolic links cannot be made here: %v", err)
		}
	}
	for name, fsys := range map[string]fs.FS{"DirFS": os.DirFS(dir), "Root": openDir(t, dir).FS()} {
		tree, err := rosie.Read(t.Context(), fsys, rosie.Options{})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, name+": findings", codes(tree.Findings), []string{"symlink", "symlink", "symlink", "symlink", "missing_dir"})
		equal(t, name+": checks", verdicts(artifact(t, tree, packagePath))[0], "invalid missing_file:manifest.json")
		equal(t, name+": units", len(tree.Files), 4)
	}
}

// A file that is huge by its size alone is never read.
func TestSparseFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, reqPath)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 10<<30); err != nil {
		t.Skipf("sparse files cannot be made here: %v", err)
	}
	tree, err := rosie.Read(t.Context(), os.DirFS(dir), rosie.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := unit(t, tree, reqPath)
	if f.Rejected == nil || !strings.Contains(f.Rejected.Message, "10737418240 bytes") || f.Rejected.Content.SHA256 != "" {
		t.Errorf("rejection %+v", f.Rejected)
	}
}

// growing is a file system whose files hold more than their size says.
type growing struct {
	fstest.MapFS
	given *int // bytes read
}

func (g growing) Open(name string) (fs.File, error) {
	opened, err := g.MapFS.Open(name)
	if file, ok := g.MapFS[name]; ok && err == nil && file.Mode.IsRegular() && strings.HasSuffix(name, "REQ-001-sample.md") {
		return endless{File: opened, given: g.given}, nil
	}
	return opened, err
}

type endless struct {
	fs.File
	given *int
}

func (e endless) Read(p []byte) (int, error) {
	*e.given += len(p)
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// A file that never ends is read up to the limit and no further.
func TestEndlessFile(t *testing.T) {
	t.Parallel()
	given := 0
	tree, err := rosie.Read(t.Context(), growing{MapFS: files{reqPath: validText}.fs(), given: &given}, rosie.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := unit(t, tree, reqPath)
	equal(t, "bytes read", given, 1<<20+1)
	equal(t, "rejected as too large", f.Rejected != nil && f.Rejected.Content.SHA256 == "", true)
}

// Bombs of every kind cost no more than their own size would suggest.
func TestBombs(t *testing.T) { //nolint:paralleltest // it measures what the process allocates
	s := newSigner(t)
	var laughs strings.Builder
	laughs.WriteString("a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]\n")
	for c := 'b'; c <= 'z'; c++ {
		fmt.Fprintf(&laughs, "%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c, ", c-1), 9), ", "))
	}
	const most = 60 << 10
	matter := func(text string) files { return files{reqPath: "---\n" + text + "\n---\n"} }
	token := func(payload string) files { return files{jwsPath: s.sign(t, payload)} }
	tests := map[string]files{
		"billion laughs":           matter(laughs.String()),
		"an alias of itself":       matter("a: &a [*a]"),
		"40 KB of brackets":        matter("a: " + strings.Repeat("[", 40<<10)),
		"braces":                   matter("a: " + strings.Repeat("{", most)),
		"dashes":                   matter(strings.Repeat("- ", most/2)),
		"questions":                matter(strings.Repeat("? ", most/2)),
		"deep blocks":              matter(steps(300)),
		"commas":                   matter("a: [" + strings.Repeat(",", most) + "]"),
		"many values":              matter("a: [" + strings.Repeat("a,", most/2) + "]"),
		"many keys":                matter(numbered("k%d: 1\n", most)),
		"many comments":            matter(strings.Repeat("#\n", most/2)),
		"a huge front matter":      matter("a: " + strings.Repeat("x", 900<<10)),
		"deep JSON":                token(strings.Repeat("[", 500<<10)),
		"deep objects":             token(strings.Repeat(`{"a":`, 100<<10)),
		"a long list":              token(`{"a":[` + strings.TrimSuffix(strings.Repeat("0,", 300<<10), ",") + `]}`),
		"a long number":            token(`{"exp":` + strings.Repeat("9", 500<<10) + `}`),
		"many keys in JSON":        token("{" + strings.TrimSuffix(numbered(`"k%d":0,`, 600<<10), ",") + "}"),
		"dots":                     {jwsPath: strings.Repeat(".", 1<<20)},
		"a risk that goes on":      {logPath: "## RISK-001: x\n" + strings.Repeat("- a: b\n", 140_000)},
		"a risk of many labels":    {logPath: "## RISK-001: x\n" + labels(80_000)},
		"many risks":               {logPath: numbered("## RISK-%d: x\n", 900<<10)},
		"many bars":                {logPath: "[d] RISK-001 " + strings.Repeat("|", 1<<19)},
		"many bad lines":           {logPath: goodLine + strings.Repeat("x\n", 400_000)},
		"a manifest of many files": placed(map[string]string{"manifest.json": `{"files":[` + strings.TrimSuffix(numbered(`{"path":"../%d"},`, 900<<10), ",") + `]}`}),
	}
	for name, repository := range tests {
		fsys := repository.fs()
		before := allocated()
		tree := read(t, fsys, s.options())
		used := allocated() - before
		if used > 200<<20 {
			t.Errorf("%s: reading allocated %d MiB", name, used>>20)
		}
		for _, f := range tree.Files {
			for _, a := range f.Artifacts {
				if size := len(fmt.Sprintf("%+v", a)); size > 1<<20 {
					t.Errorf("%s: an artifact of %d bytes", name, size)
				}
			}
		}
	}
}

// Deep nesting stops the parser where it passes the limit, not when everything is built: a repository may hold thousands
// of such files.
func TestDeepNestingStopsEarly(t *testing.T) { //nolint:paralleltest // it measures what the process allocates
	const deep = 9000
	for _, matter := range []string{
		"a: " + strings.Repeat("[", deep) + strings.Repeat("]", deep),
		strings.Repeat("- ", deep) + "a",
	} {
		fsys := files{reqPath: "---\n" + matter + "\n---\n"}.fs()
		before := allocated()
		tree := read(t, fsys, rosie.Options{})
		if used := allocated() - before; used > 2<<20 {
			t.Errorf("reading %.10q... allocated %d KiB", matter, used>>10)
		}
		equal(t, "rejected", unit(t, tree, reqPath).Rejected != nil, true)
	}
}

func allocated() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.TotalAlloc
}

func numbered(format string, size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func steps(deep int) string {
	var b strings.Builder
	for i := range deep {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// labels are so many different labels, in letters alone.
func labels(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "- %s: b\n", strings.Map(func(r rune) rune { return r - '0' + 'a' }, fmt.Sprint(i)))
	}
	return b.String()
}

// Text that turns around, or looks like markup, stays what it is: data, in JSON that is valid.
func TestHostileTextStaysData(t *testing.T) {
	t.Parallel()
	a := readOne(t, reqPath, "---\ngxp_id: R\ntitle: \"a\\u202Eb\\r\\nc</script>\\t\"\nrisk: LOW\n---\n")
	equal(t, "title", a.Title, "a\u202eb\r\nc</script>\t")
	equal(t, "field", fields(t, a)["title"], any(a.Title))
	for _, bad := range []string{"a: \"\\xff", "a: \"\\ud800\""} {
		equal(t, bad, rejected(t, reqPath, "---\n"+bad+"\n---\n").Kind, domain.KindRequirement)
	}
}

// A character that is refused where it stands is refused where an escape gives it, in YAML and in JSON.
func TestEscapesGiveNothingThatIsRefusedUnescaped(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	for r := range rune(0x10000) {
		if r >= 0x120 && r < 0x2020 || r > 0x2040 && r != 0xfeff {
			continue
		}
		quoted := fmt.Sprintf("\"x\\u%04x y\"", r)
		for form, text := range map[string]string{"key: \"x%cy\"": "key: " + quoted, "\"x%cy\": value": quoted + ": value"} {
			if r == '\n' || r == '\t' || r == '\\' || r == '"' {
				continue // these mean something else unescaped
			}
			raw := unit(t, read(t, files{reqPath: "---\n" + fmt.Sprintf(form, r) + "\n---\n"}.fs(), rosie.Options{}), reqPath).Rejected != nil
			escaped := unit(t, read(t, files{reqPath: "---\n" + text + "\n---\n"}.fs(), rosie.Options{}), reqPath).Rejected != nil
			if raw != escaped {
				t.Errorf("YAML %s with %U: refused unescaped: %t, escaped: %t", form, r, raw, escaped)
			}
		}
		for _, payload := range []string{`{"spec_id":` + quoted + `}`, `{` + quoted + `:1}`} {
			f := unit(t, read(t, files{jwsPath: s.sign(t, payload)}.fs(), rosie.Options{}), jwsPath)
			equal(t, fmt.Sprintf("JSON %s is refused", payload), f.Rejected != nil, r < ' ' && !strings.ContainsRune("\t\r\n", r))
		}
	}
	for _, bad := range []string{`\0`, `\a`, `\b`, `\e`, `\f`, `\v`, `\N`, `\L`, `\P`, `\x7f`, `\r`, `\U0000FEFF`} {
		r := rejected(t, reqPath, "---\ntitle: fine\na: \"x"+bad+"y\"\n---\n")
		equal(t, bad, []int{r.Line, r.Column}, []int{3, 4})
	}
	for _, good := range []string{`\t`, `\n`, `\r\n`, `\_`, `\u00e9`, `\U0001F600`, `\/`, `\\b`, `\\u0000`} {
		readOne(t, reqPath, "---\na: \"x"+good+"y\"\n---\n")
	}
	for _, bad := range []string{`\u0000`, `\b`, `\f`, `\u001f`, `\u001b[31m`, `\\\u0000`, `\ud800`, `\udc00`, `\ud800\ud800`, `\udc00\ud800`, `\ud83dx`, `\ud83d\n`, `\uD800\u0041`, `\ud83d\ude00\ud83d`} {
		f := unit(t, read(t, files{jwsPath: s.sign(t, `{"a":"x`+bad+`"}`)}.fs(), rosie.Options{}), jwsPath)
		equal(t, bad+" is refused", f.Rejected != nil, true)
	}
	for _, good := range []string{`\n`, `\t`, `\r`, `\\b`, `\\u0000`, `\u00e9`, `\ud83d\ude00`, `\\ud800`, `\/`, `\"`} {
		f := unit(t, read(t, files{jwsPath: s.sign(t, `{"a":"x`+good+`"}`)}.fs(), rosie.Options{}), jwsPath)
		equal(t, good+" is refused", f.Rejected != nil, false)
	}
}
