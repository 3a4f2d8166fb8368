package esdbtest_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
)

// fill makes the streams that are read: ten-events, tb (cut to 3 of 6), mc (to 2 of 6), ma (all too old), tball (all cut), mo (metadata
// alone), sd and ts (deleted).
func fill(t *testing.T) *client {
	t.Helper()
	now := time.Now()
	c := dial(t, esdbtest.StartCluster(t, esdbtest.ClusterOptions{Nodes: 1, Now: func() time.Time { return now }}).Node(0))
	many := func(s, label string, n int) string {
		c.must(c.append(s, "any", labelled(label, n)...))
		return s
	}
	many("ten-events", "R", 10)
	c.settings(many("tb", "TB", 6), `{"$tb":3}`)
	c.settings(many("mc", "MC", 6), `{"$maxCount":2}`)
	c.settings(many("ma", "MA", 3), `{"$maxAge":1}`)
	c.settings(many("tball", "TA", 3), `{"$tb":99}`)
	c.settings("mo", `{"a":1}`)
	c.bury("delete", many("sd", "SD", 3))
	c.bury("tombstone", many("ts", "TS", 3))
	now = now.Add(time.Hour)
	return c
}

// labelled returns n labels.
func labelled(label string, n int) []string {
	labels := make([]string, n)
	for i := range labels {
		labels[i] = fmt.Sprintf("%s%d", label, i)
	}
	return labels
}

// streamFacts reads streams.
func streamFacts(t *testing.T, record record) {
	t.Helper()
	c := fill(t)
	const r, tb, mc, ma, all = "ten-events", "tb", "mc", "ma", "tball"
	ask := func(name, stream string, o *api.ReadReq_Options) {
		said, err := c.read(o, nil)
		text := sayRefusal(err, "\x00")
		if err != nil && stream != "" {
			text = sayRefusal(err, strings.TrimPrefix(stream, "$$"))
		}
		record("read/"+name, text+" "+strings.Join(said, ", "))
	}
	told := func(o *api.ReadReq_Options, compatibility uint32) *api.ReadReq_Options {
		o.ControlOption = &api.ReadReq_Options_ControlOption{Compatibility: compatibility}
		return o
	}
	for _, back := range []bool{false, true} {
		way, first := "forth/", "start"
		if back {
			way, first = "back/", "end"
		}
		for name, s := range map[string]string{
			"missing": "nope", "tb3_of_6": tb, "max_count2_of_6": mc, "max_age_all_expired": ma, "soft_deleted": "sd", "tombstoned": "ts",
			"only_metadata": "mo", "empty_name": "", "metastream_of_none": "$$" + r, "metastream": "$$" + tb, "metastream_soft_deleted": "$$sd",
			"metastream_tombstoned": "$$ts", "users": "$users", "long_missing": strings.Repeat("n", 5000),
		} {
			ask(way+name, s, ofStream(s, first, back, 100))
			ask(way+name+"/compat1", s, told(ofStream(s, first, back, 100), 1))
		}
		ask(way+"tb_all", all, ofStream(all, first, back, 100))
		ask(way+"tb_all/compat1", all, told(ofStream(all, first, back, 100), 1))
		for _, from := range []string{
			"0", "4", "9", "10", "1000", "start", "end", "2147483648", "9223372036854775807", "9223372036854775808", "18446744073709551615",
		} {
			ask(way+"from_"+from, r, ofStream(r, from, back, 3))
		}
		for _, n := range []uint64{0, 1, 10, 11, math.MaxInt32, 1 << 31, math.MaxInt64, math.MaxUint64} {
			ask(fmt.Sprintf("%scount_%d", way, n), r, ofStream(r, first, back, n))
		}
		for _, n := range []uint32{0, 1, 2, 99} {
			ask(fmt.Sprintf("%scompat_%d", way, n), r, told(ofStream(r, first, back, 3), n))
		}
		ask(way+"max_count2_from_0_count1", mc, ofStream(mc, "0", back, 1))
		ask(way+"tb3_from_0_count1_compat1", tb, told(ofStream(tb, "0", back, 1), 1))
		for _, from := range []string{"0", "2", "3"} {
			ask(way+"tb3_from_"+from, tb, ofStream(tb, from, back, 100))
		}
	}
}

