package kurrent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf16"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
)

// event is an event of a server.
type event struct {
	ID       uuid.UUID
	Type     string
	Stream   string
	Revision uint64
	Position eventstore.Position // the commit position of $all
	Created  time.Time
	Data     []byte
	Meta     []byte // the custom metadata
}

// decode reads an event that a server sent. One that is no event is ErrCorrupt.
func decode(m *api.ReadResp_ReadEvent) (*event, error) {
	sent := m.GetLink() // links are not followed
	if sent == nil {
		sent = m.GetEvent()
	}
	if sent == nil {
		return nil, fmt.Errorf("%w: the server sent a message without an event", eventstore.ErrCorrupt)
	}
	e := &event{
		Type: sent.GetMetadata()["type"], Stream: string(sent.GetStreamIdentifier().GetStreamName()),
		Revision: sent.GetStreamRevision(), Position: eventstore.Position(sent.GetCommitPosition()),
		Data: sent.GetData(), Meta: sent.GetCustomMetadata(),
	}
	var faults [2]error
	e.ID, faults[0] = parseID(sent.GetId())
	e.Created, faults[1] = parseCreated(sent.GetMetadata()["created"])
	err := errors.Join(faults[:]...)
	switch {
	case err != nil:
	case e.Stream == "":
		err = errors.New("its stream has no name")
	case e.Revision > math.MaxInt64:
		err = fmt.Errorf("its revision is %d", e.Revision)
	case e.Position > math.MaxInt64:
		err = errors.New("it has no position")
	default:
		return e, nil
	}
	return nil, fmt.Errorf("%w: the server sent an event, %d of stream %s, that cannot be read: %w",
		eventstore.ErrCorrupt, e.Revision, strconv.Quote(shorten(e.Stream)), err)
}

func parseID(id *shared.UUID) (uuid.UUID, error) {
	switch value := id.GetValue().(type) {
	case *shared.UUID_Structured_:
		var b uuid.UUID
		binary.BigEndian.PutUint64(b[:8], uint64(value.Structured.GetMostSignificantBits()))  //nolint:gosec // bits
		binary.BigEndian.PutUint64(b[8:], uint64(value.Structured.GetLeastSignificantBits())) //nolint:gosec // bits
		return b, nil
	case *shared.UUID_String_:
		parsed, err := uuid.Parse(value.String_)
		if err != nil {
			return uuid.Nil, fmt.Errorf("its id is %q", shorten(value.String_))
		}
		return parsed, nil
	}
	return uuid.Nil, errors.New("it has no id")
}

func structured(id uuid.UUID) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits:  int64(binary.BigEndian.Uint64(id[:8])), //nolint:gosec // bits
		LeastSignificantBits: int64(binary.BigEndian.Uint64(id[8:])), //nolint:gosec // bits
	}}}
}

// tick is the unit of the time of an event, since 1970.
const tick = 100 * time.Nanosecond

// lastTick is the end of the year 9999.
const lastTick = 253_402_300_800 * int64(time.Second/tick)

func parseCreated(text string) (time.Time, error) {
	ticks, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ticks < 0 || ticks >= lastTick {
		return time.Time{}, fmt.Errorf("its time of creation is %q", shorten(text))
	}
	second := int64(time.Second / tick)
	return time.Unix(ticks/second, ticks%second*int64(tick)).UTC(), nil
}

// newEvent is an event that is to be written.
type newEvent struct {
	ID   uuid.UUID
	Type string
	JSON bool // whether Data is JSON
	Data []byte
	Meta []byte
}

func (e newEvent) proposed() *api.AppendReq_ProposedMessage {
	return &api.AppendReq_ProposedMessage{Id: structured(e.ID), Metadata: e.metadata(), CustomMetadata: e.Meta, Data: e.Data}
}

func (e newEvent) metadata() map[string]string {
	content := "application/octet-stream"
	if e.JSON {
		content = "application/json"
	}
	return map[string]string{"type": e.Type, "content-type": content}
}

// size is what a server counts: data, metadata, and the type in UTF-16.
func (e newEvent) size() int64 {
	size := int64(len(e.Data) + len(e.Meta))
	for _, r := range e.Type {
		size += 2 * int64(utf16.RuneLen(r))
	}
	return size
}

// shorten keeps what a server says from filling a screen.
func shorten(text string) string {
	const most = 300
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}
