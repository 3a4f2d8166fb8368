// Package clienttest holds the tests of package esdbserver with clients of other languages. It has no code of its own.
package clienttest
