package kurrent

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gxpledger/gxpledger/eventstore"
)

var (
	// errDeleted: the stream was deleted for ever.
	errDeleted = fmt.Errorf("%w: a stream was deleted (tombstoned), which gxpledger never does: the log was tampered with", eventstore.ErrCorrupt)
	// errPosition: the server has no such position, or none that a reader may begin at.
	errPosition = fmt.Errorf("%w: position is not one of this log", eventstore.ErrInvalid)
	// errNoSuchCall: the server does not know the call.
	errNoSuchCall = errors.New("the server does not know a call that an EventStoreDB knows: see that the address is that of one")
)

// ErrRefused says that the server does not know the user, or does not let them do what the log needs. Nothing was written.
// Do not retry: give the connection string another user, or the user the right.
var ErrRefused = errors.New("server refuses")

// passingError is a failure that another try may get over: of an election, a restart, a busy server. It is ErrTransient.
type passingError struct {
	text       string
	leader     string        // host:port that the node named, "" for none
	odd        bool          // no election gives it: a few tries tell whether it passes
	waited     time.Duration // for an answer that did not come
	redirected bool          // the next try goes to another node than this one did
}

// Error implements error.
func (e *passingError) Error() string { return eventstore.ErrTransient.Error() + ": " + e.text }

// Unwrap makes it ErrTransient.
func (e *passingError) Unwrap() error { return eventstore.ErrTransient }

func passing(node, text string) *passingError { return &passingError{text: node + " " + text} }

// translate gives an error of a call to n the meaning that package eventstore defines, as a sentence. It is the only place
// that does.
func (n *node) translate(ctx context.Context, err error, trailer metadata.MD) error {
	switch {
	case translated(err):
		return err
	case errors.Is(err, io.EOF):
		return passing(n.address, "ended the call without an answer")
	}
	s, ok := status.FromError(err)
	if !ok {
		return fmt.Errorf("node %s: %w", n.address, err)
	}
	if err := n.exception(trailer, s); err != nil {
		return err
	}
	text := sentence(s.Message())
	switch s.Code() { //nolint:exhaustive // the others have no meaning here
	case codes.Unavailable:
		if err := n.insecurity(ctx, text); err != nil {
			return err
		}
		return passing(n.address, "cannot be used now: "+reason(text))
	case codes.DeadlineExceeded:
		return passing(n.address, "gave no answer in time: "+text)
	case codes.Unauthenticated:
		return fmt.Errorf("%w: node %s does not know the user, or the password is another: %s", ErrRefused, n.address, text)
	case codes.PermissionDenied:
		return fmt.Errorf("%w: node %s does not let the user do that: %s", ErrRefused, n.address, text)
	case codes.Unimplemented:
		return fmt.Errorf("%w: node %s: %s", errNoSuchCall, n.address, text)
	case codes.AlreadyExists:
		return fmt.Errorf("%w: node %s: %s", eventstore.ErrIDReused, n.address, text)
	case codes.DataLoss:
		return fmt.Errorf("%w: node %s: %s", eventstore.ErrCorrupt, n.address, text)
	case codes.FailedPrecondition:
		return fmt.Errorf("%w: node %s: %s", errDeleted, n.address, text)
	case codes.ResourceExhausted:
		if strings.Contains(text, "essage") && (strings.Contains(text, "exceeds") || strings.Contains(text, "larger than")) {
			return &limitError{limit: limitMessage, text: text}
		}
	case codes.InvalidArgument, codes.Unknown:
		if err := badArgument(s.Code(), text); err != nil {
			return err
		}
	}
	p := passing(n.address, fmt.Sprintf("answered %q (%s)", text, s.Code()))
	p.odd = s.Code() == codes.Internal || s.Code() == codes.Unknown && !strings.Contains(strings.ToLower(text), "leader")
	return p
}

// badArgument returns what is wrong with what was asked for, nil where the text does not tell.
func badArgument(code codes.Code, text string) error {
	lower := strings.ToLower(text)
	switch {
	case strings.Contains(lower, "maximum append size"):
		return &limitError{limit: limitAppend, text: text}
	case strings.Contains(lower, "invalid position"), strings.Contains(lower, "readallresult: "):
		return fmt.Errorf("%w: %s", errPosition, text)
	case code == codes.InvalidArgument:
		return fmt.Errorf("%w: the server answered %q", eventstore.ErrInvalid, text)
	}
	return nil
}

