package docs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode"
)

// notYet are the files and folders, from the root, that are not held to the words yet. Empty it.
var notYet = []string{}

// out is a word or phrase that a person has to look at twice, or that is not the term of the glossary. A match of legitimate
// is another sense of it.
type out struct {
	words      string // a regular expression, matched at the bounds of words and whatever the case
	instead    string
	legitimate string
}

// outOfText may not be in documents, help texts, errors and the comments of exported names.
var outOfText = []out{
	{words: `shel(f|ves)`, instead: "build, or artifact group"},
	{words: `(copy)?desks?`, instead: "recorder, fixture"},
	{words: `guests?`, instead: "foreign stream"},
	{words: `ruins?`, instead: "orphaned build"},
	{words: `lent`, instead: "borrowed"},
	{words: `bells?`, instead: "broadcast"},
	{words: `poison(ed|s)?`, instead: "fault, faulted"},
	{words: `steer(s|ed|ing)?`, instead: "administer, or the admin action by name"},
	{words: `settle(s|d)?|settling`, instead: "resolve, configure, flush, decide"},
	{words: `br(ing|ings|ought)`, instead: "catch up, move, carry"},
	{words: `(un)?sound(ly)?`, instead: "resolved (of links), intact (of logs), valid"},
	{words: `acts?`, instead: "admin action", legitimate: `\bact on\b`},
	{words: `kept (act|table)s?`, instead: "outbox, export"},
	{words: `examin(e|es|ed|er|ation)`, instead: "verify, check"},
	{words: `troubles?`, instead: "needs attention, or the error by name"},
	{words: `said`, instead: "reported, recorded, given"},
	{words: `lies?|lying`, instead: "is in; is wrong"},
	{words: `mend(s|ed|ing)?`, instead: "fix, repair"},
	{words: `anew|begun`, instead: "again, start over, started"},
	{words: `chains?`, instead: "traceability", legitimate: `\b(certificate|delta|hash) chains?\b|\bchains? of (deltas|certificates|symbolic links)\b`},
	{words: `stands? (at|behind|before|between|below|beside|in|there|on|where)`, instead: "is at, is in"},
	{words: `(under|gives?|on its|on their) way|way on`, instead: "running, continue"},
	{words: `last words`, instead: "the time to record a failure"},
	{words: `came (of|to)|what comes? of`, instead: "the outcome, ended as"},
	{words: `what (is|was) so`, instead: "the state"},
	{words: `(go|goes|gone|went|going) on (with|where|from|behind|there)`, instead: "resume, continue"},
	{words: `has gone on`, instead: "was written to"},
	{words: `in front of readers`, instead: "activate"},
}

// outOfMessages may not be in literals of the code that a person reads, beside outOfText.
var outOfMessages = []out{
	{words: `behind`, instead: "after", legitimate: `\bbehind (the( active| log| head)?|a proxy|it)\b`},
	{words: `(go|goes|gone|went|going) on`, instead: "continue"},
	{words: `stands?`, instead: "is in, is at", legitimate: `\bstands? (for|by)\b`},
	{words: `all the same|(is|was) told`, instead: "the plain verb"},
	{words: `is no [a-z]+`, instead: "is not a", legitimate: `\bthere is no\b|\bis no longer\b`},
	{words: `dear|begin so`, instead: "expensive, begin with"},
}

// outOfNames may not be a part of an exported name or of the name of a Go file.
var outOfNames = []out{
	{words: `shel(f|ves)`, instead: "Inventory, ArtifactGroup"},
	{words: `desks?|copydesk`, instead: "fixture"},
	{words: `guests?|ruins?|lent|bells?`, instead: "foreign, orphaned, borrowed, broadcast"},
	{words: `poison(ed)?`, instead: "fault"},
	{words: `steer(s|ed|ing)?|acts?|acting`, instead: "adminAction"},
	{words: `settle(s|d)?`, instead: "what it does: configure, resolve, flush, release"},
	{words: `ways?`, instead: "scan, cursor, direction"},
	{words: `said|anew|begun|troubles?`, instead: "what it is"},
	{words: `(un)?sound`, instead: "Resolved, Intact, Valid"},
	{words: `kept`, instead: "OutboxEntry, Export"},
	{words: `examin(e|es|ed|er)`, instead: "Check, Verify"},
}

