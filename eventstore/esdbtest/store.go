package esdbtest

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// entry is a record of a server's log. The logs of a cluster's nodes share their entries.
type entry struct {
	id           uuid.UUID
	stream       string
	revision     uint64
	position     uint64 // commit and prepare are the same for all that gRPC writes (facts: append/batch_positions)
	index, first int    // places in the log: its own, and that of the first entry of its batch
	name         string
	json         bool
	created      time.Time
	data, meta   []byte
	hidden       atomic.Bool // no reader is shown it: scavenged, or what an append of nothing writes
}

// size is what a record takes in the log, about.
func (e *entry) size() uint64 {
	return uint64(89 + 2*len(e.stream) + 2*len(e.name) + len(e.data) + len(e.meta))
}

// store is the log of one node, with what is not replicated yet. Readers are shown a part of it, of a copy of the struct:
// they read while others write.
type store struct {
	all     []*entry
	streams *streams
	ids     map[uuid.UUID]*entry // what this node wrote since it started; the first of an id stays (notes 3.1)
	next    uint64               // position of the next record
	given   map[uint64]bool      // takes the positions of all records
}

// streams are the entries of each stream. It is safe for concurrent use by readers and one writer.
type streams struct{ held sync.Map }

func (s *streams) of(stream string) []*entry {
	held, _ := s.held.Load(stream)
	entries, _ := held.([]*entry)
	return entries
}

func (s *streams) set(stream string, entries []*entry) { s.held.Store(stream, entries) }

const (
	firstPosition = 1031      // behind a record that no reader is shown
	deletedFor    = 1<<63 - 1 // $tb of a stream that was deleted softly, and number of the event that ends one for ever
	epochSize     = 137       // of the record that a new leader writes, which no reader is shown
	tombstoneName = "$streamDeleted"
	metadataName  = "$metadata"
)

func newStore(next uint64, given map[uint64]bool) *store {
	return &store{streams: &streams{}, ids: map[uuid.UUID]*entry{}, next: next, given: given}
}

// add puts entries at the end, as one batch.
func (s *store) add(entries []*entry) {
	first := len(s.all)
	for _, e := range entries {
		e.position, e.index, e.first = s.next, len(s.all), first
		s.given[e.position] = true
		s.take(e)
		s.next += e.size()
	}
}

// halfOfLast returns where the first half of the last batch ends.
func (s *store) halfOfLast() int {
	end := len(s.all)
	return (s.all[end-1].first + end + 1) / 2
}

// take adds an entry that another node may have, too.
func (s *store) take(e *entry) {
	s.all = append(s.all, e)
	if !e.hidden.Load() {
		s.streams.set(e.stream, append(s.streams.of(e.stream), e))
	}
}

// truncate forgets all but the first n entries.
func (s *store) truncate(n int) {
	cut := newStore(s.next, s.given)
	for _, e := range s.all[:n] {
		cut.take(e)
	}
	*s = *cut
}

// follow makes s the first n entries of other, and reports whether s had more or others.
func (s *store) follow(other *store, n int) (lost bool) {
	same := min(len(s.all), n)
	for same > 0 && s.all[same-1] != other.all[same-1] {
		same--
	}
	if lost = same < len(s.all); lost {
		s.truncate(same)
	}
	for _, e := range other.all[same:n] {
		s.take(e)
	}
	s.next = other.next
	return lost
}

// forget hides the first n revisions of a stream, as if they had never been, or were scavenged: their positions can be
// read from all the same (notes 7.1).
func (s *store) forget(stream string, n uint64) {
	s.streams.set(stream, slices.DeleteFunc(slices.Clone(s.streams.of(stream)), func(e *entry) bool {
		if e.revision < n {
			e.hidden.Store(true)
		}
		return e.hidden.Load()
	}))
}

// view is what a reader is shown of a node's log.
type view struct {
	store *store
	all   int // how many entries $all shows
	own   int // how many entries the streams show
	now   time.Time
}

// written is all that there is, which is what an append is checked against (issue 16, section 3).
func (s *store) written(now time.Time) view { return view{s, len(s.all), len(s.all), now} }

// entries returns the entries of a stream that are there, whatever its metadata cuts away.
func (v view) entries(stream string) []*entry {
	held := v.store.streams.of(stream)
	n, _ := slices.BinarySearchFunc(held, v.own, func(e *entry, n int) int { return cmp.Compare(e.index, n) })
	return held[:n]
}

// last returns the revision of the last entry of a stream, -1 if there is none.
func (v view) last(stream string) int64 {
	held := v.entries(stream)
	if len(held) == 0 {
		return -1
	}
	return int64(held[len(held)-1].revision)
}

// tombstoned reports whether a stream, or the one whose metadata it holds, was deleted for ever.
func (v view) tombstoned(stream string) bool {
	if own, ok := metadataOf(stream); ok && v.tombstoned(own) {
		return true
	}
	return v.last(stream) == deletedFor
}

// metadataOf returns the stream whose metadata a stream holds.
func metadataOf(stream string) (of string, ok bool) {
	if len(stream) > 2 && stream[:2] == "$$" {
		return stream[2:], true
	}
	return "", false
}

// settings are the metadata of a stream that say what it shows.
type settings struct {
	TruncateBefore *int64 `json:"$tb"`
	MaxCount       *int64 `json:"$maxCount"`
	MaxAge         *int64 `json:"$maxAge"` // seconds
	Access         access `json:"$acl"`
}

// settings returns those of a stream. What is no metadata counts as none (facts: meta/after_invalid), and the type of the event is not
// looked at (meta/after_wrong_type).
func (v view) settings(stream string) (s settings) {
	if _, ok := metadataOf(stream); ok {
		one := int64(1)
		return settings{MaxCount: &one} // notes 3.3
	}
	held := v.entries("$$" + stream)
	if len(held) == 0 || json.Unmarshal(held[len(held)-1].data, &s) != nil {
		return settings{}
	}
	for _, n := range []**int64{&s.TruncateBefore, &s.MaxCount, &s.MaxAge} {
		if *n != nil && **n < 1 { // meta/bad_values
			*n = nil
		}
	}
	return s
}

func (s settings) deleted() bool { return s.TruncateBefore != nil && *s.TruncateBefore == deletedFor }

// read returns what a stream shows. found is false where a reader is told that there is no such stream (facts: read/*).
func (v view) read(stream string) (shown []*entry, found bool) {
	held, s := v.entries(stream), v.settings(stream)
	if len(held) == 0 || s.deleted() {
		return nil, false
	}
	from := uint64(0)
	if s.TruncateBefore != nil {
		from = uint64(*s.TruncateBefore)
	}
	if s.MaxCount != nil {
		from = max(from, uint64(max(0, v.last(stream)+1-*s.MaxCount)))
	}
	for len(held) > 0 && (held[0].revision < from || s.expired(held[0], v.now)) {
		held = held[1:]
	}
	return held, true
}

func (s settings) expired(e *entry, now time.Time) bool {
	return s.MaxAge != nil && *s.MaxAge < math.MaxInt64/int64(time.Second) && now.Sub(e.created) > time.Duration(*s.MaxAge)*time.Second
}

// undeleted is the metadata of a stream that was deleted softly and is written again from a revision on.
func undeleted(meta []byte, from int64) []byte {
	kept := map[string]json.RawMessage{}
	_ = json.Unmarshal(meta, &kept) // of a stream that was deleted, which it says
	kept["$tb"] = json.RawMessage(strconv.FormatInt(from, 10))
	text, err := json.Marshal(kept)
	if err != nil {
		panic(err) // each value was JSON
	}
	return text
}
