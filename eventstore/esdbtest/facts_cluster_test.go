package esdbtest_test

import (
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/gxpledger/gxpledger/eventstore/esdbtest"
)

// basic are credentials.
func basic(user string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(user)) }

// members asks for gossip.
func (c *client) members() ([]*gossip.MemberInfo, error) {
	ctx, cancel := c.context()
	defer cancel()
	info, err := gossip.NewGossipClient(c.conn).Read(ctx, &shared.Empty{})
	return info.GetMembers(), told(err, nil)
}

// sayFeatures asks what the server can do.
func (c *client) sayFeatures() string {
	ctx, cancel := c.context()
	defer cancel()
	_, err := serverfeatures.NewServerFeaturesClient(c.conn).GetSupportedMethods(ctx, &shared.Empty{})
	if err != nil {
		return sayRefusal(told(err, nil), "\x00")
	}
	return "OK supported_methods"
}

// stateOf is how a member is called, and whether it lives.
func stateOf(m *gossip.MemberInfo) string {
	if !m.GetIsAlive() {
		return m.GetState().String() + " dead"
	}
	return m.GetState().String()
}

// sayGossip asks for gossip, and puts the answer with the states in order.
func (c *client) sayGossip() string {
	members, err := c.members()
	if err != nil {
		return sayRefusal(err, "\x00")
	}
	states := make([]string, len(members))
	for i, m := range members {
		states[i] = stateOf(m)
	}
	return fmt.Sprintf("OK members x%d", len(members)) + fields(map[string]any{"states": states})
}

// kinds are the first words of messages.
func kinds(said []string) string {
	first := make([]string, len(said))
	for i, m := range said {
		first[i], _, _ = strings.Cut(m, " ")
	}
	return strings.Join(first, ", ")
}

// freshFacts reads what a new server has.
func freshFacts(t *testing.T, record record) {
	t.Helper()
	cluster, c := oneNode(t)
	for name, s := range map[string]string{"all_as_stream": "$all", "streams_system": "$streams", "users_system": "$users", "dollar": "$"} {
		for way, back := range map[string]bool{"forth": false, "back": true} {
			from := map[bool]string{false: "start", true: "end"}[back]
			said, err := c.read(ofStream(s, from, back, 100), nil)
			record("fresh/read/"+name+"/"+way, code(err)+" "+strings.Join(said, ", "))
		}
	}
	said, err := c.read(following(ofStream("$all", "start", false, 1)), caughtUp)
	record("fresh/sub/all_as_stream", code(err)+" "+strings.Join(said, ", "))
	record("fresh/all", "OK "+strings.Join(each(c.recorded(ofAll(false, 100)), func(e *api.ReadResp_ReadEvent_RecordedEvent) string {
		return "event " + string(e.GetStreamIdentifier().GetStreamName()) + " " + typeOf(e)
	}), ", "))
	members, err := c.members()
	if err != nil || len(members) != 1 {
		t.Fatalf("the members are %v, %v", members, err)
	}
	m, form := members[0], "string"
	if m.GetInstanceId().GetStructured() != nil {
		form = "structured"
	}
	_, port, _ := net.SplitHostPort(cluster.Node(0).Address())
	record("gossip", "OK members x1"+fields(map[string]any{
		"state": m.GetState().String(), "alive": m.GetIsAlive(), "id_kind": form, "ticks_digits": len(fmt.Sprint(m.GetTimeStamp())),
		"port_is_of_call": fmt.Sprint(m.GetHttpEndPoint().GetPort()) == port,
	}))
}

// restartFacts appends again what was appended before a restart.
func restartFacts(t *testing.T, record record) {
	t.Helper()
	cluster, c := oneNode(t)
	asks := map[string]struct {
		expected string
		labels   []int
	}{
		"repeat_any": {"any", []int{0, 1}}, "repeat_exists": {"exists", []int{0, 1}}, "repeat_no_stream": {"no_stream", []int{0, 1}},
		"repeat_exact_0": {"0", []int{0, 1}}, "first_no_stream": {"no_stream", []int{0}},
	}
	label := func(name string, i int) string { return fmt.Sprintf("%s-%d", name, i) }
	for name := range asks {
		c.must(c.append(name, "no_stream", label(name, 0), label(name, 1)))
	}
	cluster.Node(0).Kill()
	cluster.Node(0).Restart()
	c = dial(t, cluster.Node(0))
	for name, x := range asks {
		labels := make([]string, len(x.labels))
		for i, n := range x.labels {
			labels[i] = label(name, n)
		}
		answer, err := c.append(name, x.expected, labels...)
		text, _, _ := strings.Cut(sayAppend(answer, err, name), " cur_old=")
		then := fmt.Sprintf("%d events", len(c.events(name)))
		if then == "4 events" {
			then += ": written twice"
		}
		record("restart/"+name, strings.ReplaceAll(text, " pos=position", "")+" stream_then="+then)
	}
}

