package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// shells are those that completions are written for.
func shells() []string { return []string{"bash", "zsh", "fish", "powershell"} }

// newCompletion replaces the command of cobra, whose texts and errors are not ours.
func newCompletion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print the completions of a shell",
		Long: "Print a script that completes commands and flags in a shell: bash, zsh, fish or powershell. The packages for Debian and\n" +
			"Red Hat install those of the first three.",
		Example: "  gxpledger completion bash > ~/.local/share/bash-completion/completions/gxpledger\n" +
			"  gxpledger completion fish > ~/.config/fish/completions/gxpledger.fish",
		Args: func(cmd *cobra.Command, args []string) error { return takes(cmd, args, 1, 1, "a shell") },
		RunE: func(cmd *cobra.Command, args []string) error {
			out, root := a.system.Stdout, cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(out)
			}
			return usage("there are no completions of %q: want %s", args[0], strings.Join(shells(), " or "))
		},
	}
}

// newManual is hidden: releases call it, people read what it writes with man.
func newManual() *cobra.Command {
	return &cobra.Command{
		Use:     "manual FOLDER",
		Short:   "Write a page of the manual for each command",
		Long:    "Write a page of the manual for each command into a folder, in the format of man.",
		Example: "  gxpledger manual man1",
		Hidden:  true,
		Args:    func(cmd *cobra.Command, args []string) error { return takes(cmd, args, 1, 1, "a folder") },
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := writeManual(cmd.Root(), args[0], buildInfo()); err != nil {
				return failed(err, "cannot write the manual (%v): choose another folder", err)
			}
			return nil
		},
	}
}

// writeManual writes the page of a command and those of the commands below it.
func writeManual(cmd *cobra.Command, folder string, build versionDocument) error {
	if cmd.Hidden || cmd.Name() == "help" {
		return nil
	}
	const readable, listable = 0o644, 0o755
	if err := os.MkdirAll(folder, listable); err != nil {
		return err
	}
	var page strings.Builder
	writePage(&page, cmd, build)
	if err := os.WriteFile(filepath.Join(folder, pageName(cmd)+".1"), []byte(page.String()), readable); err != nil {
		return err
	}
	for _, sub := range cmd.Commands() {
		if err := writeManual(sub, folder, build); err != nil {
			return err
		}
	}
	return nil
}

// pageName is the name of a command's page, gxpledger-log-copy.
func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// writePage writes the page of one command. The same build gives the same bytes.
func writePage(w io.Writer, cmd *cobra.Command, build versionDocument) {
	day := ""
	if at, err := time.Parse(time.RFC3339, build.Time); err == nil {
		day = at.UTC().Format(time.DateOnly)
	}
	fmt.Fprintf(w, ".TH %q 1 %q %q %q\n", strings.ToUpper(pageName(cmd)), day, "gxpledger "+build.Version, "gxpledger manual")
	fmt.Fprintf(w, ".SH NAME\n%s \\- %s\n.SH SYNOPSIS\n.B %s\n", roff(pageName(cmd)), roff(cmd.Short), roff(cmd.UseLine()))
	long := cmd.Long
	if long == "" {
		long = cmd.Short + "."
	}
	fmt.Fprintf(w, ".SH DESCRIPTION\n%s\n", strings.ReplaceAll(roff(long), "\n\n", "\n.PP\n"))
	var pages []string
	if parent := cmd.Parent(); parent != nil {
		pages = append(pages, pageName(parent))
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintln(w, ".SH COMMANDS")
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(w, ".TP\n.B %s\n%s\n", roff(sub.Name()), roff(sub.Short))
				pages = append(pages, pageName(sub))
			}
		}
	}
	writeOptions(w, "OPTIONS", cmd.NonInheritedFlags())
	writeOptions(w, "GLOBAL OPTIONS", cmd.InheritedFlags())
	if cmd.Example != "" {
		fmt.Fprintf(w, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(cmd.Example))
	}
	fmt.Fprintf(w, ".SH EXIT STATUS\n%d done, %d failed, %d wrong usage, %d done with findings.\n", exitDone, exitFailed, exitUsage, exitFindings)
	if len(pages) > 0 {
		fmt.Fprintf(w, ".SH SEE ALSO\n%s(1)\n", roff(strings.Join(pages, "(1), ")))
	}
}

func writeOptions(w io.Writer, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(w, ".SH %s\n", title)
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Hidden {
			return
		}
		value, text := pflag.UnquoteUsage(flag)
		name := "--" + flag.Name
		if flag.Shorthand != "" {
			name = "-" + flag.Shorthand + ", " + name
		}
		fmt.Fprintf(w, ".TP\n.B %s\n%s\n", roff(strings.TrimSpace(name+" "+value)), roff(text))
	})
}

// roff returns a text that man shows as it is: no character of it is a command of roff.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
