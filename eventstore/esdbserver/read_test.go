package esdbserver_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// interleaved appends 100 events to stream a and 50 to b, two and one in turn.
func interleaved(t *testing.T, client *esdb.Client) {
	t.Helper()
	for range 50 {
		mustAppend(t, client, "a", made("e", 2)...)
		mustAppend(t, client, "b", made("e", 1)...)
	}
}

// revisions names count events of stream from a revision on, step by step.
func revisions(stream string, from, count, step int) []string {
	list := []string{}
	for i := range count {
		list = append(list, fmt.Sprintf("%s@%d", stream, from+i*step))
	}
	return list
}

func TestAStreamIsReadInBothDirections(t *testing.T) {
	t.Parallel()
	for name, client := range overLogs(t, options()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			interleaved(t, client)
			for name, c := range map[string]struct {
				direction esdb.Direction
				from      esdb.StreamPosition
				count     uint64
				want      []string
			}{
				"all":                          {esdb.Forwards, esdb.Start{}, 1000, revisions("a", 0, 100, 1)},
				"some":                         {esdb.Forwards, esdb.Start{}, 3, revisions("a", 0, 3, 1)},
				"none":                         {esdb.Forwards, esdb.Start{}, 0, nil},
				"from a revision":              {esdb.Forwards, esdb.Revision(97), 1000, revisions("a", 97, 3, 1)},
				"from the last":                {esdb.Forwards, esdb.Revision(99), 5, revisions("a", 99, 1, 1)},
				"from beyond the end":          {esdb.Forwards, esdb.Revision(100), 5, nil},
				"from the end":                 {esdb.Forwards, esdb.End{}, 5, nil},
				"back from the end":            {esdb.Backwards, esdb.End{}, 1000, revisions("a", 99, 100, -1)},
				"back, the last":               {esdb.Backwards, esdb.End{}, 1, revisions("a", 99, 1, -1)},
				"back from a revision":         {esdb.Backwards, esdb.Revision(70), 1000, revisions("a", 70, 71, -1)},
				"back from a revision, some":   {esdb.Backwards, esdb.Revision(70), 40, revisions("a", 70, 40, -1)},
				"back from beyond the end":     {esdb.Backwards, esdb.Revision(5000), 2, revisions("a", 99, 2, -1)},
				"back from far beyond the end": {esdb.Backwards, esdb.Revision(1 << 63), 2, revisions("a", 99, 2, -1)},
				"back from the first":          {esdb.Backwards, esdb.Revision(0), 5, revisions("a", 0, 1, -1)},
				"back from the start":          {esdb.Backwards, esdb.Start{}, 5, revisions("a", 0, 1, -1)},
			} {
				page, err := client.ReadStream(within(t), "a", esdb.ReadStreamOptions{Direction: c.direction, From: c.from}, c.count)
				if got := places(drain(t, page, err)); !slices.Equal(got, c.want) {
					t.Errorf("%s: read %v, want %v", name, got, c.want)
				}
			}
		})
	}
}