// exception returns what the trailers of a call say, nil where they say nothing.
func (n *node) exception(trailer metadata.MD, s *status.Status) error {
	get := func(name string) string {
		if values := trailer.Get(name); len(values) > 0 {
			return sentence(values[0])
		}
		return ""
	}
	switch get("exception") {
	case "not-leader":
		p := passing(n.address, "is not the leader")
		if leader, err := endpoint(get("leader-endpoint-host"), get("leader-endpoint-port")); err == nil {
			p.leader = leader
		}
		return p
	case "stream-deleted":
		return fmt.Errorf("%w: stream %q", errDeleted, get("stream-name"))
	case "access-denied":
		return fmt.Errorf("%w: node %s does not let the user do that: %s", ErrRefused, n.address, sentence(s.Message()))
	case "wrong-expected-version":
		return &conflictError{}
	case "maximum-append-size-exceeded":
		return &limitError{limit: limitAppend, most: get("maximum-append-size"), text: sentence(s.Message())}
	case "maximum-append-event-size-exceeded":
		return &limitError{
			limit: limitEvent, most: get("maximum-append-event-size"), event: get("event-id"),
			size: get("proposed-append-event-size"), text: sentence(s.Message()),
		}
	}
	return nil
}

func translated(err error) bool {
	for _, sentinel := range []error{
		eventstore.ErrTransient, eventstore.ErrCorrupt, eventstore.ErrInvalid, eventstore.ErrConflict,
		eventstore.ErrIDReused, eventstore.ErrTooLarge, eventstore.ErrNotFound, eventstore.ErrClosed, ErrRefused, errNoSuchCall,
	} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return false
}

// conflictError says that a stream is at another revision than an append expected. It is ErrConflict.
type conflictError struct {
	size uint64 // number of events that the stream has for the server, whether or not they can be read yet
}

// Error implements error.
func (e *conflictError) Error() string { return eventstore.ErrConflict.Error() }

// Unwrap makes it ErrConflict.
func (e *conflictError) Unwrap() error { return eventstore.ErrConflict }

// limitError says that an append is above a limit. It is ErrTooLarge.
type limitError struct {
	limit       appendLimit
	most        string // bytes, "" for unknown
	event, size string // of the event that is too large, "" for unknown
	text        string // of the server
	proposed    appendSize
}

// appendSize is what was to be appended.
type appendSize struct {
	what   string // "the batch", or the name of a content
	events int
	bytes  int64 // as the server counts them
}

type appendLimit int

const (
	limitAppend appendLimit = iota // of the server
	limitEvent                     // of the server
	limitMessage
	limitOwn // maxAppendSize
)

// Error implements error. It names the limit that was met, what needed how much, and the one setting that helps.
func (e *limitError) Error() string {
	what := fmt.Sprintf("%s of %d events", cmp.Or(e.proposed.what, "an append"), e.proposed.events)
	if e.proposed.events == 1 {
		what = strings.TrimSuffix(what, "s")
	}
	switch e.limit {
	case limitEvent:
		return fmt.Sprintf("%s: event %s of %s needs %s bytes, and the server takes events of up to %s: raise its MaxAppendEventSize "+
			"to that", eventstore.ErrTooLarge, cmp.Or(e.event, "(unknown)"), what, cmp.Or(e.size, "more"), cmp.Or(e.most, "less"))
	case limitMessage:
		return fmt.Sprintf("%s: an event of %s is above what a server takes in one message, which no setting raises (%s): split it",
			eventstore.ErrTooLarge, what, e.text)
	case limitAppend, limitOwn:
	}
	most := "the limit"
	if e.most != "" {
		most += " of " + e.most
	}
	name := "maxAppendSize"
	if e.limit == limitAppend {
		name = "MaxAppendSize of the server"
	}
	return fmt.Sprintf("%s: %s needs %d bytes, above %s (%s)%s: %s", eventstore.ErrTooLarge, what, e.proposed.bytes, most, name, e.fits(), e.remedy())
}

// fits says how many events of this size the limit takes.
func (e *limitError) fits() string {
	most, err := strconv.ParseInt(e.most, 10, 64)
	if err != nil || e.proposed.events < 2 || e.proposed.bytes == 0 {
		return ""
	}
	return fmt.Sprintf(", in which some %d of them fit", int64(float64(most)/float64(e.proposed.bytes)*float64(e.proposed.events)))
}