// allFacts reads $all, and subscribes to it, at positions that the server gave and others.
func allFacts(t *testing.T, record record) {
	t.Helper()
	cluster := esdbtest.StartCluster(t, esdbtest.ClusterOptions{Nodes: 1})
	cluster.AllowMadeUpPositions()
	c := dial(t, cluster.Node(0))
	for _, labels := range [][]string{{"other"}, {"other"}, {"other"}, {"A10.0"}, {"other", "other"}} {
		for i := range labels {
			cluster.Put("before", uint64(i), "T", nil, []byte(labels[i]))
		}
	}
	for _, group := range []struct {
		name string
		n    int
	}{{"R", 10}, {"TB", 6}, {"L", 9}} {
		for i := range group.n {
			c.must(c.append(group.name, "any", fmt.Sprintf("%s%d", group.name, i)))
		}
	}
	if _, err := c.read(ofAll(false, 1000), nil); err != nil {
		t.Fatal(err)
	}
	r4, r9, last := c.at["R4"], c.at["R9"], c.at["L8"]
	const m63, h63, m64 = math.MaxInt64, uint64(1) << 63, uint64(math.MaxUint64)
	spots := map[string][]uint64{
		"exact_R4": {r4, r4}, "plus1": {r4 + 1, r4 + 1}, "minus1": {r4 - 1, r4 - 1}, "plus10": {r4 + 10, r4 + 10}, "minus10": {r4 - 10, r4 - 10},
		"last": {last, last}, "last_plus1": {last + 1, last + 1}, "beyond_1000": {last + 1000, last + 1000}, "beyond_1e9": {last + 1e9, last + 1e9},
		"zero": {0, 0}, "one": {1, 1}, "c_gt_p": {r4 + 1, r4}, "c_lt_p": {r4, r4 + 1}, "c_R9_p_R4": {r9, r4}, "c_R4_p_R9": {r4, r9},
		"c_R4_p_0": {r4, 0}, "c_0_p_R4": {0, r4}, "max63": {m63, m63}, "h63": {h63, h63}, "max64": {m64, m64}, "max64_c_only": {m64, 0},
	}
	for name, at := range spots {
		for _, n := range []uint64{1, 5} {
			for way, back := range map[string]bool{"forth": false, "back": true} {
				said, err := c.read(ofAll(back, n, at...), nil)
				record(fmt.Sprintf("all/%s/%s/count_%d", way, name, n), sayRefusal(err, "\x00")+" "+strings.Join(folded(said), ", "))
			}
		}
		for way, back := range map[string]bool{"forth": false, "back": true} {
			switch name {
			case "plus1", "minus1", "beyond_1000", "c_gt_p", "max63":
				said, err := c.read(ofAll(back, 1_000_000, at...), nil)
				record(fmt.Sprintf("all/%s/%s/count_1000000", way, name), sayRefusal(err, "\x00")+" "+strings.Join(folded(said), ", "))
			}
		}
		if name == "last" || name == "last_plus1" || name == "beyond_1000" { // were asked after the log had grown
			continue
		}
		said, err := c.read(following(ofAll(false, 1, at...)), caughtUp)
		text := strings.TrimSpace(sayRefusal(err, "\x00") + " " + strings.Join(said, ", "))
		if name == "one" || name == "c_0_p_R4" {
			text += fields(map[string]any{"first_event": "none"})
		}
		if len(said) < 3 {
			record("sub/all/"+name, text)
		}
	}
	for _, n := range []uint64{1, 5} {
		for name, o := range map[string]*api.ReadReq_Options{
			"forth/start": ofAll(false, n), "back/end": ofAll(true, n),
		} {
			said, err := c.read(o, nil)
			record(fmt.Sprintf("all/%s/count_%d", name, n), sayRefusal(err, "\x00")+" "+strings.Join(folded(said), ", "))
		}
	}
	filterFacts(c, spots, record)
}

// filterFacts reads $all with filters.
func filterFacts(c *client, spots map[string][]uint64, record record) {
	ask := func(name string, o *api.ReadReq_Options) {
		said, err := c.read(o, nil)
		record("all_filter/"+name, sayRefusal(err, "\x00")+" "+strings.Join(said, ", "))
	}
	ask("stream_prefix", filtered(ofAll(false, 5), 10, 1, "R"))
	ask("stream_prefix_back", filtered(ofAll(true, 5), 10, 1, "R"))
	ask("no_match", filtered(ofAll(false, 5), 10, 1, "zzzz"))
	ask("case", filtered(ofAll(false, 5), 10, 1, "r"))
	ask("mult_0", filtered(ofAll(false, 5), 10, 0, "R"))
	ask("max_1", filtered(ofAll(false, 5), 1, 1, "R"))
	ask("prefix_many", filtered(ofAll(false, 5), 10, 1, "R", "zzzz"))
	for name, regex := range map[string]string{"regex": "^R$", "regex_invalid": "(", "no_expression": ""} {
		o := filtered(ofAll(false, 5), 10, 1)
		o.GetFilter().GetStreamIdentifier().Regex = regex
		ask(name, o)
	}
	o := filtered(ofAll(false, 5), 10, 1, "R")
	o.GetFilter().GetStreamIdentifier().Regex = "R"
	ask("regex_and_prefix", o)
	o = filtered(ofAll(false, 5), 10, 1, "R")
	o.GetFilter().Window = nil
	ask("window_unset", o)
	o = filtered(ofAll(false, 5), 10, 1)
	o.GetFilter().Filter = nil
	ask("no_filter_kind", o)
	for _, name := range []string{"plus1", "minus1", "beyond_1000", "last_plus1", "c_gt_p", "max63", "h63", "max64"} {
		ask("at_"+name, filtered(ofAll(false, 5, spots[name]...), 10, 1, "R"))
		ask("back_at_"+name, filtered(ofAll(true, 5, spots[name]...), 10, 1, "R"))
	}
}

