package feed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/components/metrics"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gxpledger/gxpledger/eventstore"
)

// RouterConfig is how a router treats messages that handlers cannot handle.
type RouterConfig struct {
	// DeadLetters is where a message goes that failed every time, under DeadLetterTopic, with the error in its metadata: the next one is handled then.
	// Without it such a message is delivered again for ever, and nothing overtakes it.
	DeadLetters     message.Publisher
	DeadLetterTopic string
	// Retries is how often a handler is called again after it failed, before the message is given up. Defaults to DefaultRetries.
	Retries int
	// FirstWait and LongestWait bound the pauses between, which double. They default to 100 ms and 10 s.
	FirstWait, LongestWait time.Duration
	// Metrics gets the metrics of Watermill, with the prefix gxpledger_feed. Nil for none.
	Metrics prometheus.Registerer
	// Logger hears what the router does. Nil for nobody.
	Logger watermill.LoggerAdapter
}

// DefaultRetries stands for zero [RouterConfig.Retries].
const DefaultRetries = 5

// NewRouter returns a router for consumers, to which handlers are added. From the outside to the inside, a message passes: the dead letters, the
// retries, the recovery of a panic, and the trace context. In this order a panic is an error that is tried again, and what still fails after the last
// try is put aside, but not what fails because its consumer is stopped: that comes again (https://github.com/ThreeDotsLabs/watermill/issues/176 and 271 are of other orders). Errors wrap [eventstore.ErrInvalid].
func NewRouter(config RouterConfig) (*message.Router, error) {
	const firstWait, longestWait, double = 100 * time.Millisecond, 10 * time.Second, 2
	if (config.DeadLetters == nil) != (config.DeadLetterTopic == "") || config.Retries < 0 || config.FirstWait < 0 || config.LongestWait < 0 {
		return nil, fmt.Errorf("cannot make a router: %w: DeadLetters and DeadLetterTopic belong together, and no number is negative", eventstore.ErrInvalid)
	}
	router, err := message.NewRouter(message.RouterConfig{}, orNop(config.Logger))
	if err != nil {
		return nil, fmt.Errorf("cannot make a router: %w", err)
	}
	if config.Metrics != nil {
		metrics.NewPrometheusMetricsBuilder(config.Metrics, "gxpledger", "feed").AddPrometheusRouterMetrics(router)
	}
	if config.DeadLetters != nil {
		aside, err := middleware.PoisonQueueWithFilter(config.DeadLetters, config.DeadLetterTopic, func(err error) bool { return !errors.Is(err, errStopped) })
		if err != nil {
			return nil, fmt.Errorf("cannot make a router: %w", err)
		}
		router.AddMiddleware(aside, stopped)
	}
	retry := middleware.Retry{
		MaxRetries: config.Retries, InitialInterval: config.FirstWait, MaxInterval: config.LongestWait, Multiplier: double, Logger: config.Logger,
	}
	if retry.MaxRetries == 0 {
		retry.MaxRetries = DefaultRetries
	}
	if retry.InitialInterval == 0 {
		retry.InitialInterval = firstWait
	}
	if retry.MaxInterval == 0 {
		retry.MaxInterval = longestWait
	}
	router.AddMiddleware(retry.Middleware, middleware.Recoverer, traced)
	return router, nil
}

// errStopped says that a message failed after its context had ended: the consumer stops, or lost its lease. The message comes again.
var errStopped = errors.New("consumer was stopped")

// stopped marks the failure of a message whose context has ended, which says nothing of the message. It looks at the context that it got: one that a
// handler made, with a deadline of its own, is no reason.
func stopped(handle message.HandlerFunc) message.HandlerFunc {
	return func(m *message.Message) ([]*message.Message, error) {
		ctx := m.Context()
		out, err := handle(m)
		if err != nil && ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", errStopped, err)
		}
		return out, err
	}
}

func orNop(logger watermill.LoggerAdapter) watermill.LoggerAdapter {
	if logger == nil {
		return watermill.NopLogger{}
	}
	return logger
}

type traceKey struct{}

// Trace is a W3C trace context (https://www.w3.org/TR/trace-context/).
type Trace struct {
	Parent string // traceparent
	State  string // tracestate
}

// TraceOf returns the trace context of the message that a handler of [NewRouter] was called with; a zero one for none.
func TraceOf(ctx context.Context) Trace {
	trace, _ := ctx.Value(traceKey{}).(Trace)
	return trace
}

// traced puts the trace context of a message into its context.
func traced(handle message.HandlerFunc) message.HandlerFunc {
	return func(m *message.Message) ([]*message.Message, error) {
		if parent := m.Metadata.Get("traceparent"); parent != "" {
			m.SetContext(context.WithValue(m.Context(), traceKey{}, Trace{parent, m.Metadata.Get("tracestate")}))
		}
		return handle(m)
	}
}
