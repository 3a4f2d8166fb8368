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
	"google.golang.org/grpc/peer"
)

// noCredentials is what a call without credentials is told that needs some.
const noCredentials = "Access Denied"

// Refusal is a login or an append that was refused, for the log of the operator. User, Stream and Reason may hold what a client sent.
type Refusal struct {
	What   string // "login" or "append"
	Peer   string // the address of the client, "" if it is not known
	User   string // who the client says it is, "" if it does not say
	Stream string // of an append
	Reason string
}

func (v *service) tellRefused(ctx context.Context, r Refusal) {
	if p, ok := peer.FromContext(ctx); ok {
		r.Peer = p.Addr.String()
	}
	v.options.Refused(r)
}

// tellRefusedAppend tells the operator of err if it refuses the append of an order. That of a call which is denied was told as a login.
func (v *service) tellRefusedAppend(ctx context.Context, c call, o *order, err error) {
	if r, ok := errors.AsType[*refusal](err); ok && c.denied == nil {
		v.tellRefused(ctx, Refusal{What: "append", User: c.user, Stream: o.stream, Reason: r.Error()})
	}
}

// authenticate returns the user who makes a call, "" where nobody has to say who they are.
func (v *service) authenticate(ctx context.Context) (string, error) {
	if v.options.Authenticate == nil {
		return "", nil
	}
	user, password, ok := basicCredentials(ctx)
	if !ok {
		refused := refuse(codes.Unauthenticated, "credentials are required in the form of basic authentication")
		if !hasCredentials(ctx) {
			refused = accessDenied(noCredentials)
		}
		v.tellRefused(ctx, Refusal{What: "login", Reason: "no credentials of the form of basic authentication"})
		return "", refused
	}
	err := v.options.Authenticate(ctx, user, password)
	switch {
	case err == nil:
		return user, nil
	case errors.Is(err, ErrNotAuthenticated):
		v.tellRefused(ctx, Refusal{What: "login", User: user, Reason: "unknown user or wrong password"})
		return "", refuse(codes.Unauthenticated, "unknown user or wrong password")
	case errors.Is(err, ErrTooManyLogins):
		v.tellRefused(ctx, Refusal{What: "login", User: user, Reason: ErrTooManyLogins.Error()})
		return "", refuse(codes.Unavailable, ErrTooManyLogins.Error()+": try again later")
	case ctx.Err() != nil: // the client has gone
		return "", v.translate(ctx, err)
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
