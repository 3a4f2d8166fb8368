// Package acceptance holds the tests of the whole: real commands on real repositories, from a git revision to the rows
// that a reviewer reads.
package acceptance