// ask makes the calls of a group, as they are and so that they require the leader.
func (c *client) ask(group string, record record, tell func(err error) string) {
	headers := map[string][]string{"plain": nil, "requires_leader": {"requires-leader", "true"}}
	for name, header := range headers {
		d := c.with(header...)
		say := func(call string, o *api.ReadReq_Options, stop func(said []string) bool, put func(said []string) string) {
			said, err := d.read(o, stop)
			record(group+"/"+call+"/"+name, tell(err)+" "+put(said))
		}
		all := func(said []string) string { return strings.Join(said, ", ") }
		say("read", ofStream("nope", "start", false, 1), nil, all)
		say("sub_all", fromEnd(), caughtUp, all)
		say("sub_stream", following(ofStream("nope", "start", false, 1)), caughtUp, all)
		if group == "follower" {
			say("read_all", ofAll(false, 1), nil, kinds)
			at := c.at["c0"]
			say("sub_all_catchup", following(ofAll(false, 1, at, at)), caughtUp, all)
			say("sub_all_filtered_catchup", filtered(following(ofAll(false, 1, at, at)), 100, 1, "c"), caughtUp, all)
			say("sub_stream_catchup", following(ofStream("c", "start", false, 1)), caughtUp, all)
			say("sub_all_start", following(ofAll(false, 1)), until(4), kinds)
		} else if name == "requires_leader" {
			say("read_all", ofAll(false, 1), nil, kinds)
		}
	}
	for name, header := range headers { // which readers would see
		d := c.with(header...)
		answer, err := d.append("s-"+name, "any", "s-"+name)
		text := tell(err)
		if err == nil {
			text = sayAppend(answer, err, "\x00")
		}
		record(group+"/append/"+name, text)
		record(group+"/delete/"+name, strings.ReplaceAll(tell(d.delete("delete", "nope", "any")), "nope", "S"))
		said, err := d.batch(1, batchOf("c1", "b-"+name, "any", "b-"+name))
		record(group+"/batch/"+name, tell(err)+" "+said)
	}
	record(group+"/features", c.sayFeatures())
	record(group+"/gossip", c.sayGossip())
}

// followerFacts asks a follower.
func followerFacts(t *testing.T, record record) {
	t.Helper()
	cluster, clients := three(t, esdbtest.ClusterOptions{})
	clients[0].must(clients[0].append("c", "any", "c0", "c1", "c2"))
	c := clients[1]
	if c.events("c"); c.at["c0"] == 0 {
		t.Fatal("the follower does not have the events")
	}
	host, port, _ := net.SplitHostPort(cluster.Node(0).Address())
	c.ask("follower", record, func(err error) string {
		text := strings.ReplaceAll(sayRefusal(err, "\x00"), "leader-endpoint-host="+host, "leader-endpoint-host=LEADER")
		return strings.ReplaceAll(text, "leader-endpoint-port="+port, "leader-endpoint-port=PORT")
	})
}

// noLeaderFacts asks a node that is alone.
func noLeaderFacts(t *testing.T, record record) {
	t.Helper()
	cluster, clients := three(t, esdbtest.ClusterOptions{})
	cluster.Node(0).Kill()
	cluster.Node(1).Kill()
	cluster.NoLeader()
	clients[2].ask("no_leader", record, func(err error) string { return sayRefusal(err, "\x00") })
}

// lossFacts asks a follower while the leader is lost.
func lossFacts(t *testing.T, record record) {
	t.Helper()
	cluster, clients := three(t, esdbtest.ClusterOptions{})
	c := clients[1]
	said, err := c.read(fromEnd(), func(said []string) bool {
		if !caughtUp(said) {
			return len(said) == 3 // the event of after the loss
		}
		cluster.Node(0).Kill()
		answer, err := c.append("s", "any", "during")
		text := sayAppend(answer, err, "\x00")
		cluster.NoLeader()
		c.leader = true
		answer, err = c.append("s", "any", "during")
		record("loss_of_leader/append_requires_leader", sayAppend(answer, err, "\x00"))
		c.leader = false
		cluster.Elect(2)
		c.must(c.append("s", "any", "after"))
		record("loss_of_leader/append_through_follower", text+" others=success")
		return false
	})
	if len(said) != 3 {
		t.Errorf("the subscription told %q", said)
	}
	record("loss_of_leader/subscription", code(err))
}

