package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
)

func newCheck(a *app) *cobra.Command {
	o := newScanOptions(a)
	format := oneOf("text", "github", "gitlab", "sarif", "junit")
	all := false
	cmd := &cobra.Command{
		Use:   "check [REPOSITORY|URL]",
		Short: "Say what a scan would find, and record nothing",
		Long: "Read the .gxp directory of one revision, and list what a scan would be refused for, files that cannot be read, and what\n" +
			"reviewers should know. Nothing is recorded and no home is made. Where the log knows the repository, its recorded\n" +
			"settings count. The exit code is 3 if there is an error, 0 if there are warnings alone.",
		Example: "  gxpledger check --worktree                            before a commit\n" +
			"  gxpledger check --format github                       annotations in a pull request on GitHub\n" +
			"  gxpledger check --format sarif > gxpledger.sarif      for a code scanner\n" +
			"  gxpledger check --format gitlab > codequality.json    for a merge request on GitLab",
		Args: func(cmd *cobra.Command, args []string) error { return atMostOne(cmd, "repository", args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.json && format.value != "text" {
				return usage("--json and --format %s exclude each other", format.value)
			}
			if err := o.validate(args); err != nil {
				return err
			}
			return o.check(cmd.Context(), format.value, all)
		},
	}
	o.addReading(cmd.Flags())
	cmd.Flags().Var(format, "format", "format of the answer: text, github, gitlab, sarif or junit")
	cmd.Flags().BoolVar(&all, "all", false, "list every problem, however many are of one kind")
	return cmd
}

// check lists what a scan would find.
func (o *scanOptions) check(ctx context.Context, format string, all bool) error {
	request, err := o.request()
	if err != nil {
		return err
	}
	progress := o.app.progress()
	request.Progress = func(p gxpledger.ScanProgress) { progress.Say(scanProgress(p)) }
	report, err := o.app.ledger.Check(ctx, request)
	progress.Done()
	if err != nil {
		return err
	}
	switch {
	case o.app.json:
		err = render.Document(o.app.system.Stdout, report)
	case format != "text":
		err = render.Annotations(o.app.system.Stdout, format, report, buildInfo().Version)
	default:
		screen := o.app.screen()
		render.Check(screen, report, all)
		err = screen.Err()
	}
	if err == nil && report.Errors() > 0 {
		return found()
	}
	return err
}
