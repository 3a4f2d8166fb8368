// Package cli is the command line: one file for each command.
//
// A command is an options struct with a constructor and two methods, as scansOptions in scans.go shows:
//
//	newX(a)        the cobra command: use, help with examples, flags
//	validate(args) what is wrong with the arguments, as one usage error
//	run(ctx)       the work, through the plumbing of app.go
//
// and a line in newRoot. Results go to standard output, through [render] and nothing else; everything else to standard
// error. An error is one sentence: see fault.go. Only this package logs, and only when asked to (--verbose).
//
// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done and findings were found. A command that shows findings ends
// with found().
package cli
