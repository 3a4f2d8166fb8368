package cli

import (
	"context"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/gxpledger/gxpledger"
	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/api"
	"github.com/gxpledger/gxpledger/eventstore/recorder"
)

// NewRoot returns the tree of all commands, for tests that sweep over it.
func NewRoot() *cobra.Command {
	return newRoot(newApp(System{Env: func(string) (string, bool) { return "", false }}), nil)
}

// EmptyFlags names the flags that take an empty value.
func EmptyFlags() map[string]string { return emptyFlags() }

// VersionOf returns what version says of a build.
func VersionOf(info *debug.BuildInfo) any { return versionOf(info) }

// ShowFailedScan shows, with --json, a scan that a recorder could not complete, and returns the exit code.
func (s System) ShowFailedScan(ctx context.Context, outcome recorder.Outcome, cause error) int {
	a := newApp(s)
	a.json = true
	return a.report(ctx, (&scanOptions{app: a}).failed(ctx, gxpledger.ScanResult{Outcome: outcome}, cause))
}

// OneLine is oneLine.
func OneLine(text string) string { return oneLine(text) }

// Operations is the table of all that is answered over HTTP. They cannot be carried out.
func Operations() []api.Operation {
	s := &httpService{app: newApp(System{}), failed: func(string, error) {}}
	s.events = api.NewEvents(nil, s.streamOf, nil)
	return s.operations(api.NewScans(context.Background(), nil, s.scan))
}
