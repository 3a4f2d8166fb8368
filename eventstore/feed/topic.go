package feed

import (
	"context"
	"fmt"
	"strings"

	"github.com/gxpledger/gxpledger/eventstore"
)

// The topics, and what begins the name of one for a repository.
const (
	TopicScans       = "scans"
	TopicEvents      = "events"
	RepositoryTopics = "repository."
)

// choice is which records a topic has.
type choice struct {
	filter eventstore.Filter // that the log applies; it may let more through
	has    func(record eventstore.Record) bool
}

// choose finds out what a topic has.
func (s *Subscriber) choose(ctx context.Context, topic string) (choice, error) {
	repository, one := strings.CutPrefix(topic, RepositoryTopics)
	switch {
	case topic == TopicScans:
		return choice{has: func(r eventstore.Record) bool { return r.Stream.OfEngine() && r.EndsBatch() }}, nil
	case topic == TopicEvents:
		return choice{has: func(eventstore.Record) bool { return true }}, nil
	case !one || repository == "" || s.config.Stream == nil:
		return choice{}, fmt.Errorf("%w: unknown topic %.250q", eventstore.ErrInvalid, topic)
	}
	stream, err := s.config.Stream(ctx, repository)
	if err == nil {
		err = stream.Validate()
	}
	if err != nil {
		return choice{}, fmt.Errorf("cannot find the stream of repository %.250q: %w", repository, err)
	}
	// A prefix is all that a log filters by: the stream of another repository may begin with it.
	return choice{eventstore.Filter{StreamPrefix: string(stream)}, func(r eventstore.Record) bool { return r.Stream == stream }}, nil
}
