package render

import (
	"io"
	"sync"
	"time"
)

const (
	patience = time.Second            // before anything is said
	pace     = 100 * time.Millisecond // between two texts
)

// Progress tells somebody who waits at a terminal what is going on, in one line that overwrites itself and is gone when
// the work is done. Elsewhere it writes nothing. It is safe for concurrent use.
type Progress struct {
	w    io.Writer
	term Terminal
	now  func() time.Time
	mu   sync.Mutex
	from time.Time // guarded by mu, as all below
	last time.Time
	long bool // a text is showing
}

// NewProgress begins to count the time.
func NewProgress(w io.Writer, term Terminal, now func() time.Time) *Progress {
	return &Progress{w: w, term: term, now: now, from: now()}
}

// Say shows text, neutralised, unless it is too early or too soon after the last one.
func (p *Progress) Say(text string) {
	if !p.term.Live {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if now.Sub(p.from) < patience || now.Sub(p.last) < pace {
		return
	}
	p.last, p.long = now, true
	// The line is erased first; failing to write it fails nothing else.
	_, _ = io.WriteString(p.w, "\r\x1b[K"+Truncate(Text(text), max(1, p.term.Width-1)))
}

// Done erases the line.
func (p *Progress) Done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.long {
		_, _ = io.WriteString(p.w, "\r\x1b[K")
		p.long = false
	}
}
