package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// A signed record whose signature nobody can verify without a key. Header and payload are plain JSON.
const unsigned = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImNpIn0." + // {"alg":"ES256","kid":"ci"}
	"eyJneHBfaWQiOiJFVi1TUEVDLTAwMSIsInNwZWNfaWQiOiJTUEVDLTAwMSIsInZlcmlmaWNhdGlvbl90aWVyIjoiT1EiLCJ0ZXN0X3Jlc3VsdHMiOnsidG9vbCI6InZpdGVzdCIsInBhc3NlZCI6NCwiZmFpbGVkIjowLCJza2lwcGVkIjoxfX0." +
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// hostileTitle moves the cursor, turns the reading direction and forges a line, as YAML writes it.
const hostileTitle = `"Harm\e[2Jless\u202egpj.exe\nREQ-999 approved"`

// records are three scans of "demo", made once for all tests: one that found everything, one after changes, moves and
// removals, and one that was refused; a minute apart.
var records struct {
	once sync.Once
	dir  string // made and removed by TestMain
	from string // where the repository was when it was scanned
}

// recorded is a fixture with a copy of the records, and their repository, which nobody may change.
func recorded(t *testing.T) (*fixture, repo) {
	t.Helper()
	records.once.Do(func() { makeRecords(t) })
	d := newFixture(t)
	d.now = func() time.Time { return time.Date(2026, 3, 1, 12, 2, 0, 0, time.UTC) }
	if err := os.CopyFS(d.home, os.DirFS(filepath.Join(records.dir, "home"))); err != nil {
		t.Fatal(err)
	}
	return d, repo{t: t, dir: filepath.Join(records.dir, "repo")}
}

func makeRecords(t *testing.T) {
	t.Helper()
	d := newFixture(t)
	minute := 0
	d.now = func() time.Time { return time.Date(2026, 3, 1, 12, minute, 0, 0, time.UTC) }
	dir := filepath.Join(records.dir, "repo")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	r := newRepoAt(t, dir).requirement("REQ-002", "The second").requirement("REQ-003", hostileTitle).
		story("US-001", "REQ-001").story("US-002", "REQ-404").spec("SPEC-001", "US-001").spec("SPEC-002", "US-001").
		write(".gxp/evidence/EV-SPEC-001.jws", unsigned).
		write(".gxp/requirements/REQ-004.md", "---\ngxp_id: REQ-004\ntitle: The fourth\ngxp_risk_rating: LOW\ndescription: it\n"+
			"acceptance_criteria:\n  - stray: colon\n---\n").
		write(".gxp/requirements/REQ-009.md", "---\ngxp_id: REQ-009\ntitle: [never closed\n---\n").
		commit("Write it down")
	d.scan(r, "--links", "flag", "--reason", "first look").wantCode(0)

	minute++
	r.write(".gxp/requirements/REQ-001.md", "---\ngxp_id: REQ-001\ntitle: The first, again\ngxp_risk_rating: LOW\ndescription: it\n"+
		"acceptance_criteria:\n  - one\n  - two\n---\n")
	r.git("mv", ".gxp/requirements/REQ-002.md", ".gxp/requirements/REQ-002-moved.md")
	r.git("rm", "-q", ".gxp/specs/SPEC-002.md")
	r.requirement("REQ-404", "The missing one").commit("Change it\n\nand more")
	d.scan(r, "--links", "flag").wantCode(0)

	minute++
	r.story("US-003", "REQ-405").commit("Break it")
	d.scan(r).wantCode(1)
	records.from = r.dir
	if err := os.CopyFS(filepath.Join(records.dir, "home"), os.DirFS(d.home)); err != nil {
		t.Fatal(err)
	}
}

// in is the same fixture for a test that runs beside others.
func (d *fixture) in(t *testing.T) *fixture {
	t.Helper()
	other := *d
	other.t = t
	return &other
}

// masked hides what differs from run to run: ids and hashes of events.
func (r result) masked() result {
	for pattern, with := range map[string]string{
		`[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`: "EVENT-ID",
		`"payload_sha256": "[0-9a-f]{64}"`:                              `"payload_sha256": "HASH"`,
		`"[0-9a-f]{64}","(EVENT-ID|[0-9a-f-]{36})"`:                     `"HASH","EVENT-ID"`,
		`<dt>Log</dt><dd>[0-9a-f-]{36}`:                                 "<dt>Log</dt><dd>LOG-ID",
		`<dt>Made by</dt><dd>[^<]*`:                                     "<dt>Made by</dt><dd>PROGRAM",
		`"[0-9a-f-]{36}","gxpledger [^"]*"`:                             `"LOG-ID","PROGRAM"`,
	} {
		r.stdout = regexp.MustCompile(pattern).ReplaceAllString(r.stdout, with)
	}
	return r
}