// userFacts asks a server that has users, as an administrator, as a user, as nobody, and with credentials that are none.
func userFacts(t *testing.T, record record) {
	t.Helper()
	_, c := oneNode(t, func(o *esdbtest.ClusterOptions) {
		o.Users = map[string]esdbtest.User{"admin": {Password: "changeit", Admin: true}, "bob": {Password: "b", Write: true}}
	})
	admin := c.with("authorization", basic("admin:changeit"))
	admin.must(admin.append("se", "any", "SE0"))
	admin.must(admin.append("sa", "any", "SA0"))
	admin.settings("sa", `{"$acl":{"$r":"admin","$w":"admin","$d":"admin","$mr":"admin","$mw":"admin"}}`)
	admin.must(admin.append("$users", "any", "users"))
	for _, x := range []struct {
		name, authorization string
		odd                 bool // asked for less
	}{
		{"admin", basic("admin:changeit"), false},
		{"bob", basic("bob:b"), false},
		{"none", "", false},
		{"wrong_password", basic("admin:no"), false},
		{"unknown_user", basic("eve:b"), true},
		{"not_base64", "Basic %%%", true},
		{"bearer", "Bearer x", true},
		{"empty", "", true},
	} {
		d := c.with("authorization", x.authorization)
		if x.name == "none" {
			d = c
		}
		name := "/" + x.name
		read := func(call string, o *api.ReadReq_Options, stop func(said []string) bool, put func(said []string) string) {
			said, err := d.read(o, stop)
			record("secure/"+call+name, sayRefusal(err, "\x00")+" "+put(said))
		}
		all := func(said []string) string { return strings.Join(said, ", ") }
		write := func(call, s string, labels ...string) {
			answer, err := d.append(s, "any", labels...)
			record("secure/"+call+name, sayAppend(answer, err, s))
		}
		read("read", ofStream("se", "start", false, 1), nil, all)
		write("append", "se", "se-"+x.name)
		said, err := d.batch(1, batchOf("c1", "sb", "any", "sb-"+x.name))
		record("secure/batch"+name, sayRefusal(err, "\x00")+" "+said)
		if x.odd {
			continue
		}
		read("read_all", ofAll(false, 1), nil, kinds)
		read("read_system", ofStream("$users", "start", false, 1), nil, kinds)
		read("sub_all", fromEnd(), caughtUp, all)
		read("acl_read", ofStream("sa", "start", false, 1), nil, all)
		if x.name == "admin" {
			read("acl_sub", following(ofStream("sa", "start", false, 1)), caughtUp, all)
		} else {
			read("acl_sub", following(ofStream("sa", "start", false, 1)), nil, all)
		}
		write("acl_append", "sa", "sa-"+x.name)
		write("append_system", "$foo", "foo-"+x.name)
		answer, err := d.propose(expecting("$$m-"+x.name, "any"), proposed("m-"+x.name, "$metadata", []byte(`{"a":1}`)))
		record("secure/meta_write"+name, sayAppend(answer, err, "\x00"))
		said, err = d.batch(2, batchOf("c1", "sa", "any", "sab-"+x.name), batchOf("c2", "open", "any", "open-"+x.name))
		record("secure/acl_batch"+name, sayRefusal(err, "\x00")+" "+said)
		record("secure/acl_delete"+name, strings.ReplaceAll(strings.ReplaceAll(tellDeletion(d, "sa"), "Stream: sa", "Stream: S"), "stream-name=sa", "stream-name=S"))
		many := make([]*api.AppendReq_ProposedMessage, 300)
		for i := range many {
			many[i] = proposed(fmt.Sprintf("many-%s-%d", x.name, i), "T", make([]byte, 1<<16))
		}
		answer, err = d.propose(expecting("sa", "any"), many...)
		record("secure/acl_append_many"+name, sayAppend(answer, err, "\x00"))
		record("secure/features"+name, d.sayFeatures())
		text := d.sayGossip()
		text, _, _ = strings.Cut(text, " x")
		record("secure/gossip"+name, text)
	}
}

func tellDeletion(c *client, stream string) string {
	return sayRefusal(c.delete("delete", stream, "77"), "\x00")
}
