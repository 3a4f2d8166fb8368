package domain

import (
	"errors"
	"fmt"
)

// ErrStale says that a scan claims a unit unchanged which the state does not hold so: the state moved between reading
// and deciding. Read again against the state at hand and decide again.
var ErrStale = errors.New("scan was read against another state")

// Refused is the error of a scan that the policy does not let pass. It lists every violation, not just the first.
type Refused struct {
	Violations []Violation // at least one
}

// Error names the first violation and how many there are.
func (r *Refused) Error() string {
	if len(r.Violations) == 1 {
		return "scan refused: " + r.Violations[0].Text
	}
	return fmt.Sprintf("scan refused: %s (and %d more violations)", r.Violations[0].Text, len(r.Violations)-1)
}
