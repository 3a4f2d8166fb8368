package projections

import (
	"time"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
)

// Origin says of tables that were replayed for somebody to keep what they are. It is kept with them.
type Origin struct {
	Log        uuid.UUID           // that they were made from
	Position   eventstore.Position // up to which they show it
	RecordedAt time.Time           // when the event there was recorded
	Head       eventstore.Position // where the log ended then
	Given      string              // the point in time as it was asked for
	MadeAt     time.Time
	MadeBy     string // the program and its version
}
