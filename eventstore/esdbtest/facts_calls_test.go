package esdbtest_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
)

// events reads up to 100 events of a stream, from its beginning.
func (c *client) events(stream string) (found []*api.ReadResp_ReadEvent_RecordedEvent) {
	return c.recorded(ofStream(stream, "start", false, 100))
}

// recorded reads events.
func (c *client) recorded(o *api.ReadReq_Options) (found []*api.ReadResp_ReadEvent_RecordedEvent) {
	c.t.Helper()
	ctx, cancel := c.context()
	defer cancel()
	for call := c.open(ctx, o); ; {
		m, err := call.Recv()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				c.t.Fatal(err)
			}
			return found
		}
		if e := m.GetEvent().GetEvent(); e != nil {
			c.say(m)
			found = append(found, e)
		}
	}
}

// each returns a text of each event.
func each(events []*api.ReadResp_ReadEvent_RecordedEvent, text func(e *api.ReadResp_ReadEvent_RecordedEvent) string) []string {
	texts := []string{}
	for _, e := range events {
		texts = append(texts, text(e))
	}
	return texts
}

func revisionOf(e *api.ReadResp_ReadEvent_RecordedEvent) string {
	return fmt.Sprint(e.GetStreamRevision())
}
func dataOf(e *api.ReadResp_ReadEvent_RecordedEvent) string { return string(e.GetData()) }
func typeOf(e *api.ReadResp_ReadEvent_RecordedEvent) string { return e.GetMetadata()["type"] }

// appendFacts appends, and looks at what is there then.
func appendFacts(t *testing.T, record record) {
	t.Helper()
	_, c := oneNode(t)
	answer := c.must(c.append("three", "any", "p0", "p1", "p2")).GetSuccess().GetPosition()
	at := each(c.events("three"), func(e *api.ReadResp_ReadEvent_RecordedEvent) string {
		return fmt.Sprintf("%020d %t", e.GetCommitPosition(), e.GetCommitPosition() == e.GetPreparePosition())
	})
	record("append/batch_positions", "OK success"+fields(map[string]any{
		"distinct": len(slices.Compact(slices.Clone(at))) == 3, "rising": slices.IsSorted(at), "commit_is_prepare": !strings.Contains(strings.Join(at, ""), "false"),
		"answer_is_of_last":        strings.HasPrefix(at[2], fmt.Sprintf("%020d ", answer.GetCommitPosition())),
		"answer_commit_is_prepare": answer.GetCommitPosition() == answer.GetPreparePosition(),
	}))
	var mu sync.Mutex
	var running sync.WaitGroup
	found := map[string]any{}
	for i := range 20 {
		running.Go(func() {
			answer, err := c.append("at-once", "no_stream", fmt.Sprintf("at-once-%d", i))
			mu.Lock()
			defer mu.Unlock()
			_, what, _ := strings.Cut(sayAppend(answer, err, "at-once"), " ")
			what, _, _ = strings.Cut(what, " ")
			n, _ := found[what].(int)
			found[what] = n + 1
		})
	}
	running.Wait()
	record("append/concurrent_no_stream", "OK"+fields(found))
	c.must(c.append("ac", "any", "AC.0", "AC.1", "AC.2"))
	c.bury("delete", "ac")
	c.must(c.append("ac", "any", "AC.new"))
	said, _ := c.read(ofStream("ac", "start", false, 10), nil)
	record("append/soft_deleted/continues", "OK "+strings.Join(said, ", ")+fields(map[string]any{"revisions": each(c.events("ac"), revisionOf)}))
	said, _ = c.read(ofStream("$$ac", "start", false, 10), nil)
	held := c.events("$$ac")
	record("append/soft_deleted/metadata_after", "OK "+strings.Join(said, ", ")+fields(map[string]any{"data": each(held, dataOf), "type": each(held, typeOf)}))
	c.must(c.append("nothing", "any", "apn"))
	position := c.must(c.append("nothing", "any")).GetSuccess().GetPosition().GetCommitPosition()
	said, err := c.read(ofAll(false, 1, position, position), nil)
	last := c.recorded(ofAll(true, 1))[0]
	record("append_nothing/position", "OK success"+fields(map[string]any{
		"read_from_it": fmt.Sprintf("%s %d", code(err), len(said)), "last_event_of_all_is_before_it": last.GetCommitPosition() < position,
	}))
	c.must(c.append("undeleted", "any", "u0", "u1", "u2"))
	c.bury("delete", "undeleted")
	c.must(c.append("undeleted", "any"))
	said, _ = c.read(ofStream("undeleted", "start", false, 9), nil)
	record("append_nothing/undeletes", "OK success"+fields(map[string]any{
		"read_then": append([]string{}, said...), "meta": dataOf(c.events("$$undeleted")[0]),
	}))
}