func TestReadingCommandsShowWhatWasRecorded(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	for name, c := range map[string]struct {
		code int
		args []string
	}{
		"scans.txt":             {0, []string{"scans"}},
		"scans.json":            {0, []string{"scans", "--json"}},
		"scans_failed.txt":      {0, []string{"scans", "--failed"}},
		"show_requirements.txt": {0, []string{"show", "requirements"}},
		"show_risk.txt":         {0, []string{"show", "requirement", "--risk", "LOW"}},
		"show_none.txt":         {0, []string{"show", "user-stories", "--tier", "IQ"}},
		"show_stories.txt":      {0, []string{"show", "stories", "--parent", "REQ-404"}},
		"show_stories.json":     {0, []string{"show", "stories", "--parent", "REQ-404", "--json"}},
		"show_evidence.txt":     {0, []string{"show", "evidence"}},
		"show_rejected.txt":     {0, []string{"show", "rejected"}},
		"show_links.txt":        {0, []string{"show", "links"}},
		"show_findings.txt":     {0, []string{"show", "findings"}},
		"show_req.txt":          {0, []string{"show", "requirements", "REQ-001"}},
		"show_ev.txt":           {0, []string{"show", "evidence", "EV-SPEC-001"}},
		"show_ev.json":          {0, []string{"show", "evidence", "EV-SPEC-001", "--json"}},
		"history.txt":           {0, []string{"history", "REQ-001"}},
		"history.json":          {0, []string{"history", "REQ-002", "--json"}},
		"history_moved.txt":     {0, []string{"history", "REQ-002"}},
		"history_removed.txt":   {0, []string{"history", "SPEC-002"}},
		"history_relinked.txt":  {0, []string{"history", "US-002"}},
		"diff.txt":              {0, []string{"diff", "scan:1", "scan:2"}},
		"diff_back.txt":         {0, []string{"diff", "scan:3", "scan:1"}},
		"diff_none.txt":         {0, []string{"diff", "scan:2", "scan:3"}},
		"diff.json":             {0, []string{"diff", "scan:1", "scan:2", "--json"}},
		"diff_times.txt":        {0, []string{"diff", "2026-03-01T12:00:00Z", "pos:18"}},
		"gaps.txt":              {3, []string{"gaps"}},
		"gaps.json":             {3, []string{"gaps", "--json"}},
		"gaps_fail_on.txt":      {3, []string{"gaps", "--fail-on", "failed,wrong_kind"}},
		"gaps_fail_on_more.txt": {3, []string{"gaps", "--fail-on", "Suspect, wrong-kind, transitive"}},
		"gaps.html":             {3, []string{"gaps", "--format", "html"}},
		"gaps.csv":              {3, []string{"gaps", "--format", "csv", "--risk", "low"}},
		"gaps_risk.txt":         {3, []string{"gaps", "--risk", "LOW", "--state", "missing,unverified"}},
		"gaps_requirement.json": {3, []string{"gaps", "--requirement", "REQ-001", "--json"}},
		"show_specs_state.txt":  {0, []string{"show", "specs", "--risk", "low", "--state", "unverified,missing"}},
		"show_evidence_req.txt": {0, []string{"show", "evidence", "--requirement", "REQ-001", "--tier", "oq"}},
		"diff.html":             {0, []string{"diff", "scan:1", "scan:2", "--format", "html"}},
		"diff.csv":              {0, []string{"diff", "scan:1", "scan:2", "--format", "csv"}},
		"history.html":          {0, []string{"history", "REQ-001", "--format", "html"}},
		"history.csv":           {0, []string{"history", "REQ-001", "--format", "csv"}},
		"audit.html":            {0, []string{"audit", "--resource", "REQ-002", "--format", "html"}},
		"audit.csv":             {0, []string{"audit", "--resource", "REQ-002", "--format", "csv"}},
		"search.txt":            {0, []string{"search", "the FIRST"}},
		"search.json":           {0, []string{"search", "the FIRST", "--limit", "1", "--json"}},
		"search.html":           {0, []string{"search", "the FIRST", "--format", "html"}},
		"search_as_of.txt":      {0, []string{"search", "the FIRST", "--as-of", "scan:1"}},
		"search_none.txt":       {0, []string{"search", "nothing of the kind"}},
		"matrix.txt":            {0, []string{"matrix"}},
		"matrix.json":           {0, []string{"matrix", "--json"}},
		"matrix.csv":            {0, []string{"matrix", "--format", "csv"}},
		"matrix.html":           {0, []string{"matrix", "--format", "html"}},
		"matrix_as_of.txt":      {0, []string{"matrix", "--as-of", "scan:1"}},
		"matrix_as_of.html":     {0, []string{"matrix", "--as-of", "2026-03-01T12:00:30Z", "--format", "html"}},
		"replay_steps.txt":      {0, []string{"replay", "--follow-scans"}},
		"replay_steps.json":     {0, []string{"replay", "--follow-scans", "--from", "scan:2", "--to", "scan:3", "--json"}},
		"scans_as_of.txt":       {0, []string{"scans", "--as-of", "scan:1"}},
		"show_as_of.txt":        {0, []string{"show", "requirements", "--as-of", "2026-03-01T12:00:00Z"}},
		"show_as_of.json":       {0, []string{"show", "stories", "--parent", "REQ-404", "--as-of", "pos:3", "--json"}},
		"history_as_of.txt":     {0, []string{"history", "REQ-002", "--as-of", "scan:1"}},
		"audit_as_of.txt":       {0, []string{"audit", "--as-of", "scan:1", "--action", "scan_completed"}},
		"audit.txt":             {0, []string{"audit"}},
		"audit.json":            {0, []string{"audit", "--limit", "1", "--json"}},
		"audit_resource.txt":    {0, []string{"audit", "--resource", "REQ-002"}},
		"audit_none.txt":        {0, []string{"audit", "--since", "2026-03-02"}},
		"log.txt":               {0, []string{"log", "--after", "10"}},
		"log_backwards.txt":     {0, []string{"log", "--backwards", "--limit", "2"}},
		"log_none.txt":          {0, []string{"log", "--stream", "engine"}},
		"projections.txt":       {0, []string{"projections", "status"}},
		"verify.txt":            {0, []string{"verify"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := d.in(t).run(c.args...)
			switch ext := filepath.Ext(name); {
			case ext == ".csv" || ext == ".html": // the head of which is on standard error
				got.stderr = ""
			case c.args[0] == "log":
				got.stdout, got.stderr = got.stderr+got.stdout, ""
			}
			got.wantCode(c.code).masked().golden(name, records.from, "REPO")
			if strings.ContainsAny(got.stdout+got.stderr, "\x1b\u202e\a\r") {
				t.Errorf("hostile text reached the screen:\n%q", got.stdout)
			}
		})
	}
}

