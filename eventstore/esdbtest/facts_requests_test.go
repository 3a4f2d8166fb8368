package esdbtest_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// readAsIs reads what o says, whatever it lacks.
func (c *client) readAsIs(o *api.ReadReq_Options) (events []*api.ReadResp_ReadEvent, said []string, err error) {
	ctx, cancel := c.context()
	defer cancel()
	call, err := c.stubs.Read(ctx, &api.ReadReq{Options: o})
	for err == nil {
		var m *api.ReadResp
		if m, err = call.Recv(); err == nil {
			said, events = append(said, c.say(m)), append(events, m.GetEvent())
		}
	}
	if errors.Is(err, io.EOF) {
		return events, said, nil
	}
	return events, said, told(err, call.Trailer())
}

// silence is how long an answer that must not come is waited for.
const silence = 30 * time.Millisecond

// sayNothing says "still open" of a read that has no answer.
func (c *client) sayNothing(o *api.ReadReq_Options) string {
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	call := c.open(ctx, o)
	defer time.AfterFunc(silence, cancel).Stop()
	m, err := call.Recv()
	if status.Code(err) == codes.Canceled {
		return "still open"
	}
	return fmt.Sprintf("%v, %v", m, err)
}

// requestFacts reads with requests that lack something, or say too much.
func requestFacts(t *testing.T, record record) {
	t.Helper()
	c := fill(t)
	whole := func(change func(o *api.ReadReq_Options)) *api.ReadReq_Options {
		o := ofStream("ten-events", "0", false, 1)
		o.UuidOption = &api.ReadReq_Options_UUIDOption{Content: &api.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}}
		o.FilterOption = &api.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}}
		change(o)
		return o
	}
	form := map[bool]string{true: "string", false: "structured"}
	for name, x := range map[string]struct {
		o  *api.ReadReq_Options
		id bool
	}{
		"uuid_string": {whole(func(*api.ReadReq_Options) {}), true},
		"uuid_structured": {whole(func(o *api.ReadReq_Options) {
			o.UuidOption.Content = &api.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}
		}), true},
		"uuid_neither":       {whole(func(o *api.ReadReq_Options) { o.UuidOption.Content = nil }), true},
		"uuid_unset":         {whole(func(o *api.ReadReq_Options) { o.UuidOption = nil }), false},
		"no_filter_unset":    {whole(func(o *api.ReadReq_Options) { o.FilterOption = nil }), false},
		"count_unset":        {whole(func(o *api.ReadReq_Options) { o.CountOption = nil }), false},
		"revision_unset":     {whole(func(o *api.ReadReq_Options) { o.GetStream().RevisionOption = nil }), false},
		"stream_unset":       {whole(func(o *api.ReadReq_Options) { o.GetStream().StreamIdentifier = nil }), false},
		"source_unset":       {whole(func(o *api.ReadReq_Options) { o.StreamOption = nil }), false},
		"options_unset":      {nil, false},
		"direction_7":        {whole(func(o *api.ReadReq_Options) { o.ReadDirection = 7 }), false},
		"stream_with_filter": {whole(func(o *api.ReadReq_Options) { filtered(o, 10, 1, "x") }), false},
	} {
		events, said, err := c.readAsIs(x.o)
		text := sayRefusal(err, "\x00") + " " + strings.Join(said, ", ")
		if x.id && len(events) == 1 {
			text += fields(map[string]any{"id_kind": form[events[0].GetEvent().GetId().GetString_() != ""]})
		}
		record("read/"+name, text)
	}
	c.must(c.append("plain", "any", "R4"))
	m := proposed("R4", "T", []byte("{}"))
	m.Id, m.CustomMetadata = id("plain"), nil
	c.must(c.propose(expecting("fields", "any"), proposed("f0", "T", nil), proposed("f1", "T", nil), proposed("f2", "T", nil), proposed("f3", "T", nil), m))
	events, _, err := c.readAsIs(whole(func(o *api.ReadReq_Options) { o.StreamOption = ofStream("fields", "4", false, 1).GetStreamOption() }))
	if err != nil || len(events) != 1 {
		t.Fatalf("read %v, %v", events, err)
	}
	x, e := events[0], events[0].GetEvent()
	positionForm, link, created := "no_position", "set", e.GetMetadata()["created"]
	if _, ok := x.GetPosition().(*api.ReadResp_ReadEvent_CommitPosition); ok {
		positionForm = "commit_position"
	}
	if x.GetLink() == nil {
		link = "null"
	}
	if regexp.MustCompile(`^\d{17}$`).MatchString(created) {
		created = "17 digits"
	}
	record("read/fields", "OK event R4"+fields(map[string]any{
		"position": positionForm, "link": link, "commit_is_prepare": e.GetCommitPosition() == e.GetPreparePosition(),
		"position_is_commit": x.GetCommitPosition() == e.GetCommitPosition(), "revision": revisionOf(e), "metadata_keys": keysOf(e),
		"created_form": created, "ct": e.GetMetadata()["content-type"], "custom_metadata_len": len(e.GetCustomMetadata()),
	}))
	m = proposed("BF", "T", []byte{0, 255, 1})
	m.Metadata["content-type"], m.CustomMetadata = "application/octet-stream", []byte{9, 8}
	c.must(c.propose(expecting("bf", "any"), m))
	e = c.events("bf")[0]
	record("read/binary_fields", "OK event BF"+fields(map[string]any{
		"ct": e.GetMetadata()["content-type"], "data": hex.EncodeToString(e.GetData()), "meta": hex.EncodeToString(e.GetCustomMetadata()),
	}))
	c.must(c.append("l", "any", labelled("L", 9)...))
	said, err := c.read(ofStream("l", "start", false, 20), nil)
	record("read/links/unresolved", code(err)+" "+strings.Join(said, ", "))
}

