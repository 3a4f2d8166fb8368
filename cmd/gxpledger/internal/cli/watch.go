package cli

import (
	"fmt"
	"sync"
	"time"

	"github.com/gxpledger/gxpledger/cmd/gxpledger/internal/render"
	"github.com/gxpledger/gxpledger/eventstore"
	"github.com/gxpledger/gxpledger/projections"
	"github.com/gxpledger/gxpledger/projections/run"
)

// progressLine is a line that long work on tables writes to standard error with --json, every second.
type progressLine struct {
	Projection  string  `json:"projection"`
	Build       int     `json:"build"`
	Position    uint64  `json:"position"`
	Head        uint64  `json:"head"` // when the work began
	Events      uint64  `json:"events"`
	Rate        float64 `json:"events_per_second"`
	SecondsLeft float64 `json:"seconds_left"`
}

// How often progress is written where nobody looks at a terminal.
const (
	everyJSON = time.Second
	everyLine = 10 * time.Second
)

// watch tells how far long work on tables is: in one line at a terminal, in lines of JSON with --json, and otherwise in
// plain lines now and then. It is safe for concurrent use.
type watch struct {
	app      *app
	what     string
	head     eventstore.Position
	progress *render.Progress
	live     bool
	mu       sync.Mutex // guards all below
	builds   map[projections.Ref]started
	last     time.Time
}

// started is where the work on a build began.
type started struct {
	at       time.Time
	position eventstore.Position
	events   uint64
}

func newWatch(a *app, what string, head eventstore.Position) *watch {
	return &watch{
		app: a, what: what, head: head, progress: a.progress(), builds: map[projections.Ref]started{}, last: a.system.Now(),
		live: a.terminal(a.system.Stderr).Live,
	}
}

func (w *watch) observe(p run.Progress) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.app.system.Now()
	from, known := w.builds[p.Ref]
	if !known {
		w.builds[p.Ref] = started{now, p.Position, p.Events}
		return
	}
	line := progressLine{Projection: p.Projection, Build: p.Number, Position: uint64(p.Position), Head: uint64(w.head), Events: p.Events}
	if span := now.Sub(from.at).Seconds(); span > 0 {
		line.Rate = float64(p.Events-from.events) / span
		if pace := float64(eventstore.Distance(from.position, p.Position)) / span; pace > 0 && p.Position < w.head {
			line.SecondsLeft = float64(eventstore.Distance(p.Position, w.head)) / pace
		}
	}
	switch since := now.Sub(w.last); {
	case w.live && !w.app.json:
		w.progress.Say(w.text(line))
	case w.app.json && since >= everyJSON:
		_ = render.Line(w.app.system.Stderr, line) // who does not read it misses nothing
		w.last = now
	case !w.app.json && since >= everyLine:
		w.app.notes().Line("%s", w.text(line))
		w.last = now
	}
}

func (w *watch) text(line progressLine) string {
	text := fmt.Sprintf("%s: position %d of %d, %.0f events/s", w.what, line.Position, line.Head, line.Rate)
	if left := time.Duration(line.SecondsLeft * float64(time.Second)); left > 0 {
		text += ", " + render.Duration(left.Round(time.Second)) + " left"
	}
	return text
}

func (w *watch) done() { w.progress.Done() }