func TestContentComesBackAsItWas(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	first := "---\ngxp_id: REQ-001\ntitle: The first\ngxp_risk_rating: HIGH\ndescription: it\n---\n"
	for args, want := range map[string]string{
		".gxp/requirements/REQ-001.md --scan 1": first,
		".gxp/requirements/REQ-009.md":          "---\ngxp_id: REQ-009\ntitle: [never closed\n---\n",
		".gxp/requirements/REQ-009.md --scan 2": "---\ngxp_id: REQ-009\ntitle: [never closed\n---\n",
		"./.gxp/evidence/EV-SPEC-001.jws":       unsigned,
		".gxp/requirements/REQ-002.md --scan 1": "---\ngxp_id: REQ-002\ntitle: The second\ngxp_risk_rating: HIGH\ndescription: it\n---\n",
	} {
		got := d.run(append([]string{"content"}, strings.Fields(args)...)...).wantCode(0)
		if got.stdout != want || !strings.HasPrefix(got.stderr, "demo: scan 2, ") {
			t.Errorf("content %s: %q, want the bytes as they were", args, got.stdout)
		}
	}
	var shown struct {
		SHA256  string `json:"sha256"`
		Content []byte `json:"content"`
	}
	if err := json.Unmarshal([]byte(d.run("content", ".gxp/requirements/REQ-001.md", "--scan", "1", "--json").stdout), &shown); err != nil {
		t.Fatal(err)
	}
	if string(shown.Content) != first {
		t.Errorf("--json: %q", shown.Content)
	}
	for _, digits := range []int{6, 20, 64} {
		if got := d.run("content", strings.ToUpper(shown.SHA256[:digits])).wantCode(0); got.stdout != first {
			t.Errorf("by %d digits: %q", digits, got.stdout)
		}
	}
	d.run("content", shown.SHA256[:8]+"ffff0000").wantCode(1).says(shown.SHA256)
	d.run("content", shown.SHA256[:5]).wantCode(1).says("there is no file")
	d.run("content", ".gxp/requirements/REQ-002.md").wantCode(1).says("it was there until scan 2", "--scan")
	d.run("content", ".gxp/requirements/REQ-1.md").wantCode(1).says("REQ-001.md")
}

