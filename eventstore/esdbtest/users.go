package esdbtest

import (
	"context"
	"encoding/base64"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// User is somebody who may connect. Without users nobody is asked, and credentials are not looked at (facts: credentials/*, secure/*).
type User struct {
	Password string
	ReadAll  bool // may read $all
	Write    bool // may write to streams that are not the system's
}

type right int

const (
	rightNone right = iota
	rightRead
	rightReadAll
	rightWrite
)

func (c *Cluster) authorise(ctx context.Context, md metadata.MD, r right) error {
	if c.options.Users == nil {
		return nil
	}
	given := md.Get("authorization")
	if len(given) == 0 {
		if r == rightNone {
			return nil
		}
		return errAccessDenied(ctx)
	}
	_, encoded, _ := strings.Cut(given[0], " ")
	text, err := base64.StdEncoding.DecodeString(encoded)
	name, password, _ := strings.Cut(string(text), ":")
	user, known := c.options.Users[name]
	switch {
	case err != nil || !known || user.Password != password:
		return status.Error(codes.Unauthenticated, "Unauthenticated")
	case r == rightReadAll && !user.ReadAll || r == rightWrite && !user.Write:
		return errAccessDenied(ctx)
	}
	return nil
}

func errAccessDenied(ctx context.Context) error {
	return refuse(ctx, codes.PermissionDenied, "Access Denied", "exception", "access-denied")
}
