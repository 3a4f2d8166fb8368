// Package race tells tests whether the race detector watches them. Watched, the largest sizes take minutes, so tests whose
// point is a size take a smaller one then, and the task test:large runs them unwatched.
package race

// Enabled reports whether the race detector is on.
const Enabled = enabled
