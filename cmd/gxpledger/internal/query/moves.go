package query

import "context"

// span is a range of positions: after the first, up to the last. The zero value is the whole log.
type span struct{ after, upTo int64 }

// moves knows which artifact moved to the place of which: by number, both ways.
type moves struct {
	to, from map[int64]int64
}

// fromMoves joins versions v that came from elsewhere with those that went there, g. No place is the empty text, which
// makes the condition one that the index over moved_from answers.
const fromMoves = `FROM artifact_versions v JOIN artifact_versions g ON g.repository_id = v.repository_id
	AND g.ended_scan_id = v.scan_id AND g.moved_to IS NOT NULL
	AND v.moved_from = CASE g.ordinal WHEN 0 THEN g.path ELSE g.path || '#' || g.ordinal END`

// moves reads the moves of a repository within a range of positions. A move is a version that began with moved_from in
// the scan in which another ended with moved_to.
func (r *Reader) moves(ctx context.Context, repository string, within span) (moves, error) {
	type move struct{ from, to int64 }
	var w where
	w.and("v.repository_id = ?", repository)
	w.and("v.moved_from > ''")
	if within != (span{}) {
		w.and("v.scan_id IN ("+inSpan+")", repository, within.after, within.upTo)
	}
	pairs, err := load(ctx, r, []column[move]{
		{"g.number", func(m *move) any { return &m.from }},
		{"v.number", func(m *move) any { return &m.to }},
	}, fromMoves+w.String(), w.args...)
	if err != nil {
		return moves{}, err
	}
	m := moves{to: make(map[int64]int64, len(pairs)), from: make(map[int64]int64, len(pairs))}
	for _, p := range pairs {
		m.to[p.from], m.from[p.to] = p.to, p.from
	}
	return m, nil
}

// chain returns the numbers that one artifact had as it moved, the first one first.
func (m moves) chain(number int64) []int64 {
	first := number
	for seen := map[int64]bool{}; !seen[first]; {
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

// last returns the number that an artifact came to have.
func (m moves) last(number int64) int64 {
	chain := m.chain(number)
	return chain[len(chain)-1]
}
