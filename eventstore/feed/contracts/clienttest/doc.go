// Package clienttest holds the tests of what subscribers receive with programs of another language. It has no code of its own.
package clienttest
