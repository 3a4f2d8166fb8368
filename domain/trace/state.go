package trace

import (
	"slices"
	"strings"
)

// State is the state of an artifact in the traceability from requirement to evidence.
type State string

// The states of an artifact. The values are stable.
const (
	StateFailed     State = "failed"     // a spec: evidence that leads to it says that tests failed; evidence: it says so
	StateOrphaned   State = "orphaned"   // it names a parent that is not there, or none at all
	StateWrongKind  State = "wrong_kind" // it names a parent at another level
	StateMissing    State = "missing"    // nothing of the next level leads to it
	StateDuplicate  State = "duplicate"  // another artifact of its kind has the same id
	StateUnverified State = "unverified" // a spec: evidence leads to it, and none of it passed; evidence: it is not valid, or its results are unknown
	StateSuspect    State = "suspect"    // something that it leads to was changed after it, see [Artifact.LastChanged]
	StateTransitive State = "transitive" // nothing is wrong with it, but with something above or below it
	StateCovered    State = "covered"    // nothing is wrong with it, nor with anything above or below it
)

// bySeverity is every state, the most severe first.
func bySeverity() [9]State {
	return [...]State{
		StateFailed, StateOrphaned, StateWrongKind, StateMissing, StateDuplicate, StateUnverified, StateSuspect,
		StateTransitive, StateCovered,
	}
}

// States returns every state, the most severe first. Where several apply to an artifact, the first of them is its state.
func States() []State {
	all := bySeverity()
	return all[:]
}

// Words is the state as people read it: "wrong kind".
func (s State) Words() string { return strings.ReplaceAll(string(s), "_", " ") }

// severity orders states: that of the most severe is the least. A state that is none of the constants is after all others.
func (s State) severity() int {
	all := bySeverity()
	if n := slices.Index(all[:], s); n >= 0 {
		return n
	}
	return len(all)
}

// worse returns the more severe of two states.
func worse(a, b State) State {
	if b.severity() < a.severity() {
		return b
	}
	return a
}

// StateCounts is how many artifacts are in each state. Every state is there.
type StateCounts map[State]int64

func newStateCounts() StateCounts {
	counts := StateCounts{}
	for _, s := range bySeverity() {
		counts[s] = 0
	}
	return counts
}
