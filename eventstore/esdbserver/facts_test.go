package esdbserver_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const pageOfDifferences = "../../docs/eventstoredb.md"

// A difference is a row of the tables in docs/eventstoredb.md.
type difference struct {
	what, code string
	kinds      []string
	patterns   []*regexp.Regexp
	sometimes  bool
}

// A situation is one that compare.js reports as different, with both answers.
type situation struct{ real, ours answer }

type answer struct {
	Code     string
	Text     string
	Trailers map[string]any
	Messages string
	Fields   map[string]any
}

var (
	cellEnd   = regexp.MustCompile(`(^|[^\\])\|`)
	codeSpan  = regexp.MustCompile("`([^`]+)`")
	statusOf  = regexp.MustCompile(`^(still open or OK|still open|no answer within 20 s|not tried|[A-Z_]+)`)
	batchKind = regexp.MustCompile(`^[^ ]+\): (success|error code=\w+)`)
	plainKind = regexp.MustCompile(`^[a-z]\w*`)
	expected  = regexp.MustCompile(` exp=\w+`)
)

// parseDifferences returns the rows of all tables of the page whose last column is "Situations".
func parseDifferences(page string) (rows []difference, err error) {
	in := false
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, "|") {
			in = false
			continue
		}
		cells := strings.Split(cellEnd.ReplaceAllString(strings.TrimSpace(line), "$1\x00"), "\x00")
		if len(cells) != 6 {
			return nil, fmt.Errorf("not four cells: %s", line)
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(strings.ReplaceAll(cells[i], `\|`, "|"))
		}
		if cells[4] == "Situations" {
			in = true
			continue
		}
		if !in || strings.HasPrefix(cells[1], "---") {
			continue
		}
		row := difference{what: cells[1], sometimes: strings.Contains(cells[3], "*sometimes*")}
		for i, m := range codeSpan.FindAllStringSubmatch(cells[2], -1) {
			if i == 0 {
				row.code = m[1]
			} else {
				row.kinds = append(row.kinds, m[1])
			}
		}
		for _, m := range codeSpan.FindAllStringSubmatch(cells[4], -1) {
			p, err := regexp.Compile("^(?:" + m[1] + ")$")
			if err != nil {
				return nil, fmt.Errorf("%s: %w", row.what, err)
			}
			row.patterns = append(row.patterns, p)
		}
		if row.what == "" || row.code == "" || cells[3] == "" || len(row.patterns) == 0 {
			return nil, fmt.Errorf("an empty cell: %s", line)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// parseCompared returns the situations in the output of `compare.js --all`. Those whose answers differ in the order of
// trailers alone, which gRPC does not promise, are left out.
func parseCompared(text string) (map[string]situation, error) {
	found := map[string]situation{}
	lines := strings.Split(text, "\n")
	for i := 0; i+2 < len(lines); i++ {
		theirs, ok1 := strings.CutPrefix(lines[i+1], "  real: ")
		ours, ok2 := strings.CutPrefix(lines[i+2], "  this: ")
		if !ok1 || !ok2 {
			continue
		}
		name, _, _ := strings.Cut(lines[i], ": ")
		var s situation
		var err error
		if s.real, err = parseAnswer(theirs); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if s.ours, err = parseAnswer(ours); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if !reflect.DeepEqual(s.real.compared(), s.ours.compared()) {
			found[name] = s
		}
		i += 2
	}
	return found, nil
}

// parseAnswer reads "CODE "text" {trailers} [messages] {fields}", of which each but the code may be missing. Trailers and
// fields look the same: an object behind messages, or a second one, is of fields.
func parseAnswer(line string) (a answer, err error) {
	a.Code = statusOf.FindString(line)
	if a.Code == "" {
		return a, fmt.Errorf("no code in %q", line)
	}
	rest := strings.TrimSpace(line[len(a.Code):])
	next := func(into any) error {
		d := json.NewDecoder(strings.NewReader(rest))
		if err := d.Decode(into); err != nil {
			return fmt.Errorf("cannot read %q: %w", rest, err)
		}
		rest = strings.TrimSpace(rest[d.InputOffset():])
		return nil
	}
	if strings.HasPrefix(rest, `"`) {
		err = next(&a.Text)
	}
	if err == nil && strings.HasPrefix(rest, "{") {
		err = next(&a.Trailers)
	}
	if err == nil && strings.HasPrefix(rest, "[") {
		end := len(rest) - 1
		if i := strings.LastIndex(rest, "] {"); rest[end] == '}' && i >= 0 {
			end = i
		}
		for tail := rest[end+1:]; tail != "" && !json.Valid([]byte(tail)); tail = rest[end+1:] {
			if end = strings.LastIndex(rest[:end], "] {"); end < 0 {
				return a, fmt.Errorf("no end of messages in %q", rest)
			}
		}
		a.Messages, rest = rest[1:end], strings.TrimSpace(rest[end+1:])
	}
	if err == nil && rest != "" {
		err = next(&a.Fields)
	}
	if a.Code == "PROBE" { // of the program that asks
		a.Code = "not asked"
		if strings.Contains(a.Text, "20 s") {
			a.Code = "no answer"
		}
	}
	return a, err
}

// compared returns what two servers must have in common: not the text, which is for people, nor where an event is.
func (a answer) compared() answer {
	a.Text, a.Messages = "", expected.ReplaceAllString(a.Messages, "")
	for _, fields := range []*map[string]any{&a.Trailers, &a.Fields} {
		*fields = maps.Clone(*fields)
		if pos, ok := (*fields)["pos"]; ok && pos != "no_position" {
			(*fields)["pos"] = "position"
		}
	}
	return a
}

func (a answer) kinds() (kinds []string) {
	for message := range strings.SplitSeq(a.Messages, "; ") {
		kind := plainKind.FindString(message)
		if m := batchKind.FindStringSubmatch(message); m != nil {
			kind = strings.Replace(m[1], "code=", "", 1)
		}
		if kind != "" && !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// checkDifferences compares rows with what differs, both ways. names are those of all facts.
func checkDifferences(rows []difference, different map[string]situation, names []string) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	used, kinds := map[*regexp.Regexp]bool{}, make([]map[string]bool, len(rows))
	for _, name := range slices.Sorted(slices.Values(names)) {
		s, differs := different[name]
		var matching []int
		for i, row := range rows {
			for _, p := range row.patterns {
				if p.MatchString(name) {
					used[p] = true
					matching = append(matching, i)
				}
			}
		}
		switch {
		case !differs:
			for _, i := range matching {
				if !rows[i].sometimes {
					fault("%s is no longer different, or was not asked: row %q", name, rows[i].what)
				}
			}
			continue
		case len(matching) == 0:
			fault("%s is different and in no row: %+v; the real server: %+v", name, s.ours, s.real)
			continue
		case len(matching) > 1:
			fault("%s is in %d rows: %q and %q", name, len(matching), rows[matching[0]].what, rows[matching[1]].what)
			continue
		}
		i := matching[0]
		if rows[i].sometimes && s.ours.Code == "no answer" {
			continue // the machine is too slow for it
		}
		if code := strings.TrimPrefix(s.ours.Code, "still "); code != rows[i].code {
			fault("%s is answered with %s, row %q says %s", name, code, rows[i].what, rows[i].code)
		}
		if kinds[i] == nil {
			kinds[i] = map[string]bool{}
		}
		for _, kind := range s.ours.kinds() {
			kinds[i][kind] = true
			if !slices.Contains(rows[i].kinds, kind) {
				fault("%s is answered with %q, which row %q does not name", name, kind, rows[i].what)
			}
		}
	}
	for i, row := range rows {
		for _, p := range row.patterns {
			if !used[p] && !row.sometimes {
				fault("nothing different is %s, of row %q", p, row.what)
			}
		}
		for _, kind := range row.kinds {
			if !kinds[i][kind] && !row.sometimes {
				fault("no answer has %q, which row %q names", kind, row.what)
			}
		}
	}
	return faults
}

func readDifferences(t *testing.T) []difference {
	t.Helper()
	page, err := os.ReadFile(pageOfDifferences)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := parseDifferences(string(page))
	if err != nil {
		t.Fatalf("cannot read the tables of %s: %v", pageOfDifferences, err)
	}
	return rows
}

// `./task facts` names compare's output, and the folder of the facts.
func TestThePageNamesWhatIsDifferentFromEventStoreDB(t *testing.T) {
	t.Parallel()
	rows := readDifferences(t)
	if len(rows) < 40 {
		t.Errorf("%s has %d rows", pageOfDifferences, len(rows))
	}
	output := os.Getenv("GXPLEDGER_ESDB_COMPARED")
	if output == "" {
		t.Skip("GXPLEDGER_ESDB_COMPARED names no output of compare.js; `./task facts` makes one")
	}
	text, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	different, err := parseCompared(string(text))
	if err != nil {
		t.Fatal(err)
	}
	text, err = os.ReadFile(filepath.Join(os.Getenv("GXPLEDGER_ESDB_FACTS"), "facts-24.6.0.json"))
	if err != nil {
		t.Fatal(err)
	}
	var facts map[string]json.RawMessage
	if err := json.Unmarshal(text, &facts); err != nil {
		t.Fatal(err)
	}
	delete(facts, "_about")
	for _, fault := range checkDifferences(rows, different, slices.Collect(maps.Keys(facts))) {
		t.Error(fault)
	}
	t.Logf("%d situations are different, in %d rows", len(different), len(rows))
}

func TestTheTableOfDifferencesIsExactBothWays(t *testing.T) {
	t.Parallel()
	const header = "| What differs | gxpledger answers | Why | Situations |\n|---|---|---|---|\n"
	const deletes = "| Deleting | `PERMISSION_DENIED` | the log only grows | `delete/(?:any\\|all)` |\n"
	const batches = "| A batch | `open` `error INVALID_ARGUMENT` | a clearer text | `batch/x` |\n"
	const compared = `delete/any: soft delete
  real: OK [position] {"commit_is_prepare":true}
  this: PERMISSION_DENIED "append-only" {"exception":"access-denied","stream-name":"S"}
delete/all: $all
  real: OK [position]
  this: PERMISSION_DENIED "append-only" {"exception":"access-denied"}
order: in the order of trailers alone
  real: INVALID_ARGUMENT "a" {"a":"1","b":"2"}
  this: INVALID_ARGUMENT "b" {"b":"2","a":"1"}
batch/x: id "x"
  real: still open [c(string): error code=INVALID_ARGUMENT details=[] {"m":"a; b"} stream=S exp=none]
  this: still open [c(string): error code=INVALID_ARGUMENT details=[] {"m":"not a UUID"} stream=S exp=any] {"f":[1]}
1 situations as the facts, 4 different, 0 not asked
`
	for name, tc := range map[string]struct{ page, compared, want string }{
		"exact":                       {header + deletes + batches, compared, ""},
		"no row":                      {header + deletes, compared, "batch/x is different and in no row"},
		"two rows":                    {header + deletes + batches + batches, compared, "batch/x is in 2 rows"},
		"another code":                {header + deletes + strings.ReplaceAll(batches, "`open`", "`OK`"), compared, "batch/x is answered with open"},
		"a kind too many":             {header + strings.ReplaceAll(deletes, "DENIED` ", "DENIED` `position` ") + batches, compared, `no answer has "position"`},
		"a kind too few":              {header + deletes + strings.ReplaceAll(batches, " `error INVALID_ARGUMENT`", ""), compared, `batch/x is answered with "error INVALID_ARGUMENT"`},
		"no longer different":         {header + deletes + batches, strings.ReplaceAll(compared, "delete/any:", "delete/no:"), "delete/any is no longer different"},
		"a pattern of nothing":        {header + deletes + strings.ReplaceAll(batches, "`batch/x`", "`batch/x` `batch/y`"), compared, "nothing different is ^(?:batch/y)$"},
		"sometimes no longer so":      {header + strings.ReplaceAll(deletes, "the log only grows", "*sometimes*") + batches, strings.ReplaceAll(compared, "delete/any:", "delete/no:"), ""},
		"sometimes not in time":       {header + strings.ReplaceAll(deletes, "the log only grows", "*sometimes*") + batches, strings.ReplaceAll(compared, `PERMISSION_DENIED "append-only"`, `PROBE "no answer within 20 s"`), ""},
		"not in time":                 {header + deletes + batches, strings.ReplaceAll(compared, `PERMISSION_DENIED "append-only"`, `PROBE "no answer within 20 s"`), "delete/any is answered with no answer"},
		"as the facts, and in a row":  {header + strings.ReplaceAll(deletes, "all)", "all)` `same") + batches, compared, "same is no longer different"},
		"trailers in another order":   {header + deletes + batches + strings.ReplaceAll(deletes, "delete/(?:any\\|all)", "order"), compared, "order is no longer different"},
		"all alternatives are needed": {header + strings.ReplaceAll(deletes, "\\|all", "") + batches, compared, "delete/all is different and in no row"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, err := parseDifferences(tc.page)
			if err != nil {
				t.Fatal(err)
			}
			different, err := parseCompared(tc.compared)
			if err != nil {
				t.Fatal(err)
			}
			faults := checkDifferences(rows, different, []string{"delete/any", "delete/all", "batch/x", "order", "same"})
			got := strings.Join(faults, "\n")
			if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
