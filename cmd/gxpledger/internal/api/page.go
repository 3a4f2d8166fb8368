package api

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

// The number of entries on a page.
const (
	defaultPage = 100
	maxPage     = 1000
)

// key is what an entry of a list is ordered by: texts and numbers.
type key []any

// keyOf returns the fields of an entry by which it is ordered.
func keyOf(entry json.RawMessage, fields []string) (key, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(entry, &all); err != nil {
		return nil, err
	}
	k := make(key, len(fields))
	for i, field := range fields {
		value, ok := all[field]
		if !ok {
			return nil, fmt.Errorf("an entry has no %s", field)
		}
		decoder := json.NewDecoder(bytes.NewReader(value))
		decoder.UseNumber()
		if err := decoder.Decode(&k[i]); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// compare orders keys: numbers by value, texts by their bytes, numbers first.
func (k key) compare(other key) int {
	for i := range min(len(k), len(other)) {
		a, aIsNumber := k[i].(json.Number)
		b, bIsNumber := other[i].(json.Number)
		var c int
		switch {
		case aIsNumber && bIsNumber:
			c = compareNumbers(a, b)
		case aIsNumber:
			c = -1
		case bIsNumber:
			c = 1
		default:
			c = cmp.Compare(fmt.Sprint(k[i]), fmt.Sprint(other[i]))
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(k), len(other))
}

// compareNumbers orders whole numbers by value, and others by their text.
func compareNumbers(a, b json.Number) int {
	m, errA := strconv.ParseInt(a.String(), 10, 64)
	n, errB := strconv.ParseInt(b.String(), 10, 64)
	if errA != nil || errB != nil {
		return cmp.Compare(a.String(), b.String())
	}
	return cmp.Compare(m, n)
}

// pageOf returns a document with one page of its list: the first entries whose keys are above after, and in "next" what the page behind them
// is asked for with; without it, this is the last. Entries keep their order, which is that of their keys: pages that are asked for one after
// the other hold each entry once that was there all the time, whatever is recorded meanwhile.
func pageOf(document []byte, o *Operation, call Call) ([]byte, error) {
	limit := defaultPage
	if text, ok := call["limit"]; ok {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPage {
			return nil, NewProblem(http.StatusBadRequest, CodeBadRequest, fmt.Sprintf("the parameter limit is not a number from 1 to %d", maxPage))
		}
		limit = n
	}
	after, err := parseAfter(call["after"], len(o.Key))
	if err != nil {
		return nil, err
	}
	var whole map[string]json.RawMessage
	var entries []json.RawMessage
	if err := json.Unmarshal(document, &whole); err != nil {
		return nil, fmt.Errorf("read the document of %s: %w", o.ID, err)
	}
	if err := json.Unmarshal(whole[o.List], &entries); err != nil {
		return nil, fmt.Errorf("read the list %s of %s: %w", o.List, o.ID, err)
	}
	page, err := cutPage(entries, o.Key, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read the list %s of %s: %w", o.List, o.ID, err)
	}
	if whole[o.List], err = json.Marshal(page.entries); err != nil {
		return nil, err
	}
	if page.next != "" {
		if whole["next"], err = json.Marshal(page.next); err != nil {
			return nil, err
		}
	}
	return json.Marshal(whole)
}

type page struct {
	entries []json.RawMessage
	next    string // "" for the last page
}

func cutPage(entries []json.RawMessage, fields []string, after key, limit int) (page, error) {
	type keyed struct {
		key   key
		entry json.RawMessage
	}
	all := make([]keyed, 0, len(entries))
	for _, entry := range entries {
		k, err := keyOf(entry, fields)
		if err != nil {
			return page{}, err
		}
		if after == nil || k.compare(after) > 0 {
			all = append(all, keyed{k, entry})
		}
	}
	slices.SortStableFunc(all, func(a, b keyed) int { return a.key.compare(b.key) })
	out := page{entries: []json.RawMessage{}}
	for i, one := range all {
		if i >= limit && one.key.compare(all[i-1].key) != 0 { // entries of one key are never on two pages
			text, err := json.Marshal(all[i-1].key)
			if err != nil {
				return page{}, err
			}
			out.next = base64.RawURLEncoding.EncodeToString(text)
			break
		}
		out.entries = append(out.entries, one.entry)
	}
	return out, nil
}

// parseAfter reads the "next" of a page; nil for "".
func parseAfter(text string, fields int) (key, error) {
	if text == "" {
		return nil, nil
	}
	wrong := NewProblem(http.StatusBadRequest, CodeBadRequest, "the parameter after is not the next of a page of this list")
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, wrong
	}
	var k key
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&k); err != nil || len(k) != fields {
		return nil, wrong
	}
	for _, each := range k {
		switch each.(type) {
		case string, json.Number:
		default:
			return nil, wrong
		}
	}
	return k, nil
}
