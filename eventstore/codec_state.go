package eventstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/gxpledger/gxpledger/domain"
)

// EncodeState returns the stored form of a state, as [Snapshot.Data]: the SHA-256 of its JSON, and the JSON. Equal states
// have equal forms.
func EncodeState(state domain.State) ([]byte, error) {
	data := make([]byte, sha256.Size, sha256.Size+sizeOf(state)) // growing it would need twice the memory
	data, err := appendState(data, state)
	if err != nil {
		return nil, fmt.Errorf("cannot encode state: %w", err)
	}
	sum := sha256.Sum256(data[sha256.Size:])
	copy(data, sum[:])
	return data, nil
}

// sizeOf is about the size of the JSON of state, and rather more than less.
func sizeOf(state domain.State) int {
	const head, unit, artifact, link = 1024, 32, 112, 88 // names of fields and numbers
	size := head
	for path, u := range state.Units {
		size += unit + len(path) + len(u.Blob) + len(u.Stamp)
		for i := range u.Artifacts {
			a := &u.Artifacts[i]
			size += artifact + len(a.Kind) + len(a.GxPID) + len(a.SHA256) + len(a.Digest) + len(a.Evidence) + len(a.Unverified)
			for _, l := range a.Links {
				size += link + len(l.Edge) + len(l.Target)
			}
		}
	}
	return size
}

// appendState appends what json.Marshal gives of state. That would need the memory for it three times.
func appendState(data []byte, state domain.State) ([]byte, error) {
	units := state.Units
	if units != nil {
		state.Units = map[string]*domain.Unit{}
	}
	rest, err := json.Marshal(state)
	head, last := bytes.CutSuffix(rest, []byte("{}}")) // units are the last field
	if err != nil || units == nil || !last {
		return append(data, rest...), err
	}
	data = append(data, head...)
	between := byte('{')
	for _, path := range slices.Sorted(maps.Keys(units)) {
		key, err := json.Marshal(path)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(units[path])
		if err != nil {
			return nil, err
		}
		data = append(append(append(append(data, between), key...), ':'), value...)
		between = ','
	}
	if len(units) == 0 {
		data = append(data, between)
	}
	return append(data, "}}"...), nil
}

// DecodeState returns the state that a snapshot holds. The error is [ErrSnapshotInvalid] where it has another version than
// [domain.StateVersion] or is damaged.
func DecodeState(snapshot Snapshot) (domain.State, error) {
	var state domain.State
	if snapshot.Version != domain.StateVersion || len(snapshot.Data) < sha256.Size {
		return state, ErrSnapshotInvalid
	}
	digest, body := snapshot.Data[:sha256.Size], snapshot.Data[sha256.Size:]
	if sha256.Sum256(body) != [sha256.Size]byte(digest) {
		return state, ErrSnapshotInvalid
	}
	if err := json.Unmarshal(body, &state); err != nil {
		return state, fmt.Errorf("%w: %w", ErrSnapshotInvalid, err)
	}
	return state, nil
}
