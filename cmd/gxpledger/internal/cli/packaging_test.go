package cli_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v4"

	"github.com/gxpledger/gxpledger/internal/config"
)

const packagingFolder = "../../../../packaging"

func readText(t *testing.T, parts ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// flagsByCommand is every command with its flags.
func flagsByCommand() map[string]map[string]*pflag.Flag {
	all := map[string]map[string]*pflag.Flag{}
	eachCommand(func(_ *cobra.Command, path []string, flags map[string]*pflag.Flag) {
		all[strings.Join(path, " ")] = flags
	})
	return all
}

var (
	execStart = regexp.MustCompile(`(?m)^ExecStart=/usr/bin/gxpledger ([a-z ]+) \$(\w+)$`)
	longFlag  = regexp.MustCompile(`--([a-z][a-z-]+)`)
)

func TestTheUnitsRunCommandsAndFlagsThatExist(t *testing.T) {
	t.Parallel()
	commands := flagsByCommand()
	settings := readText(t, packagingFolder, "systemd", "gxpledger.env")
	units, err := filepath.Glob(filepath.Join(packagingFolder, "systemd", "*.service"))
	if err != nil || len(units) != 2 {
		t.Fatalf("%d units, %v", len(units), err)
	}
	for _, unit := range units {
		text := readText(t, unit)
		start := execStart.FindStringSubmatch(text)
		if start == nil {
			t.Fatalf("%s does not start gxpledger", unit)
		}
		flags := commands[start[1]]
		if flags == nil {
			t.Fatalf("%s starts gxpledger %s, which is no command", unit, start[1])
		}
		line := regexp.MustCompile(`(?m)((?:^#.*\n)+)` + start[2] + `="(.*)"$`).FindStringSubmatch(settings)
		if line == nil {
			t.Fatalf("gxpledger.env does not set %s of %s", start[2], unit)
		}
		for _, name := range longFlag.FindAllStringSubmatch(line[1]+line[2], -1) {
			if flags[name[1]] == nil {
				t.Errorf("gxpledger.env gives %s the flag --%s, which it does not have", start[1], name[1])
			}
		}
		page := "Documentation=man:gxpledger-" + strings.ReplaceAll(start[1], " ", "-") + "(1)\n"
		for _, want := range []string{page, "\nUser=gxpledger\n", "\nNoNewPrivileges=true\n", "\nProtectSystem=strict\n", "\nStateDirectory=gxpledger\n", "\nCapabilityBoundingSet=\n"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %q", unit, strings.TrimSpace(want))
			}
		}
	}
	for _, name := range regexp.MustCompile(`GXPLEDGER_[A-Z_]+\b`).FindAllString(settings, -1) {
		if strings.HasSuffix(name, "_FLAGS") {
			continue
		}
		if !slices.ContainsFunc(config.Definitions(), func(d config.Definition) bool { return d.Variable == name }) {
			t.Errorf("gxpledger.env sets %s, which is not read", name)
		}
	}
}

func TestThePackageHoldsFilesThatAReleaseMakes(t *testing.T) {
	t.Parallel()
	var packaged struct {
		Contents []struct{ Src, Dst string } `yaml:"contents"`
		Scripts  map[string]string           `yaml:"scripts"`
	}
	if err := yaml.Unmarshal([]byte(readText(t, packagingFolder, "nfpm.yaml")), &packaged); err != nil {
		t.Fatal(err)
	}
	d := newFixture(t)
	stage := t.TempDir()
	d.bare(t.Context(), "manual", filepath.Join(stage, "man")).wantCode(0)
	release := readText(t, packagingFolder, "release.go")
	sources := slices.Collect(maps.Values(packaged.Scripts))
	for _, content := range packaged.Contents {
		sources = append(sources, content.Src)
	}
	if len(sources) < 10 {
		t.Fatalf("the package holds %d files", len(sources))
	}
	for _, source := range sources {
		inRoot := filepath.Join(packagingFolder, "..", source)
		made := filepath.Join(stage, strings.TrimSuffix(source, ".gz")) // which a release compresses
		found, err := filepath.Glob(made)
		if err != nil {
			t.Fatal(err)
		}
		if shell, is := strings.CutPrefix(source, "completions/"); is && strings.Contains(release, `"`+shell+`"`) || source == "gxpledger" {
			continue
		}
		if _, err := os.Stat(inRoot); err != nil && len(found) == 0 {
			t.Errorf("the package takes %s, which there is not", source)
		}
	}
}