// deletionFacts deletes what is no ordinary stream, and looks at what is there then.
func deletionFacts(t *testing.T, record record) {
	t.Helper()
	_, c := oneNode(t)
	for _, kind := range []string{"delete", "tombstone"} {
		_, err := c.deletedAt(kind, "", "any")
		record(kind+"/no_stream_identifier", sayRefusal(err, "\x00"))
		record(kind+"/empty_name", sayRefusal(err, "\x00"))
		c.must(c.append("$all", "any", "all-"+kind))
		c.must(c.append("$system-"+kind, "any", kind))
		record(kind+"/system", c.sayDeletion(kind, "$system-"+kind, "any"))
		c.settings("with-"+kind, `{"a":1}`)
		record(kind+"/metastream", c.sayDeletion(kind, "$$with-"+kind, "any"))
		record(kind+"/all", c.sayDeletion(kind, "$all", "any"))
	}
	c.must(c.append("twice", "any", "t0", "t1"))
	c.bury("delete", "twice")
	record("delete/twice/any", c.sayDeletion("delete", "twice", "any"))
	c.must(c.append("max", "any", "m0", "m1"))
	record("delete/revision_M64", c.sayDeletion("delete", "max", "18446744073709551615"))
	c.must(c.append("sde", "any", "s0", "s1"))
	at, _ := c.deletedAt("delete", "sde", "any")
	e := c.events("$$sde")[0]
	record("delete/event_of", "OK event"+fields(map[string]any{
		"type": typeOf(e), "data": dataOf(e), "position_is_of_answer": at.GetCommitPosition() == e.GetCommitPosition(),
	}))
	c.must(c.append("tse", "any", "x0", "x1"))
	at, _ = c.deletedAt("tombstone", "tse", "any")
	e = c.recorded(ofAll(false, 1, at.GetCommitPosition(), at.GetPreparePosition()))[0]
	record("tombstone/event_of", "OK event"+fields(map[string]any{
		"type": typeOf(e), "data": dataOf(e), "revision": revisionOf(e), "commit_is_prepare": e.GetCommitPosition() == e.GetPreparePosition(),
	}))
	c.must(c.append("sdn", "any", "n0", "n1", "n2"))
	c.bury("delete", "sdn")
	answer := c.must(c.append("sdn", "no_stream", "n3", "n4"))
	record("delete/then_append_numbers", "OK success"+fields(map[string]any{
		"revision": fmt.Sprint(answer.GetSuccess().GetCurrentRevision()), "read": each(c.events("sdn"), revisionOf), "meta": dataOf(c.events("$$sdn")[0]),
	}))
}

