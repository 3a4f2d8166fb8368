package gxpledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/gxpledger/gxpledger/domain"
	"github.com/gxpledger/gxpledger/domain/rosie"
)

// DraftRequest says what to write.
type DraftRequest struct {
	// Folder is in or below a repository with a work tree.
	Folder string
	// Kind is that of a requirement, a user story or a spec, Title what it is called.
	Kind  domain.Kind
	Title string
	// Parent is the id of what it belongs to. A requirement has none.
	Parent string
}

// ErrUnreadIDs says that it is unknown which ids the work tree has.
var ErrUnreadIDs = errors.New("the ids that are taken are unknown")

// WriteDraft writes the file of a new artifact, with the next id of its kind, into the work tree of a repository, and returns its path. It records
// nothing, and writes over nothing. The ids that are taken are those of the work tree, and those that the names of unreadable files begin
// with.
//
// Errors: [rosie.ErrDraft], [ErrUnreadIDs], fs.ErrExist, and those of reading the work tree. It waits for nobody.
func WriteDraft(ctx context.Context, request DraftRequest) (written string, err error) {
	scan := ScanRequest{Repository: request.Folder, Worktree: true, Progress: func(ScanProgress) {}}
	found, err := scan.locate()
	if err != nil {
		return "", err
	}
	revision, err := found.Open(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, revision.Close()) }()
	tree, err := rosie.Read(ctx, revision.Files(), rosie.Options{Keeper: withoutContents{}})
	if err != nil {
		return "", err
	}
	if len(tree.Files) == 0 && len(tree.Faults) > 0 && tree.Faults[0].Code != domain.ViolationNoGxP {
		return "", fmt.Errorf("%w: %s", ErrUnreadIDs, tree.Faults[0].Text)
	}
	draft := rosie.Draft{Kind: request.Kind, Title: request.Title, Parent: request.Parent}
	for _, file := range tree.Files {
		for i := range file.Artifacts {
			a := &file.Artifacts[i]
			draft.Taken = append(draft.Taken, a.GxPID)
			if slices.Contains(domain.Targets(request.Kind, domain.EdgeParentID), a.Kind) {
				draft.Parents = append(draft.Parents, a.GxPID)
			}
		}
		if file.Rejected != nil {
			draft.Taken = append(draft.Taken, idOfName.FindString(path.Base(file.Path)))
		}
	}
	name, data, err := draft.File()
	if err != nil {
		return "", err
	}
	return name, writeNew(found.WorkTree(), name, data)
}

// idOfName finds the id that a file name begins with.
var idOfName = regexp.MustCompile(`^[A-Za-z]+(-[0-9]+)+`)

// writeNew writes a file below a folder that is not there yet.
func writeNew(folder, name string, data []byte) (err error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	const ordinary, folders = 0o644, 0o755 // as git has them
	if err := root.MkdirAll(filepath.FromSlash(path.Dir(name)), folders); err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	file, err := root.OpenFile(filepath.FromSlash(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, ordinary)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	return nil
}
