package esdbserver

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
)

// authenticate returns the user who makes a call, "" where nobody has to say who they are.
func (v *service) authenticate(ctx context.Context) (string, error) {
	if v.options.Authenticate == nil {
		return "", nil
	}
	user, password, ok := basicCredentials(ctx)
	if !ok {
		return "", refuse(codes.Unauthenticated, "credentials are required: basic authentication, over TLS")
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

// basicCredentials takes user and password from the metadata of a call.
func basicCredentials(ctx context.Context) (user, password string, ok bool) {
	md, _ := metadata.FromIncomingContext(ctx)
	values := md.Get("authorization")
	if len(values) != 1 {
		return "", "", false
	}
	const scheme = "basic "
	if len(values[0]) < len(scheme) || !strings.EqualFold(values[0][:len(scheme)], scheme) {
		return "", "", false
	}
	text, err := base64.StdEncoding.DecodeString(values[0][len(scheme):])
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(text), ":")
}
