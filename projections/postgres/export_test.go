package postgres

import "github.com/jackc/pgx/v5"

// WithTracer makes Open use connections that tell tracer what they do.
func WithTracer(o Options, tracer pgx.QueryTracer) Options {
	o.tracer = tracer
	return o
}
