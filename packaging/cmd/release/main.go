// Command release makes the files of a release from the commit that is checked out.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/gxpledger/gxpledger/packaging"
)

func main() {
	var r packaging.Release
	flag.StringVar(&r.Out, "out", "bin/release", "folder of the release; it is replaced")
	flag.StringVar(&r.NFPM, "nfpm", "", "nfpm, as a package at a version")
	flag.StringVar(&r.CycloneDX, "cyclonedx", "", "cyclonedx-gomod, as a package at a version")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := r.Make(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		stop()
		os.Exit(1)
	}
}
