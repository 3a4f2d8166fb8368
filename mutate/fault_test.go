package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const program = `package p

// Above reports whether n is above ten.
func Above(n int) bool { return n > 10 }

// Unused has a branch that no test takes.
func Unused(n int) int {
	if n == 3 {
		n++
	}
	return n
}
`

const programTest = `package p

import "testing"

func TestAbove(t *testing.T) {
	for n, want := range map[int]bool{10: false, 11: true} {
		if Above(n) != want {
			t.Error(n)
		}
	}
	Unused(1)
}
`

func TestFaultsAreFoundInOrder(t *testing.T) {
	t.Parallel()
	faults, err := faultsIn("p/p.go", []byte(program))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range faults {
		got = append(got, f.String())
	}
	want := []string{
		"p/p.go:4\tAbove\tn > 10 -> n >= 10", "p/p.go:4\tAbove\t10 -> (10 + 1)",
		"p/p.go:8\tUnused\tn == 3 -> !(n == 3)", "p/p.go:8\tUnused\tn == 3 -> n != 3", "p/p.go:8\tUnused\t3 -> (3 + 1)",
		"p/p.go:9\tUnused\tn++ -> n--",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTheScoreCountsWhatTestsNotice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{"go.mod": "module example.org/p\n\ngo 1.26\n", "p/p.go": program, "p/p_test.go": programTest} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{filepath.Join(dir, "p")}, &out); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.HasSuffix(got, "p: 2 of 6 faults noticed, 33 %\n") || strings.Count(got, "survived") != 4 {
		t.Errorf("printed\n%s", got)
	}
	if content, err := os.ReadFile(filepath.Join(dir, "p", "p.go")); err != nil || string(content) != program {
		t.Errorf("the source was changed: %v", err)
	}
}

func TestAnEquivalentFaultNeedsAReason(t *testing.T) {
	t.Parallel()
	if _, err := parseEquivalent("p/p.go\tAbove\tn > 10 -> n >= 10\t \n"); err == nil {
		t.Error("an entry without a reason is taken")
	}
	known, err := parseEquivalent("# comment\np/p.go\tAbove\tn > 10 -> n >= 10\tn is never 10\n")
	if err != nil {
		t.Fatal(err)
	}
	faults, err := faultsIn("p/p.go", []byte(program))
	if err != nil {
		t.Fatal(err)
	}
	if rest := without(faults, known); len(rest) != len(faults)-1 {
		t.Errorf("%d of %d faults are left, want one less", len(rest), len(faults))
	}
}
