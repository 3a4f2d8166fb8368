package esdbserver_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// Appends that name no revision are all written, however many come to one stream at once.
func TestManyAppendsOfAnyRevisionGoToOneStream(t *testing.T) {
	t.Parallel()
	for name, client := range overLogs(t, options()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 100
			var wait sync.WaitGroup
			for i := range n {
				wait.Go(func() {
					if _, err := client.AppendToStream(within(t), "hot", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, made(fmt.Sprint("e", i), 1)...); err != nil {
						t.Errorf("append %d: %v", i, err)
					}
				})
			}
			wait.Wait()
			stream, err := client.ReadStream(within(t), "hot", esdb.ReadStreamOptions{}, 2*n)
			if got := len(drain(t, stream, err)); got != n {
				t.Errorf("the stream has %d events, want %d", got, n)
			}
		})
	}
}

// Text with very many escapes is read in time that grows with its size alone.
func TestTextFullOfEscapesIsRead(t *testing.T) {
	t.Parallel()
	for name, client := range overLogs(t, options()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event := made("escapes", 1)[0]
			event.ContentType, event.Data = esdb.ContentTypeJson, []byte(`{"text":"`+string(bytes.Repeat([]byte(`\n`), 2_000_000))+`"}`)
			mustAppend(t, client, "long", event)
			stream, err := client.ReadStream(within(t), "long", esdb.ReadStreamOptions{}, 1)
			events := drain(t, stream, err)
			if len(events) != 1 || !bytes.Equal(events[0].Data, event.Data) {
				t.Error("other bytes come back")
			}
		})
	}
}
