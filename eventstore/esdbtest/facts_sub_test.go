package esdbtest_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

// until stops a read when that many messages came.
func until(n int) func(said []string) bool { return func(said []string) bool { return len(said) == n } }

// streamSubFacts subscribes to streams.
func streamSubFacts(t *testing.T, record record) {
	t.Helper()
	c := fill(t)
	ask := func(name, stream string, o *api.ReadReq_Options, stop func(said []string) bool) {
		said, err := c.read(following(o), stop)
		record("sub/stream/"+name, strings.ReplaceAll(sayRefusal(err, "\x00"), stream, "S")+" "+strings.Join(said, ", "))
	}
	for _, from := range []string{
		"start", "end", "0", "4", "9", "10", "1000", "9223372036854775807", "9223372036854775808", "18446744073709551615",
	} {
		ask("from_"+from, "\x00", ofStream("ten-events", from, false, 1), caughtUp)
	}
	for name, s := range map[string]string{
		"missing": "nope", "tb3_of_6": "tb", "max_count2_of_6": "mc", "max_age": "ma", "soft_deleted": "sd", "tombstoned": "ts", "tb_all": "tball",
		"empty_name": "", "metastream": "$$tb", "all_as_stream": "$all",
	} {
		for _, from := range []string{"start", "end", "1"} {
			if name == "all_as_stream" {
				continue // on a server that never had such a stream
			}
			stream := "\x00"
			if name == "tombstoned" {
				stream = "'ts'"
			}
			said, err := c.read(following(ofStream(s, from, false, 1)), caughtUp)
			text := strings.ReplaceAll(strings.ReplaceAll(sayRefusal(err, "\x00"), stream, "'S'"), "stream-name=ts", "stream-name=S")
			record("sub/stream/"+name+"/from_"+from, text+" "+strings.Join(said, ", "))
		}
	}
	null := ofStream("ten-events", "start", false, 1)
	null.GetStream().RevisionOption = nil
	ask("from_null", "\x00", null, caughtUp)
	ask("back", "\x00", ofStream("ten-events", "end", true, 1), caughtUp)
	ask("filter", "\x00", filtered(ofStream("ten-events", "start", false, 1), 100, 1, "x"), caughtUp)
	compat := ofStream("ten-events", "7", false, 1)
	compat.ControlOption = &api.ReadReq_Options_ControlOption{Compatibility: 1}
	ask("compat1", "\x00", compat, caughtUp)
	nameless := ofStream("ten-events", "start", false, 1)
	nameless.GetStream().StreamIdentifier = nil
	ask("missing_name", "\x00", nameless, caughtUp)
	o := following(ofStream("ten-events", "4", false, 1))
	o.UuidOption = &api.ReadReq_Options_UUIDOption{Content: &api.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}}
	_, said, err := c.readAsIs(o)
	record("sub/stream/no_filter_unset", sayRefusal(err, "\x00")+" "+strings.Join(said, ", "))
	c.liveFacts(record)
}

