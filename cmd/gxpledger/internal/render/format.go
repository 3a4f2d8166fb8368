package render

import (
	"fmt"
	"time"
)

// Count returns "1 file" or "3 files".
func Count(n int, one string) string { return CountOf(n, one, one+"s") }

// CountOf returns "1 entry" or "3 entries".
func CountOf(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Verb returns one for one thing, and else many.
func Verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// Time returns t as RFC 3339 in UTC, to the second; "" for the zero time.
func Time(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// ZonedTime returns t as RFC 3339 in its own zone: for claims, in which the zone is part of what is claimed.
func ZonedTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

// Duration returns d to three digits or so.
func Duration(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// Bytes returns n with a unit: 512 B, 1.5 KiB, 3.0 MiB.
func Bytes(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	size, unit := float64(n), 0
	for units := len("KMGTPE"); size >= 1<<10 && unit < units; unit++ {
		size /= 1 << 10
	}
	return fmt.Sprintf("%.1f %ciB", size, "KMGTPE"[unit-1])
}

// Short returns the first twelve digits of a commit or hash.
func Short(id string) string {
	const digits = 12
	if len(id) <= digits {
		return id
	}
	return id[:digits]
}
