package kurrent_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
	"github.com/gxpledger/gxpledger/eventstore/kurrent"
)

// cluster starts three nodes whose clock moves with each request.
func cluster(t *testing.T, set ...func(*esdbtest.ClusterOptions)) *esdbtest.Cluster {
	t.Helper()
	o := esdbtest.ClusterOptions{Tick: 100 * time.Millisecond, MaxAppendSize: 8 << 20}
	for _, change := range set {
		change(&o)
	}
	return esdbtest.StartCluster(t, o)
}

// A host that is a follower names the leader, and that is asked.
func TestAFollowerIsLeftForTheLeaderThatItNames(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	log := open(t, c.Node(1).URL(), options())
	mustAppend(t, log, batch("s", 0, 3))
	if n := len(readAll(t, log)); n != 3 {
		t.Errorf("read %d records", n)
	}
}

// An election fails nothing: what was asked during it is answered by the next leader.
func TestAnElectionFailsNothing(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	for i, url := range []string{c.URL(), c.Node(0).URL()} {
		log := open(t, url, options())
		stream := eventstore.StreamID(string(rune('a' + i)))
		for n := range 3 {
			c.ElectAfter(300*time.Millisecond, n)
			mustAppend(t, log, batch(stream, n, 3))
			c.ElectAfter(300*time.Millisecond, (n+1)%3)
			if got := len(readAll(t, log)); got != 3*(n+1)+9*i {
				t.Errorf("read %d records", got)
			}
		}
	}
	if err := c.Judge(); err != nil {
		t.Error(err)
	}
}

// A node that accepts connections and answers nothing costs nothing, unless it leads.
func TestAFrozenFollowerCostsNothing(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	c.Node(1).Freeze()
	ctx := within(t)
	for range 30 { // in all less than each would take that waits until a node is given up which accepted its connection
		log, err := kurrent.Open(ctx, c.URL()+"&gossipTimeout=3600&keepAliveInterval=-1", unhurried())
		if err != nil {
			t.Fatal(err)
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}
	mustAppend(t, open(t, c.URL(), unhurried()), batch("s", 0, 3))
	c.Node(1).Resume()
}

// A leader that is frozen is left as soon as there is another, by calls that are under way and by new ones.
func TestAFrozenLeaderIsLeft(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	url := c.URL() + "&keepAliveInterval=-1"
	log := open(t, url, unhurried())
	mustAppend(t, log, batch("s", 0, 3))
	c.Node(0).Freeze()
	time.AfterFunc(200*time.Millisecond, func() { c.Elect(1) })
	mustAppend(t, log, batch("s", 1, 3))
	if n := len(readAll(t, open(t, url, unhurried()))); n != 6 {
		t.Errorf("read %d records", n)
	}
	c.Node(0).Resume()
}

// The newest event of $all may lie inside a batch that is being indexed. Its end is waited for, by every way to read.
func TestABatchThatIsBeingIndexedIsWaitedFor(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	log := open(t, c.URL(), options())
	mustAppend(t, log, batch("s", 0, 4))
	c.HoldIndexInside("s", 1)
	time.AfterFunc(300*time.Millisecond, c.ReleaseIndex)
	if n := len(readAll(t, log)); n != 4 {
		t.Errorf("read %d records", n)
	}
	c.HoldIndexInside("s", 1)
	time.AfterFunc(300*time.Millisecond, c.ReleaseIndex)
	n := 0
	for _, err := range log.ReadBackwards(within(t), 0, eventstore.Filter{}) {
		if err != nil {
			t.Error(err)
		}
		n++
	}
	if n != 4 {
		t.Errorf("read %d records backwards", n)
	}
	c.HoldIndexInside("s", 1)
	time.AfterFunc(300*time.Millisecond, c.ReleaseIndex)
	head, err := log.Head(within(t))
	if at, _ := log.At(within(t), head); err != nil || !at.EndsBatch() {
		t.Errorf("the head is %d, %v, in a batch", head, err)
	}
}

// A server that says early that a subscription has caught up, and again and again, with a checkpoint that stands before the next event, hides
// nothing and is not taken for one that was tampered with.
func TestAnEarlyCaughtUpHidesNothing(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	log := open(t, c.URL(), unsaid())
	c.CatchUpEarly()
	const batches, size = 3, 50
	for n := range batches {
		mustAppend(t, log, batch("s", n, size))
		c.Put("orders-1", uint64(n), "placed", []byte("{}"), nil)
	}
	if n := len(readAll(t, log)); n != batches*size {
		t.Errorf("read %d records", n)
	}
	n := 0
	for _, err := range log.Subscribe(within(t), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 60 {
			c.FallBehind()
		}
		if n == batches*size {
			break
		}
	}
	for n := range batches { // the checkpoint stands before the event that is the end
		before, err := log.Head(within(t))
		if err != nil {
			t.Fatal(err)
		}
		at := mustAppend(t, log, batch("t", n, 1))
		var got []eventstore.Position
		for r, err := range log.Read(within(t), before, eventstore.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r.Position)
		}
		if !slices.Equal(got, []eventstore.Position{at.Last}) {
			t.Errorf("after position %d there are %d, want %d", before, got, at.Last)
		}
	}
}