// liveFacts changes a stream when a subscription to it is caught up.
func (c *client) liveFacts(record record) {
	ask := func(name, s, from string, messages int, then func()) {
		said, err := c.read(following(ofStream(s, from, false, 1)), func(said []string) bool {
			if caughtUp(said) {
				then()
			}
			return len(said) == messages
		})
		text := sayRefusal(err, "\x00")
		record("sub/stream/"+name, strings.ReplaceAll(text, s, "S")+" "+strings.Join(said, ", "))
	}
	c.must(c.append("live-hl", "any", labelled("HL", 2)...))
	ask("live", "live-hl", "end", 3, func() { c.must(c.append("live-hl", "any", "HLn")) })
	ask("created_later", "live-hm", "start", 3, func() { c.must(c.append("live-hm", "any", "HM0")) })
	c.must(c.append("live-hf", "any", labelled("HF", 2)...))
	ask("future_revision_live", "live-hf", "5", 4, func() { c.must(c.append("live-hf", "any", labelled("HF", 8)[2:]...)) })
	c.must(c.append("live-ht", "any", labelled("HT", 2)...))
	ask("tombstoned_meanwhile", "live-ht", "start", 99, func() { c.bury("tombstone", "live-ht") })
	c.must(c.append("live-hd", "any", labelled("HD", 2)...))
	ask("soft_deleted_meanwhile", "live-hd", "start", 5, func() {
		c.bury("delete", "live-hd")
		c.must(c.append("live-hd", "any", "HDn"))
	})
	c.must(c.append("live-hb", "any", "HB0"))
	burst := 0
	said, err := c.read(following(ofStream("live-hb", "end", false, 1)), func(said []string) bool {
		for ; caughtUp(said) && burst < 3; burst++ {
			c.must(c.append("live-hb", "any", labelled(fmt.Sprintf("HB%d.", burst), 100)...))
		}
		return len(said) == 302
	})
	told := len(slices.DeleteFunc(said, func(m string) bool { return !strings.HasPrefix(m, "event ") }))
	record("sub/stream/burst", code(err)+fields(map[string]any{"events": told, "caught_up_times_at_least_1": true}))
}

