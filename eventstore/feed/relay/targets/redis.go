package targets

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/url"

	"github.com/redis/go-redis/v9"

	"github.com/gxpledger/gxpledger/eventstore/feed/relay"
)

// redisStream adds events to a stream of Redis.
type redisStream struct {
	options *redis.Options
	stream  string
	client  *redis.Client // nil until the first message, and after an unknown outcome
}

func newRedisStream(to *url.URL, o Options) (*redisStream, error) {
	user, password, err := userIn(to, o.Secret)
	if err != nil {
		return nil, err
	}
	r := &redisStream{stream: nameIn(to), options: &redis.Options{
		Addr: to.Host, Username: user, Password: password, ClientName: "gxpledger-relay", PoolSize: 1, ContextTimeoutEnabled: true,
		MaxRetries: -1, // the relay tries again
	}}
	if to.Port() == "" {
		r.options.Addr = to.Hostname() + ":6379"
	}
	if isEncrypted(to) {
		r.options.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.Roots, ServerName: to.Hostname()}
	}
	return r, nil
}

// Send implements [relay.Target]. Redis refuses nothing for good: what it answers is about its memory, its disk or our rights.
func (r *redisStream) Send(ctx context.Context, m relay.Message) error {
	if r.client == nil {
		r.client = redis.NewClient(r.options)
	}
	err := r.client.XAdd(ctx, &redis.XAddArgs{Stream: r.stream, Values: []any{
		"id", m.ID, "key", m.Key, "type", m.Type, "content-type", m.ContentType, "event", m.Body,
	}}).Err()
	if err != nil {
		_ = r.Close() // the outcome may be unknown: the next attempt has a connection of its own
		return fmt.Errorf("cannot add to the stream of Redis: %w", err)
	}
	return nil
}

// Close implements [relay.Target].
func (r *redisStream) Close() error {
	if r.client == nil {
		return nil
	}
	err := r.client.Close()
	r.client = nil
	return err
}
