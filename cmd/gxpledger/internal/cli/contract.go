package cli

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/eventstore/feed/contracts"
)

// contractDocuments are the contracts that this binary serves and shows.
func contractDocuments() []contracts.Document { return contracts.Documents() }

func newContract(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "contract",
		Short: "Show what services that receive events may rely on",
		Long: "Show what services that receive events may rely on: the JSON Schema of every event, of every version, that of the envelope,\n" +
			"and the AsyncAPI document of the channels. They are those of this binary, and need neither a log nor tables.",
		Example: "  gxpledger contract list\n  gxpledger contract show scan.completed.v2",
		RunE:    chooseCommand,
	}
	cmd.AddCommand(newContractList(a), newContractShow(a))
	return cmd
}

func newContractList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the contracts",
		Example: "  gxpledger contract list\n  gxpledger contract list --json",
		Args:    none,
		RunE: func(*cobra.Command, []string) error {
			entries := contracts.List(contractDocuments())
			table := render.Table{Columns: []render.Column{{Title: "NAME"}, {Title: "BYTES", Align: render.Right}, {Title: "CONTRACT"}}}
			for _, e := range entries {
				table.Add(e.Name, strconv.Itoa(e.Bytes), e.About)
			}
			return a.answer(entries, func(screen *render.Screen) { screen.Table(table) })
		},
	}
}

func newContractShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME",
		Short: "Print a contract as JSON",
		Long: "Print a contract as JSON, byte for byte as it is served below " + contracts.Prefix + ". Name it as contract list does, or by the\n" +
			"dataschema of an event.",
		Example: "  gxpledger contract show asyncapi > asyncapi.json\n  gxpledger contract show urn:gxpledger:schema:artifact.parsed.v2",
		Args:    func(cmd *cobra.Command, args []string) error { return takes(cmd, args, 1, 1, "the name of a contract") },
		RunE: func(_ *cobra.Command, args []string) error {
			documents := contractDocuments()
			document, ok := contracts.Find(documents, args[0])
			if !ok {
				names := make([]string, len(documents))
				for i, d := range documents {
					names[i] = d.Name
				}
				return usage("there is no contract %q: %s", args[0], didYouMean(args[0], names, "gxpledger contract list shows all"))
			}
			if _, err := a.system.Stdout.Write(document.Data); err != nil {
				return fmt.Errorf("write contract: %w", err)
			}
			return nil
		},
	}
}
