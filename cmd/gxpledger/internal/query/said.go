package query

import "context"

// addSaid finds the number of the scan that last changed what each artifact says.
func (r *Reader) addSaid(ctx context.Context, c *chain, repository string) error {
	numbers, err := r.allScanNumbers(ctx, repository)
	if err != nil {
		return err
	}
	moved := map[string]map[int64]samelyMoved{}
	for _, i := range c.items {
		i.Said, i.first = numbers[i.saidScanID], numbers[i.firstScanID]
		if i.Said != i.first {
			continue // changed where it is
		}
		of, known := moved[i.RepositoryID]
		if !known {
			if of, err = r.samelyMoved(ctx, i.RepositoryID); err != nil {
				return err
			}
			moved[i.RepositoryID] = of
		}
		i.Said = before(i.Number, i.Said, of, numbers)
	}
	return nil
}

// samelyMoved is an artifact whose bytes came from another place unchanged: the artifact that was there, the scan that last
// changed what that said, and the one that recorded it first.
type samelyMoved struct {
	to, from        int64
	said, firstScan string
}

// before follows the moves of an artifact that did not change since it appeared where it is.
func before(number, said int64, moved map[int64]samelyMoved, numbers map[string]int64) int64 {
	for {
		m, there := moved[number]
		if !there || m.from >= number { // numbers grow; the other way around the tables contradict themselves
			return said
		}
		number, said = m.from, numbers[m.said]
		if m.said != m.firstScan {
			return said
		}
	}
}

// samelyMoved reads the moves of a repository that left the bytes as they were, by the number after the move.
func (r *Reader) samelyMoved(ctx context.Context, repository string) (map[int64]samelyMoved, error) {
	const first = `(SELECT f.scan_id FROM artifact_versions f
		WHERE f.repository_id = g.repository_id AND f.number = g.number AND f.version = 1)`
	const said = `COALESCE((SELECT c.scan_id FROM artifact_versions c
		WHERE c.repository_id = g.repository_id AND c.number = g.number AND c.change <> 'reread'
		ORDER BY c.version DESC LIMIT 1), g.scan_id)`
	all, err := load(ctx, r, []column[samelyMoved]{
		{"v.number", func(m *samelyMoved) any { return &m.to }},
		{"g.number", func(m *samelyMoved) any { return &m.from }},
		{said, func(m *samelyMoved) any { return &m.said }},
		{first, func(m *samelyMoved) any { return optional(&m.firstScan) }},
	}, fromMoves+" WHERE v.repository_id = ? AND v.moved_from > '' AND v.digest = g.digest", repository)
	out := make(map[int64]samelyMoved, len(all))
	for _, m := range all {
		out[m.to] = m
	}
	return out, err
}

// allScanNumbers maps the id of each scan of a repository, or of all when that is "", to its number.
func (r *Reader) allScanNumbers(ctx context.Context, repository string) (map[string]int64, error) {
	type pair struct {
		id     string
		number int64
	}
	var w where
	is(&w, "repository_id", repository)
	pairs, err := load(ctx, r, []column[pair]{
		{"scan_id", func(p *pair) any { return &p.id }},
		{"number", func(p *pair) any { return &p.number }},
	}, "FROM scans"+w.String(), w.args...)
	numbers := make(map[string]int64, len(pairs))
	for _, p := range pairs {
		numbers[p.id] = p.number
	}
	return numbers, err
}