// The leader compares an append with what it has and does not show yet: the append waits until that is shown.
func TestAConflictIsToldWhenItIsShown(t *testing.T) {
	t.Parallel()
	c := cluster(t, func(o *esdbtest.ClusterOptions) { o.Tick = time.Millisecond })
	log, other := open(t, c.URL(), options()), open(t, c.URL(), options())
	mustAppend(t, log, batch("s", 0, 3))
	c.Lag(esdbtest.Lag{Leader: 15 * time.Millisecond, AckFirst: true}) // for as many requests
	before, done := len(c.Acknowledged()), make(chan error, 1)
	go func() { _, err := other.Append(within(t), batch("s", 1, 3)); done <- err }()
	for tick := time.NewTicker(time.Millisecond); len(c.Acknowledged()) == before; <-tick.C {
		if t.Context().Err() != nil {
			t.Fatal("nothing was acknowledged")
		}
	}
	if _, err := log.Append(within(t), batch("s", 1, 3)); !errors.Is(err, eventstore.ErrConflict) {
		t.Errorf("error is %v, want ErrConflict", err)
	}
	n := 0
	for _, err := range log.ReadStream(within(t), "s", 0) { // what it met can be read
		if err != nil {
			t.Error(err)
		}
		n++
	}
	if n != 6 {
		t.Errorf("after the conflict the stream shows %d events", n)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Of several that make a log at the same time, each gets its one id, however late that is shown.
func TestNoLogHasTheZeroID(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	c.Lag(esdbtest.Lag{Leader: 300 * time.Millisecond, AckFirst: true})
	ids := make(chan string, 4)
	for range cap(ids) {
		go func() {
			log, err := kurrent.Open(within(t), c.URL(), options())
			if err != nil {
				ids <- err.Error()
				return
			}
			defer func() { _ = log.Close() }()
			ids <- log.ID().String()
		}()
	}
	first := <-ids
	for range cap(ids) - 1 {
		if id := <-ids; id != first || strings.HasPrefix(id, "00000000-") {
			t.Errorf("logs %s and %s", first, id)
		}
	}
}

// A leader that was frozen and replaced shows an old end for a while. That is no truncation; one that most nodes have is.
func TestTruncationIsToldWhenMostNodesEndEarlier(t *testing.T) {
	t.Parallel()
	c := cluster(t, func(o *esdbtest.ClusterOptions) { o.Stale = 400 * time.Millisecond })
	log := open(t, c.URL(), options())
	mustAppend(t, log, batch("s", 0, 3))
	c.Node(0).Freeze()
	c.Elect(1)
	at := mustAppend(t, log, batch("s", 1, 3))
	c.Node(0).Resume()
	late := open(t, c.Node(0).URL(), options()) // asks the old leader
	ctx, cancel := context.WithCancel(t.Context())
	more := batch("s", 2, 3)
	go func() {
		_, _ = log.Append(t.Context(), more)
	}()
	for r, err := range late.Subscribe(ctx, at.Last, eventstore.Filter{}) {
		if err != nil {
			t.Error(err)
			break
		}
		if r.Revision == 8 {
			break
		}
	}
	cancel()
	if _, err := late.At(within(t), at.Last); err != nil {
		t.Error(err)
	}
	for _, err := range late.Subscribe(within(t), at.Last+1<<30, eventstore.Filter{}) {
		if !errors.Is(err, eventstore.ErrInvalid) {
			t.Errorf("behind the end: %v, want ErrInvalid", err)
		}
	}
}

// A dropped subscription goes on, whatever it was dropped with that an election gives.
func TestASubscriptionGoesOnWithTheNextLeader(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	log, other := open(t, c.URL(), options()), open(t, c.URL(), options())
	c.DropSubscriptions(2, status.Error(codes.NotFound, "Leader info available"))
	n := 0
	mustAppend(t, other, batch("s", 0, 2))
	for r, err := range log.Subscribe(within(t), 0, eventstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if int(r.Revision) != n {
			t.Fatalf("revision %d where %d is expected", r.Revision, n)
		}
		if n++; n == 12 {
			break
		}
		if n%2 == 0 {
			c.ElectAfter(100*time.Millisecond, n/2%3)
			next := batch("s", n/2, 2)
			go func() { _, _ = other.Append(t.Context(), next) }()
		}
	}
}

// The error names the limit that was met, and the setting that helps.
func TestTheLimitThatWasMetIsNamed(t *testing.T) {
	t.Parallel()
	c := cluster(t, func(o *esdbtest.ClusterOptions) { o.MaxAppendSize, o.MaxAppendEventSize = 4<<20, 1<<20 })
	log := open(t, c.URL(), unhurried())
	large := func(n, bytes int) eventstore.Batch {
		b := batch("s", 0, n)
		for i := range b.Events {
			b.Events[i].Data = []byte(`"` + strings.Repeat("x", bytes/n) + `"`)
		}
		return b
	}
	for name, test := range map[string]struct {
		batch  eventstore.Batch
		words  []string
		absent string
	}{
		"append": {large(100, 5<<20), []string{"MaxAppendSize", "4194304", "100 events", "some 79 of them fit", "18,000 artifacts"}, "MaxAppendEventSize"},
		"event":  {large(1, 2<<20), []string{"MaxAppendEventSize", "1048576", "an append of 1 event needs"}, "maxAppendSize"},
	} {
		_, err := log.Append(within(t), test.batch)
		if !errors.Is(err, eventstore.ErrTooLarge) || strings.Contains(err.Error(), test.absent) {
			t.Errorf("%s: error is %v, want ErrTooLarge", name, err)
		}
		for _, word := range test.words {
			if err != nil && !strings.Contains(err.Error(), word) {
				t.Errorf("%s: error is %v, want %s in it", name, err, word)
			}
		}
	}
}

// A user who may not read what the log needs is told before anything is written, and whose password is another as well.
func TestAUserWithoutTheRightIsToldBeforeAnythingIsWritten(t *testing.T) {
	t.Parallel()
	c := cluster(t, func(o *esdbtest.ClusterOptions) {
		o.Users = map[string]esdbtest.User{"bob": {Password: "right", Write: true}, "admin": {Password: "changeit", ReadAll: true, Write: true}}
	})
	for credentials, want := range map[string]string{"bob:right": "read $all", "bob:wrong": "password", "": "read $all"} {
		url := c.URL()
		if credentials != "" {
			url = strings.Replace(url, "esdb://", "esdb://"+credentials+"@", 1)
		}
		_, err := kurrent.Open(within(t), url, unhurried())
		if !errors.Is(err, kurrent.ErrRefused) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error is %v, want ErrRefused and %q", credentials, err, want)
		}
	}
	if n := len(c.Of("")); n > 1 {
		t.Errorf("%d events were written", n)
	}
	mustAppend(t, open(t, strings.Replace(c.URL(), "esdb://", "esdb://admin:changeit@", 1), options()), batch("s", 0, 1))
}

// A server that lies is found out, and never read without end.
func TestAServerThatLiesIsFoundOut(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	log := open(t, c.URL(), options())
	mustAppend(t, log, batch("s", 0, 40))
	c.Rewrite(esdbtest.SendUnknown)
	if n := len(readAll(t, log)); n != 40 {
		t.Errorf("with unknown messages: %d records", n)
	}
	c.Rewrite(esdbtest.SendTwice)
	for what, read := range all(log) {
		if strings.HasPrefix(what, "Read") {
			var last error
			for _, err := range read(within(t)) {
				last = err
			}
			if !errors.Is(last, eventstore.ErrCorrupt) {
				t.Errorf("%s, each event twice: %v, want ErrCorrupt", what, last)
			}
		}
	}
	c.Rewrite(esdbtest.SpoilCreated)
	for what, read := range all(log) {
		var last error
		for _, err := range read(within(t)) {
			last = err
		}
		if !errors.Is(last, eventstore.ErrCorrupt) || !strings.Contains(last.Error(), `"yesterday"`) {
			t.Errorf("%s, no time: %v, want ErrCorrupt", what, last)
		}
	}
}

// At the end of the budget there is one sentence, with the last answer.
func TestTheBudgetEndsWithOneSentence(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	o := options()
	o.Wait = 2 * time.Second // which as many calls could not wait one after the other
	told := 0
	o.Waiting = func(time.Duration, time.Duration, string) { told++ }
	log := open(t, c.URL(), o)
	c.NoLeader()
	for ctx, n := within(t), time.Duration(0); n < 2*patience/o.Wait; n++ { // not each of them waits
		_, err := log.Append(ctx, batch("s", 0, 1))
		if !errors.Is(err, eventstore.ErrTransient) || !strings.Contains(err.Error(), "within 2s: no leader") {
			t.Fatalf("error is %v", err)
		}
	}
	if told == 0 {
		t.Error("nobody was told of the wait")
	}
	c.Elect(2)
	mustAppend(t, log, batch("s", 0, 1))
}
