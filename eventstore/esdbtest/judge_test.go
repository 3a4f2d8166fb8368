package esdbtest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
)

// A subscriber must have been sent each event of the streams that it follows, once and in order, and nothing else.
func TestTheJudgeOfSubscribers(t *testing.T) {
	t.Parallel()
	c := esdbtest.StartCluster(t, esdbtest.ClusterOptions{Nodes: 1})
	for i := range uint64(3) {
		c.Put("ours-a", i, "T", nil, nil)
		c.Put("theirs", i, "T", nil, nil)
	}
	ours := func(stream string) bool { return strings.HasPrefix(stream, "ours") }
	all := slices.DeleteFunc(c.Committed(), func(e esdbtest.Committed) bool { return !ours(e.Stream) })
	if len(all) != 3 {
		t.Fatalf("%d events are committed, want 3", len(all))
	}
	if err := c.JudgeSubscriber(ours, all); err != nil {
		t.Errorf("all, in order: %v", err)
	}
	for what, sent := range map[string][]esdbtest.Committed{
		"none": nil, "not the last": all[:2], "not the first": all[1:], "one twice": {all[0], all[0], all[1], all[2]},
		"the last twice": {all[0], all[1], all[2], all[2]}, "in another order": {all[0], all[2], all[1]},
		"one of others": slices.Insert(slices.Clone(all), 1, c.Committed()[2]),
	} {
		if c.JudgeSubscriber(ours, sent) == nil {
			t.Errorf("%s: nothing is found", what)
		}
	}
}