// moreRepeatFacts appends ids again, in other bodies and streams.
func (c *client) moreRepeatFacts(record record) {
	then := func(answer *api.AppendResp, err error, stream string, first uint64) string {
		text := sayAppend(answer, err, stream)
		if answer.GetSuccess().GetPosition().GetCommitPosition() <= first {
			text = strings.ReplaceAll(text, "pos=position", "pos=position of the first writing")
		}
		return text + fmt.Sprintf(" stream_then=%d events", len(c.events(stream)))
	}
	other := func(labels ...string) (messages []*api.AppendReq_ProposedMessage) {
		for _, label := range labels {
			messages = append(messages, proposed(label, "U", []byte(`{"other":1}`)))
		}
		return messages
	}
	for expected, again := range map[string]int{"any": 1, "no_stream": 3} {
		s := "body-" + expected
		ids := []string{s + ".0", s + ".1", s + ".2"} // of this stream alone: the first stream of an id decides what repeats it
		first := c.must(c.append(s, "no_stream", ids...)).GetSuccess().GetPosition().GetCommitPosition()
		answer, err := c.propose(expecting(s, expected), other(ids[:again]...)...)
		record("repeat/other_body/"+expected, then(answer, err, s, first))
		c.must(c.append("in-one-"+expected, "any", "os-"+expected))
		answer, err = c.append("in-other-"+expected, expected, "os-"+expected)
		record("repeat/other_stream/"+expected, sayAppend(answer, err, ""))
	}
	c.must(c.append("again-a", "any", "BZ"))
	c.must(c.append("again-b", "any", "BZ"))
	answer, err := c.append("again-b", "any", "BZ")
	record("repeat/other_stream_then_again/any", then(answer, err, "again-b", 0))
	answer, err = c.append("twice", "any", "BT", "BT")
	record("repeat/twice_in_one/any", then(answer, err, "twice", 0))
	answer, err = c.append("twice", "any", "BT", "BT")
	record("repeat/twice_in_one/again_any", then(answer, err, "twice", 0))
	for name, expected := range map[string]string{"any": "any", "no_stream": "no_stream", "rev0": "0"} {
		s := "grown-" + name
		c.must(c.append(s, "no_stream", s+"0"))
		answer, err := c.append(s, expected, s+"0", s+"1")
		record("repeat/grown/"+name, sayAppend(answer, err, s))
	}
	m := proposed("BS", "T", []byte("{}"))
	m.Id = structuredID("BS")
	c.must(c.propose(expecting("form", "no_stream"), m))
	answer, err = c.append("form", "no_stream", "BS")
	record("repeat/id_structured_vs_string", sayAppend(answer, err, "form"))
}

// raw sends what may be no append.
func (c *client) raw(messages ...*api.AppendReq) (*api.AppendResp, error) {
	ctx, cancel := c.context()
	defer cancel()
	call, err := c.stubs.Append(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		if err := call.Send(m); err != nil {
			break // the answer came already
		}
	}
	answer, err := call.CloseAndRecv()
	return answer, told(err, call.Trailer())
}

