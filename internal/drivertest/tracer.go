package drivertest

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Tracer cancels contexts after queries, as [Sweep] plans. Before a query is after the one ahead of it.
type Tracer struct{}

var (
	_ pgx.QueryTracer    = Tracer{}
	_ pgx.BatchTracer    = Tracer{}
	_ pgx.CopyFromTracer = Tracer{}
)

func start(ctx context.Context) context.Context {
	p, ok := ctx.Value(key{}).(*plan)
	if !ok {
		return ctx
	}
	p.traced.Store(true)
	n := int(p.calls.Add(1))
	return context.WithValue(ctx, number{}, n)
}

// number is the key of the number of a call, in the context that pgx hands to its end.
type number struct{}

func end(ctx context.Context) {
	if p, ok := ctx.Value(key{}).(*plan); ok && ctx.Value(number{}) == p.at {
		p.cancel()
	}
}

// TraceQueryStart implements [pgx.QueryTracer].
func (Tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return start(ctx)
}

// TraceQueryEnd implements [pgx.QueryTracer].
func (Tracer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) { end(ctx) }

// TraceBatchStart implements [pgx.BatchTracer].
func (Tracer) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return start(ctx)
}

// TraceBatchQuery implements [pgx.BatchTracer].
func (Tracer) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements [pgx.BatchTracer].
func (Tracer) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchEndData) { end(ctx) }

// TraceCopyFromStart implements [pgx.CopyFromTracer].
func (Tracer) TraceCopyFromStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceCopyFromStartData) context.Context {
	return start(ctx)
}

// TraceCopyFromEnd implements [pgx.CopyFromTracer].
func (Tracer) TraceCopyFromEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceCopyFromEndData) {
	end(ctx)
}
