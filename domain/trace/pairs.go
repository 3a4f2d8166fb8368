package trace

import "github.com/gxpledger/gxpledger/domain"

// pair is one artifact at two positions of the log; one side is nil for what is new or removed. The links of a side are
// as they resolved at its position.
type pair struct {
	before, after *Version
	moved         bool
}

// matcher pairs the versions of a record.
type matcher struct {
	Span
	changes map[int64][]LinkChange // by artifact, in order
	gone    []*Version             // current at From and not at To
	came    []*Version             // current at To and not at From
	paired  map[*Version]bool      // of gone
	pairs   []pair
}

// match pairs versions by their number, through moves, and then by their place and kind.
func match(span Span, record Record) []pair {
	m := matcher{Span: span, changes: map[int64][]LinkChange{}, paired: map[*Version]bool{}}
	for _, c := range record.LinkChanges {
		m.changes[c.Number] = append(m.changes[c.Number], c)
	}
	for i := range record.Versions {
		v := &record.Versions[i]
		before, after := v.currentAt(m.From), v.currentAt(m.To)
		switch {
		case before && after:
			m.pairs = append(m.pairs, pair{before: m.at(v, m.From), after: m.at(v, m.To)})
		case before:
			m.gone = append(m.gone, v)
		case after:
			m.came = append(m.came, v)
		}
	}
	m.matchNumbers(record.Moves)
	m.matchLocations()
	for _, v := range m.gone {
		if !m.paired[v] {
			m.pairs = append(m.pairs, pair{before: m.at(v, m.From)})
		}
	}
	return m.pairs
}

// matchNumbers pairs what came with what had its number, or had another before it moved.
func (m *matcher) matchNumbers(moves Moves) {
	gone := make(map[int64]*Version, len(m.gone)) // by the number that each got in the end
	for _, v := range m.gone {
		gone[moves.last(v.Number)] = v
	}
	rest := m.came[:0:0]
	for _, v := range m.came {
		old := gone[v.Number]
		if old == nil {
			rest = append(rest, v)
			continue
		}
		m.paired[old] = true
		m.pairs = append(m.pairs, pair{before: m.at(old, m.From), after: m.at(v, m.To), moved: old.Number != v.Number})
	}
	m.came = rest
}

// matchLocations pairs what came with what was at its place. Of several entries of a file with one id, the first is paired
// first.
func (m *matcher) matchLocations() {
	gone := map[location][]*Version{}
	for _, v := range m.gone {
		if !m.paired[v] {
			gone[locationOf(v)] = append(gone[locationOf(v)], v)
		}
	}
	for _, v := range m.came {
		p := pair{after: m.at(v, m.To)}
		if old := gone[locationOf(v)]; len(old) > 0 {
			p.before, m.paired[old[0]] = m.at(old[0], m.From), true
			gone[locationOf(v)] = old[1:]
		}
		m.pairs = append(m.pairs, p)
	}
}

// location is where an artifact is: its path or, of an entry of a file, which others shift, path and id.
type location struct {
	path, id string
	kind     domain.Kind
	entry    bool
}

func locationOf(v *Version) location {
	if v.Ordinal > 0 {
		return location{path: v.Path, kind: v.Kind, id: v.GxPID, entry: true}
	}
	return location{path: v.Path, kind: v.Kind}
}

// at returns a version with its links as they resolved at a position.
func (m *matcher) at(v *Version, position int64) *Version {
	links := linksOf([]Version{*v})
	links.advance(v.Position)
	for _, c := range m.changes[v.Number] {
		if c.Position > v.Position && c.Position <= position {
			links.apply(c)
		}
	}
	then := *v
	then.Links = links.links
	return &then
}

// last returns the number that an artifact got in the end.
func (m Moves) last(number int64) int64 {
	numbers := m.Numbers(number)
	return numbers[len(numbers)-1]
}
