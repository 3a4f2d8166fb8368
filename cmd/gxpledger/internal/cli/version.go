package cli

import (
	"regexp"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
)

// versionDocument is the output of version --json.
type versionDocument struct {
	Version  string `json:"version"`            // of the module, "(devel)" for a build from a work tree
	Commit   string `json:"commit,omitempty"`   // that it was built from
	Time     string `json:"time,omitempty"`     // of that commit, RFC 3339
	Modified bool   `json:"modified,omitempty"` // the work tree held other changes
	Sum      string `json:"sum,omitempty"`      // checksum of the module, of a build by go install
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print version information",
		Long:    "Print the version, the commit it was built from, whether the work tree held other changes, and the platform.",
		Example: "  gxpledger version\n  gxpledger --version\n  gxpledger version --json",
		Args:    none,
		RunE:    func(*cobra.Command, []string) error { return a.showVersion() },
	}
}

func (a *app) showVersion() error {
	info := buildInfo()
	return a.answer(info, func(screen *render.Screen) {
		screen.Line("gxpledger %s", info.Version)
		switch {
		case info.Commit == "" && info.Sum != "":
			screen.Line("commit that of the tag %s, module checksum %s", info.Version, info.Sum)
		case info.Commit == "":
			screen.Line("commit unknown: built without version control")
		case info.Time == "":
			screen.Line("commit %s", info.Commit)
		case info.Modified:
			screen.Line("commit %s of %s, modified: the work tree held other changes", info.Commit, info.Time)
		default:
			screen.Line("commit %s of %s", info.Commit, info.Time)
		}
		screen.Line("%s %s", info.Go, info.Platform)
	})
}

func buildInfo() versionDocument {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return versionOf(info)
}

func versionOf(info *debug.BuildInfo) versionDocument {
	out := versionDocument{Version: "(unknown)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info.Main.Version != "" {
		out.Version = info.Main.Version
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			out.Commit = setting.Value
		case "vcs.time":
			out.Time = setting.Value
		case "vcs.modified":
			out.Modified = setting.Value == "true"
		}
	}
	if out.Commit == "" && info.Main.Sum != "" { // built by go install MODULE@VERSION
		out.Sum = info.Main.Sum
		if parts := pseudoVersion.FindStringSubmatch(out.Version); parts != nil {
			out.Commit = parts[1]
		}
	}
	return out
}

// pseudoVersion is the version that go gives a commit without a tag. It ends in the commit.
var pseudoVersion = regexp.MustCompile(`^v.*[-.]\d{14}-([0-9a-f]{12})$`)
