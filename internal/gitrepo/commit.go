package gitrepo

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// commitObject is what a commit says, in the bytes that it says it in. git wants the tree first and the parents next; it
// finds the other lines in any order, which go-git does not.
type commitObject struct {
	tree              plumbing.Hash
	parents           []plumbing.Hash
	author, committer signature
	encoding          string
	message           string
}

// signature is a person at a time.
type signature struct {
	name, email string
	when        time.Time // zero when no time is given that can be read
}

// commit reads and decodes a commit.
func (o *objects) commit(id plumbing.Hash) (*commitObject, error) {
	raw, err := o.readBytes(id, plumbing.CommitObject, maxCommit)
	if err != nil {
		return nil, err
	}
	commit, err := parseCommit(raw)
	if err != nil {
		return nil, problem(ErrCorrupt, err, "the commit %s cannot be decoded (%v): check the repository with git fsck", id, err)
	}
	return commit, nil
}

// parseCommit reads a commit as git does. Of several authors or committers the last counts, of several encodings the
// first.
func parseCommit(raw []byte) (*commitObject, error) {
	var commit commitObject
	var err error
	line, raw, _ := bytes.Cut(raw, []byte("\n"))
	if commit.tree, err = headerID(line, "tree "); err != nil {
		return nil, err
	}
	for bytes.HasPrefix(raw, []byte("parent ")) {
		var parent plumbing.Hash
		line, raw, _ = bytes.Cut(raw, []byte("\n"))
		if parent, err = headerID(line, "parent "); err != nil {
			return nil, err
		}
		commit.parents = append(commit.parents, parent)
	}
	for len(raw) > 0 {
		line, raw, _ = bytes.Cut(raw, []byte("\n"))
		key, value, _ := strings.Cut(string(line), " ")
		switch {
		case len(line) == 0:
			commit.message = string(raw)
			return &commit, nil
		case key == "author":
			commit.author = parseSignature(value)
		case key == "committer":
			commit.committer = parseSignature(value)
		case key == "encoding" && commit.encoding == "":
			commit.encoding = value
		}
	}
	return &commit, nil
}

func headerID(line []byte, key string) (plumbing.Hash, error) {
	digits, ok := bytes.CutPrefix(line, []byte(key))
	id, valid := fullID(string(digits))
	if !ok || !valid {
		return id, errors.New("want \"" + key + "ID\" where it belongs")
	}
	return id, nil
}

// parseSignature reads "NAME <EMAIL> SECONDS ZONE" as git does: the name ends before the first <, the address at the
// first >, and the time is behind the last >. Without an address there is no person.
func parseSignature(line string) signature {
	const space = " \t\r\n"
	name, rest, ok := strings.Cut(line, "<")
	if !ok {
		return signature{}
	}
	email, _, ok := strings.Cut(rest, ">")
	if !ok {
		return signature{}
	}
	who := signature{name: strings.Trim(name, space), email: email}
	seconds, zone, _ := strings.Cut(strings.TrimLeft(line[strings.LastIndexByte(line, '>')+1:], space), " ")
	at, err := strconv.ParseUint(strings.TrimRight(seconds, space), 10, 64)
	if in, ok := parseZone(strings.TrimLeft(zone, space)); ok && err == nil && at <= math.MaxInt64 {
		who.when = time.Unix(int64(at), 0).In(in)
	}
	return who
}

// parseZone reads a zone of hours and minutes, as in +0530 or -0030. One that no clock can have is UTC. Without a zone
// there is no time, as for git.
func parseZone(zone string) (in *time.Location, ok bool) {
	if zone == "" || zone[0] != '+' && zone[0] != '-' {
		return nil, false
	}
	digits := zone[1:]
	if i := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		digits = digits[:i]
	}
	const hundred, minute, hour, longest = 100, 60, 3600, 9
	n, err := strconv.Atoi(digits)
	if err != nil || len(digits) > longest {
		return time.UTC, digits != ""
	}
	offset := n/hundred*hour + n%hundred*minute
	if zone[0] == '-' {
		offset = -offset
	}
	return time.FixedZone("", offset), true
}
