package query

import (
	"cmp"
	"context"
	"slices"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/trace"
)

// File is a file of the tree that the last completed scan of a repository read, whose bytes the log keeps.
type File struct {
	RepositoryID string      `json:"repository_id"`
	Repository   string      `json:"repository"`
	Path         string      `json:"path"`
	Kind         domain.Kind `json:"kind"` // of its first artifact, or of its package
	// GxPIDs are those of its artifacts, or of its package, in the order of the file.
	GxPIDs []string `json:"gxp_ids,omitempty"`
	Title  string   `json:"title,omitempty"` // of its first artifact
	// ContentSHA256 names its bytes; "" when it was too large to keep.
	ContentSHA256 string `json:"content_sha256,omitempty"`
	Size          int64  `json:"size"`
	Rejected      bool   `json:"rejected,omitempty"` // it could not be parsed
}

// Files returns the files of artifacts and packages, and those that could not be parsed, in the order of repositories and paths.
func (r *Reader) Files(ctx context.Context, of Scope) ([]File, error) {
	var w where
	of.limit(&w, "v.repository_id")
	current(&w, 0)
	versions, err := r.versions(ctx, &w)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(versions, func(a, b trace.Version) int { return cmp.Compare(a.Ordinal, b.Ordinal) })
	all, err := r.Repositories(ctx)
	if err != nil {
		return nil, err
	}
	names, retired := map[string]string{}, map[string]bool{}
	for _, o := range all {
		names[o.ID], retired[o.ID] = o.Name, !o.RetiredAt.IsZero()
	}
	files := fileList{at: map[[2]string]int{}}
	for _, v := range versions {
		f := File{
			RepositoryID: v.RepositoryID, Repository: names[v.RepositoryID], Path: v.Path, Kind: v.Kind, Title: v.Title,
			ContentSHA256: v.ContentSHA256, Size: v.Size,
		}
		if v.Kind != domain.KindEvidencePackage {
			files.add(f, v.GxPID)
			continue
		}
		for _, m := range v.Members {
			f.Path, f.ContentSHA256, f.Size = v.Path+"/"+m.Path, m.SHA256, m.Size
			files.add(f, v.GxPID)
		}
	}
	rejected, err := r.Rejected(ctx, RejectedFilter{RepositoryID: of.RepositoryID})
	if err != nil {
		return nil, err
	}
	for _, f := range rejected {
		if of.WithoutRetired && retired[f.RepositoryID] {
			continue
		}
		files.add(File{
			RepositoryID: f.RepositoryID, Repository: f.Repository, Path: f.Path, Kind: domain.Kind(f.Kind), ContentSHA256: f.ContentSHA256, Size: f.Size,
			Rejected: true,
		}, "")
	}
	slices.SortStableFunc(files.all, func(a, b File) int {
		return cmp.Or(cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.RepositoryID, b.RepositoryID), cmp.Compare(a.Path, b.Path))
	})
	return files.all, nil
}

// fileList is files, each once.
type fileList struct {
	all []File
	at  map[[2]string]int // by repository and path
}

// add adds a file, or the id of a further artifact in it.
func (l *fileList) add(f File, id string) {
	key := [2]string{f.RepositoryID, f.Path}
	i, known := l.at[key]
	if !known {
		i = len(l.all)
		l.at[key], l.all = i, append(l.all, f)
	}
	if id != "" {
		l.all[i].GxPIDs = append(l.all[i].GxPIDs, id)
	}
}
