package kurrent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/google/uuid"

	"github.com/gxpledger/gxpledger/eventstore"
)

// DefaultPrefix begins the names of a log's streams where neither Options.Prefix nor the connection string says otherwise.
// It has no "-", so that each kind of stream has a category of its own for the server's $by_category. Part of stored names:
// it must not be changed.
const DefaultPrefix = "gxpledger."

// Types of the events in a log's own stream. Stored form: they must not be changed.
const (
	identity  = "log.created.v1"   // gives the log its id
	withdrawn = "log.withdrawn.v1" // the log lies beside another in a way that neither could be used, and never was
)

// prefixed are the names that the options say.
func (o Options) prefixed() names {
	if o.defaulted() {
		return names{prefix: DefaultPrefix}
	}
	return names{prefix: o.Prefix}
}

// defaulted reports whether nobody said a prefix.
func (o Options) defaulted() bool { return o.Prefix == "" && !o.NoPrefix }

// String names a log by its prefix.
func (n names) String() string {
	if n.prefix == "" {
		return "without a prefix"
	}
	return fmt.Sprintf("with prefix %q", n.prefix)
}

// errWithdrawn: the log was given up when it was made.
var errWithdrawn = fmt.Errorf("%w: the log was given up when it was made", eventstore.ErrInvalid)

// search returns the id of the log, the zero one if there is none. Where nobody said a prefix and there is no log with the
// default one, it is the log that was made without, as they were before there was a default.
func (l *Log) search(ctx context.Context) (uuid.UUID, error) {
	id, err := l.readID(ctx)
	if id != uuid.Nil || err != nil && !errors.Is(err, errWithdrawn) || !l.options.defaulted() {
		return id, err
	}
	asked := l.names
	l.names = names{}
	older, olderErr := l.readID(ctx)
	if older != uuid.Nil || olderErr != nil && !errors.Is(olderErr, errWithdrawn) {
		return older, olderErr
	}
	l.names = asked
	return id, err
}

// identify finds the log, or makes it.
func (l *Log) identify(ctx context.Context) (uuid.UUID, error) {
	id, err := l.search(ctx)
	if err != nil {
		return id, err
	}
	if id != uuid.Nil {
		l.marks.keepIn(l.options.CacheDir, id)
		return id, l.settleUnused(ctx)
	}
	if l.options.Prefix == "" {
		served, err := l.served(ctx)
		if err != nil {
			return uuid.Nil, err
		}
		if served {
			return l.create(ctx)
		}
	}
	if err := l.keepApart(ctx, math.MaxUint64); err != nil {
		if id, _ := l.search(ctx); id != uuid.Nil && errors.Is(err, errBeside) {
			return id, nil // another made this very log meanwhile, and writes to it
		}
		return uuid.Nil, fmt.Errorf("make a log %s: %w", l.names, err)
	}
	if id, err = l.create(ctx); err != nil {
		return uuid.Nil, err
	}
	return id, l.settleApart(ctx)
}

// served finds out whether the server is one of package esdbserver. It serves one log, whose streams have the names that the
// engine gives them, and l takes these.
func (l *Log) served(ctx context.Context) (bool, error) {
	asked := l.names
	l.names = names{}
	keeper, err := l.findKeeper(ctx)
	if keeper == keeperServer {
		return true, nil
	}
	l.names = asked
	return false, err
}

// create gives the log an id. If several do that at the same time, the server takes one of them.
func (l *Log) create(ctx context.Context) (uuid.UUID, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return uuid.Nil, err
	}
	created := newEvent{ID: id, Type: identity, JSON: true, Data: fmt.Appendf(nil, `{"id":%q}`, id)}
	err = l.write(ctx, l.names.log(), eventstore.NoStream(), []newEvent{created})
	if err != nil && !errors.Is(err, eventstore.ErrConflict) {
		return uuid.Nil, fmt.Errorf("write id of the log: %w", err)
	}
	err = l.try(ctx, func() error { // it is there, but need not be shown yet
		if id, err = l.readID(ctx); err == nil && id == uuid.Nil {
			err = &passingError{text: fmt.Sprintf("the server has a stream %q and does not show it yet", l.names.log())}
		}
		return err
	})
	return id, err
}

