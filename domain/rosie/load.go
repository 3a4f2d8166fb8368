package rosie

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // it is what git names blobs by; nothing rests on it
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/domain"
)

// loaded is one file of the tree, before and after it was read.
type loaded struct {
	entry  entry
	size   int64  // unsized until stat
	blob   string // git blob id; "" when the file system does not tell and the file was not read
	sha256 string // "" when it was not read
	data   []byte // nil when it was not read
}

func (f *loaded) content() domain.Content {
	return domain.Content{SHA256: f.sha256, Blob: f.blob, Size: f.size}
}

// name tells versions of the file apart: its blob id or, for one that is not read, its size.
func (f *loaded) name() string {
	if f.blob == "" {
		return fmt.Sprintf("size:%d", f.size)
	}
	return f.blob
}

// ErrDamaged says that the bytes of a file are not those that git names: its object store cannot be trusted.
var ErrDamaged = errors.New("the object store is damaged")

var blobID = regexp.MustCompile(`\A[0-9a-f]{40}\z`)

// name asks for the blob id alone, where the listing tells it: the size may cost as much as reading.
func name(e entry) (*loaded, error) {
	if blob := told(e.DirEntry); blob != "" {
		return &loaded{entry: e, size: unsized, blob: blob}, nil
	}
	f := &loaded{entry: e, size: unsized}
	return f, f.stat()
}

// stat asks for size and blob id, unless they are known, and reads nothing.
func (f *loaded) stat() error {
	if f.size != unsized {
		return nil
	}
	info, err := f.entry.Info()
	if err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	f.size = info.Size()
	if f.blob == "" {
		f.blob = told(info.Sys())
	}
	return nil
}

// told is the blob id that from tells, "" for none.
func told(from any) string {
	if teller, ok := from.(interface{ BlobID() string }); ok && blobID.MatchString(teller.BlobID()) {
		return teller.BlobID()
	}
	return ""
}

// unsized is the size of a file that was not asked for it.
const unsized = -1

// load reads the file, at most one byte more than the limit. A file that turns out larger than its stated size stays unread.
func (r *reader) load(f *loaded) error {
	limit := r.opts.Limits.File
	if total := r.progress.Bytes + f.size; total > r.opts.Limits.Bytes {
		return &limitError{what: "bytes", setting: "bytes", limit: r.opts.Limits.Bytes, found: total}
	}
	opened, err := r.fsys.Open(f.entry.path)
	if err != nil {
		return err
	}
	defer opened.Close() //nolint:errcheck // nothing was written
	buffer := bytes.NewBuffer(make([]byte, 0, max(f.size, 0)+bytes.MinRead))
	if _, err := buffer.ReadFrom(io.LimitReader(opened, limit+1)); err != nil {
		return err
	}
	data := buffer.Bytes()
	r.progress.Bytes += int64(len(data))
	f.size = max(f.size, int64(len(data)))
	if int64(len(data)) > limit {
		return nil
	}
	blob := gitBlob(data)
	if f.blob != "" && f.blob != blob {
		return fmt.Errorf("%s: %w: git names the blob %s and its bytes are %s", f.entry.path, ErrDamaged, f.blob, blob)
	}
	sum := sha256.Sum256(data)
	if f.blob == "" { // or it is the same text, which the tree holds already
		f.blob = blob
	}
	f.data, f.size, f.sha256 = data, int64(len(data)), hex.EncodeToString(sum[:])
	return nil
}

// gitBlob is the id that git gives to these bytes.
func gitBlob(data []byte) string {
	sum := sha1.New() //nolint:gosec // see the import
	fmt.Fprintf(sum, "blob %d\x00", len(data))
	sum.Write(data)
	return hex.EncodeToString(sum.Sum(nil))
}

// keep adds the bytes of a file to the tree, once. Every file that is to be stored passes here, so secrets are looked for here.
func (r *reader) keep(f *loaded) error {
	if f.data == nil {
		return nil
	}
	r.secrets.names(f.entry.path)
	r.secrets.file(f)
	if r.stored[f.sha256] || len(r.secrets.faults) > 0 { // nothing of the tree is stored then, and no copy of a secret is made
		return nil
	}
	r.stored[f.sha256] = true
	c := Content{SHA256: f.sha256, Bytes: f.data}
	if r.opts.Keeper != nil {
		var err error
		if c, err = r.opts.Keeper.KeepContent(c); err != nil {
			return err
		}
	}
	r.tree.Contents = append(r.tree.Contents, c)
	return nil
}

// pack loads a package directory, unless it is known.
func (r *reader) pack(u *unit, file domain.File) (domain.File, parsing, error) {
	slices.SortFunc(u.files, func(a, b entry) int { return strings.Compare(a.path, b.path) })
	slices.SortFunc(u.dropped, func(a, b dropped) int { return strings.Compare(a.path, b.path) })
	files, named, err := nameAll(u)
	if err != nil {
		return file, nil, err
	}
	if file.Blob = packageBlob(u, files); named && r.known(file) {
		file.Unchanged = true
		return file, nil, nil
	}
	if len(files) > r.opts.Limits.Members {
		file.Rejected = &domain.Rejection{Kind: u.kind, Message: fmt.Sprintf(
			"the package holds %d files, and at most %d are read: pack them into fewer, or raise the limit \"members\"", len(files), r.opts.Limits.Members)}
		return file, nil, nil
	}
	for _, f := range files {
		if err := f.stat(); err != nil {
			return file, nil, err
		}
		if f.size > r.opts.Limits.File {
			continue
		}
		if err := r.load(f); err != nil {
			return file, nil, err
		}
	}
	if file.Blob = packageBlob(u, files); !named && r.known(file) {
		file.Unchanged = true
		return file, nil, nil
	}
	members, err := r.members(u, files)
	return file, parseDirectory(*u, members, r.opts), err
}

func parseDirectory(u unit, members []*member, opts *Options) parsing {
	return func(file *domain.File) error {
		artifact, err := parsePackage(u.path, members, u.dropped, opts)
		if err != nil {
			file.Rejected, err = rejection(source{kind: u.kind}, err)
			return err
		}
		file.Artifacts = []domain.Artifact{artifact}
		return nil
	}
}

// nameAll asks for all files of a package, and whether each told its blob id.
func nameAll(u *unit) (files []*loaded, named bool, err error) {
	named = true
	for _, e := range u.files {
		f, err := name(e)
		if err != nil {
			return nil, false, err
		}
		named = named && f.blob != ""
		files = append(files, f)
	}
	return files, named, nil
}

// members lists the files of a package with their paths in it, and keeps their bytes.
func (r *reader) members(u *unit, files []*loaded) ([]*member, error) {
	members := make([]*member, len(files))
	for i, f := range files {
		if err := r.keep(f); err != nil {
			return nil, err
		}
		members[i] = &member{
			Member: domain.Member{Path: strings.TrimPrefix(f.entry.path, u.path+"/"), Content: f.content()},
			data:   f.data,
		}
	}
	return members, nil
}

// packageBlob covers the paths and blob ids of all files of a package, and the entries that cannot be files of it.
func packageBlob(u *unit, files []*loaded) string {
	sum := sha256.New()
	for _, f := range files {
		fmt.Fprintf(sum, "%s\x00%s\n", strings.TrimPrefix(f.entry.path, u.path+"/"), f.name())
	}
	for _, d := range u.dropped {
		fmt.Fprintf(sum, "%q\x00%s\n", d.path, d.code)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