// storedNames are exported names that keep a word that is out, each with the reason.
var storedNames = map[string]string{
	"domain.AdminActed":       "the event admin.acted.v1 of the log has this name",
	"domain.LinkCounts.Sound": "links.sound is stored in scan.completed",
}

// patterns has the regular expressions of all lists by their text: they are matched with tens of thousands of texts.
var patterns = sync.OnceValue(func() map[string]*regexp.Regexp {
	all := map[string]*regexp.Regexp{}
	for _, o := range slices.Concat(outOfText, outOfMessages, outOfNames) {
		all[o.words] = regexp.MustCompile(`(?i)\b(?:` + o.words + `)\b`)
		all[o.legitimate] = regexp.MustCompile(`(?i)` + o.legitimate)
	}
	return all
})

// violations returns what of text is out.
func violations(words []out, text string) []string {
	var found []string
	for _, o := range words {
		rest := text
		if o.legitimate != "" {
			rest = patterns()[o.legitimate].ReplaceAllString(rest, "")
		}
		for _, m := range patterns()[o.words].FindAllString(rest, -1) {
			found = append(found, fmt.Sprintf("%q, want: %s", m, o.instead))
		}
	}
	return found
}

func exempt(path string) bool {
	path = strings.TrimPrefix(filepath.ToSlash(path), root+"/")
	return slices.ContainsFunc(notYet, func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") })
}

var (
	codeSpan = regexp.MustCompile("`[^`\n]*`")
	// storedKey is links.sound of scan.completed, which commands print as the log has it.
	storedKey = regexp.MustCompile(`"sound": [0-9]+`)
)

func TestDocumentsUseTheWordsOfTheGlossary(t *testing.T) {
	t.Parallel()
	own, err := filepath.Glob(root + "/.gxp/*/*.md")
	if err != nil || len(own) == 0 {
		t.Fatalf("no artifacts of the project: %v", err)
	}
	for _, doc := range append(documents(t), own...) {
		if exempt(doc) || strings.HasSuffix(doc, "CHANGELOG.md") { // what was released says what it said
			continue
		}
		text := read(t, doc)
		if strings.HasSuffix(doc, "/cli.md") { // its code is the help and output of commands
			text = storedKey.ReplaceAllString(text, "")
		} else {
			text = codeSpan.ReplaceAllString(blank(fence, text), "``")
		}
		for i, line := range strings.Split(text, "\n") {
			for _, v := range violations(outOfText, line) {
				t.Errorf("%s:%d: %s", doc, i+1, v)
			}
		}
	}
}

// blank removes what re matches, but for its line ends.
func blank(re *regexp.Regexp, text string) string {
	return re.ReplaceAllStringFunc(text, func(s string) string { return strings.Repeat("\n", strings.Count(s, "\n")) })
}

func TestTextsAndExportedNamesUseTheWordsOfTheGlossary(t *testing.T) {
	t.Parallel()
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case exempt(path), d.IsDir() && (strings.HasPrefix(d.Name(), ".git") || d.Name() == "testdata"):
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, ".pb.go"):
			return nil
		}
		files++
		checkFile(t, path)
		return nil
	})
	if err != nil || files < 200 {
		t.Fatalf("read %d files: %v", files, err)
	}
}

// checkFile checks the name of a Go file, and, outside of tests, its exported names, their comments, and its texts: errors, help,
// output, remedies.
func checkFile(t *testing.T, path string) {
	t.Helper()
	for _, v := range violations(outOfNames, strings.ReplaceAll(strings.TrimSuffix(filepath.Base(path), ".go"), "_", " ")) {
		t.Errorf("%s: file name: %s", path, v)
	}
	if strings.HasSuffix(path, "_test.go") || filepath.Base(path) == "words_test.go" {
		return
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	report := func(at token.Pos, what string, found []string) {
		for _, v := range found {
			t.Errorf("%s: %s: %s", fset.Position(at), what, v)
		}
	}
	comment := func(groups ...*ast.CommentGroup) {
		for _, g := range groups {
			if g != nil {
				report(g.Pos(), "comment", violations(outOfText, g.Text()))
			}
		}
	}
	comment(file.Doc)
	name := func(owner string, id *ast.Ident) bool {
		if id.IsExported() && storedNames[owner+"."+id.Name] == "" {
			report(id.Pos(), "name "+id.Name, violations(outOfNames, spaced(id.Name)))
		}
		return id.IsExported()
	}
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if name(file.Name.Name, d.Name) {
				comment(d.Doc)
			}
		case *ast.GenDecl:
			checkDecl(file.Name.Name, d, name, comment)
		}
	}
	if slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing"` }) {
		return // a suite
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field:
			if n.Tag != nil {
				return false
			}
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); n.Kind == token.STRING && err == nil && isProse(text) {
				report(n.Pos(), "text", violations(slices.Concat(outOfText, outOfMessages), text))
			}
		}
		return true
	})
}

