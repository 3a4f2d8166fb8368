package esdbtest_test

import (
	"fmt"
	"strings"
	"testing"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

var expectations = []string{"0", "2", "5", "any", "exists", "no_stream", "unset", "18446744073709551615", "9223372036854775807"}

// states make streams of each kind.
func (c *client) states() map[string]func(stream string) {
	three := func(s string) { c.must(c.append(s, "any", s+"0", s+"1", s+"2")) }
	return map[string]func(string){
		"new":      func(string) {},
		"existing": three,
		"soft_deleted": func(s string) {
			three(s)
			c.bury("delete", s)
		},
		"tombstoned": func(s string) {
			three(s)
			c.bury("tombstone", s)
		},
		"empty_append_made": func(s string) { c.must(c.append(s, "any")) },
		"only_metadata":     func(s string) { c.settings(s, `{"a":1}`) },
		"max_count_1": func(s string) {
			three(s)
			c.settings(s, `{"$maxCount":1}`)
		},
		"truncated_all": func(s string) {
			three(s)
			c.settings(s, `{"$tb":99}`)
		},
	}
}

func (c *client) settings(stream, text string) {
	c.must(c.propose(expecting("$$"+stream, "any"), proposed("other", "$metadata", []byte(text))))
}

// bury deletes a stream as a part of a test's set-up.
func (c *client) bury(kind, stream string) {
	c.t.Helper()
	if err := c.delete(kind, stream, "any"); err != nil {
		c.t.Fatal(err)
	}
}

// delete deletes a stream, or makes a tombstone of it.
func (c *client) delete(kind, stream, expected string) error {
	_, err := c.deletedAt(kind, stream, expected)
	return err
}

// deletedAt is delete that returns the position of the answer.
func (c *client) deletedAt(kind, stream, expected string) (at *api.AppendResp_Position, err error) {
	ctx, cancel := c.context()
	defer cancel()
	trailers, o := metadata.MD{}, expecting(stream, expected)
	d := &api.DeleteReq_Options{StreamIdentifier: o.GetStreamIdentifier()}
	f := &api.TombstoneReq_Options{StreamIdentifier: o.GetStreamIdentifier()}
	switch expected {
	case "unset":
	case "any":
		d.ExpectedStreamRevision, f.ExpectedStreamRevision = &api.DeleteReq_Options_Any{}, &api.TombstoneReq_Options_Any{}
	case "exists":
		d.ExpectedStreamRevision, f.ExpectedStreamRevision = &api.DeleteReq_Options_StreamExists{}, &api.TombstoneReq_Options_StreamExists{}
	case "no_stream":
		d.ExpectedStreamRevision, f.ExpectedStreamRevision = &api.DeleteReq_Options_NoStream{}, &api.TombstoneReq_Options_NoStream{}
	default:
		d.ExpectedStreamRevision = &api.DeleteReq_Options_Revision{Revision: number(expected)}
		f.ExpectedStreamRevision = &api.TombstoneReq_Options_Revision{Revision: number(expected)}
	}
	var answer interface {
		GetCommitPosition() uint64
		GetPreparePosition() uint64
	}
	if kind == "tombstone" {
		var sent *api.TombstoneResp
		sent, err = c.stubs.Tombstone(ctx, &api.TombstoneReq{Options: f}, grpc.Trailer(&trailers))
		answer = sent.GetPosition()
	} else {
		var sent *api.DeleteResp
		sent, err = c.stubs.Delete(ctx, &api.DeleteReq{Options: d}, grpc.Trailer(&trailers))
		answer = sent.GetPosition()
	}
	return &api.AppendResp_Position{CommitPosition: answer.GetCommitPosition(), PreparePosition: answer.GetPreparePosition()}, told(err, trailers)
}

// sayDeletion deletes, and puts the answer as the table has it.
func (c *client) sayDeletion(kind, stream, expected string) string {
	at, err := c.deletedAt(kind, stream, expected)
	if err != nil {
		return sayRefusal(err, stream)
	}
	return "OK position" + fields(map[string]any{"commit_is_prepare": at.GetCommitPosition() == at.GetPreparePosition()})
}

// sayAppend puts the answer to an append as the table has it.
func sayAppend(answer *api.AppendResp, err error, stream string) string {
	if err != nil {
		return sayRefusal(err, stream)
	}
	if s := answer.GetSuccess(); s != nil {
		revision, position := fmt.Sprint(s.GetCurrentRevision()), "position"
		if s.GetNoStream() != nil {
			revision = "no_stream"
		}
		if s.GetPosition() == nil {
			position = "no_position"
		}
		return fmt.Sprintf("OK success rev=%s pos=%s", revision, position)
	}
	w := answer.GetWrongExpectedVersion()
	current, currentOld := fmt.Sprintf("current_revision=%d", w.GetCurrentRevision()), fmt.Sprintf("current_revision_20_6_0=%d", w.GetCurrentRevision_20_6_0())
	if w.GetCurrentNoStream() != nil && w.GetNoStream_20_6_0() != nil {
		current, currentOld = "current_no_stream", "no_stream_20_6_0"
	}
	expected, expectedOld := fmt.Sprintf("expected_revision=%d", w.GetExpectedRevision()), fmt.Sprintf("expected_revision_20_6_0=%d", w.GetExpectedRevision_20_6_0())
	switch {
	case w.GetExpectedNoStream() != nil:
		expected = "expected_no_stream"
	case w.GetExpectedAny() != nil && w.GetAny_20_6_0() != nil:
		expected, expectedOld = "expected_any", "any_20_6_0"
	case w.GetExpectedStreamExists() != nil && w.GetStreamExists_20_6_0() != nil:
		expected, expectedOld = "expected_stream_exists", "stream_exists_20_6_0"
	}
	return fmt.Sprintf("OK wrong_expected_version cur=%s exp=%s cur_old=%s exp_old=%s", current, expected, currentOld, expectedOld)
}

// stateFacts writes to, and deletes, streams of each state.
func stateFacts(t *testing.T, record record) {
	t.Helper()
	_, c := oneNode(t)
	for state, begin := range c.states() {
		for _, expected := range expectations {
			s := fmt.Sprintf("append-%s-%s", state, expected)
			begin(s)
			answer, err := c.append(s, expected, s+"new")
			record("append/"+state+"/"+expected, sayAppend(answer, err, s))
		}
		for _, expected := range []string{"2", "any", "exists", "no_stream"} {
			s := fmt.Sprintf("nothing-%s-%s", state, expected)
			begin(s)
			answer, err := c.append(s, expected)
			record("append_nothing/"+state+"/"+expected, sayAppend(answer, err, s))
		}
		for _, kind := range []string{"delete", "tombstone"} {
			for _, expected := range []string{"0", "2", "7", "any", "exists", "no_stream", "unset"} {
				s := fmt.Sprintf("%s-%s-%s", kind, state, expected)
				begin(s)
				record(kind+"/"+state+"/"+expected, c.sayDeletion(kind, s, expected))
			}
		}
	}
}

// repeatFacts appends ids again.
func repeatFacts(t *testing.T, record record) {
	t.Helper()
	_, c := oneNode(t)
	c.moreRepeatFacts(record)
	n := 0
	ask := func(name, expected string, indexes []int, before func(s string)) {
		n++
		s := fmt.Sprintf("repeat-%d", n)
		label := func(i int) string { return fmt.Sprintf("%s-%d", s, i) }
		first := c.must(c.append(s, "no_stream", label(0), label(1), label(2))).GetSuccess().GetPosition().GetCommitPosition()
		if before != nil {
			before(s)
		}
		labels := make([]string, len(indexes))
		for i, index := range indexes {
			labels[i] = label(index)
		}
		answer, err := c.append(s, expected, labels...)
		text := sayAppend(answer, err, s)
		if at := answer.GetSuccess().GetPosition(); at != nil && at.GetCommitPosition() <= first {
			text = strings.ReplaceAll(text, "pos=position", "pos=position of the first writing")
		}
		held, err := c.read(ofStream(s, "start", false, 100), nil)
		if len(held) == 1 && held[0] == "stream_not_found" {
			held = nil
		}
		then := fmt.Sprintf("%d events", len(held))
		if err != nil {
			then = code(err) + " "
		}
		record("repeat/"+name+"/"+expected, strings.TrimSpace(fmt.Sprintf("%s stream_then=%s", text, then)))
	}
	weak := []string{"any", "exists"}
	for name, indexes := range map[string][]int{
		"all": {0, 1, 2}, "all_and_more": {0, 1, 2, 3}, "first": {0}, "first_and_new": {0, 3}, "first_two": {0, 1}, "middle": {1},
		"new_and_first": {3, 0}, "tail": {1, 2}, "wrong_order": {1, 0},
	} {
		for _, expected := range append([]string{"2", "no_stream"}, weak...) {
			ask(name, expected, indexes, nil)
		}
	}
	for _, expected := range []string{"0", "1", "7"} {
		ask("all", expected, []int{0, 1, 2}, nil)
	}
	for _, expected := range []string{"0", "1"} {
		ask("middle", expected, []int{1}, nil)
		ask("tail", expected, []int{1, 2}, nil)
	}
	for _, expected := range []string{"2", "any", "exists", "no_stream"} {
		ask("after_soft_delete", expected, []int{0, 1, 2}, func(s string) { c.bury("delete", s) })
	}
	for _, expected := range []string{"any", "no_stream"} {
		ask("after_tombstone", expected, []int{0, 1, 2}, func(s string) { c.bury("tombstone", s) })
	}
	for _, expected := range []string{"2", "any", "no_stream"} {
		ask("after_truncation", expected, []int{0, 1, 2}, func(s string) { c.settings(s, `{"$tb":2}`) })
	}
}
