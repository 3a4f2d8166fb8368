package api

import (
	"time"

	"github.com/gxpledger/gxpledger/eventstore"
)

// KeepInTail says how many bytes of events the tail keeps.
func (e *Events) KeepInTail(bytes int) { e.tail.most = bytes }

// Beat says how often an idle client is sent a comment.
func (e *Events) Beat(every time.Duration) { e.beat = every }

// SendWithin says how long a client may take.
func (e *Events) SendWithin(wait time.Duration) { e.send = wait }

// EventFrame is eventFrame.
func EventFrame(at eventstore.Position, typ string, document []byte) []byte {
	return eventFrame(at, typ, document)
}
