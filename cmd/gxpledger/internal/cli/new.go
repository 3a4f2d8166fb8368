package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/domain"
)

// newDocument is the output of new --json.
type newDocument struct {
	Path string `json:"path"` // from the root of the repository
}

func newNew(a *app) *cobra.Command {
	kinds := map[string]domain.Kind{}
	for _, kind := range domain.Kinds() {
		if info := kind.Info(); info.Level >= domain.LevelRequirement && info.Level <= domain.LevelSpec {
			words := strings.Fields(info.One)
			kinds[words[len(words)-1]] = kind // a user story is a story
		}
	}
	var folder, title, parent string
	cmd := &cobra.Command{
		Use:   "new requirement|story|spec --title TITLE [--parent ID]",
		Short: "Write the file of a new requirement, user story or spec",
		Long: "Write a file with the next id into .gxp of the work tree, to be completed by hand. Nothing is recorded, and no file is\n" +
			"written over. A user story belongs to a requirement, and a spec to a user story: name it with --parent.",
		Example: "  gxpledger new requirement --title \"Alarms reach the operator\"\n" +
			"  gxpledger new story --parent REQ-001 --title \"See an alarm\"\n" +
			"  gxpledger new spec --parent US-001-001 --title \"Alarm within a second\"",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || kinds[args[0]] == "" {
				return usage("name what to write: gxpledger new requirement, gxpledger new story or gxpledger new spec")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			isFirst := kinds[args[0]].Info().Level == domain.LevelRequirement
			switch {
			case title == "":
				return usage("say with --title what the %s is called", args[0])
			case isFirst && parent != "":
				return usage("a requirement belongs to nothing: leave out --parent")
			case !isFirst && parent == "":
				return usage("say with --parent what the %s belongs to", args[0])
			}
			written, err := gxpledger.WriteDraft(cmd.Context(), gxpledger.DraftRequest{Folder: folder, Kind: kinds[args[0]], Title: title, Parent: parent})
			if err != nil {
				return err
			}
			return a.answer(newDocument{written}, func(screen *render.Screen) {
				screen.Line("%s", written)
				screen.Line("Complete it, and see what a scan would say: gxpledger check --worktree")
			})
		},
	}
	cmd.Flags().StringVar(&title, "title", "", "`TITLE` of the artifact, in one line")
	cmd.Flags().StringVar(&parent, "parent", "", "`ID` of what it belongs to; a requirement has none")
	cmd.Flags().StringVar(&folder, "in", ".", "`FOLDER` of the work tree")
	return cmd
}
