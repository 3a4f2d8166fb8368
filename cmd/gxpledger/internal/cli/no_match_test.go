package cli_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestFiltersThatMatchNothingAnswerAlike tries every filter of every command that lists: nothing matches, so the exit code is
// 0, there are no rows, and a note names the filter and, where they are known, the values that there are.
func TestFiltersThatMatchNothingAnswerAlike(t *testing.T) {
	t.Parallel()
	d, _ := recorded(t)
	for _, c := range []struct {
		args  []string
		says  []string
		lines bool // --json writes a line for each row, and so none
	}{
		{[]string{"show", "requirements", "--risk", "WAT"}, []string{`No requirement matches --risk "WAT".`, `There is no risk "WAT" here: the values are `, "HIGH"}, false},
		{[]string{"show", "specs", "--tier", "WAT"}, []string{`--tier "WAT"`, `There is no tier "WAT" here: the values are `, "OQ"}, false},
		{[]string{"show", "requirements", "--status", "WAT"}, []string{`There is no status "WAT" here: `}, false},
		{[]string{"show", "stories", "--parent", "NO-1"}, []string{`There is no parent "NO-1" here: the values are `, "REQ-"}, false},
		{[]string{"show", "requirements", "--query", "NO-1"}, []string{`No requirement matches --query "NO-1".`}, false},
		{[]string{"show", "requirements", "--risk", "high", "--query", "NO-1"}, []string{`--risk "high" and --query "NO-1".`}, false},
		{[]string{"show", "links", "--status", "WAT"}, []string{`There is no status "WAT" here: the values are missing, resolved, wrong_kind.`}, false},
		{[]string{"show", "links", "--parent", "NO-1"}, []string{`There is no parent "NO-1" here`}, false},
		{[]string{"show", "findings", "--query", "NO-1"}, []string{`No finding matches --query "NO-1".`}, false},
		{[]string{"show", "rejected", "--query", "NO-1"}, []string{`No rejected file matches --query "NO-1".`}, false},
		{[]string{"audit", "--actor", "nobody"}, []string{`No line of the audit trail matches --actor "nobody".`, `There is no actor "nobody" here: the values are `, "tester@site"}, false},
		{[]string{"audit", "--action", "wat"}, []string{`There is no action "WAT" here: the values are `, "SCAN_COMPLETED"}, false},
		{[]string{"audit", "--resource", "NO-1"}, []string{`matches --resource "NO-1".`}, false},
		{[]string{"audit", "--outcome", "cancelled"}, []string{`matches --outcome "cancelled".`}, false},
		{[]string{"audit", "--since", "2027-03-02"}, []string{`matches --since "2027-03-02".`}, false},
		{[]string{"audit", "--actor", "nobody", "--action", "wat"}, []string{`--actor "nobody" and --action "WAT"`}, false},
		{[]string{"log", "--stream", "nosuch"}, []string{`No event matches --stream "nosuch".`}, true},
		{[]string{"log", "--after", "100000"}, []string{`No event matches --after "100000".`}, true},
	} {
		shown := d.run(c.args...).wantCode(0)
		for _, part := range c.says {
			if !strings.Contains(shown.stdout, part) || strings.HasPrefix(shown.stderr, "demo: scan 2, ") != c.lines {
				t.Errorf("%q shows %q%q, want %q in it", c.args, shown.stdout, shown.stderr, part)
			}
		}
		document := d.run(append(c.args, "--json")...).wantCode(0)
		if c.lines {
			if document.stdout != "" || document.stderr != shown.stderr {
				t.Errorf("%q --json writes %s%s", c.args, document.stdout, document.stderr)
			}
			continue
		}
		var got struct {
			Note string `json:"note"`
		}
		if err := json.Unmarshal([]byte(document.stdout), &got); err != nil || !strings.HasSuffix(shown.stdout, "\n\n"+got.Note+"\n") || document.stderr != "" {
			t.Errorf("%q --json: %v, the note is %q, the screen says %q", c.args, err, got.Note, shown.stdout)
		}
	}
	if some := d.run("show", "requirements", "--risk", "high", "--json").wantCode(0); strings.Contains(some.stdout, `"note"`) {
		t.Errorf("rows and a note: %s", some.stdout)
	}
	// A value of which nothing is left to compare is no filter that matches everything.
	for _, flag := range []string{"--risk", "--tier", "--status"} {
		d.run("show", "requirements", flag, "-_ -").wantCode(2).says("the flag " + flag + " does not take")
	}
	// A closed set refuses what is not in it.
	d.run("audit", "--outcome", "wat").wantCode(2)
	d.run("log", "--type", "wat").wantCode(2)
	// A name that is not there is no filter: nothing can be said of it.
	d.run("audit", "--repository", "nosuch").wantCode(1)
	d.run("show", "requirements", "--repository", "nosuch").wantCode(1)
}
