package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
)

// whoFlags are the flags --actor and --reason of commands that change something.
type whoFlags struct{ actor, reason string }

func (f *whoFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.reason, "reason", "", "`REASON` for the change, recorded in the audit trail (required)")
	cmd.Flags().StringVar(&f.actor, "actor", "", "`NAME` of the actor (default: the user of the operating system)")
}

func (f *whoFlags) check() error {
	if f.reason == "" {
		return usage("the flag --reason is required: give the reason for the change; it is recorded in the audit trail")
	}
	for flag, value := range map[string]string{"reason": f.reason, "actor": f.actor} {
		if len(value) > longestFlag {
			return usage("the flag --%s has %d bytes: want at most %d", flag, len(value), longestFlag)
		}
	}
	return nil
}

// longestFlag bounds names, actors and reasons, in bytes: they are stored permanently.
const longestFlag = 1000

// projectionArgs are the projections of a command: one that is named, or all.
type projectionArgs struct {
	all   bool
	names []string // nil for all
}

func (p *projectionArgs) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&p.all, "all", false, "all projections")
}

func (p *projectionArgs) check(args []string) error {
	known := gxpledger.Projections()
	switch {
	case len(args) == 1 && p.all:
		return usage("%s and --all exclude each other: give one of them", args[0])
	case p.all:
		return nil
	case len(args) == 0:
		return usage("no projection is named: give one of %s, or --all", strings.Join(known, ", "))
	case !slices.Contains(known, args[0]):
		return usage("unknown projection %q: %s", args[0], didYouMean(args[0], known, "want one of "+strings.Join(known, ", ")))
	}
	p.names = args
	return nil
}
