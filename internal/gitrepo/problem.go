package gitrepo

import (
	"errors"
	"fmt"
	"io/fs"
)

// The kinds of [Error]. Match them with [errors.Is].
var (
	// ErrNotRepository: there is no repository where one was named.
	ErrNotRepository = errors.New("not a git repository")
	// ErrUnsupported: the repository uses a format that this program cannot read.
	ErrUnsupported = errors.New("unsupported repository")
	// ErrRef: the revision named does not exist, or is ambiguous, or is no commit.
	ErrRef = errors.New("no such revision")
	// ErrOrder: a history does not continue after the commit that was recorded last, or that is unknown. It is ErrRef or ErrMissing too.
	ErrOrder = errors.New("history does not continue")
	// ErrEmpty: the repository has no commit yet.
	ErrEmpty = errors.New("empty repository")
	// ErrMissing: an object of the revision is not in the object store. When somebody repacks the repository at this
	// moment, trying again helps; otherwise the clone is partial, or damaged.
	ErrMissing = errors.New("missing object")
	// ErrCorrupt: an object is not what its id says, or cannot be decoded.
	ErrCorrupt = errors.New("corrupt object")
	// ErrDenied: the operating system does not let this user read the repository.
	ErrDenied = errors.New("permission denied")
	// ErrURL: the address is malformed or of a kind that is not allowed.
	ErrURL = errors.New("address not allowed")
	// ErrRemote: the other side did not give us the revision.
	ErrRemote = errors.New("remote failed")
	// ErrTooLarge: a limit of this package would be exceeded.
	ErrTooLarge = errors.New("repository too large")
	// ErrChanged: a file of the work tree changed between being listed and being read. Try again.
	ErrChanged = errors.New("work tree changed")
)

// Error is why a repository cannot be read, for a person: one sentence with what is there, what was expected and what
// to do. It never holds a credential. It may hold text from the repository: neutralise it before it reaches a terminal.
type Error struct {
	Kind error  // one of the sentinels of this package
	Text string // the sentence
	Err  error  // the cause, or nil
}

// Error returns the sentence.
func (p *Error) Error() string { return p.Text }

// Unwrap returns the kind and the cause.
func (p *Error) Unwrap() []error {
	if p.Err == nil {
		return []error{p.Kind}
	}
	return []error{p.Kind, p.Err}
}

func problem(kind, cause error, format string, args ...any) *Error {
	return &Error{Kind: kind, Err: cause, Text: fmt.Sprintf(format, args...)}
}

// unreadable turns a failure to read a file of the repository at path into an Error. One that is an Error already
// stays as it is.
func unreadable(path string, err error) error {
	if known := (*Error)(nil); errors.As(err, &known) {
		return err
	}
	if errors.Is(err, fs.ErrPermission) {
		return problem(ErrDenied, err, "this user may not read the repository %s (%v): run gxpledger as a user that may", path, err)
	}
	return problem(ErrCorrupt, err, "the repository %s cannot be read (%v): check it with git fsck", path, err)
}
