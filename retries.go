package gxpledger

import (
	"maps"
	"sync"
	"time"

	"github.com/gxpledger/gxpledger/projections/run"
)

// Retrying is what a process that keeps the tables at the head of the log failed to do and tries again. The JSON names are stable.
type Retrying struct {
	Process string    `json:"process"`
	Since   time.Time `json:"since"` // the first try that failed
	Last    time.Time `json:"last"`  // the last one
	Times   int       `json:"times"` // that failed
	Error   string    `json:"error"` // of the last one; hostile until neutralised
}

// retriesOver is the time after a try that failed from which the next one is known not to have: more than the longest wait between
// two, and the time that a try may take.
const retriesOver = time.Minute

// retryNotes keeps what a [ProjectionRunner] tries again in the home, for the status that other processes show. It is safe for
// concurrent use.
type retryNotes struct {
	ledger *Ledger

	mu    sync.Mutex
	notes map[string]Retrying // by projection
}

// failed notes a try that failed.
func (n *retryNotes) failed(r run.Retry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.ledger.config.Now().UTC()
	note, known := n.notes[r.Projection]
	if !known || now.Sub(note.Last) > retriesOver {
		note = Retrying{Process: processName(), Since: now}
	}
	note.Last, note.Error = now, r.Err.Error()
	note.Times++
	n.notes[r.Projection] = note
	n.write()
}

// moved forgets what failed before a page was written.
func (n *retryNotes) moved(projection string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, known := n.notes[projection]; known {
		delete(n.notes, projection)
		n.write()
	}
}

// end forgets all: the process ends.
func (n *retryNotes) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.notes)
	n.write()
}

// write keeps the notes. That they cannot be kept is no reason to stop.
func (n *retryNotes) write() {
	var err error
	if len(n.notes) == 0 {
		err = n.ledger.settings.RemoveRetries()
	} else {
		err = n.ledger.settings.WriteRetries(maps.Clone(n.notes))
	}
	if err != nil {
		n.ledger.observe(err)
	}
}

// retriesNow returns what processes that use this home try again at the moment, by projection.
func (l *Ledger) retriesNow() (map[string]Retrying, error) {
	var notes map[string]Retrying
	if err := l.settings.ReadRetries(&notes); err != nil {
		return nil, err
	}
	now := l.config.Now()
	maps.DeleteFunc(notes, func(_ string, r Retrying) bool { return now.Sub(r.Last) > retriesOver })
	return notes, nil
}