// allSubFacts subscribes to $all, with and without filters, where there are some pages of events.
func allSubFacts(t *testing.T, record record) {
	t.Helper()
	cluster, c := oneNode(t)
	cluster.AllowMadeUpPositions()
	n := uint64(0)
	other := func(times int) {
		for range times {
			cluster.Put("other", n, "T", nil, []byte("other"))
			n++
		}
	}
	other(120)
	for _, group := range []struct {
		name string
		n    int
	}{{"R", 10}, {"TB", 6}, {"L", 9}} {
		c.must(c.append(group.name, "any", labelled(group.name, group.n)...))
	}
	c.must(c.append("HL", "any", "HL0"))
	other(6)
	c.must(c.append("TS", "any", "TS0"))
	other(310)
	c.must(c.append("last", "any", "odd"))
	other(2)
	if _, err := c.read(ofAll(false, 10000), nil); err != nil {
		t.Fatal(err)
	}
	r0, r4, r9, last := c.at["R0"], c.at["R4"], c.at["R9"], c.at["L8"]
	const m63, h63, m64 = math.MaxInt64, uint64(1) << 63, uint64(math.MaxUint64)
	ask := func(name string, o *api.ReadReq_Options, stop func(said []string) bool) {
		said, err := c.read(following(o), stop)
		if strings.HasPrefix(name, "sub/") {
			said = folded(said)
		}
		record(name, sayRefusal(err, "\x00")+" "+strings.Join(said, ", "))
	}
	for name, at := range map[string][]uint64{
		"exact_R4": {r4, r4}, "last": {last, last}, "last_plus1": {last + 1, last + 1}, "beyond_1000": {last + 1000, last + 1000},
		"c_R9_p_R4": {r9, r4}, "c_R4_p_0": {r4, 0},
	} {
		ask("sub/all/"+name, ofAll(false, 1, at...), caughtUp)
	}
	ask("sub/all/end", fromEnd(), caughtUp)
	for name, o := range map[string]*api.ReadReq_Options{"start": ofAll(false, 1), "zero": ofAll(false, 1, 0, 0)} {
		said, err := c.read(following(o), until(110))
		kinds := slices.Clone(said)
		for i, m := range kinds {
			kinds[i], _, _ = strings.Cut(m, " ")
		}
		record("sub/all/"+name, code(err)+" "+strings.Join(slices.Compact(kinds), ", ")+fields(map[string]any{"first_event": "of the beginning or after"}))
	}
	unset := following(ofAll(false, 1))
	unset.GetAll().AllOption = nil
	said, err := c.read(unset, caughtUp)
	record("sub/all/unset", sayRefusal(err, "\x00")+strings.Join(said, ", ")+fields(map[string]any{"first_event": "none"}))
	for name, at := range map[string][]uint64{
		"plus1": {r4 + 1, r4 + 1}, "minus1": {r4 - 1, r4 - 1}, "beyond_1000": {last + 1000, last + 1000}, "last_plus1": {last + 1, last + 1},
		"c_gt_p": {r4 + 1, r4}, "max63": {m63, m63}, "h63": {h63, h63}, "max64": {m64, m64},
	} {
		ask("sub_filter/at_"+name, filtered(ofAll(false, 1, at...), 100, 1, "R"), caughtUp)
	}
	for name, x := range map[string]struct {
		window, multiplier uint32
		prefix             string
	}{
		"from_R0": {100, 1, "R"}, "no_match": {100, 1, "zzz"}, "no_match_mult100": {100, 100, "zzz"}, "match_mult100": {32, 100, "R"},
		"mult_big": {32, 1 << 26, "R"},
	} {
		ask("sub_filter/"+name, filtered(ofAll(false, 1, r0, r0), x.window, x.multiplier, x.prefix), caughtUp)
	}
	ask("sub_filter/from_last", filtered(ofAll(false, 1, last, last), 100, 1, "R"), caughtUp)
	ask("sub_filter/mult_u32", filtered(ofAll(false, 1, r0, r0), math.MaxUint32, math.MaxUint32, "R"), until(1))
	for name, change := range map[string]func(f *api.ReadReq_Options_FilterOptions){
		"count": func(f *api.ReadReq_Options_FilterOptions) { f.Window = &api.ReadReq_Options_FilterOptions_Count{} },
		"mult_0_count": func(f *api.ReadReq_Options_FilterOptions) {
			f.Window, f.CheckpointIntervalMultiplier = &api.ReadReq_Options_FilterOptions_Count{}, 0
		},
		"window_unset": func(f *api.ReadReq_Options_FilterOptions) { f.Window = nil },
		"no_kind": func(f *api.ReadReq_Options_FilterOptions) {
			f.Filter, f.Window = nil, &api.ReadReq_Options_FilterOptions_Max{Max: 10}
		},
		"no_expression": func(f *api.ReadReq_Options_FilterOptions) { f.GetStreamIdentifier().Prefix = nil },
		"regex_invalid": func(f *api.ReadReq_Options_FilterOptions) {
			f.GetStreamIdentifier().Prefix, f.GetStreamIdentifier().Regex = nil, "("
		},
	} {
		o := filtered(ofAll(false, 1, r0, r0), 100, 1, "R")
		change(o.GetFilter())
		ask("sub_filter/"+name, o, caughtUp)
	}
	c.allLiveFacts(record, other)
	said, err = c.read(following(filtered(ofAll(false, 1, r0, r0), 1, 1, "zzz")), caughtUp)
	record("sub_filter/no_match_max1", code(err)+" "+strings.Join(said, ", "))
}

// allLiveFacts appends when subscriptions to $all are caught up.
func (c *client) allLiveFacts(record record, other func(times int)) {
	r4, last := c.at["R4"], c.at["L8"]
	c.must(c.append("odd", "any", "odd1"))
	other(1)
	for _, x := range []struct {
		name string
		o    *api.ReadReq_Options
	}{
		{"exact_R4", ofAll(false, 1, r4, r4)},
		{"plus1", ofAll(false, 1, r4+1, r4+1)},
		{"beyond_1000", ofAll(false, 1, last+1000, last+1000)},
		{"end", fromEnd()},
		{"last", ofAll(false, 1, last, last)},
	} {
		said, err := c.read(following(x.o), func(said []string) bool {
			if caughtUp(said) {
				c.must(c.append("ha-"+x.name, "any", "HA"+x.name))
			}
			return strings.HasPrefix(said[len(said)-1], "event HA"+x.name)
		})
		record("sub/all_live/"+x.name, sayRefusal(err, "\x00")+" "+strings.Join(folded(said), ", "))
	}
	if _, err := c.read(ofAll(false, 10000), nil); err != nil { // so that the labels of all positions are known
		c.t.Fatal(err)
	}
}
