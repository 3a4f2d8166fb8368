package targets

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/gxpledger/gxpledger/eventstore/feed/relay"
)

// kafkaTopic produces to a topic of Kafka: idempotent, acknowledged by all replicas in sync, one record at a time, keyed by repository.
type kafkaTopic struct {
	options []kgo.Opt
	client  *kgo.Client // nil until the first message, and after an unknown outcome
}

func newKafkaTopic(to *url.URL, o Options) (*kafkaTopic, error) {
	options := []kgo.Opt{
		kgo.SeedBrokers(strings.Split(to.Host, ",")...), kgo.DefaultProduceTopic(nameIn(to)), kgo.ClientID("gxpledger-relay"),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), kgo.MaxProduceRequestsInflightPerBroker(1),
		kgo.ProducerLinger(0), kgo.ProducerBatchMaxBytes(maxKafkaRecord), kgo.DialTimeout(10 * time.Second), kgo.AllowIdempotentProduceCancellation(),
	}
	if isEncrypted(to) {
		options = append(options, kgo.DialTLSConfig(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.Roots}))
	}
	user, password, err := userIn(to, o.Secret)
	if err != nil {
		return nil, err
	}
	if password != "" {
		options = append(options, kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha512Mechanism()))
	}
	return &kafkaTopic{options: options}, nil
}

// maxKafkaRecord is the largest batch that is sent; the topic may take less.
const maxKafkaRecord = 64 << 20

// Send implements [relay.Target].
func (k *kafkaTopic) Send(ctx context.Context, m relay.Message) error {
	if k.client == nil {
		client, err := kgo.NewClient(k.options...)
		if err != nil {
			return fmt.Errorf("cannot connect to Kafka: %w", err)
		}
		k.client = client
	}
	produced := make(chan error, 1)
	k.client.Produce(ctx, &kgo.Record{
		Key: []byte(m.Key), Value: m.Body, Headers: []kgo.RecordHeader{{Key: "content-type", Value: []byte(m.ContentType)}, {Key: "id", Value: []byte(m.ID)}},
	}, func(_ *kgo.Record, err error) { produced <- err })
	var err error
	select {
	case err = <-produced:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge), errors.Is(err, kerr.InvalidRecord):
		return &relay.RefusedError{Reason: "Kafka: " + err.Error()}
	}
	_ = k.Close() // the outcome may be unknown: the next attempt has a producer of its own
	return fmt.Errorf("cannot produce to Kafka: %w", err)
}

// Close implements [relay.Target].
func (k *kafkaTopic) Close() error {
	if k.client != nil {
		k.client.Close()
		k.client = nil
	}
	return nil
}
