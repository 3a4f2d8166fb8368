package kurrent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	api "github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/gxpledger/gxpledger/eventstore"
)

// At returns the record at a position that the log gave, ErrNotFound where it has none there.
func (l *Log) At(ctx context.Context, at eventstore.Position) (eventstore.Record, error) {
	r, err := l.recordAt(ctx, at)
	if err != nil {
		return eventstore.Record{}, fmt.Errorf("read position %d: %w", at, err)
	}
	return r, nil
}

func (l *Log) recordAt(ctx context.Context, at eventstore.Position) (eventstore.Record, error) {
	if err := l.usable(ctx); err != nil {
		return eventstore.Record{}, err
	}
	if at == 0 || at > unlimited {
		return eventstore.Record{}, eventstore.ErrNotFound
	}
	var e *event
	err := l.try(ctx, func() (err error) {
		e, err = l.lookAt(ctx, at)
		if err == nil && e == nil {
			err = l.confirm(ctx, at, eventstore.ErrNotFound)
		}
		return err
	})
	switch {
	case errors.Is(err, errPosition):
		return eventstore.Record{}, fmt.Errorf("%w: %w", eventstore.ErrNotFound, err)
	case err != nil:
		return eventstore.Record{}, err
	}
	stream, ok := l.names.batches(e.Stream)
	if e.Position != at || !ok {
		return eventstore.Record{}, eventstore.ErrNotFound
	}
	if foreign, err := l.foreign(ctx, e); err != nil || foreign {
		return eventstore.Record{}, cmp.Or(err, eventstore.ErrNotFound)
	}
	return record(e, stream)
}

// lookAt returns the first event at or behind a position, nil where the leader has none. A position that the server gave is
// answered at once; at any other number it takes the bytes there for a record, which can last many seconds and would with each
// further try. A leader that answers another question meanwhile, and then not this one again, has no record there: that is
// ErrNotFound. It is asked again since a leader that was frozen until then gave no answer either.
func (l *Log) lookAt(ctx context.Context, at eventstore.Position) (*event, error) {
	most := min(l.cluster.patience.at, l.options.Timeout)
	limit, request := min(most, l.limit()), readAll(forwards, at, nil, 1)
	e, err := first(l.fetchWithin(ctx, limit, request))
	if !late(err) || limit < most { // with less time than that nobody knows
		return e, err
	}
	limit = min(most, l.cluster.patience.spent)
	if _, err := first(l.fetchWithin(ctx, limit, readAll(backwards, 0, nil, 1))); err != nil {
		return nil, err
	}
	if e, err = first(l.fetchWithin(ctx, limit, request)); late(err) {
		return nil, fmt.Errorf("%w: the server answers, but not within %s for this position, which is none that the log gave", eventstore.ErrNotFound, most)
	}
	return e, err
}

// late reports whether a call ended since no answer came in time.
func late(err error) bool {
	p, ok := errors.AsType[*passingError](err)
	return ok && p.waited > 0
}

// EndsBefore reports whether the log ends before a position: a majority of the nodes ends before it, and none reaches it. It
// waits for a leader that reaches it otherwise.
func (l *Log) EndsBefore(ctx context.Context, at eventstore.Position) (bool, error) {
	err := l.beyond(ctx, at, eventstore.ErrNotFound)
	if errors.Is(err, eventstore.ErrNotFound) {
		return true, nil
	}
	return false, err
}

// beyond returns missing, if a majority of the nodes ends before a position and none reaches it. A leader that was replaced
// and does not know it yet ends earlier than the log does: that is waited for within the budget.
func (l *Log) beyond(ctx context.Context, at eventstore.Position, missing error) error {
	return l.try(ctx, func() error {
		e, err := first(l.fetch(ctx, readAll(backwards, 0, nil, 1)))
		if err != nil {
			return err
		}
		if e != nil && e.Position >= at {
			return nil
		}
		return l.confirm(ctx, at, missing)
	})
}

// confirm asks every node how far it reaches, and returns missing if a majority ends before the position and no node reaches
// it. A node that does not answer counts for neither: with fewer that end earlier nobody knows, which is a passing error, as
// it is where one node reaches the position, since the log has it and the leader does not show it.
func (l *Log) confirm(ctx context.Context, at eventstore.Position, missing error) error {
	addresses, nodes, err := l.cluster.voters(ctx)
	if err != nil {
		return err
	}
	type answer struct {
		end eventstore.Position
		err error
	}
	answers := make(chan answer, len(addresses))
	for _, address := range addresses {
		go func() {
			end, err := l.endOf(ctx, address)
			answers <- answer{end, err}
		}()
	}
	reaching, earlier := 0, 0
	for range addresses {
		switch a := <-answers; {
		case a.err != nil:
		case a.end >= at:
			reaching++
		default:
			earlier++
		}
	}
	if reaching == 0 && earlier > nodes/2 {
		return missing
	}
	return &passingError{text: fmt.Sprintf("the leader ends before position %d; of %d nodes %d reach it, %d end earlier and %d give no answer",
		at, nodes, reaching, earlier, nodes-reaching-earlier)}
}

// endOf returns the position of the last event that a node has.
func (l *Log) endOf(ctx context.Context, address string) (eventstore.Position, error) {
	n, err := l.cluster.at(address, "")
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, l.cluster.settings.gossipTimeout)
	defer cancel()
	defer context.AfterFunc(l.cluster.life, cancel)() //nolint:contextcheck // it ends with the log, too
	stream, err := api.NewStreamsClient(n.conn).Read(l.cluster.header(ctx), readAll(backwards, 0, nil, 1))
	if err != nil {
		return 0, err
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		if e, err := readEvent(m); err != nil || e != nil {
			if err != nil {
				return 0, err
			}
			return e.Position, nil
		}
	}
}
