package esdbserver

import (
	"sync/atomic"

	"google.golang.org/grpc/codes"
)

// budget bounds the bytes that all appends hold together. It is safe for concurrent use.
type budget struct {
	max  int64
	used atomic.Int64
}

// share is what one append holds of a budget. It is not safe for concurrent use.
type share struct {
	of   *budget
	held int64
}

// take adds size to s, or refuses.
func (s *share) take(size int) error {
	if s.of.used.Add(int64(size)) > s.of.max {
		s.of.used.Add(-int64(size))
		return refuse(codes.Unavailable, "too much is being appended at this moment: try again later")
	}
	s.held += int64(size)
	return nil
}

// giveBack returns all that s holds.
func (s *share) giveBack() {
	s.of.used.Add(-s.held)
	s.held = 0
}
