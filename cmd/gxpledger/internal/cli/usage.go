package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

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
	if wrong, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		if errors.Is(err, errEmpty) {
			return emptyFlag(wrong.GetFlag())
		}
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

// optionally is oneOf without a default.
func optionally(words ...string) *choice { return &choice{words: words} }

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

// No flag and no argument takes an empty value, or blanks alone: a pipeline passes it when a variable is not set, and it would
// silently mean something else. emptyFlags are the exceptions, each with the meaning of its empty value.
func emptyFlags() map[string]string {
	return map[string]string{"esdb-writable": "every stream except those of gxpledger"}
}

var errEmpty = errors.New("the value is empty")

// isBlank reports whether a text shows nothing: it is empty, or holds only spaces and characters that have no shape.
func isBlank(text string) bool {
	return strings.TrimFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) }) == ""
}

// refuseEmptyFlags makes every flag of a tree of commands refuse an empty value.
func refuseEmptyFlags(cmd *cobra.Command) {
	refuse := func(flag *pflag.Flag) {
		if _, allowed := emptyFlags()[flag.Name]; allowed || flag.Value.Type() == "bool" { // which is true, false or an error
			return
		}
		if list, ok := flag.Value.(pflag.SliceValue); ok {
			flag.Value = filledList{filled{flag.Value}, list}
			flag.DefValue = strings.TrimSuffix(flag.DefValue, "[]") // or help would show it
			return
		}
		flag.Value = filled{flag.Value}
	}
	cmd.Flags().VisitAll(refuse)
	cmd.PersistentFlags().VisitAll(refuse)
	for _, sub := range cmd.Commands() {
		refuseEmptyFlags(sub)
	}
}

// filled is the value of a flag that must not be empty.
type filled struct{ pflag.Value }

// Set refuses an empty value.
func (f filled) Set(text string) error {
	if isBlank(text) {
		return errEmpty
	}
	return f.Value.Set(text)
}

// filledList is one that may be given several times.
type filledList struct {
	filled
	pflag.SliceValue
}

// emptyFlag is the sentence on a flag with an empty value.
func emptyFlag(flag *pflag.Flag) error {
	orNot := ", or leave the flag out"
	if strings.HasSuffix(flag.Usage, "(required)") {
		orNot = ""
	}
	return usage("the flag --%s is empty: want %s%s", flag.Name, expects(flag), orNot)
}

// refuseEmptyArguments refuses an empty argument of a command.
func refuseEmptyArguments(cmd *cobra.Command, args []string) error {
	for i, arg := range args {
		if isBlank(arg) {
			_, wants, _ := strings.Cut(cmd.Use, " ")
			if cmd.HasSubCommands() {
				wants = "COMMAND"
			}
			return usage("argument %d of %s is empty: want %s", i+1, cmd.CommandPath(), strings.TrimSpace(cmd.CommandPath()+" "+wants))
		}
	}
	return nil
}
