package esdbserver_test

import (
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
)

// The text of a refusal is a header on the wire. Clients allow 8 KiB of them (Java, Python) or 64 KiB (Node), and do not get an answer that is
// larger: what they sent must not make it so.
func TestARefusalOfMuchIsShort(t *testing.T) {
	t.Parallel()
	client := api.NewStreamsClient(dialRaw(t, served(t, newLog(t), options()), grpc.WithMaxHeaderListSize(8<<10)))
	long := strings.Repeat("ü", 30_000)
	appending := func(messages ...*api.AppendReq) func(*testing.T) string {
		return func(t *testing.T) string {
			t.Helper()
			_, got := sendAppend(t, client, messages...)
			return got
		}
	}
	reading := func(request *api.ReadReq) func(*testing.T) string {
		return func(t *testing.T) string {
			t.Helper()
			call, err := client.Read(within(t), request)
			if err == nil {
				_, err = call.Recv()
			}
			return answered(err, nil)
		}
	}
	same := []*api.AppendReq{beginAny("s")}
	for range 300 {
		same = append(same, proposal(propose(1, 10)))
	}
	for name, c := range map[string]struct {
		answer func(t *testing.T) string
		want   string // what it begins with
	}{
		"many faults": {appending(same...), `InvalidArgument: invalid argument: batch for stream "s": event 1: id 0`},
		"an id": {appending(proposing(func(m *api.AppendReq_ProposedMessage) {
			m.Id = &shared.UUID{Value: &shared.UUID_String_{String_: long}}
		})...), `InvalidArgument: "üüü`},
		"an expression": {reading(filtered(byStream(nil, strings.Repeat("ü", 2000)+"("))), "InvalidArgument: the regular expression is not of RE2"},
		"a stream of the system": {reading(readRequest(func(o *api.ReadReq_Options) {
			o.StreamOption = &api.ReadReq_Options_Stream{Stream: &api.ReadReq_Options_StreamOptions{
				StreamIdentifier: identifier("$" + long), RevisionOption: &api.ReadReq_Options_StreamOptions_Start{},
			}}
			o.CountOption = &api.ReadReq_Options_Subscription{}
		})), `Unimplemented: cannot subscribe to "$üüü`},
		"a deletion": {func(t *testing.T) string {
			t.Helper()
			_, err := client.Delete(within(t), &api.DeleteReq{Options: &api.DeleteReq_Options{StreamIdentifier: identifier(long + "\n")}})
			return answered(err, nil)
		}, "PermissionDenied: the log is append-only"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.answer(t); !strings.HasPrefix(got, c.want) {
				t.Errorf("answered with %d bytes: %.200s", len(got), got)
			}
		})
	}
}