// countFacts reads $all from a position with counts that are large, or none, with filters of all kinds, and looks at what it holds.
func countFacts(t *testing.T, record record) {
	t.Helper()
	cluster, c := oneNode(t)
	for i := range uint64(2) {
		cluster.Put("before", i, "T", nil, []byte("other"))
	}
	for i := range uint64(3) {
		cluster.Put("between", i, "T", nil, fmt.Appendf(nil, "b%d", i))
	}
	for _, group := range []struct {
		name string
		n    int
	}{{"R", 10}, {"TB", 6}, {"L", 9}} {
		c.must(c.append(group.name, "any", labelled(group.name, group.n)...))
	}
	if _, err := c.read(ofAll(false, 1000), nil); err != nil {
		t.Fatal(err)
	}
	r4 := c.at["R4"]
	ask := func(name string, o *api.ReadReq_Options) {
		said, err := c.read(o, nil)
		record(name, sayRefusal(err, "\x00")+" "+strings.Join(folded(said), ", "))
	}
	for way, back := range map[string]bool{"forth": false, "back": true} {
		for _, n := range []uint64{1 << 31, math.MaxUint64} {
			ask(fmt.Sprintf("all/%s/R4/count_%d", way, n), ofAll(back, n, r4, r4))
		}
		record("all/"+way+"/R4/count_0", c.sayNothing(ofAll(back, 0, r4, r4)))
		for _, n := range []uint64{1, 5} {
			o := ofAll(back, n)
			o.GetAll().AllOption = nil
			ask(fmt.Sprintf("all/%s/unset/count_%d", way, n), o)
		}
	}
	for _, n := range []uint64{1, 5} {
		o := ofAll(true, n)
		o.ReadDirection = api.ReadReq_Options_Forwards
		ask(fmt.Sprintf("all/forth/end/count_%d", n), o)
		o = ofAll(false, n)
		o.ReadDirection = api.ReadReq_Options_Backwards
		ask(fmt.Sprintf("all/back/start/count_%d", n), o)
	}
	for _, n := range []uint64{4, 5} {
		o := ofAll(false, n, r4, r4)
		o.ControlOption = &api.ReadReq_Options_ControlOption{Compatibility: 1}
		ask(fmt.Sprintf("all/forth/compat1/count_%d", n), o)
	}
	o := filtered(ofAll(false, 5), 100, 1, "R")
	o.ControlOption = &api.ReadReq_Options_ControlOption{Compatibility: 1}
	ask("all_filter/compat1", o)
	ask("all_filter/empty_prefix", filtered(ofAll(false, 2, r4, r4), 100, 1, ""))
	ask("all_filter/max_5", filtered(ofAll(false, 5), 5, 1, "R"))
	ask("all_filter/max_i32", filtered(ofAll(false, 5), math.MaxInt32, 1, "R"))
	ask("all_filter/mult_u32", filtered(ofAll(false, 5), 100, math.MaxUint32, "R"))
	o = filtered(ofAll(false, 5), 100, 1)
	o.GetFilter().GetStreamIdentifier().Regex = ""
	ask("all_filter/empty_regex_and_no_prefix", o)
	o = filtered(ofAll(false, 5), 100, 1, "R")
	o.GetFilter().Window = &api.ReadReq_Options_FilterOptions_Count{Count: &shared.Empty{}}
	ask("all_filter/stream_prefix_count", o)
	ofType := func(x *api.ReadReq_Options_FilterOptions_Expression, n uint64) *api.ReadReq_Options {
		o := filtered(ofAll(false, n, r4, r4), 100, 1)
		o.GetFilter().Filter = &api.ReadReq_Options_FilterOptions_EventType{EventType: x}
		return o
	}
	ask("all_filter/type_prefix", ofType(&api.ReadReq_Options_FilterOptions_Expression{Prefix: []string{"T"}}, 5))
	ask("all_filter/regex_type", ofType(&api.ReadReq_Options_FilterOptions_Expression{Regex: "^T$"}, 2))
	record("all_filter/count_0", c.sayNothing(filtered(ofAll(false, 0), 100, 1, "R")))
	record("all_filter/max_0", c.sayNothing(filtered(ofAll(false, 5), 0, 1, "R")))
	record("all_filter/max_u32", c.sayNothing(filtered(ofAll(false, 5), math.MaxUint32, 1, "R")))
	c.wholeFacts(record)
}

// wholeFacts looks at what $all holds of streams that were cut and deleted, and of the system's.
func (c *client) wholeFacts(record record) {
	for _, s := range []string{"$all", "$streams", "$"} {
		c.must(c.append(s, "any", s))
	}
	c.settings("TB", `{"$tb":3}`)
	for kind, label := range map[string]string{"delete": "SD", "tombstone": "TS"} {
		c.must(c.append(label, "any", labelled(label, 3)...))
		c.bury(kind, label)
	}
	held, system := map[string]any{}, []string{}
	for _, e := range c.recorded(ofAll(false, 1000)) {
		switch label := string(e.GetCustomMetadata()); label {
		case "TB0":
			held["truncated_events_of_tb"] = true
		case "SD0":
			held["events_of_soft_deleted"] = true
		case "TS0":
			held["events_of_tombstoned"] = true
		}
		switch typeOf(e) {
		case "$metadata":
			held["metadata"] = true
		case "$streamDeleted":
			held["streamDeleted"], held["streamDeleted_revision"] = true, revisionOf(e)
		}
		if s := string(e.GetStreamIdentifier().GetStreamName()); strings.HasPrefix(s, "$") && s != "$$TB" && s != "$$SD" {
			system = append(system, s+" "+typeOf(e))
		}
	}
	held["system"] = system
	record("all/whole", "OK"+fields(held))
}
