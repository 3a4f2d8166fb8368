package esdbtest

import "testing"

// Fake is a cluster of one node.
type Fake struct{ *Cluster }

// StartFake starts a fake, which runs until tb ends. It takes the batches of the conformance suite, unless one of set says otherwise.
func StartFake(tb testing.TB, set ...func(*ClusterOptions)) *Fake {
	tb.Helper()
	o := ClusterOptions{Nodes: 1, MaxAppendSize: 8 << 20}
	for _, change := range set {
		change(&o)
	}
	return &Fake{StartCluster(tb, o)}
}

// Leader returns how many calls there were, by what they say of requires-leader.
func (f *Fake) Leader() map[string]int { return f.Requests().Leader }

// Filters returns what subscriptions asked the server to choose, in order.
func (f *Fake) Filters() []string { return f.Requests().Filters }
