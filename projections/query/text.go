package query

import (
	"slices"
	"strconv"
	"strings"
)

// containing keeps the rows of which some text holds what is looked for, without regard to case. It looks here rather
// than in the database, since SQLite knows no case beyond ASCII.
func containing[T any](rows []T, text string, texts func(T) []string) []T {
	if text == "" {
		return rows
	}
	text = strings.ToLower(text)
	return slices.DeleteFunc(rows, func(row T) bool {
		return !slices.ContainsFunc(texts(row), func(s string) bool { return strings.Contains(strings.ToLower(s), text) })
	})
}

// splitKey splits "path#ordinal". A key without a valid ordinal is all path, at ordinal 0.
func splitKey(key string) (path string, ordinal int64) {
	i := strings.LastIndexByte(key, '#')
	if i < 0 {
		return key, 0
	}
	n, err := strconv.ParseInt(key[i+1:], 10, 32)
	if err != nil || n < 1 {
		return key, 0
	}
	return key[:i], n
}

// Normal is a word of a controlled vocabulary as the tables compare it: "In Review" -> "in_review".
func Normal(word string) string {
	words := strings.FieldsFunc(strings.ToLower(word), func(r rune) bool {
		return r == '-' || r == '_' || strings.ContainsRune(" \t\r\n\u00a0", r)
	})
	return strings.Join(words, "_")
}
