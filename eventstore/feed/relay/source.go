package relay

import "context"

// source is a goroutine that hands on values.
type source[T any] struct {
	values <-chan T
	failed <-chan error // receives why it ended, unless it was stopped
	stop   func()       // ends it and waits for that
}

// start starts a source. Read hands on values with send until ctx ends, or send returns false.
func start[T any](ctx context.Context, read func(ctx context.Context, send func(T) bool) error) *source[T] {
	ctx, cancel := context.WithCancel(ctx)
	values, failed, ended := make(chan T), make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		err := read(ctx, func(value T) bool {
			select {
			case values <- value:
				return true
			case <-ctx.Done():
				return false
			}
		})
		if ctx.Err() == nil {
			failed <- err
		}
	}()
	return &source[T]{values: values, failed: failed, stop: func() {
		cancel()
		<-ended
	}}
}
