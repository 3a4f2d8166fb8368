package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gxpledger/gxpledger/internal/spelling"
)

// chooseCommand answers a command that only has subcommands: with its help, or with the one that was meant.
func chooseCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			names = append(names, sub.Name())
		}
	}
	return usage("%s has no command %q: %s", cmd.CommandPath(), args[0], didYouMean(args[0], names, cmd.CommandPath()+" --help lists all"))
}

// didYouMean names the nearest of what there is, or says where to look.
func didYouMean(word string, known []string, otherwise string) string {
	near := spelling.Nearest(word, known, 2)
	if len(near) == 0 {
		return otherwise
	}
	return "did you mean " + strings.Join(near, " or ") + "?"
}

// wrongFlag turns what pflag says into one sentence.
func wrongFlag(cmd *cobra.Command, err error) error {
	if before := cmd.Flags().Args(); cmd.HasSubCommands() && len(before) > 0 {
		return chooseCommand(cmd, before) // a command that does not exist has no flags either
	}
	seeHelp := cmd.CommandPath() + " --help lists all"
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		name := unknown.GetSpecifiedName()
		if group := unknown.GetSpecifiedShortnames(); group != "" {
			return usage("%s has no flag -%s: %s", cmd.CommandPath(), name, seeHelp)
		}
		return usage("%s has no flag --%s: %s", cmd.CommandPath(), name, flagMeant(cmd, name, seeHelp))
	}
	if missing, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return usage("the flag --%s needs a value: want %s", missing.GetFlag().Name, expects(missing.GetFlag()))
	}
	if errors.Is(err, errEmpty) {
		return emptyFlag(err)
	}
	if wrong, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return usage("the flag --%s does not take %q: %s", wrong.GetFlag().Name, wrong.GetValue(), because(wrong))
	}
	return usage("%v: %s", err, seeHelp)
}

// flagMeant names the flags of a command that are nearest to name, or says where to look. The dashes are no part of the
// comparison: with them every short name is near every other.
func flagMeant(cmd *cobra.Command, name, otherwise string) string {
	var names []string
	add := func(flag *pflag.Flag) {
		if !flag.Hidden {
			names = append(names, flag.Name)
		}
	}
	cmd.Flags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	near := spelling.Nearest(name, names, 2)
	if len(near) == 0 {
		return otherwise
	}
	return "did you mean --" + strings.Join(near, " or --") + "?"
}

// expects names what a flag takes.
func expects(flag *pflag.Flag) string {
	name, _ := pflag.UnquoteUsage(flag)
	if flag.Value.Type() == "bool" {
		name = "true|false"
	}
	return strings.ReplaceAll(name, "|", " or ")
}

// because says why a value was refused. The errors of our own flags are sentences; those of pflag name Go functions.
func because(wrong *pflag.InvalidValueError) string {
	if reason, ok := errors.AsType[*valueError](wrong); ok {
		return reason.text
	}
	return "want " + expects(wrong.GetFlag())
}

// valueError is the error of a flag's value.
type valueError struct{ text string }

// Error returns what was expected.
func (e *valueError) Error() string { return e.text }

func wrongValue(format string, args ...any) error {
	return &valueError{text: fmt.Sprintf(format, args...)}
}

// atMostOne checks the arguments of a command that takes one or none.
func atMostOne(cmd *cobra.Command, what string, args []string) error {
	if len(args) > 1 {
		return usage("%s takes one %s: leave out %q", cmd.CommandPath(), what, args[1])
	}
	return nil
}

// takes checks the number of arguments.
func takes(cmd *cobra.Command, args []string, least, most int, names string) error {
	switch {
	case len(args) < least:
		return usage("%s needs %s: %s --help shows examples", cmd.CommandPath(), names, cmd.CommandPath())
	case len(args) > most:
		return usage("%s takes %s: leave out %q", cmd.CommandPath(), names, args[most])
	}
	return nil
}

// none checks the arguments of a command that takes none.
func none(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("%s takes no arguments: leave out %q", cmd.CommandPath(), args[0])
	}
	return nil
}

// choice is a flag that takes one of some words.
type choice struct {
	value string
	words []string
}

func oneOf(words ...string) *choice { return &choice{value: words[0], words: words} }

// Set accepts one of the words.
func (c *choice) Set(value string) error {
	if slices.Contains(c.words, value) {
		c.value = value
		return nil
	}
	want := "want " + strings.Join(c.words, " or ")
	if near := spelling.Nearest(value, c.words, 1); len(near) > 0 {
		want += "; did you mean " + near[0] + "?"
	}
	return wrongValue("%s", want)
}

// String returns the word chosen.
func (c *choice) String() string { return c.value }

// Type lists the words.
func (c *choice) Type() string { return strings.Join(c.words, "|") }
