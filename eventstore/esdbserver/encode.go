package esdbserver

import (
	"encoding/binary"
	"strconv"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/gxpledger/gxpledger/eventstore"
)

// message is what is sent, however it is encoded.
type message interface {
	// size is the number of bytes that encode appends. It is called first.
	size() int
	encode(to []byte) ([]byte, error)
}

// generated is a message that generated code encodes.
type generated struct{ proto.Message }

func (g generated) size() int { return proto.Size(g.Message) }

func (g generated) encode(to []byte) ([]byte, error) {
	return proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(to, g.Message)
}

// recorded is a wire.ReadResp with an event, which is most of what is sent. It is encoded by hand: generated code takes several times as
// long for its map and its messages within messages.
type recorded struct {
	begin          []byte // of the wire.ReadResp_ReadEvent_RecordedEvent, up to the two below
	metadata, data []byte
	position       uint64
}

// Numbers of fields of the messages in package wire, by message.
const (
	respEvent = 1

	readEvent    = 1
	readPosition = 3

	eventID, eventStream, eventRevision, eventPrepare, eventCommit, eventMetadata, eventCustom, eventData = 1, 2, 3, 4, 5, 6, 7, 8

	streamName = 3

	idStructured, idText            = 1, 2
	structuredMost, structuredLeast = 1, 2

	entryKey, entryValue = 1, 2
)

func (r recorded) eventSize() int {
	return len(r.begin) + sizeOf(eventCustom, r.metadata) + sizeOf(eventData, r.data)
}

func (r recorded) readSize() int {
	return protowire.SizeTag(readEvent) + protowire.SizeBytes(r.eventSize()) + protowire.SizeTag(readPosition) + protowire.SizeVarint(r.position)
}

func (r recorded) size() int { return protowire.SizeTag(respEvent) + protowire.SizeBytes(r.readSize()) }

func (r recorded) encode(to []byte) ([]byte, error) {
	to = appendHead(to, respEvent, r.readSize())
	to = appendHead(to, readEvent, r.eventSize())
	to = append(to, r.begin...)
	to = appendBytes(to, eventCustom, r.metadata)
	to = appendBytes(to, eventData, r.data)
	return appendNumber(to, readPosition, r.position), nil
}

// appendBegin appends the begin of a recorded: r as clients see it.
func appendBegin(to []byte, r eventstore.Record, contentType string, textID bool) []byte {
	to = appendID(to, r.ID, textID)
	to = appendHead(to, eventStream, sizeOf(streamName, r.Stream))
	to = appendBytes(to, streamName, r.Stream)
	to = appendNumber(to, eventRevision, uint64(r.Revision))
	to = appendNumber(to, eventPrepare, uint64(r.Position))
	to = appendNumber(to, eventCommit, uint64(r.Position))
	to = appendEntry(to, keyType, r.Type)
	to = appendEntry(to, keyContentType, contentType)
	return appendEntry(to, keyCreated, strconv.FormatInt(ticks(r.RecordedAt), 10))
}

// appendID appends an id in the form that the client asked for.
func appendID(to []byte, id uuid.UUID, textID bool) []byte { //nolint:revive // what the client asked for
	var inside [40]byte
	part := inside[:0]
	if textID {
		part = appendBytes(part, idText, id.String())
	} else {
		var numbers [24]byte
		both := appendNumber(numbers[:0], structuredMost, binary.BigEndian.Uint64(id[:8]))
		part = appendBytes(part, idStructured, appendNumber(both, structuredLeast, binary.BigEndian.Uint64(id[8:])))
	}
	return appendBytes(to, eventID, part)
}

// appendEntry appends an entry of the metadata of an event.
func appendEntry(to []byte, key, value string) []byte {
	to = appendHead(to, eventMetadata, sizeOf(entryKey, key)+sizeOf(entryValue, value))
	return appendBytes(appendBytes(to, entryKey, key), entryValue, value)
}

// appendHead appends what is before a message of size bytes.
func appendHead(to []byte, field protowire.Number, size int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(to, field, protowire.BytesType), uint64(size)) //nolint:gosec // not negative
}

// appendBytes appends a field, or nothing where it is empty.
func appendBytes[T ~string | ~[]byte](to []byte, field protowire.Number, value T) []byte {
	if len(value) == 0 {
		return to
	}
	return append(appendHead(to, field, len(value)), value...)
}

// sizeOf is how much appendBytes appends.
func sizeOf[T ~string | ~[]byte](field protowire.Number, value T) int {
	if len(value) == 0 {
		return 0
	}
	return protowire.SizeTag(field) + protowire.SizeBytes(len(value))
}

func appendNumber(to []byte, field protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(to, field, protowire.VarintType), value)
}
