// Package backup keeps copies of files in a folder, with a manifest that says what they are and which SHA-256 each has.
//
// A backup is whole or not there: it is made beside its place, flushed, and put there under its name. Nothing is replaced.
package backup

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gxpledger/gxpledger/internal/durable"
)

// manifestName is the file of a backup that names the others.
const manifestName = "manifest.json"

// form is the version of the form of manifests.
const form = 1

// mostManifest bounds what is read of a manifest.
const mostManifest = 16 << 20

// ErrInvalid says that a folder is not a backup, or not the one that its manifest describes.
var ErrInvalid = errors.New("backup is not valid")

// Log is what a backup holds of a log.
type Log struct {
	ID      string `json:"id"`
	Head    uint64 `json:"head"`                    // position of its last event
	EventID string `json:"last_event_id,omitempty"` // of that event
	Events  uint64 `json:"events"`
}

// File is one file of a backup. Its path is separated by slashes.
type File struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Manifest says what a backup holds.
type Manifest struct {
	Form      int       `json:"form"`
	CreatedAt time.Time `json:"created_at"`
	Log       Log       `json:"log"`
	Files     []File    `json:"files"`
}

// Create makes a backup at a path, or below it under a name of its own where there is a folder, of what fill writes into an empty
// folder. It returns where the backup is.
//
// Errors: one that wraps [fs.ErrExist] where something else than a folder is at the path.
func Create(at string, now time.Time, fill func(folder string) (Log, error)) (place string, made Manifest, err error) {
	parent, below := filepath.Dir(filepath.Clean(at)), false
	switch info, err := os.Lstat(at); {
	case err == nil && info.IsDir():
		parent, below = at, true
	case err == nil:
		return "", Manifest{}, fmt.Errorf("there is something at %s: %w", at, fs.ErrExist)
	case !errors.Is(err, fs.ErrNotExist):
		return "", Manifest{}, err
	}
	part, err := os.MkdirTemp(parent, ".gxpledger-backup-*.part")
	if err != nil {
		return "", Manifest{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(part)) }()
	made = Manifest{Form: form, CreatedAt: now.UTC()}
	if made.Log, err = fill(part); err != nil {
		return "", Manifest{}, err
	}
	if made.Files, err = list(part); err != nil {
		return "", Manifest{}, err
	}
	if err := writeManifest(part, made); err != nil {
		return "", Manifest{}, err
	}
	place = filepath.Clean(at)
	if below {
		place = filepath.Join(at, "gxpledger-"+made.CreatedAt.Format("20060102T150405Z")+"-"+made.Log.ID[:min(8, len(made.Log.ID))])
	}
	return place, made, put(part, place)
}

// put flushes the names in a folder and gives it its place, unless there is something.
func put(part, place string) error {
	err := filepath.WalkDir(part, func(at string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = durable.SyncFolder(at)
		}
		return err
	})
	if err != nil {
		return err
	}
	if _, err := os.Lstat(place); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("there is something at %s: %w", place, fs.ErrExist), err)
	}
	return durable.Rename(part, place, nil) // which replaces no file, and no folder that holds something
}

func writeManifest(folder string, m Manifest) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(folder, manifestName), func(w io.Writer) error {
		_, err := w.Write(append(data, '\n'))
		return err
	})
}

