package config

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gxpledger/gxpledger/internal/durable"
	"github.com/gxpledger/gxpledger/internal/gitrepo"
)

// CreateHome creates the home, for its owner alone, and keeps git from adding it to a repository.
func (s Settings) CreateHome() error { return createHome(s.HomeFolder(), nil) }

func createHome(home string, sync durable.Sync) error {
	const ownerOnly = 0o700
	if err := durable.MkdirAll(home, ownerOnly, sync); err != nil {
		return homeError(err, "choose another home folder", "cannot create the folder %s (%v)", home, err)
	}
	ignore, err := durable.Create(filepath.Join(home, ".gitignore"), sync)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		_, err = ignore.WriteString("*\n")
		err = errors.Join(err, ignore.Close())
	}
	if err != nil {
		return homeError(err, "choose another home folder", "cannot write to the folder %s (%v)", home, err)
	}
	return nil
}

// CheckHome refuses a home that may be part of a repository (I13): one that leads through a symbolic link of a
// repository and, where nobody named it, one that a repository tracks or that other users may have written. A home that
// does not exist yet is checked too: git may create it at any time. Its errors are an [*Error].
func (s Settings) CheckHome(ctx context.Context) error {
	if s.Home != "" {
		return refuseShippedLinks(ctx, s.Home)
	}
	here, err := currentFolder()
	if err != nil {
		return err
	}
	return refuseShipped(ctx, filepath.Join(here, DefaultHome))
}

const outside = "choose another home folder, outside the repository"

func homeError(cause error, remedy, problem string, args ...any) error {
	return &Error{Setting: Home, Problem: fmt.Sprintf(problem, args...), Remedy: remedy, Err: cause}
}

// currentFolder returns the path of the current folder without symbolic links.
func currentFolder() (string, error) {
	here, err := os.Getwd()
	if err == nil {
		here, err = filepath.EvalSymlinks(here)
	}
	if err != nil {
		return "", homeError(err, "choose a home folder by its full path", "cannot find the current folder (%v)", err)
	}
	return here, nil
}

// resolveHome returns the path of a home without symbolic links. It refuses those that a repository holds.
func resolveHome(ctx context.Context, home string) (string, error) {
	here, err := currentFolder()
	if err != nil {
		return "", err
	}
	volume := filepath.VolumeName(home)
	if filepath.IsAbs(home) {
		here = volume + string(filepath.Separator)
	}
	const most = 40 // links to follow, as systems allow
	links := 0
	for names := splitPath(home[len(volume):]); len(names) > 0; {
		name := names[0]
		names = names[1:]
		next := filepath.Join(here, name) // for .., here is no link
		info, err := os.Lstat(next)
		if err != nil {
			return filepath.Join(append([]string{next}, names...)...), nil //nolint:nilerr // it is not there, or whoever opens it says why not
		}
		if info.Mode().Type() != fs.ModeSymlink {
			here = next
			continue
		}
		if err := refuseShippedLink(ctx, next); err != nil {
			return "", err
		}
		target, err := os.Readlink(next)
		if links++; err != nil || links > most {
			return "", homeError(err, "choose another home folder", "cannot find the folder %s: its symbolic links lead nowhere", home)
		}
		if filepath.IsAbs(target) {
			volume := filepath.VolumeName(target)
			here, target = volume+string(filepath.Separator), target[len(volume):]
		}
		names = append(splitPath(target), names...)
	}
	return here, nil
}

func splitPath(path string) []string {
	var names []string
	for _, name := range strings.FieldsFunc(path, func(r rune) bool { return r < 0x80 && os.IsPathSeparator(uint8(r)) }) { //nolint:gosec // it is below 0x80
		if name != "." {
			names = append(names, name)
		}
	}
	return names
}