func TestEveryCommandHasAPageInTheManual(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	folder := t.TempDir()
	d.bare(t.Context(), "manual", folder).wantCode(0)
	pages := 0
	eachCommand(func(cmd *cobra.Command, path []string, flags map[string]*pflag.Flag) {
		if cmd.Hidden || cmd.Name() == "help" {
			return
		}
		pages++
		page := readText(t, folder, strings.Join(append([]string{"gxpledger"}, path...), "-")+".1")
		for name, flag := range flags {
			if !flag.Hidden && !strings.Contains(page, `\-\-`+strings.ReplaceAll(name, "-", `\-`)) {
				t.Errorf("the page of %s lacks --%s", cmd.CommandPath(), name)
			}
		}
		for line := range strings.Lines(page) {
			if strings.HasPrefix(line, "'") || strings.HasPrefix(line, ".") && !regexp.MustCompile(`^\.(TH|SH|TP|PP|B|nf|fi)\b`).MatchString(line) {
				t.Errorf("the page of %s holds %q, which man takes for a command", cmd.CommandPath(), line)
			}
		}
	})
	files, err := os.ReadDir(folder)
	if err != nil || len(files) != pages || pages < 20 {
		t.Errorf("%d pages of %d commands, %v", len(files), pages, err)
	}
	if got := d.bare(t.Context(), "manual", filepath.Join(folder, "gxpledger.1")).wantCode(1); !strings.Contains(got.stderr, "cannot write the manual") {
		t.Errorf("a folder that is a file: %s", got.stderr)
	}
}

func TestCompletionsNameCommandsAndFlags(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := d.bare(t.Context(), "completion", shell).wantCode(0); !strings.Contains(got.stdout, "__complete") {
			t.Errorf("the completions of %s are %q", shell, got.stdout)
		}
	}
	if got := d.bare(t.Context(), "completion", "tcsh").wantCode(2); !strings.Contains(got.stderr, "bash or zsh") {
		t.Error(got.stderr)
	}
	for want, line := range map[string][]string{
		"projections\t": {"proj"}, "rebuild\t": {"projections", "re"}, "--evidence-key\t": {"scan", "--evid"},
	} {
		if got := d.bare(t.Context(), append([]string{"__complete"}, line...)...).wantCode(0); !strings.Contains(got.stdout, want) {
			t.Errorf("%q is completed by %q, want %q", line, got.stdout, want)
		}
	}
	d.wantNoHome()
}

// wantNoHome checks that no command made the home.
func (d *fixture) wantNoHome() {
	d.t.Helper()
	if _, err := os.Lstat(d.home); err == nil {
		d.t.Error("the home was made")
	}
}

func TestTheContainerRunsTheBinaryOfARelease(t *testing.T) {
	t.Parallel()
	text := readText(t, packagingFolder, "Containerfile")
	given := map[string][]string{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			word, rest, _ := strings.Cut(line, " ")
			given[word] = append(given[word], rest)
		}
	}
	for word, want := range map[string]string{
		"COPY": "--chmod=0755 gxpledger /usr/bin/gxpledger", "ENTRYPOINT": `["/usr/bin/gxpledger"]`, "USER": "65532:65532", "FROM": "${BASE}",
	} {
		if !slices.Contains(given[word], want) {
			t.Errorf("the container file has %s %q, want %q", word, given[word], want)
		}
	}
	if known := []string{"ARG", "COPY", "ENTRYPOINT", "USER", "FROM", "ENV", "WORKDIR", "VOLUME", "CMD"}; len(given) != len(known) || given["RUN"] != nil {
		t.Errorf("the container file has the instructions %q, want %q and nothing that runs", slices.Sorted(maps.Keys(given)), known)
	}
}