func TestWrongUseIsOneSentenceThatHelps(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	for args, c := range map[string]struct {
		code  int
		parts []string
	}{
		"show":                                              {2, []string{"KIND"}},
		"show requiremnet":                                  {2, []string{"did you mean requirements?"}},
		"show things":                                       {2, []string{"want one of context, requirements"}},
		"show findings --risk high":                         {2, []string{"--risk does not apply to findings"}},
		"show requirements REQ-01":                          {1, []string{`"REQ-001"`}},
		"show requirements US-001":                          {1, []string{"it is a user story: look among the user stories"}},
		"show requirements a b":                             {2, []string{`leave out "b"`}},
		"show requirements --repository x":                  {1, []string{`there is no repository "x"`}},
		"history":                                           {2, []string{"needs one ID or path"}},
		"history SPEC-003":                                  {1, []string{`"SPEC-002"`}},
		"diff scan:1":                                       {2, []string{"scan:A and scan:B"}},
		"diff scan:1 2026-3-1":                              {2, []string{"want a time such as", "pos:N, scan:N, commit:SHA"}},
		"diff scan:1 2026-03-01T12:00:00":                   {2, []string{"it has no zone"}},
		"diff scan:1 2026-02-28":                            {1, []string{"no event recorded at or before", "the first event is at position 1"}},
		"diff scan:1 2026-03-02":                            {1, []string{"in the future"}},
		"diff scan:1 scan:x":                                {2, []string{"from 1"}},
		"diff scan:1 scan:9":                                {1, []string{`"demo" has the scans 1 to 3`}},
		"audit --since yesterday":                           {2, []string{"want a date such as"}},
		"audit --since 2026-03-02 --until 2026-02-01":       {2, []string{"no time is between"}},
		"audit --outcome faild":                             {2, []string{"did you mean failed?"}},
		"audit --limit -1":                                  {2, []string{"want a number from 1"}},
		"content":                                           {2, []string{"needs one SHA-256 or path"}},
		"content x --scan 0":                                {2, []string{"from 1"}},
		"content .gxp/requirements/REQ-001.md --scan 9":     {1, []string{"1 to 3"}},
		"log --type scan.complete":                          {2, []string{"did you mean scan.completed?"}},
		"log --follow --backwards":                          {2, []string{"exclude each other"}},
		"projections statsu":                                {2, []string{"did you mean status?"}},
		"projections rebuild":                               {2, []string{"artifacts", "--all"}},
		"projections rebuild artefacts --reason x":          {2, []string{"did you mean artifacts?"}},
		"projections rebuild artifacts":                     {2, []string{"--reason is required"}},
		"projections rebuild artifacts --all":               {2, []string{"exclude each other"}},
		"scans extra":                                       {2, []string{"takes no arguments"}},
		"scans --as-of -yesterday":                          {2, []string{"--as-of does not take", "want a time such as"}},
		"scans --as-of scna:1":                              {2, []string{"did you mean scan:?"}},
		"scans --as-of pos:99":                              {1, []string{"the last at position 21, recorded at 2026-03-01T12:02:00Z"}},
		"scans --as-of scan:9":                              {1, []string{`"demo" has the scans 1 to 3, recorded from 2026-03-01T12:00:00Z`}},
		"scans --as-of commit:1234567":                      {1, []string{"no completed scan of commit", `scan 2 of "demo"`}},
		"show requirement REQ-404 --as-of scan:1":           {1, []string{"REQ-004", "this is as of scan:1, position 13 of 2026-03-01T12:00:00Z"}},
		"content x --scan 1 --as-of scan:1":                 {2, []string{"exclude each other"}},
		"gaps --risk hihg":                                  {2, []string{`no requirement has it; the values are HIGH, LOW`}},
		"gaps --tier -":                                     {2, []string{"want a word with more than blanks and dashes"}},
		"gaps --requirement REQ-999":                        {1, []string{"there is no requirement"}},
		"gaps --state covered":                              {2, []string{"want states"}},
		"gaps --format xlsx":                                {2, []string{"want table or csv or html or json"}},
		"show risks --state missing":                        {2, []string{"--state does not apply to risks"}},
		"show specs --requirement US-001":                   {1, []string{"it is a user story"}},
		"export --out x":                                    {2, []string{"--scan"}},
		"export --scan 1":                                   {2, []string{"--out"}},
		"export --scan 3 --out HOME/x":                      {1, []string{"did not complete"}},
		"export --scan 1 --out HOME":                        {1, []string{"is there already"}},
		"gaps --fail-on orphand":                            {2, []string{"did you mean orphaned?"}},
		"gaps --fail-on covered":                            {2, []string{"want states, separated by commas: failed, orphaned"}},
		"gaps --fail-on failed,":                            {2, []string{"want states"}},
		"matrix --format pdf":                               {2, []string{"want table or csv or xlsx or html or json"}},
		"matrix --output HOME/log.db":                       {1, []string{"is a database"}},
		"matrix --output HOME/none/x":                       {1, []string{"cannot be created"}},
		"replay":                                            {2, []string{"--to TIME and --into FILE, or --follow-scans"}},
		"replay --into x":                                   {2, []string{"--to is required"}},
		"replay --to scan:1 --into HOME":                    {2, []string{"is a folder"}},
		"replay --to scan:1 --into postgres://a:secret@b/c": {2, []string{"names no schema", "schema=NAME"}},
		"replay --to scan:1 --into ftp://a":                 {2, []string{"--into: cannot open ftp addresses"}},
		"replay --to scan:1 --into HOME/none/x.db":          {1, []string{"cannot be created"}},
		"replay --from scan:1 --to scan:1 --into x":         {2, []string{"--from goes with --follow-scans"}},
		"replay --follow-scans --into x":                    {2, []string{"exclude each other"}},
		"replay --follow-scans --from pos:3":                {2, []string{"want a scan, scan:N, commit:SHA"}},
		"replay --follow-scans --from scan:3 --to scan:1":   {2, []string{"there is no scan between"}},
		"replay --follow-scans --to scan:9":                 {1, []string{"1 to 3"}},
		"gaps --reposit demo":                               {2, []string{"--repository"}},
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			got := d.in(t).run(strings.Fields(strings.ReplaceAll(args, "HOME", d.home))...)
			got.wantCode(c.code).says(c.parts...)
			if strings.Contains(got.stderr, "secret") {
				t.Errorf("a password is shown: %s", got.stderr)
			}
			if got.stdout != "" {
				t.Errorf("wrote %q to standard output", got.stdout)
			}
		})
	}
}

