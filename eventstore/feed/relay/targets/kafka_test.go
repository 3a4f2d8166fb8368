//go:build unix

package targets_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gxpledger/gxpledger/eventstore/feed/relay"
	"github.com/gxpledger/gxpledger/eventstore/feed/relay/targets"
)

// kfake keeps nothing over a restart, and so its connections are cut, before and after it has taken what was sent.
func TestAKafkaTopicReceivesTheLogWhileConnectionsAreCut(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if rand.N(6) == 0 {
			return nil, errors.New("the connection is cut"), true
		}
		return nil, nil, false //nolint:nilnil // not handled, as documented
	})
	s := newScene(t)
	address := strings.Join(cluster.ListenAddrs(), ",")
	command := self(t, part{Kind: "relay", Log: s.path, Cursors: s.cursors, To: "kafka://" + address + "/events"})
	s.relay, s.target = &process{tb: t, command: command}, &process{tb: t}
	consumer, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics("events"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(consumer.Close)
	var bodies [][]byte
	partition := map[string]int32{}
	s.received = func() ([][]byte, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		consumer.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			if at, known := partition[string(r.Key)]; len(r.Key) != 36 || known && at != r.Partition {
				t.Errorf("the events of %s are in partitions %d and %d", r.Key, at, r.Partition)
			}
			partition[string(r.Key)] = r.Partition
			bodies = append(bodies, r.Value)
		})
		return bodies, nil
	}
	s.relay.start()
	defer s.relay.kill()
	for range strikes {
		s.grow(4)
		pause(time.Duration(rand.N(150)) * time.Millisecond)
		s.relay.kill()
		s.relay.start()
	}
	s.judge()
}

func TestKafkaRefusesWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	target := open(t, targets.Options{To: "kafka://" + cluster.ListenAddrs()[0] + "/events"})
	m := message("1")
	m.Body = []byte(strings.Repeat("x", 70<<20))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := target.Send(ctx, m); !errors.As(err, new(*relay.RefusedError)) {
		t.Errorf("an event that is too large: %v", err)
	}
	if err := target.Send(ctx, message("2")); err != nil {
		t.Errorf("the event after it: %v", err)
	}
}
