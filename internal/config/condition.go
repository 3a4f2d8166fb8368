package config

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"time"
)

// Condition is what can be told of a home by looking at its files.
type Condition struct {
	Used uint64 // bytes that its files take
	Free uint64 // bytes that may still be written to its file system
	// FreeUnknown is why Free is not known, nil where it is.
	FreeUnknown error
	// Writable says how others can change files, and Readable names those that others can read.
	Writable, Readable []string
	// AccessUnknown is why those two are not known.
	AccessUnknown error

	Spooled      int // failures of scans that wait to be recorded
	SpooledSince time.Time
}

// LookAtHome returns the condition of the home. It changes nothing.
func (s Settings) LookAtHome() (Condition, error) {
	var c Condition
	home := s.HomeFolder()
	if _, err := os.Stat(home); err != nil {
		return c, err
	}
	err := walkHome(home, func(path string, info fs.FileInfo) error {
		if info.Mode().IsRegular() {
			c.Used += uint64(info.Size()) //nolint:gosec // no file has a negative size
		}
		if how := sharedWithOthers(info); how != "" {
			c.Writable = append(c.Writable, path+" "+how)
		} else if info.Mode().Perm()&0o077 != 0 && info.Mode().Type() != fs.ModeSymlink {
			c.Readable = append(c.Readable, path)
		}
		return nil
	})
	if err != nil {
		return c, err
	}
	if runtime.GOOS == "windows" {
		c.AccessUnknown, c.Readable = errors.New("this system does not tell gxpledger who may use the files of the home"), nil
	}
	c.Free, c.FreeUnknown = freeBytes(home)
	entries, err := os.ReadDir(s.SpoolFolder())
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	for _, entry := range entries {
		info, failure := entry.Info()
		if errors.Is(failure, fs.ErrNotExist) || !strings.HasSuffix(entry.Name(), ".json") {
			continue // it was recorded meanwhile
		}
		if failure != nil {
			return c, failure
		}
		c.Spooled++
		if at := info.ModTime(); c.SpooledSince.IsZero() || at.Before(c.SpooledSince) {
			c.SpooledSince = at
		}
	}
	return c, err
}