func TestReadingWithoutALogSaysWhatToDo(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	for _, args := range []string{
		"scans", "show requirements", "history X", "diff scan:1 scan:2", "gaps", "audit", "content X", "log",
		"scans --as-of pos:1", "matrix", "replay --follow-scans", "replay --to scan:1 --into x",
		"projections status", "projections rebuild audit --reason x", "projections run", "projections pause audit --reason x", "verify",
	} {
		d.run(strings.Fields(args)...).wantCode(1).says("there is no log", "gxpledger scan")
	}
}

func TestEveryCommandHasHelpWithExamples(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	for _, command := range []string{
		"scans", "show", "history", "diff", "gaps", "matrix", "replay", "audit", "content", "log", "projections", "projections status",
		"projections builds", "projections rebuild", "projections run", "projections pause", "projections resume", "projections cancel", "projections skip",
		"projections prune", "verify",
	} {
		got := d.bare(t.Context(), append(strings.Fields(command), "--help")...).wantCode(0)
		if !strings.Contains(got.stdout, "Examples:\n  gxpledger "+command) {
			t.Errorf("%s --help has no examples:\n%s", command, got.stdout)
		}
	}
}

func TestSeveralRepositoriesAreToldApart(t *testing.T) {
	t.Parallel()
	d, r := recorded(t)
	for range 2 {
		d.run("scan", r.dir, "--name", "other", "--actor", "tester@site", "--links", "flag").wantCode(0)
	}
	for _, args := range []string{
		"scans", "show requirements", "show links", "show findings", "show rejected", "gaps", "audit", "matrix",
		"scans --as-of 2026-03-01T12:02:00Z", "matrix --format html",
	} {
		all := d.run(strings.Fields(args)...)
		one := d.run(append(strings.Fields(args), "--repository", "other")...)
		if !strings.Contains(all.stdout, "demo") || !strings.Contains(all.stdout, "other") {
			t.Errorf("%s does not tell the repositories apart:\n%s", args, all.stdout)
		}
		if one.stdout == all.stdout || strings.Contains(one.stdout, "demo") {
			t.Errorf("%s --repository other shows the other one too:\n%s", args, one.stdout)
		}
	}
	for _, args := range []string{
		"show requirements REQ-001", "history REQ-001", "diff scan:2 scan:1", "content .gxp/requirements/REQ-001.md",
		"scans --as-of scan:1", "replay --follow-scans",
	} {
		d.run(strings.Fields(args)...).wantCode(2).says(`"demo"`, `"other"`, "--repository")
		d.run(append(strings.Fields(args), "--repository", "other")...).wantCode(0)
	}
}