func checkDecl(pkg string, d *ast.GenDecl, name func(string, *ast.Ident) bool, comment func(...*ast.CommentGroup)) {
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if !name(pkg, s.Name) {
				continue
			}
			comment(d.Doc, s.Doc, s.Comment)
			ast.Inspect(s.Type, func(n ast.Node) bool {
				field, ok := n.(*ast.Field)
				if !ok {
					return true
				}
				exported := false
				for _, id := range field.Names {
					exported = name(pkg+"."+s.Name.Name, id) || exported
				}
				if exported {
					comment(field.Doc, field.Comment)
				}
				return true
			})
		case *ast.ValueSpec:
			for _, id := range s.Names {
				if name(pkg, id) {
					comment(d.Doc, s.Doc, s.Comment)
				}
			}
		}
	}
}

// isProse reports whether a literal is for people: it has words, and is not SQL.
func isProse(text string) bool { return prose.MatchString(text) && !sqlText.MatchString(text) }

var (
	prose   = regexp.MustCompile(`(?s)\pL.*\s|\s.*\pL`)
	sqlText = regexp.MustCompile(`^\s*\(?(--|(ALTER|AND|AS|BEGIN|COMMENT|COPY|CREATE|DELETE|DO|DROP|FROM|GRANT|INSERT|JOIN|LEFT|LIMIT|LOCK|NOTIFY|ON|OR|ORDER|PRAGMA|REVOKE|ROLLBACK|SELECT|SET|TRUNCATE|UNION|UPDATE|VALUES|WHERE|WITH)\b)`)
)

// spaced returns the words of a name in camel case.
func spaced(name string) string {
	var b strings.Builder
	letters := []rune(name)
	for i, r := range letters {
		if i > 0 && unicode.IsUpper(r) && (unicode.IsLower(letters[i-1]) || i+1 < len(letters) && unicode.IsLower(letters[i+1])) {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func TestTheWordsThatAreOutAreFound(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"the chain from requirement to evidence": 1, "a certificate chain": 0, "A Sound log stands at position 4": 2,
		"an intact log is at position 4": 0, "standby": 0, "the only way to do it": 0, "a rebuild that is under way": 1,
		"the act was kept": 1, "active, action, actor": 0, "applies": 0,
	} {
		if got := violations(outOfText, text); len(got) != want {
			t.Errorf("%q: found %q, want %d", text, got, want)
		}
	}
	for text, want := range map[string]int{
		"it goes on behind position 4": 2, "tables behind the log": 0, "this is no UUID": 1, "there is no log": 0, "PG stands for it": 0,
	} {
		if got := violations(outOfMessages, text); len(got) != want {
			t.Errorf("%q: found %q, want %d", text, got, want)
		}
	}
	for text, want := range map[string]bool{
		"sound": false, "links.sound": false, "the act": true, "%s: mend it": true, "SELECT act FROM acts": false, "  \n": false,
		"\n\t\tINSERT INTO kept_acts VALUES (1)": false, "Select one": true,
	} {
		if got := isProse(text); got != want {
			t.Errorf("isProse(%q) = %t", text, got)
		}
	}
	for name, want := range map[string]int{"KeptAct": 2, "AdminAction": 0, "Wayback": 0, "ErrPoison": 1, "HTTPWay": 1} {
		if got := violations(outOfNames, spaced(name)); len(got) != want {
			t.Errorf("%s: found %q, want %d", name, got, want)
		}
	}
	if len(storedNames) > 10 {
		t.Error("too many exceptions")
	}
}
