package kurrent_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
)

// Contents are written at the same time, each once, and the batch after all of them, whatever happens in between.
func TestContentsAreThereBeforeTheirBatch(t *testing.T) {
	t.Parallel()
	const contents = 200
	for name, happens := range map[string]struct {
		between func(c *esdbtest.Cluster)
		want    error // of the first try
	}{
		"nothing": {func(*esdbtest.Cluster) {}, nil},
		"an election": {func(c *esdbtest.Cluster) {
			c.After(5*time.Second, func() { c.ElectAfter(time.Second, 1) })
		}, nil},
		"the leader freezes": {func(c *esdbtest.Cluster) {
			c.After(5*time.Second, func() {
				c.Node(0).Freeze()
				c.Elect(1)
			})
		}, nil},
		"an answer is lost": {func(c *esdbtest.Cluster) {
			c.FailNext(append(make([]esdbtest.Fault, contents/2), esdbtest.Fault{Err: status.Error(codes.Unavailable, "gone"), Write: true})...)
		}, nil},
		"one is refused": {func(c *esdbtest.Cluster) {
			c.FailNext(append(make([]esdbtest.Fault, contents/2), esdbtest.Fault{Err: status.Error(codes.InvalidArgument, "no")})...)
		}, eventstore.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := cluster(t)
			log := open(t, c.URL(), unsaid())
			log.SetPatience(200 * time.Millisecond)
			b := batch("s", 0, 2)
			for i := range contents {
				b.Contents = append(b.Contents, blob(fmt.Sprint("content ", i)))
			}
			happens.between(c)
			at, err := log.Append(within(t), b)
			if !errors.Is(err, happens.want) {
				t.Fatalf("error is %v, want %v", err, happens.want)
			}
			if err != nil {
				if !errors.Is(err, eventstore.ErrNotWritten) || len(c.Of("gxpledger.s")) != 0 {
					t.Errorf("the batch was written, or may have been: %v", err)
				}
				at = mustAppend(t, log, b)
			}
			stored := map[string]int{}
			for _, e := range c.Committed() {
				if hash, ok := strings.CutPrefix(e.Stream, "gxpledger.content-"); ok {
					if stored[hash]++; e.Position > uint64(at.First) {
						t.Errorf("content %s is behind its batch", hash)
					}
				}
			}
			for _, content := range b.Contents {
				if stored[content.SHA256] != 1 {
					t.Errorf("content %s is there %d times", content.SHA256, stored[content.SHA256])
				}
			}
			c.Node(0).Resume()
		})
	}
}
