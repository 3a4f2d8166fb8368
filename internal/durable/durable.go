// Package durable makes the names of files and folders survive a power loss: a file that was flushed is lost all the same
// where the folder that names it was not.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Sync flushes the names in a folder to disk. Nil is [SyncFolder]; tests give their own.
type Sync func(folder string) error

func (s Sync) folder(path string) error {
	if s == nil {
		s = SyncFolder
	}
	return s(path)
}

// SyncFolder flushes the names in a folder to disk. Systems that cannot do that do not need it.
func SyncFolder(path string) error {
	folder, err := os.Open(path) //nolint:gosec // the operator named it
	if err != nil {
		return err
	}
	err = folder.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrInvalid) {
		err = nil
	}
	return errors.Join(err, folder.Close())
}

// MkdirAll creates a folder and the parents that it lacks, as [os.MkdirAll] does, and flushes the name of each.
func MkdirAll(path string, mode fs.FileMode, sync Sync) error {
	parents, err := missing(path)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(path, mode); err != nil {
		return err
	}
	for _, parent := range parents {
		if err := sync.folder(parent); err != nil {
			return err
		}
	}
	return nil
}

// missing returns the folders that get a new name when path is created, the outermost last.
func missing(path string) ([]string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	var parents []string
	for {
		_, err := os.Lstat(path)
		parent := filepath.Dir(path)
		if !errors.Is(err, fs.ErrNotExist) || parent == path {
			return parents, nil // whoever creates the folder says what is wrong
		}
		parents = append(parents, parent)
		path = parent
	}
}

// Create creates an empty file for its owner alone, and flushes its name. Where there is one, the error matches [fs.ErrExist].
func Create(path string, sync Sync) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	if err := sync.folder(filepath.Dir(path)); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// Rename puts a file, which must be flushed, in its place, and flushes its name.
func Rename(from, to string, sync Sync) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return sync.folder(filepath.Dir(to))
}
