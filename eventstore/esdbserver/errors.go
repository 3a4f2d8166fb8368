package esdbserver

import (
	"context"
	"errors"
	"strconv"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gxpledger/gxpledger/eventstore"
)

// refusal is an answer that is not what was asked for: a status, and the trailers by which clients tell cases apart.
type refusal struct {
	status  *status.Status
	trailer metadata.MD
}

// Error implements error.
func (r *refusal) Error() string { return r.status.Message() }

// refuse makes a refusal whose trailers are pairs of name and value. Trailers are printable ASCII, and short: none holds what a client sent.
func refuse(code codes.Code, text string, trailers ...string) *refusal {
	return &refusal{status: status.New(code, bounded(text)), trailer: metadata.Pairs(trailers...)}
}

// maxText bounds what a text takes on the wire. It is a header there, and a client whose headers are larger than it allows (8 KiB with
// Java and Python, 64 KiB with Node) does not get the answer at all: Node's connection is of no use from then on, and its calls hang.
const maxText = 4 << 10

// bounded cuts a text, which may repeat what a client sent, behind maxText. On the wire, a byte that is not printable ASCII takes three.
func bounded(text string) string {
	size := 0
	for i, r := range text {
		switch {
		case r < ' ' || r > '~' || r == '%':
			size += 3 * utf8.RuneLen(r)
		default:
			size++
		}
		if size > maxText {
			return text[:i] + "... (cut)"
		}
	}
	return text
}

func malformed(text string) *refusal { return refuse(codes.InvalidArgument, text) }

func accessDenied(text string) *refusal {
	return refuse(codes.PermissionDenied, text, "exception", "access-denied")
}

func appendTooLarge(limit int) *refusal {
	return refuse(codes.InvalidArgument, "Maximum Append Size of "+strconv.Itoa(limit)+" Exceeded.",
		"exception", "maximum-append-size-exceeded", "maximum-append-size", strconv.Itoa(limit))
}

var errStopping = errors.New("server is stopping")

// translate makes a refusal of a failure of the log or of the call itself. What the log says of itself is for the
// operator; clients get what they can react to.
func (v *service) translate(ctx context.Context, err error) *refusal {
	switch {
	case errors.Is(err, errStopping):
		return refuse(codes.Unavailable, "the server is stopping")
	case errors.Is(err, errSlow):
		return refuse(codes.Unavailable, errSlow.Error())
	case errors.Is(err, eventstore.ErrClosed):
		return refuse(codes.Unavailable, "the log is closed")
	case ctx.Err() != nil:
		return &refusal{status: status.FromContextError(ctx.Err())}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return refuse(codes.Aborted, "Operation timed out.")
	}
	if s, ok := status.FromError(err); ok { // of gRPC, from receiving or sending
		return &refusal{status: s}
	}
	v.options.Failed(err)
	switch {
	case errors.Is(err, eventstore.ErrTransient):
		return refuse(codes.Aborted, "Operation timed out: the log did not answer. Try again with the same event ids.")
	case errors.Is(err, eventstore.ErrCorrupt):
		return refuse(codes.DataLoss, "the log is corrupt: ask its operator to run verify")
	default:
		return refuse(codes.Unknown, "the log failed: the operator's log has the cause")
	}
}
