// Command summary reads the output of the benchmarks from its standard input and prints it as a Markdown table.
package main

import (
	"fmt"
	"os"

	"github.com/gxpledger/gxpledger/benchmarks/summary"
)

func main() {
	if err := summary.Write(os.Stdout, os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "summary:", err)
		os.Exit(1)
	}
}
