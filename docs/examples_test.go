package docs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"
)

// exampleSource is the file whose Examples documents show.
const exampleSource = root + "/example_test.go"

var (
	// shownExample is a marker and the Go code below it.
	shownExample = regexp.MustCompile("(?ms)^<!-- example: (\\w+) -->\n```go\n(.*?)^```$")
	// runProgram is a marker and the Go code below it that the tests of eventstore/esdbserver run as a program.
	runProgram = regexp.MustCompile("(?m)^<!-- run: go -->\n```go$")
	// exampleMarker is any marker, and goFence any Go code, so that none escapes shownExample.
	exampleMarker = regexp.MustCompile(`(?m)^<!-- *example\b.*$`)
	goFence       = regexp.MustCompile("(?m)^```go$")
)

// Documents show Go code that runs: below a marker with the name of an Example stands its code. UPDATE_GOLDEN=1 writes it.
func TestGoCodeInDocumentsIsThatOfExamplesThatRun(t *testing.T) {
	t.Parallel()
	source := read(t, exampleSource)
	shown := 0
	for _, doc := range documents(t) {
		text := read(t, doc)
		want, err := showExamples(text, source)
		if err != nil {
			t.Errorf("%s: %v", doc, err)
			continue
		}
		shown += len(shownExample.FindAllString(text, -1))
		if want == text {
			continue
		}
		if os.Getenv("UPDATE_GOLDEN") != "1" {
			t.Errorf("%s shows other code than %s has; run UPDATE_GOLDEN=1 go test ./docs and review the difference", doc, exampleSource)
			continue
		}
		if err := os.WriteFile(doc, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if shown < 2 {
		t.Errorf("documents show %d Examples; README.md and library.md show at least one each", shown)
	}
}

// showExamples returns a document with the code of the Examples that its markers name. Go code without a marker, and a marker
// without Go code, are errors.
func showExamples(document, source string) (string, error) {
	code, err := exampleCode(source)
	if err != nil {
		return "", err
	}
	pairs := len(shownExample.FindAllString(document, -1))
	fences := len(goFence.FindAllString(document, -1)) - len(runProgram.FindAllString(document, -1))
	if markers := len(exampleMarker.FindAllString(document, -1)); markers != pairs || fences != pairs {
		return "", fmt.Errorf("%d markers of examples and %d blocks of Go code, of which %d are pairs", markers, fences, pairs)
	}
	var unknown error
	out := shownExample.ReplaceAllStringFunc(document, func(block string) string {
		name := shownExample.FindStringSubmatch(block)[1]
		if code[name] == "" {
			unknown = fmt.Errorf("there is no Example %q", name)
		}
		return fmt.Sprintf("<!-- example: %s -->\n```go\n%s\n```", name, code[name])
	})
	return out, unknown
}

// exampleCode returns the code of each Example by its name, without its first paragraph, which is the setup, and without the
// output.
func exampleCode(source string) (map[string]string, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Example") {
			continue
		}
		body := source[files.Position(f.Body.Lbrace).Offset+1 : files.Position(f.Body.Rbrace).Offset]
		body, _, _ = strings.Cut(body, "\n\t// Output:")
		if _, rest, ok := strings.Cut(body, "\n\n"); ok {
			body = rest
		}
		out[f.Name.Name] = strings.TrimSpace(strings.ReplaceAll("\n"+body, "\n\t", "\n"))
	}
	return out, nil
}

func TestMarkersOfExamplesAreReplacedOrRefused(t *testing.T) {
	t.Parallel()
	const source = "package p\n\nfunc ExampleA() {\n\tsetUp()\n\n\tif ok {\n\t\tuse()\n\t}\n\t// Output:\n\t// x\n}\n\nfunc helper() {}\n"
	const fresh = "a\n\n<!-- example: ExampleA -->\n```go\nif ok {\n\tuse()\n}\n```\n\nb\n"
	for name, document := range map[string]string{"current": fresh, "stale": strings.Replace(fresh, "use()", "misuse()", 1)} {
		if got, err := showExamples(document, source); err != nil || got != fresh {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, fresh)
		}
	}
	for name, document := range map[string]string{
		"an Example that is not there":         strings.Replace(fresh, "ExampleA", "ExampleB", 1),
		"a function that is no Example":        strings.Replace(fresh, "ExampleA", "helper", 1),
		"a marker without code":                strings.Replace(fresh, "```go", "```sh", 1),
		"code without a marker":                strings.Replace(fresh, "<!-- example: ExampleA -->\n", "", 1),
		"a marker that is spelled another way": strings.Replace(fresh, "<!-- example: ExampleA -->", "<!-- example ExampleA -->", 1),
	} {
		if _, err := showExamples(document, source); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
