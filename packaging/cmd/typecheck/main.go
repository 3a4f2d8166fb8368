// Command typecheck checks that the module compiles, tests included, on each platform that it is given, such as windows/amd64.
//
// It reads sources and makes no code, which takes a tenth of the time of go build: what it cannot find are faults of the compiler and
// the linker. The task release builds the binaries of all platforms.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/tools/go/packages"
)

func main() {
	for _, platform := range os.Args[1:] {
		if err := check(platform); err != nil {
			fmt.Fprintf(os.Stderr, "typecheck: %s: %v\n", platform, err)
			os.Exit(1)
		}
	}
}

func check(platform string) error {
	system, architecture, ok := strings.Cut(platform, "/")
	if !ok {
		return errors.New("want GOOS/GOARCH")
	}
	all, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedDeps | packages.NeedSyntax |
			packages.NeedTypes | packages.NeedTypesInfo | packages.NeedTypesSizes,
		Env:   append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+architecture),
		Tests: true,
	}, "./...")
	if err != nil {
		return err
	}
	if n := packages.PrintErrors(all); n > 0 {
		return fmt.Errorf("%d errors", n)
	}
	if len(all) == 0 {
		return errors.New("there are no packages here")
	}
	return nil
}
