package esdbtest

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// place is where a reader of $all begins.
type place struct {
	commit, prepare uint64
	index           int  // of the first entry at or behind commit
	at              bool // the entry at commit is meant, which a subscription has seen
	verdict         verdict
}

// verdict is what a server makes of a position (notes 7.1; facts: all/forth/*, all/back/*, sub/all/*).
type verdict int

const (
	placeGood      verdict = iota
	placeMalformed         // prepare behind commit, or 2^63
	placeInvalid           // no record begins there
	placeBehind            // behind the end
)

// place finds a position in what a reader is shown. A read beyond the end finds nothing, one from no record's beginning fails.
func (v view) place(commit, prepare uint64) place {
	all := v.store.all[:v.all]
	p := place{commit: commit, prepare: prepare}
	if commit == math.MaxUint64 {
		p.index = len(all)
		if prepare != math.MaxUint64 { // max64_c_only
			p.verdict = placeInvalid
		}
		return p
	}
	p.index, p.at = slices.BinarySearchFunc(all, commit, func(e *entry, c uint64) int { return cmp.Compare(e.position, c) })
	p.at = p.at && commit == prepare
	switch {
	case prepare > commit || commit > math.MaxInt64:
		p.verdict = placeMalformed
	case commit == 0 || p.index < len(all) && all[p.index].position == commit:
	case p.index == len(all):
		p.verdict = placeBehind
	default:
		p.verdict = placeInvalid
	}
	return p
}

// start and end are the places that a reader names without a number.
func (v view) start() place { return place{} }
func (v view) end() place   { return place{index: v.all} }

// readError is what a plain read from p answers, nil where it reads.
func (r *reader) readError(v view, p place) error {
	result, backwards := "ReadAllResult", r.backwards
	if r.filter != nil {
		result = "FilteredReadAllResult"
	}
	switch first := v.firstPosition(); {
	case p.verdict == placeMalformed:
		return errHandler
	case p.verdict == placeInvalid && backwards && p.commit < first: // all/back/one
		return nil
	case p.verdict == placeInvalid, p.verdict == placeBehind && backwards && p.commit <= v.store.next:
		return status.Errorf(codes.Unknown, "Unexpected %s: InvalidPosition", result)
	case p.verdict == placeBehind && backwards:
		return status.Errorf(codes.Unknown, "Unexpected %s: Error", result)
	default:
		return nil
	}
}

func (v view) firstPosition() uint64 {
	if v.all == 0 {
		return v.store.next
	}
	return v.store.all[0].position
}

// errHandler is what the server says where it meets an error of its own.
var errHandler = status.Error(codes.Unknown, "Exception was thrown by handler.")

// errSubscribedAt ends a subscription, after its confirmation, that begins where no record does.
var errSubscribedAt = status.Error(codes.InvalidArgument, "Trying to read from an invalid position.")

// checkGiven fails the test where a client names a position that the cluster did not give: 0 and the end are everybody's.
// It needs mu.
func (c *Cluster) checkGiven(call string, commit, prepare uint64) {
	if c.allowMadeUp || c.given[commit] && (prepare == commit || prepare == 0) || commit == 0 && prepare == 0 ||
		commit == math.MaxUint64 && prepare == math.MaxUint64 {
		return
	}
	c.tb.Errorf("a client made up a position: %s at (%s); a log names only positions that it was given", call, name(commit, prepare))
}

func name(commit, prepare uint64) string {
	return fmt.Sprintf("commit %d, prepare %d", commit, prepare)
}

// AllowMadeUpPositions lets clients name positions that the cluster did not give, as the checkpoints of older versions do: they get the
// server's answer, and the test goes on.
func (c *Cluster) AllowMadeUpPositions() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.allowMadeUp = true
}

// HangAtMadeUpPositions is AllowMadeUpPositions where the bytes at each such position look like the length of a record: a read there gets no
// answer.
func (c *Cluster) HangAtMadeUpPositions() {
	c.AllowMadeUpPositions()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hangAtMadeUp = true
}

func (c *Cluster) hangs() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hangAtMadeUp
}
