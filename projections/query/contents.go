package query

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/trace"
)

// Source identifies the content of a path.
type Source struct {
	SHA256 string // of the content; "" when it is to be read from the event at Rejected
	// Rejected is the position of the event by which the file was rejected, where no row says what its content was: in
	// the past.
	Rejected int64
}

// Content returns which content a path has, or had after the scan with that number: that of an artifact, of a file in an
// evidence package, or of a file that was rejected. number 0 means the tree of the last completed scan.
//
// The error is an *UnknownError when no artifact, member or rejected file is there.
func (r *Reader) Content(ctx context.Context, repository Repository, path string, number int64) (Source, error) {
	position := int64(0)
	if number != 0 {
		s, err := r.Scan(ctx, repository, number)
		if err != nil {
			return Source{}, err
		}
		position = s.Position
	}
	sha, err := r.storedContent(ctx, repository, path, position)
	if err != nil || sha != "" {
		return Source{SHA256: sha}, err
	}
	if position != 0 {
		source, err := r.rejectedThen(ctx, repository, path, position)
		if err != nil || source.Rejected != 0 {
			return source, err
		}
		return Source{}, r.unknownPath(ctx, repository, path, position)
	}
	rejected, err := r.Rejected(ctx, RejectedFilter{RepositoryID: repository.ID, Path: path})
	switch {
	case err != nil:
		return Source{}, err
	case len(rejected) == 0:
		return Source{}, r.unknownPath(ctx, repository, path, position)
	case rejected[0].ContentSHA256 == "":
		return Source{}, &UnknownError{What: "content at", Given: path, Hint: "the file was too large to read: " + rejected[0].Message}
	}
	return Source{SHA256: rejected[0].ContentSHA256}, nil
}

// current adds that a version was current at a position of the log, or is now when that is 0.
func current(w *where, position int64) {
	if position == 0 {
		w.and("v.ended_position IS NULL")
		return
	}
	w.and("v.position <= ?", position)
	w.and("(v.ended_position IS NULL OR v.ended_position > ?)", position)
}

// storedContent looks for path among artifacts and the files of packages. It returns "" when it is neither.
func (r *Reader) storedContent(ctx context.Context, repository Repository, path string, position int64) (string, error) {
	var w where
	w.and("v.repository_id = ?", repository.ID)
	current(&w, position)
	in(&w, "v.path", ancestors(path))
	versions, err := r.versions(ctx, &w)
	if err != nil {
		return "", err
	}
	for i := range versions {
		if sha := contentAt(&versions[i], path); sha != "" {
			return sha, nil
		}
	}
	return "", nil
}

// contentAt returns which content a version has at a path; "" when it has none there.
func contentAt(v *trace.Version, path string) string {
	if v.Path == path && v.Ordinal == 0 && v.Kind != domain.KindEvidencePackage {
		return v.ContentSHA256
	}
	for _, m := range v.Members {
		if v.Path+"/"+m.Path == path {
			return m.SHA256
		}
	}
	return ""
}

// ancestors returns path and every directory above it.
func ancestors(path string) []string {
	out := []string{path}
	for {
		i := strings.LastIndexByte(path, '/')
		if i <= 0 {
			return out
		}
		path = path[:i]
		out = append(out, path)
	}
}

// rejectedThen looks for a rejection that stood after a scan.
func (r *Reader) rejectedThen(ctx context.Context, repository Repository, path string, position int64) (Source, error) {
	var w where
	w.and("repository_id = ?", repository.ID)
	w.and("resource_type = ?", "file")
	w.and("resource_id = ?", path)
	w.and("sequence <= ?", position)
	rows, err := load(ctx, r, auditColumns(), "FROM audit_log"+w.String()+" ORDER BY sequence DESC LIMIT 1", w.args...)
	if err != nil || len(rows) == 0 || rows[0].Action != "ARTIFACT_REJECTED" {
		return Source{}, err
	}
	return Source{Rejected: rows[0].Sequence}, nil
}

// unknownPath says what is near a path that nothing is at.
func (r *Reader) unknownPath(ctx context.Context, repository Repository, path string, position int64) error {
	unknown := &UnknownError{What: "file", Given: path}
	var w where
	w.and("v.repository_id = ?", repository.ID)
	current(&w, position)
	versions, err := r.versions(ctx, &w)
	if err != nil {
		return err
	}
	var known []string
	for _, v := range versions {
		if v.Kind != domain.KindEvidencePackage {
			known = append(known, v.Path)
		}
		for _, m := range v.Members {
			known = append(known, v.Path+"/"+m.Path)
		}
	}
	if position == 0 {
		rejected, err := r.Rejected(ctx, RejectedFilter{RepositoryID: repository.ID})
		if err != nil {
			return err
		}
		for _, f := range rejected {
			known = append(known, f.Path)
		}
		if unknown.Hint, err = r.pathHint(ctx, repository, path); err != nil {
			return err
		}
	}
	slices.Sort(known)
	unknown.Near = near(path, slices.Compact(known))
	return unknown
}

// pathHint says until when a path was there that is not there now; "" when it never was.
func (r *Reader) pathHint(ctx context.Context, repository Repository, path string) (string, error) {
	var w where
	w.and("v.repository_id = ?", repository.ID)
	in(&w, "v.path", ancestors(path))
	w.and("v.ended_position IS NOT NULL")
	ended, err := r.versions(ctx, &w)
	ended = slices.DeleteFunc(ended, func(v trace.Version) bool { return contentAt(&v, path) == "" })
	if err != nil || len(ended) == 0 {
		return "", err
	}
	numbers, err := r.scanNumbers(ctx, repository.ID)
	if err != nil {
		return "", err
	}
	last := ended[len(ended)-1]
	return fmt.Sprintf("it was there until scan %d: name the scan before it with --scan", numbers[last.EndedScanID]), nil
}
