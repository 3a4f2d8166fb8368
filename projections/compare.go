package projections

import (
	"bytes"
	"cmp"
	"encoding/json"
)

// compareValues orders two values of one column as a database orders them: NULL first, texts bytewise, false before true.
func compareValues(a, b any) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok {
			return cmp.Compare(x, y)
		}
	case int64:
		if y, ok := b.(int64); ok {
			return cmp.Compare(x, y)
		}
	case bool:
		if y, ok := b.(bool); ok {
			return compareBools(x, y)
		}
	case json.RawMessage:
		if y, ok := b.(json.RawMessage); ok {
			return bytes.Compare(x, y)
		}
	}
	return 1 // of different types, which columns do not have
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}
