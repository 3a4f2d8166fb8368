// Package cli is the command line: one file for each command.
//
// A command is an options struct with a constructor and two methods, as auditOptions in audit.go shows, and a line in newRoot:
//
//	newX(a)        the cobra command: use, help with examples, flags
//	validate(args) checks the arguments and returns one usage error
//	run(ctx)       calls package gxpledger, which does the work, and shows the result
//
// Results go to standard output, through package render; everything else goes to standard error. An error is one sentence:
// see fault.go. Only this package logs, and only with --verbose.
//
// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done with findings. A command that shows findings ends with found().
package cli
