package wholefile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gxpledger/gxpledger/internal/durable"
)

// Sums is the name of the manifest of a [Folder], which "sha256sum -c" reads.
const Sums = "SHA256SUMS"

// Folder is a folder that is written under a temporary name beside its place, and then put there: it is complete or not there. A
// process that is killed leaves the temporary one, which the next one at the same place removes. One goroutine at a time may
// use it.
type Folder struct {
	// Temporary is where it is until it is kept.
	Temporary string
	place     string
	root      *os.Root
	sums      map[string]string // SHA-256 by name
}

// NewFolder creates an empty folder beside place, where nothing may be. The caller discards it, kept or not. The error is an
// [*Error].
func NewFolder(place string) (*Folder, error) {
	place = filepath.Clean(place)
	if _, err := os.Lstat(place); err == nil {
		return nil, &Error{Path: place, Problem: "is there already", Err: fs.ErrExist}
	}
	removeAbandoned(place)
	temporary, err := os.MkdirTemp(filepath.Dir(place), filepath.Base(place)+"."+processName(os.Getpid())+".*.part")
	if err != nil {
		return nil, &Error{Path: place, Problem: fmt.Sprintf("cannot be created (%v)", err), Err: err}
	}
	root, err := os.OpenRoot(temporary)
	if err != nil {
		return nil, errors.Join(&Error{Path: place, Problem: fmt.Sprintf("cannot be created (%v)", err), Err: err}, os.RemoveAll(temporary))
	}
	return &Folder{Temporary: temporary, place: place, root: root, sums: map[string]string{}}, nil
}

// Write writes a file that is not there yet, and returns its SHA-256. name is separated by slashes and cannot lead out of the
// folder.
func (f *Folder) Write(name string, write func(io.Writer) error) (sha string, err error) {
	if err := f.check(name); err != nil {
		return "", err
	}
	if err := f.root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return "", fmt.Errorf("write %s: %w", name, err)
	}
	file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("write %s: %w", name, err)
	}
	sum := sha256.New()
	err = write(io.MultiWriter(file, sum))
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return "", fmt.Errorf("write %s: %w", name, err)
	}
	f.sums[name] = hex.EncodeToString(sum.Sum(nil))
	return f.sums[name], nil
}

// Add counts a file that somebody else wrote below Temporary.
func (f *Folder) Add(name string) error {
	if err := f.check(name); err != nil {
		return err
	}
	file, err := f.root.Open(name)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	sum := sha256.New()
	_, err = io.Copy(sum, file)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	f.sums[name] = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// check refuses a name that a manifest cannot hold as it is, and one that is taken.
func (f *Folder) check(name string) error {
	switch {
	case !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, "\\\r\n\x00") || name == Sums:
		return fmt.Errorf("write %q: %w", name, fs.ErrInvalid)
	case f.sums[name] != "":
		return fmt.Errorf("write %s: %w", name, fs.ErrExist)
	}
	return nil
}

// Keep writes the manifest, flushes all to disk and puts the folder in its place. It returns the SHA-256 of the manifest, and an
// error that matches [fs.ErrExist] when something is there.
func (f *Folder) Keep() (sha string, err error) {
	var manifest bytes.Buffer
	folders := map[string]bool{".": true}
	for _, name := range sortedKeys(f.sums) {
		fmt.Fprintf(&manifest, "%s  %s\n", f.sums[name], name)
		for at := path.Dir(name); at != "."; at = path.Dir(at) {
			folders[at] = true
		}
	}
	file, err := f.root.OpenFile(Sums, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = file.Write(manifest.Bytes())
		err = errors.Join(err, file.Sync(), file.Close())
	}
	for _, folder := range sortedKeys(folders) {
		if err == nil {
			err = durable.SyncFolder(filepath.Join(f.Temporary, filepath.FromSlash(folder)))
		}
	}
	if err == nil {
		err = f.put()
	}
	if err != nil {
		return "", fmt.Errorf("write %s: %w", f.place, err)
	}
	sum := sha256.Sum256(manifest.Bytes())
	return hex.EncodeToString(sum[:]), nil
}

func (f *Folder) put() error {
	if err := os.Rename(f.Temporary, f.place); err != nil { // which refuses to replace a folder, empty or not
		return err
	}
	return durable.SyncFolder(filepath.Dir(f.place))
}

// Discard removes what was not put in its place.
func (f *Folder) Discard() error { return errors.Join(f.root.Close(), os.RemoveAll(f.Temporary)) }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
