package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

//go:embed equivalent.txt
var equivalentFile string

//go:embed tests.txt
var testsFile string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("mutate", flag.ContinueOnError)
	n := flags.Int("n", 300, "number of faults to try for each package, at most")
	seed := flags.Uint64("seed", 1, "which sample of the faults to try")
	limit := flags.Duration("limit", 2*time.Minute, "time limit of one run of tests; a fault that exceeds it was noticed")
	list := flags.Bool("list", false, "list the sample instead of testing it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	equivalent, err := parseEquivalent(equivalentFile)
	if err != nil {
		return err
	}
	tests := parseTests(testsFile)
	var scores []score
	for _, dir := range flags.Args() {
		root, name, err := locate(dir)
		if err != nil {
			return err
		}
		faults, err := faultsOf(root, name)
		if err != nil {
			return err
		}
		faults = sample(without(faults, equivalent), *n, *seed, name)
		if *list {
			for _, f := range faults {
				fmt.Fprintln(out, f)
			}
			continue
		}
		s := score{name: name}
		tester := tester{root: root, packages: append([]string{name}, tests[name]...), limit: *limit}
		if err := tester.mustPass(ctx); err != nil {
			return fmt.Errorf("cannot mutate %s: its tests fail without a fault: %w", name, err)
		}
		for _, f := range faults {
			noticed, err := tester.notices(ctx, f)
			switch {
			case errors.Is(err, errDoesNotCompile):
				continue
			case err != nil:
				return err
			case !noticed:
				fmt.Fprintf(out, "survived %s\n", f)
			}
			s.count(noticed)
		}
		fmt.Fprintln(out, s)
		scores = append(scores, s)
	}
	if len(scores) > 1 {
		fmt.Fprintln(out)
		for _, s := range scores {
			fmt.Fprintln(out, s)
		}
	}
	return nil
}

// locate returns the root of the module that dir is in, and the path of dir below it.
func locate(dir string) (root, name string, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", "", err
	}
	for root = dir; ; root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		if root == filepath.Dir(root) {
			return "", "", fmt.Errorf("cannot mutate %s: it is in no Go module", dir)
		}
	}
	name, err = filepath.Rel(root, dir)
	return root, filepath.ToSlash(name), err
}

// sample returns n of the faults, in an order that depends on the seed and the package alone.
func sample(faults []fault, n int, seed uint64, name string) []fault {
	h := fnv.New64a()
	_, _ = io.WriteString(h, name)
	r := rand.New(rand.NewPCG(seed, h.Sum64()))
	r.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	return faults[:min(n, len(faults))]
}

// score counts the faults of a package.
type score struct {
	name           string
	noticed, total int
}

func (s *score) count(noticed bool) {
	s.total++
	if noticed {
		s.noticed++
	}
}

func (s score) String() string {
	if s.total == 0 {
		return s.name + ": no faults"
	}
	return fmt.Sprintf("%s: %d of %d faults noticed, %.0f %%", s.name, s.noticed, s.total, 100*float64(s.noticed)/float64(s.total))
}

var errDoesNotCompile = errors.New("the fault does not compile")

// tester runs the tests of some packages with a fault in one of them.
type tester struct {
	root     string
	packages []string
	limit    time.Duration
}

func (t tester) mustPass(ctx context.Context) error {
	for _, p := range t.packages {
		if out, err := t.test(ctx, p, ""); err != nil {
			return fmt.Errorf("%s: %w\n%s", p, err, out)
		}
	}
	return nil
}

// notices reports whether a test fails with the fault. It returns errDoesNotCompile when the fault is no Go program.
func (t tester) notices(ctx context.Context, f fault) (bool, error) {
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	changed, overlay := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(changed, f.source, 0o600); err != nil {
		return false, err
	}
	content := fmt.Sprintf(`{"Replace":{%q:%q}}`, filepath.Join(t.root, filepath.FromSlash(f.file)), changed)
	if err := os.WriteFile(overlay, []byte(content), 0o600); err != nil {
		return false, err
	}
	if out, err := t.command(ctx, "build", "-overlay", overlay, "./"+t.packages[0]); err != nil {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if bytes.Contains(out, []byte("no space left")) {
			return false, fmt.Errorf("cannot build %s: %w\n%s", t.packages[0], err, out)
		}
		return false, errDoesNotCompile
	}
	for _, p := range t.packages {
		out, err := t.test(ctx, p, overlay)
		switch {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case err == nil:
			continue
		case bytes.Contains(out, []byte("no space left")):
			return false, fmt.Errorf("cannot test %s: %w\n%s", p, err, out)
		}
		return true, nil
	}
	return false, nil
}

func (t tester) test(ctx context.Context, name, overlay string) ([]byte, error) {
	// Fuzz seeds run, as in the test command; vet finds faults that no test finds, which would flatter the score.
	args := []string{"test", "-count=1", "-failfast", "-short", "-vet=off", "-timeout", t.limit.String()}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	return t.command(ctx, append(args, "./"+name)...)
}

func (t tester) command(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = t.root
	cmd.WaitDelay = time.Minute
	return cmd.CombinedOutput()
}

// parseTests reads which tests of other packages are run for a package, when its own notice nothing: a line for each, PACKAGE: TESTS.
func parseTests(content string) map[string][]string {
	tests := make(map[string][]string)
	for line := range strings.Lines(content) {
		if name, list, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, "#") {
			tests[name] = strings.Fields(list)
		}
	}
	return tests
}
