// Package packaging makes a release: archives for every platform, packages for Debian and Red Hat, lists of what each binary was made
// from, and checksums. The same commit, built by the same Go, gives the same bytes.
package packaging
