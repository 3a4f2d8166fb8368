// Package benchmarks times gxpledger beside its peers, in one run on one machine. It is a module of its own, so that no
// peer becomes a dependency of the product. README.md says how to run it and what each contender guarantees.
package benchmarks
