package trace

import (
	"cmp"
	"slices"
)

// Period is the time for which one artifact made one statement, in numbers of scans of its repository: from the scan that
// recorded it to the one after which it did not say so any more.
type Period struct{ Began, Ended int64 }

// UnbrokenSince returns since which scan a statement, last recorded in the scan current, holds without a break.
// ended are the periods for which artifacts made the same statement before; UnbrokenSince reorders them.
func UnbrokenSince(current int64, ended []Period) int64 {
	slices.SortFunc(ended, func(a, b Period) int { return cmp.Compare(b.Ended, a.Ended) })
	for _, p := range ended {
		if p.Ended < current {
			break
		}
		current = min(current, p.Began)
	}
	return current
}

// UnchangedMove is a move that left the bytes as they were. Changed and First are the numbers of the scans that last changed
// the artifact before the move, and that first recorded it at the place that it left.
type UnchangedMove struct{ From, Changed, First int64 }

// ChangedBeforeMoves follows the moves of an artifact that did not change since the scan that recorded it where it is, and
// returns the scan that last changed it. moves are by the number after the move.
func ChangedBeforeMoves(number, recorded int64, moves map[int64]UnchangedMove) int64 {
	changed := recorded
	for {
		m, moved := moves[number]
		if !moved || m.From >= number { // numbers grow; the other way around the record contradicts itself
			return changed
		}
		number, changed = m.From, m.Changed
		if m.Changed != m.First {
			return changed
		}
	}
}