// malformedFacts appends what is no event, or an odd one.
func malformedFacts(t *testing.T, record record) {
	t.Helper()
	_, c := oneNode(t)
	n := 0
	change := func(what func(m *api.AppendReq_ProposedMessage)) *api.AppendReq_ProposedMessage {
		n++
		m := proposed(fmt.Sprintf("malformed-%d", n), "T", []byte("{}"))
		what(m)
		return m
	}
	id := func(form func(text string) string) *api.AppendReq_ProposedMessage {
		return change(func(m *api.AppendReq_ProposedMessage) {
			m.Id = &shared.UUID{Value: &shared.UUID_String_{String_: form(m.GetId().GetString_())}}
		})
	}
	kind := func(name string) *api.AppendReq_ProposedMessage {
		return change(func(m *api.AppendReq_ProposedMessage) { m.Metadata["type"] = name })
	}
	constant := func(text string) func(string) string { return func(string) string { return text } }
	for name, m := range map[string]*api.AppendReq_ProposedMessage{
		"empty_type": kind(""), "type_1k": kind(strings.Repeat("t", 1024)), "type_70k": kind(strings.Repeat("t", 70000)),
		"type_blank": kind("Shop.Order, Shop"), "type_unicode": kind("Größe"), "type_control": kind("a\nb"), "type_system": kind("$foo"),
		"type_metadata": kind("$metadata"), "type_streamDeleted": kind("$streamDeleted"), "type_link_garbage": kind("$>"),
		"no_type":                  change(func(m *api.AppendReq_ProposedMessage) { delete(m.Metadata, "type") }),
		"no_content_type":          change(func(m *api.AppendReq_ProposedMessage) { delete(m.Metadata, "content-type") }),
		"no_type_no_content_type":  change(func(m *api.AppendReq_ProposedMessage) { m.Metadata = nil }),
		"empty_content_type":       change(func(m *api.AppendReq_ProposedMessage) { m.Metadata["content-type"] = "" }),
		"empty_data":               change(func(m *api.AppendReq_ProposedMessage) { m.Data, m.CustomMetadata = nil, nil }),
		"id_missing":               change(func(m *api.AppendReq_ProposedMessage) { m.Id = nil }),
		"id_zero_structured":       change(func(m *api.AppendReq_ProposedMessage) { m.Id = &shared.UUID{Value: &shared.UUID_Structured_{}} }),
		"id_zero":                  id(constant("00000000-0000-0000-0000-000000000000")),
		"id_garbage":               id(constant("nonsense")),
		"id_empty_string":          id(constant("")),
		"id_no_dashes":             id(func(text string) string { return strings.ReplaceAll(text, "-", "") }),
		"id_braces":                id(func(text string) string { return "{" + text + "}" }),
		"id_upper":                 id(strings.ToUpper),
		"custom_metadata_not_json": change(func(m *api.AppendReq_ProposedMessage) { m.CustomMetadata = []byte("{") }),
		"json_not_json":            change(func(m *api.AppendReq_ProposedMessage) { m.Data = []byte("{not json") }),
	} {
		s := "malformed-" + name
		answer, err := c.propose(expecting(s, "any"), m)
		record("malformed/"+name, sayAppend(answer, err, s))
	}
	options := &api.AppendReq{Content: &api.AppendReq_Options_{Options: expecting("m", "any")}}
	event := &api.AppendReq{Content: &api.AppendReq_ProposedMessage_{ProposedMessage: kind("T")}}
	nowhere := &api.AppendReq{Content: &api.AppendReq_Options_{Options: &api.AppendReq_Options{
		ExpectedStreamRevision: expecting("", "any").GetExpectedStreamRevision(),
	}}}
	for name, messages := range map[string][]*api.AppendReq{
		"no_messages": nil, "event_first": {event}, "options_twice": {options, event, options}, "empty_message": {options, {}},
		"no_stream_identifier": {nowhere, event},
	} {
		answer, err := c.raw(messages...)
		record("malformed/"+name, sayAppend(answer, err, "\x00"))
	}
	for name, x := range map[string]struct {
		label string
		m     *api.AppendReq_ProposedMessage
		field func(e *api.ReadResp_ReadEvent_RecordedEvent) map[string]any
	}{
		"content_type_text":  {"CT", change(func(m *api.AppendReq_ProposedMessage) { m.Metadata["content-type"] = "text/plain" }), contentType},
		"content_type_upper": {"CU", change(func(m *api.AppendReq_ProposedMessage) { m.Metadata["content-type"] = "Application/JSON" }), contentType},
		"json_not_json_read": {"CJ", change(func(m *api.AppendReq_ProposedMessage) { m.Data = []byte("{not json") }), func(e *api.ReadResp_ReadEvent_RecordedEvent) map[string]any {
			return map[string]any{"data": dataOf(e)}
		}},
		"extra_metadata_key": {"CX", change(func(m *api.AppendReq_ProposedMessage) { m.Metadata["foo"], m.Metadata["created"] = "bar", "1" }), func(e *api.ReadResp_ReadEvent_RecordedEvent) map[string]any {
			return map[string]any{"keys": keysOf(e), "created_is_ours": e.GetMetadata()["created"] == "1"}
		}},
	} {
		x.m.CustomMetadata = []byte(x.label)
		c.must(c.propose(expecting("read-"+name, "any"), x.m))
		record("malformed/"+name, "OK event "+x.label+fields(x.field(c.events("read-" + name)[0])))
	}
}

func contentType(e *api.ReadResp_ReadEvent_RecordedEvent) map[string]any {
	return map[string]any{"ct": e.GetMetadata()["content-type"]}
}

func keysOf(e *api.ReadResp_ReadEvent_RecordedEvent) string {
	return strings.Join(slices.Sorted(maps.Keys(e.GetMetadata())), ",")
}