// folded puts what repeats in one.
func folded(said []string) (out []string) {
	for i := 0; i < len(said); {
		n := 1
		for i+n < len(said) && said[i+n] == said[i] {
			n++
		}
		text := said[i]
		if n > 1 {
			text += fmt.Sprintf(" x%d", n)
		}
		out = append(out, text)
		i += n
	}
	return out
}

// checkpointFacts subscribes with filters.
func checkpointFacts(t *testing.T, record record) {
	t.Helper()
	c := dial(t, esdbtest.StartCluster(t, esdbtest.ClusterOptions{Nodes: 1}).Node(0))
	batch := func(s, label string, n int, kind func(i int) string) {
		messages := make([]*api.AppendReq_ProposedMessage, n)
		for i := range messages {
			messages[i] = proposed(fmt.Sprintf("%s%d", label, i), kind(i), nil)
		}
		c.must(c.propose(expecting(s, "any"), messages...))
		if _, err := c.read(ofAll(false, 10000), nil); err != nil {
			t.Fatal(err)
		}
	}
	batch("hc", "HC", 200, func(int) string { return "T" })
	said, err := c.read(filtered(following(ofAll(false, 1, c.at["HC0"], c.at["HC0"])), 32, 1, "nothing"), caughtUp)
	record("sub_filter/catchup_checkpoints", sayRefusal(err, "\x00")+" "+strings.ReplaceAll(strings.Join(said, ", "), " (prepare 0)", ""))
	batch("he", "HE", 200, func(i int) string {
		if i%10 == 9 {
			return "ten"
		}
		return "T"
	})
	o := filtered(following(ofAll(false, 1, c.at["HE0"], c.at["HE0"])), 10, 1)
	o.GetFilter().Filter = &api.ReadReq_Options_FilterOptions_EventType{EventType: &api.ReadReq_Options_FilterOptions_Expression{Prefix: []string{"ten"}}}
	said, err = c.read(o, caughtUp)
	record("sub_filter/catchup_checkpoints_match", sayRefusal(err, "\x00")+" "+strings.Join(said, ", "))
	for name, setting := range map[string][2]uint32{"max1": {1, 1}, "max10": {10, 1}, "max5_mult4": {5, 4}, "count": {32, 1}} {
		o := filtered(fromEnd(), setting[0], setting[1], "nothing")
		last := map[string]string{
			"max1": "checkpoint @b59", "max10": "checkpoint @b57", "max5_mult4": "checkpoint @b47", "count": "checkpoint @b51",
		}[name]
		s := "live-" + name
		said, err := c.read(o, func(said []string) bool {
			if len(said) == 2 {
				for i := range 12 {
					c.know(c.must(c.append(s, "any", fmt.Sprintf("%s.%d", s, i))), fmt.Sprint(i))
				}
				labels := make([]string, 60)
				for i := range labels {
					labels[i] = fmt.Sprintf("%s.b%d", s, i)
				}
				c.must(c.append(s, "any", labels...))
				c.knowStream(s)
			}
			return said[len(said)-1] == last
		})
		record("sub_filter_live/"+name, sayRefusal(err, "\x00")+" "+strings.Join(said, ", "))
	}
	begun := false
	said, err = c.read(filtered(fromEnd(), 32, 1, "match"), func(said []string) bool {
		if caughtUp(said) && !begun {
			begun = true
			c.must(c.append("hx", "any", labelled("HX", 100)...))
			c.must(c.append("match", "any", "HXm"))
			c.must(c.append("hx", "any", labelled("HY", 40)...))
			if _, err := c.read(ofStream("hx", "start", false, 1000), nil); err != nil {
				t.Fatal(err)
			}
		}
		return said[len(said)-1] == "checkpoint @HY26"
	})
	record("sub_filter/live", sayRefusal(err, "\x00")+" "+strings.Join(said, ", "))
	for name, o := range map[string]*api.ReadReq_Options{
		"from_end": filtered(fromEnd(), 10, 1, "R"), "mult_0": filtered(fromEnd(), 10, 0, "R"), "max_0": filtered(following(ofAll(false, 1)), 0, 1, "R"),
	} {
		said, err := c.read(o, caughtUp)
		record("sub_filter/"+name, sayRefusal(err, "\x00")+" "+strings.Join(said, ", "))
	}
}

func (c *client) know(answer *api.AppendResp, label string) {
	c.labels[answer.GetSuccess().GetPosition().GetCommitPosition()] = label
}

// knowStream shortens the labels of a stream to what is behind its name.
func (c *client) knowStream(s string) {
	if _, err := c.read(ofStream(s, "start", false, 1000), nil); err != nil {
		c.t.Fatal(err)
	}
	for at, label := range c.labels {
		if short, ok := strings.CutPrefix(label, s+"."); ok {
			c.labels[at] = short
		}
	}
}
