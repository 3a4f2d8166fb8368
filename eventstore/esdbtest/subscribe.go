package esdbtest

import (
	"math"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

func (r *reader) confirm() error {
	return r.send(&api.ReadResp{Content: &api.ReadResp_Confirmation{Confirmation: &api.ReadResp_SubscriptionConfirmation{SubscriptionId: "s"}}})
}

func (r *reader) caughtUp() error {
	return r.send(&api.ReadResp{Content: &api.ReadResp_CaughtUp_{CaughtUp: &api.ReadResp_CaughtUp{}}})
}

func (r *reader) checkpoint(commit, prepare uint64) error {
	return r.send(&api.ReadResp{Content: &api.ReadResp_Checkpoint_{Checkpoint: &api.ReadResp_Checkpoint{CommitPosition: commit, PreparePosition: prepare}}})
}

// cursor is how far a subscription to $all has got.
type cursor struct {
	place

	next    int // index of the entry that it looks at next
	counted int // considered since the last checkpoint
	pages   int
	behind  int // of script.fellBehind, when it was last told that it is caught up
}

// followAll sends what comes after a place, and goes on with what is added (notes 3.4, 7.2; facts: sub/all/*, sub_filter/*,
// sub_filter_live/*, follower/sub_*).
func (r *reader) followAll() error {
	c := r.node.cluster
	c.mu.Lock()
	v := r.node.view()
	r.epoch = r.node.epoch
	c.requests.Filters = append(c.requests.Filters, filterText(r.o))
	c.mu.Unlock()
	p, ok, err := r.begin(v)
	switch {
	case err != nil || !ok:
		return err
	case p.verdict == placeMalformed, r.filter != nil && r.o.GetFilter().GetCheckpointIntervalMultiplier() == 0:
		return errHandler
	}
	if err := r.confirm(); err != nil {
		return err
	}
	switch {
	case r.filter != nil && r.filter.window == 0: // sub_filter/max_0
		return errHandler
	case r.filter != nil && r.filter.hangs:
		<-r.ctx.Done()
		return nil
	case p.verdict == placeInvalid:
		return errSubscribedAt
	}
	at := &cursor{place: p, next: p.index}
	live := r.o.GetAll().GetEnd() != nil || p.commit == math.MaxUint64 || p.verdict == placeBehind
	if !live {
		if err := r.early(at); err != nil {
			return err
		}
	}
	for !live {
		if live, err = r.page(at); err != nil {
			return err
		}
	}
	return r.live(at)
}

func filterText(o *api.ReadReq_Options) string { return o.GetFilter().String() }

// page sends the next page of a subscription that catches up, and reports whether that was the last. A page that needs a leader ends
// the subscription without one: what needs no page is served by any node.
func (r *reader) page(at *cursor) (end bool, err error) {
	v, _, err := r.look()
	if err != nil {
		return false, err
	}
	window := defaultWindow
	if r.filter != nil {
		window = r.filter.window
	}
	entries := v.store.all[min(at.next, v.all):min(at.next+window, v.all)]
	commit, prepare := at.commit, at.prepare // checkpoints lag a page
	if at.pages > 0 && len(entries) > 0 {
		commit, prepare = entries[0].position, 0
	}
	at.pages++
	sent := 0
	for _, e := range entries {
		at.next = e.index + 1
		at.counted++
		seen := at.at && e.position == at.commit
		if e.hidden.Load() || seen || r.filter != nil && !r.filter.match(e) {
			continue
		}
		if err := r.sendEvent(e); err != nil {
			return false, err
		}
		sent++
		commit, prepare = e.position, e.position
		if sent == defaultWindow {
			break
		}
	}
	end = at.next >= v.all
	if r.filter != nil {
		r.node.cluster.count(func(q *Requests) { q.Considered += len(entries) })
		if at.counted >= r.filter.interval || at.pages == 1 && len(entries) > 0 {
			at.counted %= r.filter.interval
			if err := r.checkpoint(commit, prepare); err != nil {
				return false, err
			}
		}
	}
	if !end {
		err = r.early(at)
	}
	return end, err
}

// early says, where CatchUpEarly asks for it, that the subscription is caught up, before what comes next and with a checkpoint there.
func (r *reader) early(at *cursor) error {
	v, _, err := r.look()
	if err != nil || !r.node.cluster.caughtUpEarly() {
		return err
	}
	if r.filter != nil && at.next < v.all {
		if err := r.checkpoint(v.store.all[at.next].position, 0); err != nil {
			return err
		}
	}
	return r.caughtUp()
}

// live sends what comes after the subscription caught up. It needs no leader (facts: loss_of_leader/subscription).
func (r *reader) live(at *cursor) error {
	c := r.node.cluster
	at.counted, at.behind = 0, c.fellBehind()
	if err := r.caughtUp(); err != nil {
		return err
	}
	for {
		v, changed, _ := r.look()
		if err := c.dropped(); err != nil {
			return err
		}
		for _, e := range v.store.all[min(at.next, v.all):v.all] {
			at.next = e.index + 1
			if err := r.sendLive(at, e); err != nil {
				return err
			}
		}
		if n := c.fellBehind(); n != at.behind {
			at.behind = n
			if err := r.caughtUp(); err != nil {
				return err
			}
		}
		if err := r.node.wait(r.ctx, changed, r.epoch); err != nil {
			return err
		}
	}
}

func (r *reader) sendLive(at *cursor, e *entry) error {
	if e.position <= at.commit && at.commit != math.MaxUint64 { // of a place behind the end
		return nil
	}
	if !e.hidden.Load() && (r.filter == nil || r.filter.match(e)) {
		if err := r.sendEvent(e); err != nil {
			return err
		}
	}
	if r.filter == nil {
		return nil
	}
	if at.counted++; at.counted < r.filter.interval {
		return nil
	}
	at.counted = 0
	return r.checkpoint(e.position, e.position)
}

// followStream sends what comes in a stream after a revision (facts: sub/stream/*).
func (r *reader) followStream(name string) error {
	at := r.o.GetStream()
	if at.GetRevisionOption() == nil {
		return nil
	}
	v, changed, leader := r.look()
	next := uint64(0)
	switch {
	case at.GetEnd() != nil || at.GetRevision() == math.MaxUint64:
		next = uint64(v.last(name) + 1)
		leader = nil
	case at.GetStart() == nil && at.GetRevision() > math.MaxInt64:
		return errHandler
	case at.GetStart() == nil:
		next = at.GetRevision() + 1
	}
	if v.tombstoned(name) {
		return errStreamDeleted(r.ctx, name)
	}
	if err := r.confirm(); err != nil {
		return err
	}
	if leader != nil && len(v.entries(name)) > 0 {
		return leader
	}
	for told := false; ; {
		shown, _ := v.read(name)
		for _, e := range shown[beginAt(shown, next):] {
			if err := r.sendEvent(e); err != nil {
				return err
			}
			next = e.revision + 1
		}
		if v.tombstoned(name) {
			return errStreamDeleted(r.ctx, name)
		}
		if !told {
			told = true
			if err := r.caughtUp(); err != nil {
				return err
			}
		}
		if err := r.node.wait(r.ctx, changed, r.epoch); err != nil {
			return err
		}
		v, changed, _ = r.look()
	}
}
