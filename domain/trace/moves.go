package trace

// Move says that an artifact went to another place: there it has another number.
type Move struct{ From, To int64 }

// Moves says which artifact of one repository moved to the place of which.
type Moves struct{ to, from map[int64]int64 }

// NewMoves returns the moves between artifacts of one repository.
func NewMoves(moves []Move) Moves {
	m := Moves{to: make(map[int64]int64, len(moves)), from: make(map[int64]int64, len(moves))}
	for _, move := range moves {
		m.to[move.From], m.from[move.To] = move.To, move.From
	}
	return m
}

// Numbers returns the numbers that one artifact had as it moved, the first one first. number is any of them.
func (m Moves) Numbers(number int64) []int64 {
	first := number
	for seen := map[int64]bool{}; !seen[first]; { // a record that contradicts itself may go round in circles
		seen[first] = true
		if before, moved := m.from[first]; moved {
			first = before
		}
	}
	out := []int64{first}
	for next, moved := m.to[first]; moved && next != first; next, moved = m.to[next] {
		out = append(out, next)
	}
	return out
}
