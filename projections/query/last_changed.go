package query

import (
	"context"
	"slices"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/trace"
)

// addLastChanged finds the number of the scan that last changed the bytes of each artifact.
func (r *Reader) addLastChanged(ctx context.Context, rows []tracedRow, repository string) error {
	numbers, err := r.scanNumbers(ctx, repository)
	if err != nil {
		return err
	}
	moves := map[string]map[int64]trace.UnchangedMove{}
	for i := range rows {
		a := &rows[i]
		if a.LastChanged = numbers[a.changeScanID]; a.LastChanged != numbers[a.firstScanID] {
			continue // changed where it is
		}
		of, known := moves[a.RepositoryID]
		if !known {
			if of, err = r.movedUnchanged(ctx, a.RepositoryID, numbers); err != nil {
				return err
			}
			moves[a.RepositoryID] = of
		}
		a.LastChanged = trace.ChangedBeforeMoves(a.Number, a.LastChanged, of)
	}
	return r.addUnbroken(ctx, rows, numbers)
}

// movedUnchanged reads the moves of a repository that left the bytes as they were, by the number after the move.
func (r *Reader) movedUnchanged(
	ctx context.Context, repository string, numbers map[string]int64,
) (map[int64]trace.UnchangedMove, error) {
	const first = `(SELECT f.scan_id FROM artifact_versions f
		WHERE f.repository_id = g.repository_id AND f.number = g.number AND f.version = 1)`
	const changed = `COALESCE((SELECT c.scan_id FROM artifact_versions c
		WHERE c.repository_id = g.repository_id AND c.number = g.number AND c.change <> 'reread'
		ORDER BY c.version DESC LIMIT 1), g.scan_id)`
	type move struct {
		from, to       int64
		changed, first string
	}
	all, err := load(ctx, r, []column[move]{
		{"v.number", func(m *move) any { return &m.to }},
		{"g.number", func(m *move) any { return &m.from }},
		{changed, func(m *move) any { return &m.changed }},
		{first, func(m *move) any { return optional(&m.first) }},
	}, fromMoves+" WHERE v.repository_id = ? AND v.moved_from > '' AND v.digest = g.digest", repository)
	out := make(map[int64]trace.UnchangedMove, len(all))
	for _, m := range all {
		out[m.to] = trace.UnchangedMove{From: m.from, Changed: numbers[m.changed], First: numbers[m.first]}
	}
	return out, err
}

// text is what artifacts of one kind say, to the byte.
type text struct {
	repository string
	kind       domain.Kind
	digest     string
}

// maxIDs is how many ids one query names.
const maxIDs = 500

// addUnbroken makes artifacts as old as their bytes have been in the tree without a break, in whichever file: a copy says
// nothing new, and neither does what was copied over another file.
func (r *Reader) addUnbroken(ctx context.Context, rows []tracedRow, numbers map[string]int64) error {
	since := make(map[text]int64, len(rows))
	ids := map[string][]string{}
	for i := range rows {
		a := &rows[i]
		t := text{a.RepositoryID, a.Kind, a.digest}
		if changed, known := since[t]; !known || a.LastChanged < changed {
			since[t] = a.LastChanged
		}
		if a.GxPID != "" && a.LastChanged > 1 {
			ids[a.RepositoryID] = append(ids[a.RepositoryID], a.GxPID)
		}
	}
	ended := map[text][]trace.Period{}
	for repository, all := range ids {
		slices.Sort(all)
		for some := range slices.Chunk(slices.Compact(all), maxIDs) {
			if err := r.addEnded(ctx, repository, some, numbers, ended); err != nil {
				return err
			}
		}
	}
	for t, periods := range ended {
		if changed, current := since[t]; current {
			since[t] = trace.UnbrokenSince(changed, periods)
		}
	}
	for i := range rows {
		rows[i].LastChanged = since[text{rows[i].RepositoryID, rows[i].Kind, rows[i].digest}]
	}
	return nil
}

// addEnded reads the periods for which versions with these ids were current that are not any more.
func (r *Reader) addEnded(
	ctx context.Context, repository string, ids []string, numbers map[string]int64, ended map[text][]trace.Period,
) error {
	type version struct {
		text
		began, ended string
	}
	var w where
	w.and("repository_id = ?", repository)
	w.and("ended_scan_id IS NOT NULL")
	in(&w, "gxp_id", ids)
	versions, err := load(ctx, r, []column[version]{
		{"kind", func(v *version) any { return (*string)(&v.kind) }},
		{"digest", func(v *version) any { return &v.digest }},
		{"scan_id", func(v *version) any { return &v.began }},
		{"ended_scan_id", func(v *version) any { return &v.ended }},
	}, "FROM artifact_versions"+w.String(), w.args...)
	for _, v := range versions {
		v.repository = repository
		ended[v.text] = append(ended[v.text], trace.Period{Began: numbers[v.began], Ended: numbers[v.ended]})
	}
	return err
}
