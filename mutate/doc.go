// Command mutate puts deliberate faults into packages of gxpledger, one at a time, and runs their tests: a fault that no test
// notices is a test that is missing.
//
//	go run . -n 300 -seed 1 ../domain ../eventstore/recorder
//
// It prints a line for each fault that survived, and the score of each package: the share of the faults that the tests noticed.
// The faults are a sample that depends on the seed and the package alone, so that a run can be repeated. Source files are never
// written: the go command is given a changed copy by its -overlay flag.
//
// Faults that change nothing anybody can observe are listed, with the reason, in equivalent.txt, and are left out.
package main