// remedy says what to do. It names no setting that no server takes.
func (e *limitError) remedy() string {
	need := e.proposed.bytes
	own := ""
	if e.limit == limitOwn {
		own = ", and then maxAppendSize of the connection string (Options.MaxAppendBytes) to the same"
	}
	less := "record fewer artifacts in one scan"
	if e.proposed.what != theBatch && e.proposed.what != "" {
		less = "make it smaller"
	}
	const setting = "MaxAppendSize of the server (KURRENTDB_MAX_APPEND_SIZE or EVENTSTORE_MAX_APPEND_SIZE)"
	older := fmt.Sprintf("servers up to KurrentDB 25.0 take %d bytes at most, which are some 18,000 artifacts", largestAppend)
	switch {
	case need <= largestAppend:
		return fmt.Sprintf("raise %s to %d or more%s; %s", setting, need, own, older)
	case need <= largestChunk:
		return fmt.Sprintf("%s: %s, or use KurrentDB 25.1 or later and set %s to %d or more%s", older, less, setting, need, own)
	default:
		return fmt.Sprintf("no server takes more than %d bytes in one append, and %s: %s", largestChunk, older, less)
	}
}

// Unwrap makes it ErrTooLarge.
func (e *limitError) Unwrap() error { return eventstore.ErrTooLarge }

const (
	// largestAppend is the largest MaxAppendSize of servers up to KurrentDB 25.0.
	largestAppend = 16_767_216
	// largestChunk is that of later ones: an append lies in one file of the log.
	largestChunk = 256 << 20
)

// sentence is a text of a server as a person may see it.
func sentence(text string) string {
	return shorten(strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)))
}

// reason takes the frame that gRPC puts round the reason why there is no connection away.
func reason(text string) string {
	for _, frame := range []string{"Error while dialing: ", "authentication handshake failed: ", `transport: `} {
		if _, inner, ok := strings.Cut(text, frame); ok {
			return strings.TrimSuffix(inner, `"`)
		}
	}
	return text
}

// insecurity returns why n and this process cannot agree on TLS, nil where that is not what keeps them apart. It is final:
// no further try helps, but another setting.
func (n *node) insecurity(ctx context.Context, text string) error {
	fault := n.shake.fault.Load()
	if fault == nil && n.secure {
		if strings.Contains(text, "remote error: tls: ") { // of TLS 1.3, where the server answers behind the handshake
			return n.mend("does not take this side of TLS: "+reason(text), "see userCertFile and userKeyFile")
		}
		return nil
	}
	if fault == nil {
		if strings.Contains(text, "server preface") && n.speaksTLS(ctx) {
			return n.mend("speaks TLS, and tls=false says not to", "remove tls=false")
		}
		return nil
	}
	var alert tls.AlertError
	var unverified *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var plain tls.RecordHeaderError
	var name x509.HostnameError
	switch err := *fault; {
	case errors.As(err, &plain):
		return n.mend("does not speak TLS", "write tls=false for a server without TLS")
	case errors.As(err, &unknown):
		return n.mend("has a certificate of an authority that is not known here", "name the authority's certificate with tlsCaFile")
	case errors.As(err, &name):
		return n.mend("has a certificate for another name: "+sentence(name.Error()), "use the name that the certificate is for")
	case errors.As(err, &unverified):
		return n.mend("has a certificate that does not hold: "+sentence(unverified.Err.Error()), "have the certificate renewed")
	case errors.As(err, &alert):
		return n.mend("does not take this side of TLS: "+sentence(alert.Error()), "see userCertFile and userKeyFile")
	}
	return nil
}

func (n *node) mend(fault, todo string) error {
	return fmt.Errorf("%w: the connection string does not fit node %s, which %s: %s", eventstore.ErrInvalid, n.address, fault, todo)
}

// probe remembers whether a node that ends calls in clear text speaks TLS. It is safe for concurrent use.
type probe struct {
	turn chan struct{} // has one while nobody asks the node
	at   time.Time     // guarded by the turn, as is the next
	uses bool
}

func newProbe() *probe {
	p := &probe{turn: make(chan struct{}, 1)}
	p.turn <- struct{}{}
	return p
}

// probeAgain is how long what was found is taken for true.
const probeAgain = 5 * time.Second

// speaksTLS asks n by a handshake of its own: a server that speaks TLS ends a call in clear text in many ways. It waits no longer than ctx.
func (n *node) speaksTLS(ctx context.Context) bool {
	select {
	case <-n.probe.turn:
	case <-ctx.Done():
		return false
	}
	defer func() { n.probe.turn <- struct{}{} }()
	if now := time.Now(); now.Sub(n.probe.at) > probeAgain { //nolint:forbidigo // a duration, not a time that is recorded
		ctx, cancel := context.WithTimeout(ctx, n.patience.probe)
		defer cancel()
		n.probe.at, n.probe.uses = now, speaksTLS(ctx, n.address)
	}
	return n.probe.uses
}

func speaksTLS(ctx context.Context, address string) bool {
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer func() { _ = raw.Close() }()
	err = tls.Client(raw, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx) //nolint:gosec // nothing is said over it
	var alert tls.AlertError
	return err == nil || errors.As(err, &alert)
}
