package targets

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gxpledger/gxpledger/eventstore/feed/relay"
)

// jetStream publishes to a subject that a stream of NATS JetStream holds, and waits for its acknowledgement.
type jetStream struct {
	servers string
	subject string
	options []nats.Option
	conn    *nats.Conn // nil until the first message, and after an unknown outcome
	stream  jetstream.JetStream
}

func newJetStream(to *url.URL, o Options) (*jetStream, error) {
	j := &jetStream{servers: to.Scheme + "://" + to.Host, subject: nameIn(to)}
	if strings.ContainsAny(j.subject, "*>") {
		return nil, fmt.Errorf("the subject %q has a wildcard: want one to publish to", j.subject)
	}
	j.options = []nats.Option{
		nats.Name("gxpledger relay"), nats.NoReconnect(), nats.ReconnectBufSize(-1), // what is not acknowledged is never sent behind the back of the relay
		nats.Timeout(10 * time.Second), nats.NoCallbacksAfterClientClose(),
	}
	if isEncrypted(to) {
		j.options = append(j.options, nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.Roots}))
	}
	if strings.Contains(o.Secret, "BEGIN NATS USER JWT") { // answers a challenge, and sends no secret
		j.options = append(j.options, nats.UserCredentialBytes([]byte(o.Secret)))
		return j, nil
	}
	user, password, err := userIn(to, o.Secret)
	if err != nil {
		return nil, err
	}
	if user != "" || password != "" {
		j.options = append(j.options, nats.UserInfo(user, password))
	}
	return j, nil
}

// Send implements [relay.Target].
func (j *jetStream) Send(ctx context.Context, m relay.Message) error {
	err := j.publish(ctx, m)
	if err == nil {
		return nil
	}
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.ErrorCode == codeTooLarge {
		return &relay.RefusedError{Reason: "NATS: " + api.Description}
	}
	if errors.Is(err, nats.ErrMaxPayload) {
		return &relay.RefusedError{Reason: fmt.Sprintf("NATS: the event has %d bytes, and the server takes %d", len(m.Body), j.conn.MaxPayload())}
	}
	_ = j.Close() // the outcome may be unknown: the next attempt has a connection of its own
	return fmt.Errorf("cannot publish to NATS: %w", err)
}

// codeTooLarge is what JetStream answers to a message that is larger than its stream takes.
const codeTooLarge = 10054

func (j *jetStream) publish(ctx context.Context, m relay.Message) error {
	if j.conn == nil {
		if err := j.connect(ctx); err != nil {
			return err
		}
	}
	header := nats.Header{"Content-Type": {m.ContentType}}
	_, err := j.stream.PublishMsg(ctx, &nats.Msg{Subject: j.subject, Header: header, Data: m.Body}, jetstream.WithMsgID(m.ID), jetstream.WithRetryAttempts(0))
	if err != nil {
		return err
	}
	return nil
}

// connect connects under the deadline of ctx.
func (j *jetStream) connect(ctx context.Context) error {
	type result struct {
		conn *nats.Conn
		err  error
	}
	connected := make(chan result, 1)
	go func() {
		conn, err := nats.Connect(j.servers, j.options...)
		connected <- result{conn, err}
	}()
	select {
	case <-ctx.Done():
		go func() { // Connect takes no context; it ends by its own timeout
			if late := <-connected; late.conn != nil {
				late.conn.Close()
			}
		}()
		return context.Cause(ctx)
	case r := <-connected:
		if r.err != nil {
			return r.err
		}
		stream, err := jetstream.New(r.conn)
		if err != nil {
			r.conn.Close()
			return err
		}
		j.conn, j.stream = r.conn, stream
		return nil
	}
}

// Close implements [relay.Target].
func (j *jetStream) Close() error {
	if j.conn != nil {
		j.conn.Close()
		j.conn, j.stream = nil, nil
	}
	return nil
}