// metaFacts writes the metadata of a stream.
func metaFacts(t *testing.T, record record) {
	t.Helper()
	_, c := oneNode(t)
	read := func(name string, o *api.ReadReq_Options) {
		said, err := c.read(o, nil)
		record("meta/"+name, code(err)+" "+strings.Join(said, ", "))
	}
	write := func(name, expected, label, kind, text string) {
		answer, err := c.propose(expecting("$$j", expected), proposed(label, kind, []byte(text)))
		record("meta/"+name, sayAppend(answer, err, "$$j"))
	}
	c.must(c.append("j", "any", labelled("J", 5)...))
	read("none", ofStream("$$j", "end", true, 1))
	write("write_no_stream", "no_stream", "JM0", "$metadata", `{"$maxCount":3}`)
	write("write_again", "0", "JM1", "$metadata", `{"$maxCount":2}`)
	write("write_wrong", "0", "JM2", "$metadata", `{"$maxCount":9}`)
	read("read_forth", ofStream("$$j", "start", false, 100))
	read("read_back", ofStream("$$j", "end", true, 100))
	read("effect", ofStream("j", "start", false, 100))
	write("wrong_type", "any", "JM3", "T", `{"$maxCount":1}`)
	read("after_wrong_type", ofStream("j", "start", false, 100))
	write("invalid_json", "any", "JM4", "$metadata", "{x")
	read("after_invalid", ofStream("j", "start", false, 100))
	c.must(c.append("jb", "any", labelled("JB", 3)...))
	c.settings("jb", `{"$maxCount":-1}`)
	read("bad_values", ofStream("jb", "start", false, 9))
	c.settings("no-events", `{"a":1}`)
	read("of_missing_stream", ofStream("no-events", "start", false, 9))
}

// nameFacts appends to streams of odd names, and reads them.
func nameFacts(t *testing.T, record record) {
	t.Helper()
	_, c := oneNode(t)
	for name, s := range map[string]string{
		"system": "$foo", "metastream": "$$x", "double_metastream": "$$$$x", "meta_of_system": "$$$foo", "all": "$all", "streams": "$streams",
		"ce": "$ce-order", "dollar": "$", "200": strings.Repeat("n", 200), "201": strings.Repeat("n", 201), "1KiB": strings.Repeat("n", 1<<10),
		"64KiB": strings.Repeat("n", 1<<16), "at": "a@b", "bad_utf8": "a\xff\xfe", "case": "MiXed", "emoji": "a😀", "leading_space": " a", "lf": "a\nb",
		"nul": "a\x00b", "repository": "repository-x", "closed": "closed-x", "slash": "a/b?c#d", "space": "a b", "unicode": "größe",
	} {
		answer, err := c.append(s, "any", "name-"+name)
		said, readErr := c.read(ofStream(s, "start", false, 1), nil)
		text := code(readErr)
		for _, m := range said {
			kind, _, _ := strings.Cut(m, " ")
			text += " " + kind
		}
		record("name/"+name, sayAppend(answer, err, s)+" read="+text)
	}
	answer, err := c.append("", "any", "name-empty")
	record("name/empty", sayAppend(answer, err, "\x00"))
	_, err = c.read(ofStream("", "start", false, 1), nil)
	record("name/empty_read", sayRefusal(err, "\x00"))
}

