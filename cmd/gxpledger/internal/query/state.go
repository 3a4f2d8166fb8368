package query

import "strings"

// The states of an artifact in the chain from requirement to evidence. The values are stable.
const (
	StateFailed     = "failed"     // a spec: valid evidence leads to it, and says that tests failed; evidence: it says so
	StateOrphaned   = "orphaned"   // it names a parent that is not there, or none at all
	StateWrongKind  = "wrong_kind" // it names a parent at another level
	StateMissing    = "missing"    // nothing of the next level leads to it
	StateDuplicate  = "duplicate"  // another artifact of its kind has the same id
	StateUnverified = "unverified" // a spec: evidence leads to it, and none is valid; evidence: it is not valid
	StateSuspect    = "suspect"    // something that it leads to was changed after it, see [Item.Said]
	StateTransitive = "transitive" // all is well here, but something above or below is not
	StateCovered    = "covered"    // all is well here, above and below
)

// bySeverity is every state, the most severe first.
func bySeverity() [9]string {
	return [...]string{
		StateFailed, StateOrphaned, StateWrongKind, StateMissing, StateDuplicate, StateUnverified, StateSuspect,
		StateTransitive, StateCovered,
	}
}

// States returns every state, the most severe first. Where several apply, the first of them is the state.
func States() []string {
	all := bySeverity()
	return all[:]
}

// severity orders states: the most severe is the least.
func severity(state string) int {
	all := bySeverity()
	for n, s := range all {
		if s == state {
			return n
		}
	}
	return len(all)
}

// worst returns the more severe of two states.
func worst(a, b string) string {
	if severity(b) < severity(a) {
		return b
	}
	return a
}

// StateWords is a state as people say it.
func StateWords(state string) string { return strings.ReplaceAll(state, "_", " ") }