// refuseShippedLink refuses a symbolic link that a repository tracks.
func refuseShippedLink(ctx context.Context, link string) error {
	tracked, err := gitrepo.FindTracked(ctx, link)
	if err != nil {
		return homeError(err, outside, "cannot find out whether the symbolic link %s comes from a repository (%v)", link, err)
	}
	if tracked == nil || !tracked.Link {
		return nil
	}
	return homeError(nil, outside, "the symbolic link %s comes from the repository %s, which would decide where the log is", link, tracked.Repository)
}

// refuseShippedLinks refuses symbolic links that a repository tracks, on the way to a home and below it.
func refuseShippedLinks(ctx context.Context, home string) error {
	namespace, err := resolveHome(ctx, home)
	if err != nil {
		return err
	}
	err = walkHome(namespace, func(path string, info fs.FileInfo) error {
		if info.Mode().Type() == fs.ModeSymlink {
			return refuseShippedLink(ctx, path)
		}
		return nil
	})
	if errors.Is(err, fs.ErrPermission) {
		return nil // the command says itself what it may not do
	}
	return err
}

// refuseShipped refuses the home that nobody named when a repository tracks it, or when something in it may have been made
// by another user or leads elsewhere.
func refuseShipped(ctx context.Context, home string) error {
	tracked, err := gitrepo.FindTracked(ctx, home)
	if err != nil {
		return homeError(err, outside, "cannot find out whether the folder %s comes from the repository around it (%v)", home, err)
	}
	if tracked != nil {
		return homeError(nil, outside, "the repository %s tracks %s, so the log there may be forged", tracked.Repository, tracked.Path)
	}
	return walkHome(home, func(path string, info fs.FileInfo) error {
		var what string
		switch mode := info.Mode(); {
		case mode.Type() == fs.ModeSymlink:
			what = "is a symbolic link, which may lead out of it"
		case !mode.IsDir() && !mode.IsRegular():
			what = "is neither a file nor a folder"
		case path == home && !mode.IsDir():
			what = "is a file, not a folder"
		default:
			what = sharedWithOthers(info)
		}
		if what == "" {
			return nil
		}
		return homeError(nil, "confirm that "+DefaultHome+" is yours, or choose another home folder,", "%s %s, and nobody named the folder", path, what)
	})
}

// walkHome calls visit for a home and what is in it, without following links. What vanishes meanwhile is left out.
func walkHome(home string, visit func(path string, info fs.FileInfo) error) error {
	return filepath.WalkDir(home, func(path string, entry fs.DirEntry, err error) error {
		var info fs.FileInfo
		if err == nil {
			info, err = entry.Info()
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return homeError(err, "choose another home folder", "cannot list the folder %s (%v)", home, err)
		}
		return visit(path, info)
	})
}

// HomeFiles are the files of a home that a process uses.
type HomeFiles map[string]fs.FileInfo

// HomeFiles returns the files of the log and the tables in the home as they are now. Those on servers are none of it.
func (s Settings) HomeFiles() (HomeFiles, error) {
	files := HomeFiles{}
	for path, local := range map[string]bool{s.LogFile(): s.Log.Local(), s.TablesFile(): s.Tables.Local()} {
		if !local {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		files[path] = info
	}
	return files, nil
}

// ErrHomeReplaced says that files of the home were deleted or replaced while they were in use. An [*Error] wraps it.
var ErrHomeReplaced = errors.New("home was deleted or replaced")

// Check reports files that were deleted or replaced since, with an [*Error] that wraps [ErrHomeReplaced]: whoever uses the
// former ones writes what nobody reads. What cannot be looked at now is no evidence of that.
func (f HomeFiles) Check() error {
	for path, before := range f {
		now, err := os.Stat(path)
		was := "replaced"
		switch {
		case errors.Is(err, fs.ErrNotExist):
			was = "deleted"
		case err != nil, os.SameFile(before, now):
			continue
		}
		return &Error{
			Setting: Home, Err: ErrHomeReplaced, Problem: path + " was " + was + " while it was in use; what is there now was not touched",
			Remedy: "check what is in the folder, restore it from a backup if it was lost, and start again; or choose another home folder",
		}
	}
	return nil
}
