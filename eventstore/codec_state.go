package eventstore

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/gxpledger/gxpledger/domain"
)

// EncodeState returns the stored form of a state, as [Snapshot.Data]: the SHA-256 of its JSON, and the JSON. Equal states
// have equal forms.
func EncodeState(state domain.State) ([]byte, error) {
	body, err := json.Marshal(state)
	if err != nil {
		return nil, fmt.Errorf("cannot encode state: %w", err)
	}
	sum := sha256.Sum256(body)
	return append(sum[:], body...), nil
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