// settleApart looks once more, after the log was made: another may have been made meanwhile. The later one of two is given
// up, by whoever finds it, before anybody could use it.
func (l *Log) settleApart(ctx context.Context) error {
	e, err := l.awaitRevision(ctx, l.names.log(), 0, unlimited)
	if err != nil {
		return err
	}
	apart := l.keepApart(ctx, e.Position)
	if !errors.Is(apart, errBeside) {
		return apart
	}
	text, err := json.Marshal(map[string]string{"reason": apart.Error()})
	if err != nil {
		return err
	}
	last := newEvent{ID: uuid.New(), Type: withdrawn, JSON: true, Data: text}
	err = l.write(ctx, l.names.log(), eventstore.AtRevision(0), []newEvent{last})
	if err != nil && !errors.Is(err, eventstore.ErrConflict) {
		return errors.Join(apart, fmt.Errorf("give up the log that was made: %w", err))
	}
	return fmt.Errorf("make a log %s, which was given up: %w", l.names, apart)
}

// errBeside: the log cannot be where it was to be.
var errBeside = fmt.Errorf("%w: two logs, or a log and what others write, would be mixed", eventstore.ErrInvalid)

// settleUnused does for a log that was never used what settleApart does: whoever made it may have been stopped before.
func (l *Log) settleUnused(ctx context.Context) error {
	if stored, ok := l.marks.read(); ok && stored.Head != nil {
		return nil // it was used from this home
	}
	created, err := l.awaitRevision(ctx, l.names.log(), 0, unlimited)
	if err != nil {
		return err
	}
	if used, err := l.used(ctx, l.names, created.Position); err != nil || used {
		return err
	}
	if l.options.Prefix == "" { // a server of ours holds one log
		if keeper, err := l.findKeeper(ctx); err != nil || keeper == keeperServer {
			return err
		}
	}
	return l.settleApart(ctx)
}

// used reports whether the engine recorded anything in a log behind the position of its first event.
func (l *Log) used(ctx context.Context, n names, created eventstore.Position) (bool, error) {
	f := &filter{prefixes: []string{n.stream(eventstore.EngineStream), n.stream(eventstore.RepositoryPrefix)}}
	e, err := l.one(ctx, readAll(forwards, created, f, 1))
	return e != nil, err
}

// keepApart returns errBeside if there is, before a position, a log that this one would lie in or that would lie in it: each
// would take streams of the other for its own. Without a prefix every stream is one that it would take.
func (l *Log) keepApart(ctx context.Context, until eventstore.Position) error {
	for i := range len(l.names.prefix) {
		outer := names{prefix: l.names.prefix[:i]}
		e, err := l.one(ctx, readStream(outer.log(), backwards, nil, 1))
		if err != nil {
			return fmt.Errorf("look for a log %s: %w", outer, err)
		}
		if e != nil && e.Type != withdrawn && e.Position < until {
			return fmt.Errorf("%w: it would be inside the log %s, which owns all streams that begin with its prefix: choose another streamPrefix",
				errBeside, outer)
		}
	}
	f := &filter{byType: true, prefixes: []string{identity}}
	if l.names.prefix == "" {
		f = &filter{regex: "^[^$]"}
	}
	newest, err := l.newestOfAll(ctx)
	if err != nil || newest == nil {
		return err
	}
	for e, err := range l.span(ctx, 0, newest, false, f) {
		if err != nil {
			return fmt.Errorf("look for other logs: %w", err)
		}
		if e.Position >= until {
			return nil
		}
		if err := l.besides(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// besides returns errBeside if an event says that something lies where this log would.
func (l *Log) besides(ctx context.Context, e *event) error {
	if e.Stream == l.names.log() {
		return nil
	}
	prefix, isLog := strings.CutSuffix(e.Stream, logStream)
	inner := names{prefix: prefix}
	if isLog && strings.HasPrefix(prefix, l.names.prefix) && e.Type == identity {
		err := l.checkInner(ctx, inner) // the streams of one that was deleted may be there still
		if errors.Is(err, eventstore.ErrCorrupt) {
			err = fmt.Errorf("%w: the log %s would be inside it: choose another streamPrefix", errBeside, inner)
		}
		return err
	}
	if l.names.prefix == "" && (!isLog || e.Type != withdrawn) {
		return fmt.Errorf("%w: without a prefix all streams of the server are the log's, and there is %q of another application: "+
			"leave streamPrefix out, or choose one", errBeside, shorten(e.Stream))
	}
	return nil
}
