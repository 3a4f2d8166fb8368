// Package commitgroup says how many of the batches that wait for a log go into one transaction. Batches are never waited for: an idle log
// answers at once, and under load the time of one transaction is enough for the next group to come together.
package commitgroup

const (
	// MaxBytes bounds what goes into one transaction, unless a single batch is larger.
	MaxBytes = 8 << 20
	// MaxBatches bounds how many batches go into one transaction.
	MaxBatches = 256
)

// Room is what a group has room for. The zero value is that of an empty group.
type Room struct {
	batches int
	bytes   int64
	full    bool
}

// Take takes a batch of bytes into the group, if there is room. One that is not in memory is alone in its group: it is read as it is
// written, and where that fails, the transaction does.
func (r *Room) Take(bytes int64, inMemory bool) bool {
	switch {
	case r.batches == 0:
		r.full = !inMemory
	case r.full, !inMemory, r.batches == MaxBatches, r.bytes+bytes > MaxBytes:
		return false
	}
	r.batches++
	r.bytes += bytes
	return true
}
