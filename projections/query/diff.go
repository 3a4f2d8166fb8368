package query

import (
	"context"
	"slices"

	"github.com/gxpledger/gxpledger/domain/trace"
)

// Diff is what differs between the trees of one repository at two points in time.
type Diff struct {
	RepositoryID string `json:"repository_id"`
	Repository   string `json:"repository"`
	// From and To are the last scans of the repository that were recorded by then; absent where none was yet.
	From *Scan `json:"from,omitempty"`
	To   *Scan `json:"to,omitempty"`
	// FromPoint and ToPoint say whose tree each side is.
	FromPoint Shown `json:"from_point"`
	ToPoint   Shown `json:"to_point"`
	trace.Differences
}

// Diff compares the tree of a repository as of from with that as of to; from may be the later one. A failed scan left
// the tree as it was, and before the first scan there was none.
func (r *Reader) Diff(ctx context.Context, repository Repository, from, to ResolvedPoint) (Diff, error) {
	d := Diff{RepositoryID: repository.ID, Repository: repository.Name}
	span := trace.Span{From: int64(from.Position), To: int64(to.Position)} //nolint:gosec // positions stay far below 2^63
	var err error
	if d.FromPoint, err = r.shownAt(ctx, from, repository); err != nil {
		return Diff{}, err
	}
	if d.ToPoint, err = r.shownAt(ctx, to, repository); err != nil {
		return Diff{}, err
	}
	if d.From, err = r.lastScan(ctx, repository, span.From); err != nil {
		return Diff{}, err
	}
	if d.To, err = r.lastScan(ctx, repository, span.To); err != nil {
		return Diff{}, err
	}
	d.Differences, err = r.differences(ctx, repository, span)
	return d, err
}

// lastScan returns the last scan, completed or failed, that was recorded at or before a position; nil for none.
func (r *Reader) lastScan(ctx context.Context, repository Repository, upTo int64) (*Scan, error) {
	scans, err := r.Scans(ctx, ScanFilter{RepositoryID: repository.ID, UpTo: upTo, Last: true})
	if err != nil || len(scans) == 0 {
		return nil, err
	}
	return &scans[0], nil
}

// differences compares the trees at the ends of a span. What it costs grows with what the scans of the span changed, not
// with what was there before.
func (r *Reader) differences(ctx context.Context, repository Repository, span trace.Span) (trace.Differences, error) {
	reader := spanReader{r, repository.ID, trace.Span{From: min(span.From, span.To), To: max(span.From, span.To)}}
	var record trace.Record
	var err error
	if record.Versions, err = reader.versions(ctx); err != nil {
		return trace.Differences{}, err
	}
	if record.LinkChanges, err = reader.linkChanges(ctx); err != nil {
		return trace.Differences{}, err
	}
	if record.Moves, err = r.moves(ctx, repository.ID, reader.span); err != nil {
		return trace.Differences{}, err
	}
	return trace.Diff(span, record), nil
}

// spanReader reads what was recorded of one repository, as far as it bears on a span.
type spanReader struct {
	*Reader
	repository string
	span       trace.Span
}

// inSpan is the scans of a repository that were recorded within a span. Ends of spans are ends of batches.
const inSpan = "SELECT s.scan_id FROM scans s WHERE s.repository_id = ? AND s.position > ? AND s.position <= ?"

// relinkedIn is the numbers of artifacts of which a link resolved differently within a span.
const relinkedIn = "SELECT n.number FROM link_changes n WHERE n.repository_id = ? AND n.position > ? AND n.position <= ?"

// args are the values for the placeholders of inSpan and of relinkedIn.
func (s *spanReader) args() []any { return []any{s.repository, s.span.From, s.span.To} }

// versions reads the versions that were current at one end of the span and not at the other, and those that were at both
// while a link of them changed in between. A version is current from its position to before its end.
func (s *spanReader) versions(ctx context.Context) ([]trace.Version, error) {
	var began, ended, relinked where
	for _, w := range []*where{&began, &ended, &relinked} {
		w.and("v.repository_id = ?", s.repository)
	}
	began.and("v.scan_id IN ("+inSpan+")", s.args()...)
	ended.and("v.ended_scan_id IN ("+inSpan+")", s.args()...)
	relinked.and("v.number IN ("+relinkedIn+")", s.args()...)
	for _, w := range []*where{&ended, &relinked} {
		w.and("v.position <= ?", s.span.From)
	}
	for _, w := range []*where{&began, &relinked} {
		w.and("(v.ended_position IS NULL OR v.ended_position > ?)", s.span.To)
	}
	var all []trace.Version
	for _, w := range []*where{&began, &ended, &relinked} {
		versions, err := s.Reader.versions(ctx, w)
		if err != nil {
			return nil, err
		}
		all = append(all, versions...)
	}
	return all, nil
}

// linkChanges reads the changes of links, up to the end of the span, of all artifacts that changed within it.
func (s *spanReader) linkChanges(ctx context.Context) ([]trace.LinkChange, error) {
	of := []any{s.repository}
	var w where
	w.and("c.repository_id = ?", s.repository)
	w.and("c.position <= ?", s.span.To)
	w.and(`c.number IN (
		SELECT v.number FROM artifact_versions v WHERE v.repository_id = ? AND v.scan_id IN (`+inSpan+`)
		UNION SELECT v.number FROM artifact_versions v WHERE v.repository_id = ? AND v.ended_scan_id IN (`+inSpan+`)
		UNION `+relinkedIn+`)`, slices.Concat(of, s.args(), of, s.args(), s.args())...)
	return s.Reader.linkChanges(ctx, &w)
}

// fromMoves joins versions v that came from elsewhere with those that went there, g. No place is the empty text, which
// makes the condition one that the index over moved_from answers.
const fromMoves = `FROM artifact_versions v JOIN artifact_versions g ON g.repository_id = v.repository_id
	AND g.ended_scan_id = v.scan_id AND g.moved_to IS NOT NULL
	AND v.moved_from = CASE g.ordinal WHEN 0 THEN g.path ELSE g.path || '#' || g.ordinal END`

// moves reads the moves of a repository within a span; the zero span is the whole log. A move is a version that began with
// moved_from in the scan in which another ended with moved_to.
func (r *Reader) moves(ctx context.Context, repository string, within trace.Span) (trace.Moves, error) {
	var w where
	w.and("v.repository_id = ?", repository)
	w.and("v.moved_from > ''")
	if within != (trace.Span{}) {
		w.and("v.scan_id IN ("+inSpan+")", repository, within.From, within.To)
	}
	moves, err := load(ctx, r, []column[trace.Move]{
		{"g.number", func(m *trace.Move) any { return &m.From }},
		{"v.number", func(m *trace.Move) any { return &m.To }},
	}, fromMoves+w.String(), w.args...)
	return trace.NewMoves(moves), err
}
