package trace

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// longestList bounds the lists whose items are matched one by one, which takes the product of their lengths. Beyond, a
// list is compared as a whole.
const longestList = 1000

// compareJSON lists what differs between two JSON values: maps by their keys, lists by their items, anything else as a
// whole. The order of keys says nothing. Either may be nil.
func compareJSON(path string, before, after json.RawMessage) []Change {
	before, after = compact(before), compact(after)
	if bytes.Equal(before, after) {
		return nil
	}
	fromKeys, from := members(before)
	toKeys, to := members(after)
	if (from != nil || before == nil) && (to != nil || after == nil) && (path == "" || from != nil && to != nil) {
		return compareMaps(path, mapping{fromKeys, from}, mapping{toKeys, to})
	}
	fromItems, fromList := items(before)
	toItems, toList := items(after)
	if fromList && toList && len(fromItems) <= longestList && len(toItems) <= longestList {
		return compareLists(path, fromItems, toItems)
	}
	return compareValues(AreaField, path, before, after)
}

type mapping struct {
	keys   []string // in the order of the file
	values map[string]json.RawMessage
}

func compareMaps(path string, from, to mapping) []Change {
	var out []Change
	for _, key := range from.keys {
		now, still := to.values[key]
		if !still {
			out = append(out, Change{Area: AreaField, Path: within(path, key), Op: OpRemoved, Old: compact(from.values[key])})
			continue
		}
		out = append(out, compareJSON(within(path, key), from.values[key], now)...)
	}
	for _, key := range to.keys {
		if _, known := from.values[key]; !known {
			out = append(out, Change{Area: AreaField, Path: within(path, key), Op: OpAdded, New: compact(to.values[key])})
		}
	}
	return out
}

// compareLists matches the items that both lists have in the same order; the longest such run is kept. What is between
// is changed as far as both have something there, and else removed or added. An index is that in the list that has the
// item, from 1 as people count.
func compareLists(path string, from, to []json.RawMessage) []Change {
	var out []Change
	common := longestCommon(from, to)
	i, j := 0, 0
	for k := 0; k <= len(common); k++ {
		endFrom, endTo := len(from), len(to)
		if k < len(common) {
			endFrom, endTo = common[k][0], common[k][1]
		}
		for ; i < endFrom && j < endTo; i, j = i+1, j+1 {
			out = append(out, compareItem(indexed(path, j), from[i], to[j])...)
		}
		for ; i < endFrom; i++ {
			out = append(out, Change{Area: AreaField, Path: indexed(path, i), Op: OpRemoved, Old: from[i]})
		}
		for ; j < endTo; j++ {
			out = append(out, Change{Area: AreaField, Path: indexed(path, j), Op: OpAdded, New: to[j]})
		}
		i, j = endFrom+1, endTo+1
	}
	return out
}

// compareItem compares two items at one place. Maps are looked into; a null is a value like any other.
func compareItem(path string, from, to json.RawMessage) []Change {
	if _, m := members(from); m != nil {
		return compareJSON(path, from, to)
	}
	return []Change{{Area: AreaField, Path: path, Op: OpChanged, Old: from, New: to}}
}

func indexed(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i+1) }

// longestCommon returns the pairs of indices of a longest common subsequence.
func longestCommon(from, to []json.RawMessage) [][2]int {
	length := make([][]int, len(from)+1)
	for i := range length {
		length[i] = make([]int, len(to)+1)
	}
	for i := range slices.Backward(from) {
		for j := len(to) - 1; j >= 0; j-- {
			if bytes.Equal(from[i], to[j]) {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	var pairs [][2]int
	for i, j := 0, 0; i < len(from) && j < len(to); {
		switch {
		case bytes.Equal(from[i], to[j]):
			pairs = append(pairs, [2]int{i, j})
			i, j = i+1, j+1
		case length[i+1][j] >= length[i][j+1]:
			i++
		default:
			j++
		}
	}
	return pairs
}

// compact is a JSON value without blanks; nil stays nil.
func compact(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return nil
	}
	var out bytes.Buffer
	if err := json.Compact(&out, raw); err != nil {
		return raw // not JSON: the tables never hold such, and a difference is better shown than hidden
	}
	return out.Bytes()
}

// members returns the keys of a JSON object in order, and its values; nil for anything else.
func members(raw json.RawMessage) ([]string, map[string]json.RawMessage) {
	if len(raw) == 0 || raw[0] != '{' {
		return nil, nil
	}
	values := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &values); err != nil {
		return nil, nil
	}
	keys := make([]string, 0, len(values))
	tokens := json.NewDecoder(bytes.NewReader(raw))
	if _, err := tokens.Token(); err != nil {
		return nil, nil
	}
	for tokens.More() {
		key, err := tokens.Token()
		name, ok := key.(string)
		var skipped json.RawMessage
		if err != nil || !ok || tokens.Decode(&skipped) != nil {
			return nil, nil
		}
		keys = append(keys, name)
	}
	return keys, values
}

// items returns the items of a JSON list, without blanks, and whether it is one.
func items(raw json.RawMessage) ([]json.RawMessage, bool) {
	var list []json.RawMessage
	if len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &list) != nil {
		return nil, false
	}
	return list, true
}

// Field is one scalar of the fields of an artifact.
type Field struct {
	Path string // such as acceptance_criteria[2]
	Text string // as the author wrote it; an empty list or map and null as JSON has them
}

// Fields lists the scalars of a JSON object in the order of the file, those in lists and maps with their place. Nothing is
// listed of what is not an object.
func Fields(raw json.RawMessage) []Field {
	if _, values := members(compact(raw)); values == nil {
		return nil
	}
	return flatten("", compact(raw))
}

func flatten(path string, raw json.RawMessage) []Field {
	if keys, values := members(raw); len(values) > 0 {
		var out []Field
		for _, key := range keys {
			out = append(out, flatten(within(path, key), values[key])...)
		}
		return out
	}
	if list, ok := items(raw); ok && len(list) > 0 {
		var out []Field
		for i, item := range list {
			out = append(out, flatten(indexed(path, i), item)...)
		}
		return out
	}
	return []Field{{Path: path, Text: Text(raw)}}
}

// Text is a JSON value as people read it: a text without its quotes, anything else as it is.
func Text(raw json.RawMessage) string {
	var text string
	if len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}
