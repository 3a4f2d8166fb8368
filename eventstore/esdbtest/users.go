package esdbtest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// User is somebody who may connect. Without users nobody is asked, and credentials are not looked at (facts: credentials/*, secure/*).
type User struct {
	Password string
	Admin    bool // may do everything, and alone reads and writes streams of the system
	ReadAll  bool // may read $all
	Write    bool // may write to streams that are not the system's
}

// right is what a call needs.
type right int

const (
	rightNone right = iota
	rightRead
	rightReadAll
	rightWrite
	rightDelete
)

// key is the name of a right in the $acl of a stream. A stream of metadata has the rights of its stream.
func (r right) key(meta bool) string { //revive:disable-line:flag-parameter // a fact, not a switch
	switch {
	case r == rightRead && meta:
		return "$mr"
	case r == rightRead:
		return "$r"
	case meta:
		return "$mw"
	case r == rightDelete:
		return "$d"
	default:
		return "$w"
	}
}

// authenticate finds out who calls, nil for nobody.
func (c *Cluster) authenticate(md metadata.MD) (name string, user *User, err error) {
	given := md.Get("authorization")
	if len(given) == 0 {
		return "", nil, nil
	}
	scheme, encoded, _ := strings.Cut(given[0], " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", nil, nil
	}
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil { // secure/read/not_base64
		return "", nil, status.Error(codes.Unknown, "Received HTTP status code 500")
	}
	name, password, _ := strings.Cut(string(text), ":")
	known, ok := c.options.Users[name]
	if !ok || known.Password != password {
		return "", nil, status.Error(codes.Unauthenticated, "Unauthenticated")
	}
	return name, &known, nil
}

// authorise refuses who may not do it to a stream, "" where that is of no stream.
func (c *Cluster) authorise(ctx context.Context, r right, stream string) error {
	if c.options.Users == nil {
		return nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	name, user, err := c.authenticate(md)
	switch {
	case err != nil:
		return err
	case r == rightNone, user != nil && user.Admin:
		return nil
	case user == nil, r == rightReadAll && !user.ReadAll, (r == rightWrite || r == rightDelete) && !user.Write:
		return errAccessDenied(ctx)
	}
	own, meta := metadataOf(stream)
	if !meta {
		own = stream
	}
	if strings.HasPrefix(own, "$") || !c.accessOf(own).allow(r.key(meta), name) {
		return errAccessDenied(ctx)
	}
	return nil
}

// access is the $acl of a stream: users and roles by right.
type access map[string]json.RawMessage

// accessOf returns the $acl of a stream, as the leader has it.
func (c *Cluster) accessOf(stream string) access {
	c.mu.Lock()
	defer c.mu.Unlock()
	leader := c.leading()
	if leader == nil {
		return nil
	}
	return leader.store.written(c.options.Now()).settings(stream).Access
}

// allow reports whether a user who is no administrator has a right, which everybody has that is not spoken of.
func (a access) allow(key, user string) bool {
	raw, ok := a[key]
	if !ok {
		return true
	}
	var names []string
	if json.Unmarshal(raw, &names) != nil {
		names = make([]string, 1)
		_ = json.Unmarshal(raw, &names[0]) // what is no name is nobody's
	}
	return slices.Contains(names, user) || slices.Contains(names, "$all")
}

func errAccessDenied(ctx context.Context) error {
	return refuse(ctx, codes.PermissionDenied, "Access Denied", "exception", "access-denied")
}
