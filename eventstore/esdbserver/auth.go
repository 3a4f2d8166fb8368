package esdbserver

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
)

// noCredentials is what a call without credentials is told that needs some.
const noCredentials = "Access Denied"

// authenticate returns the user who makes a call, "" where nobody has to say who they are.
func (v *service) authenticate(ctx context.Context) (string, error) {
	if v.options.Authenticate == nil {
		return "", nil
	}
	if !hasCredentials(ctx) {
		return "", accessDenied(noCredentials)
	}
	user, password, ok := basicCredentials(ctx)
	if !ok {
		return "", refuse(codes.Unauthenticated, "credentials are required in the form of basic authentication")
	}
	err := v.options.Authenticate(ctx, user, password)
	switch {
	case err == nil:
		return user, nil
	case errors.Is(err, ErrNotAuthenticated):
		return "", refuse(codes.Unauthenticated, "unknown user or wrong password")
	default:
		v.options.Failed(fmt.Errorf("cannot authenticate a client: %w", err))
		return "", refuse(codes.Unavailable, "credentials cannot be checked now")
	}
}

// hasCredentials reports whether a call has credentials of the one scheme that the protocol knows.
func hasCredentials(ctx context.Context) bool {
	md, _ := metadata.FromIncomingContext(ctx)
	return slices.ContainsFunc(md.Get("authorization"), isBasic)
}

const scheme = "basic "

func isBasic(value string) bool {
	return len(value) >= len(scheme) && strings.EqualFold(value[:len(scheme)], scheme)
}

// basicCredentials takes user and password from the metadata of a call.
func basicCredentials(ctx context.Context) (user, password string, ok bool) {
	md, _ := metadata.FromIncomingContext(ctx)
	values := md.Get("authorization")
	if len(values) != 1 || !isBasic(values[0]) {
		return "", "", false
	}
	text, err := base64.StdEncoding.DecodeString(values[0][len(scheme):])
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(text), ":")
}