func TestTheLogIsReadInBothDirections(t *testing.T) {
	t.Parallel()
	for name, client := range overLogs(t, options()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			interleaved(t, client)
			page, err := client.ReadAll(within(t), esdb.ReadAllOptions{}, 1000)
			all := drain(t, page, err)
			if len(all) != 150 {
				t.Fatalf("the log has %d events, want 150, and none of a system", len(all))
			}
			for i, e := range all {
				if e.Position.Commit != uint64(i+1) || e.Position.Prepare != e.Position.Commit {
					t.Errorf("event %d stands at %+v", i, e.Position)
				}
				if age := time.Since(e.CreatedDate); age < 0 || age > time.Hour {
					t.Errorf("event %d was created at %s", i, e.CreatedDate)
				}
			}
			names := places(all)
			back := slices.Clone(names)
			slices.Reverse(back)
			for name, c := range map[string]struct {
				direction esdb.Direction
				from      esdb.AllPosition
				count     uint64
				want      []string
			}{
				"some":                    {esdb.Forwards, esdb.Start{}, 3, names[:3]},
				"from position 0":         {esdb.Forwards, esdb.Position{}, 3, names[:3]},
				"from a position":         {esdb.Forwards, esdb.Position{Commit: 10, Prepare: 10}, 5, names[9:14]},
				"from behind the last":    {esdb.Forwards, esdb.Position{Commit: 151, Prepare: 151}, 5, nil},
				"from the end":            {esdb.Forwards, esdb.End{}, 5, nil},
				"back":                    {esdb.Backwards, esdb.End{}, 1000, back},
				"back from a position":    {esdb.Backwards, esdb.Position{Commit: 10, Prepare: 10}, 5, back[141:146]},
				"back from the first":     {esdb.Backwards, esdb.Position{Commit: 1, Prepare: 1}, 5, nil},
				"back from the start":     {esdb.Backwards, esdb.Start{}, 5, nil},
				"back from behind it all": {esdb.Backwards, esdb.Position{Commit: 151, Prepare: 151}, 2, back[:2]},
			} {
				page, err := client.ReadAll(within(t), esdb.ReadAllOptions{Direction: c.direction, From: c.from}, c.count)
				if got := places(drain(t, page, err)); !slices.Equal(got, c.want) {
					t.Errorf("%s: read %v, want %v", name, got, c.want)
				}
			}
		})
	}
}

func TestAMissingStreamIsNotFound(t *testing.T) {
	t.Parallel()
	client := dial(t, served(t, newLog(t), options()))
	mustAppend(t, client, "s", made("e", 1)...)
	for _, name := range []string{"S", "s ", "none", "$$s", "\x00", "é", "content-12", "content-" + sum(nil)} {
		for _, direction := range []esdb.Direction{esdb.Forwards, esdb.Backwards} {
			page, err := client.ReadStream(within(t), name, esdb.ReadStreamOptions{Direction: direction}, 1)
			if err != nil {
				t.Fatal(err)
			}
			_, err = page.Recv()
			hasCode(t, err, esdb.ErrorCodeResourceNotFound)
			page.Close()
		}
	}
	_, err := client.GetStreamMetadata(within(t), "s", esdb.ReadStreamOptions{})
	if err == nil {
		t.Error("a stream has metadata")
	}
}

// The two numbers of a position are one here, and nothing is behind the end to read backwards from.
func TestAPositionThatNobodyWasGivenIsRefused(t *testing.T) {
	t.Parallel()
	client, ctx := dial(t, served(t, newLog(t), options())), within(t)
	mustAppend(t, client, "s", made("e", 3)...)
	at := func(commit, prepare uint64) esdb.Position { return esdb.Position{Commit: commit, Prepare: prepare} }
	for p, directions := range map[esdb.Position][]esdb.Direction{
		at(2, 1): {esdb.Forwards, esdb.Backwards}, at(5, 5): {esdb.Backwards}, at(1<<63, 1<<63): {esdb.Backwards},
	} {
		for _, direction := range directions {
			page, err := client.ReadAll(ctx, esdb.ReadAllOptions{Direction: direction, From: p}, 1)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := page.Recv(); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("position %+v is read from", p)
			}
		}
	}
	if _, err := client.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{From: at(2, 1)}); err == nil {
		t.Error("position 2/1 is subscribed from")
	}
}

// A long stream is read at the pace of the client, and what it does not want is not sent.
func TestAReadIsGivenUp(t *testing.T) {
	t.Parallel()
	client := dial(t, served(t, newLog(t), options()))
	for i := range 20 {
		events := made("e", 200)
		for n := range events {
			events[n].Data = []byte(strconv.Quote(fmt.Sprintf("%01000d", i*200+n)))
		}
		mustAppend(t, client, "s", events...)
	}
	page, err := client.ReadStream(within(t), "s", esdb.ReadStreamOptions{}, 1<<62)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := page.Recv(); err != nil || e.Event.EventNumber != 0 {
		t.Errorf("first received %+v, %v", e, err)
	}
	page.Close() // the server ends in time only if it gives up too: TestMain would find its goroutine
}