// writeFile writes a new file, for its owner alone, and flushes it.
func writeFile(at string, write func(io.Writer) error) error {
	file, err := os.OpenFile(at, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // the caller chose the folder
	if err != nil {
		return err
	}
	err = write(file)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// Add copies a plain file into a folder that is being filled, under a path separated by slashes. One that is gone is passed over.
func Add(folder, name, from string) error {
	source, err := openPlain(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }() // it was only read
	to := filepath.Join(folder, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return writeFile(to, func(w io.Writer) error {
		_, err := io.Copy(w, source)
		return err
	})
}

func openPlain(at string) (*os.File, error) {
	info, err := os.Lstat(at)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a plain file: %w", at, ErrInvalid)
	}
	return os.Open(at) //nolint:gosec // the operator named the folder
}

// list returns the files of a folder but for its manifest, with what they hold.
func list(folder string) ([]File, error) {
	var files []File
	err := filepath.WalkDir(folder, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(folder, at)
		if err != nil || name == manifestName {
			return err
		}
		file, err := digest(at)
		file.Path = filepath.ToSlash(name)
		files = append(files, file)
		return err
	})
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files, err
}

func digest(at string) (File, error) {
	file, err := openPlain(at)
	if err != nil {
		return File{}, err
	}
	defer func() { _ = file.Close() }() // it was only read
	sum := sha256.New()
	n, err := io.Copy(sum, file)
	return File{Size: n, SHA256: hex.EncodeToString(sum.Sum(nil))}, err
}

// Read reads the manifest of a backup. Errors: one that wraps [ErrInvalid].
func Read(folder string) (Manifest, error) {
	var m Manifest
	file, err := openPlain(filepath.Join(folder, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("%w: %s holds no %s", ErrInvalid, folder, manifestName)
	}
	if err != nil {
		return m, err
	}
	defer func() { _ = file.Close() }() // it was only read
	decoder := json.NewDecoder(io.LimitReader(file, mostManifest))
	if err := decoder.Decode(&m); err != nil {
		return m, fmt.Errorf("%w: its manifest cannot be read: %w", ErrInvalid, err)
	}
	if m.Form != form {
		return m, fmt.Errorf("%w: its manifest has form %d, and this gxpledger knows %d: use the one that made it", ErrInvalid, m.Form, form)
	}
	for _, f := range m.Files {
		if !fs.ValidPath(f.Path) || !filepath.IsLocal(filepath.FromSlash(f.Path)) || path.Clean(f.Path) != f.Path || f.Path == manifestName {
			return m, fmt.Errorf("%w: its manifest names the file %q", ErrInvalid, f.Path)
		}
	}
	return m, nil
}

// Check reads every file of a backup and compares it with the manifest, which is returned. Errors: one that wraps [ErrInvalid] and names a file
// that is missing, different, or not in the manifest.
func Check(folder string) (Manifest, error) {
	m, err := Read(folder)
	if err != nil {
		return m, err
	}
	held, err := list(folder)
	if err != nil {
		return m, err
	}
	for _, f := range held {
		if !slices.ContainsFunc(m.Files, func(known File) bool { return known.Path == f.Path }) {
			return m, fmt.Errorf("%w: %s is not in its manifest", ErrInvalid, f.Path)
		}
	}
	for _, f := range m.Files {
		i := slices.IndexFunc(held, func(h File) bool { return h.Path == f.Path })
		switch {
		case i < 0:
			return m, fmt.Errorf("%w: %s is missing", ErrInvalid, f.Path)
		case held[i] != f:
			return m, fmt.Errorf("%w: %s was changed: it has %d bytes with SHA-256 %s, and the manifest says %d and %s",
				ErrInvalid, f.Path, held[i].Size, held[i].SHA256, f.Size, f.SHA256)
		}
	}
	return m, nil
}

// Restore copies the files of a backup into a new folder, which is there whole or not at all, and compares each with the manifest again. A file
// that renamed has gets another name there.
//
// Errors: one that wraps [fs.ErrExist] where there is something, and [ErrInvalid] where a file was changed meanwhile.
func Restore(ctx context.Context, from string, m Manifest, into string, renamed map[string]string) (err error) {
	into = filepath.Clean(into)
	if _, err := os.Lstat(into); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("there is something at %s: %w", into, fs.ErrExist), err)
	}
	parent := filepath.Dir(into)
	if err := durable.MkdirAll(parent, 0o700, nil); err != nil {
		return err
	}
	part, err := os.MkdirTemp(parent, ".gxpledger-restore-*.part")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(part)) }()
	for _, f := range m.Files {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		name := cmp.Or(renamed[f.Path], f.Path)
		if err := Add(part, name, filepath.Join(from, filepath.FromSlash(f.Path))); err != nil {
			return err
		}
		copied, err := digest(filepath.Join(part, filepath.FromSlash(name)))
		if copied.Path = f.Path; err != nil || copied != f {
			return errors.Join(fmt.Errorf("%w: %s was changed while it was restored", ErrInvalid, f.Path), err)
		}
	}
	return put(part, into)
}