// sizeFacts appends what is near the limits.
func sizeFacts(t *testing.T, record record) {
	t.Helper()
	n := 0
	sized := func(kind string, data, meta int) *api.AppendReq_ProposedMessage {
		n++
		m := proposed(fmt.Sprintf("size-%d", n), kind, make([]byte, data))
		m.Metadata["content-type"], m.CustomMetadata = "application/octet-stream", make([]byte, meta)
		return m
	}
	many := func(n int, m func() *api.AppendReq_ProposedMessage) (all []*api.AppendReq_ProposedMessage) {
		for range n {
			all = append(all, m())
		}
		return all
	}
	type messages = []*api.AppendReq_ProposedMessage
	ask := func(limit int, of map[string]func() messages) {
		_, c := oneNode(t, func(o *esdbtest.ClusterOptions) { o.MaxAppendSize = limit })
		for name, m := range of {
			answer, err := c.propose(expecting(name, "any"), m()...)
			record("size/"+name, sayAppend(answer, err, name))
		}
	}
	const small, large = 1 << 20, 16_000_000
	ask(small, map[string]func() messages{
		"limit_exact":        func() messages { return messages{sized("Größe", small-20, 10)} },
		"limit_plus_1":       func() messages { return messages{sized("Größe", small-19, 10)} },
		"limit_emoji":        func() messages { return messages{sized("😀", small-4, 0)} },
		"limit_emoji_plus_1": func() messages { return messages{sized("😀", small-3, 0)} },
		"data_limit":         func() messages { return messages{sized("T", small, 0)} },
		"data_limit_plus_1":  func() messages { return messages{sized("T", small+1, 0)} },
		"data_and_metadata":  func() messages { return messages{sized("T", small-10, 500_000)} },
		"metadata_only":      func() messages { return messages{sized("T", 0, 2*small)} },
		"two_events":         func() messages { return messages{sized("T", small-1, 0), sized("T", 2, 0)} },
		"early_error": func() messages {
			return many(200, func() *api.AppendReq_ProposedMessage { return sized("T", 1<<16, 0) })
		},
	})
	ask(large, map[string]func() messages{
		"event_1MiB_plus":  func() messages { return messages{sized("T", small+1, 0)} },
		"event_15MB":       func() messages { return messages{sized("T", 15_000_000, 0)} },
		"event_16MB_exact": func() messages { return messages{sized("T", large-2, 0)} },
		"event_16MB_plus":  func() messages { return messages{sized("T", large+1, 0)} },
		"two_of_9MB":       func() messages { return messages{sized("T", 9_000_000, 0), sized("T", 9_000_000, 0)} },
		"message_17MiB":    func() messages { return messages{sized("T", 17<<20, 0)} },
		"message_20MiB":    func() messages { return messages{sized("T", 20<<20, 0)} },
		"many_20000": func() messages {
			return many(20_000, func() *api.AppendReq_ProposedMessage { return sized("T", 2, 0) })
		},
	})
	_, c := oneNode(t)
	const largest = 16_767_069
	_, fits := c.propose(expecting("fits", "any"), sized("T", 0, largest))
	_, above := c.propose(expecting("above", "any"), sized("T", 0, largest+100))
	if fits != nil || code(above) != "RESOURCE_EXHAUSTED" {
		t.Errorf("the largest message is taken: %v; one that is larger: %v", fits, above)
	}
	record("size/message_limit", "OK"+fields(map[string]any{"bytes_of_custom_metadata_about": largest}))
}

// headerFacts appends and reads with headers that a server without users does not look at.
func headerFacts(t *testing.T, record record) {
	t.Helper()
	_, c := oneNode(t)
	c.must(c.append("r", "any", "R0"))
	ask := func(read, written string, header ...string) {
		d := c.with(header...)
		said, err := d.read(ofStream("r", "0", false, 1), nil)
		record(read, sayRefusal(err, "\x00")+" "+strings.Join(said, ", "))
		if written != "" {
			answer, err := d.append(written, "any", written)
			record(written, sayAppend(answer, err, written))
		}
	}
	for _, value := range []string{"true", "True", "false", "x", ""} {
		ask("requires_leader/read/"+value, "requires_leader/append/"+value, "requires-leader", value)
	}
	for name, value := range map[string]string{
		"good": basic("admin:changeit"), "wrong": basic("admin:nonsense"), "unknown": basic("nobody:x"), "not_base64": "Basic %%%",
		"no_colon": basic("admin"), "bearer": "Bearer x", "empty": "",
	} {
		ask("credentials/read/"+name, "credentials/append/"+name, "authorization", value)
	}
	ask("headers/connection_name", "", "connection-name", "x")
	ask("headers/kurrent", "", "x-foo", "bar")
}
