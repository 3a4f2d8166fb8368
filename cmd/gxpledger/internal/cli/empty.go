package cli

import (
	"errors"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

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
func emptyFlag(err error) error {
	wrong, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return err
	}
	flag := wrong.GetFlag()
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
