package drivertest

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"testing"
)

// Fault is how a call of the driver fails.
type Fault struct {
	Name string
	Err  error
	// Late says that the driver carries the call out, and that its answer is lost.
	Late bool
	// Lasting says that every call behind it fails, too.
	Lasting bool
}

// CodeError is an error of SQLite with its result code.
type CodeError int

// Error implements error.
func (c CodeError) Error() string { return fmt.Sprintf("fault of the driver with code %d", int(c)) }

// Code returns the result code.
func (c CodeError) Code() int { return int(c) }

// Faults are the kinds of faults that a driver of SQLite has. It answers [driver.ErrBadConn] only where a connection is to be
// used again: so does each fault there.
func Faults() []Fault {
	const busy, ioError, full = 5, 10, 13
	return []Fault{
		{Name: "an I/O error after the call was carried out", Err: CodeError(ioError), Late: true},
		{Name: "a disk that cannot be used any more", Err: CodeError(ioError), Lasting: true},
		{Name: "an I/O error", Err: CodeError(ioError)},
		{Name: "a full disk", Err: CodeError(full)},
		{Name: "a busy database", Err: CodeError(busy)},
		{Name: "a call that was cancelled by nobody", Err: context.Canceled, Late: true},
		{Name: "an error without a code", Err: errors.New("fault of the driver")},
	}
}

// ResetSession is a call, too, before a connection of a pool is used again.
func (c *conn) ResetSession(ctx context.Context) error {
	if p, ok := ctx.Value(key{}).(*plan); ok && p.fault != nil && p.fault.meets(int(p.calls.Add(1)), p.at) {
		return driver.ErrBadConn
	}
	return c.inner.ResetSession(ctx)
}

// meets reports whether the n-th call fails when call at is the first that does.
func (f *Fault) meets(n, at int) bool { return n == at || f.Lasting && n > at }

// fail makes a call, and fails it if it meets fault.
func fail[T any](ctx context.Context, fault *Fault, meets bool, call func(ctx context.Context) (T, error), undo func(T)) (T, error) { //revive:disable-line:flag-parameter // as documented
	if !meets {
		return call(ctx)
	}
	if fault.Late {
		if done, err := call(ctx); err == nil {
			undo(done)
		}
	}
	var none T
	return none, fault.Err
}

// SweepFaults calls use again and again, with a context with which the first call of the driver fails, the second and so on,
// until use gets through without: once for each of faults. After each it calls check with what use returned, and at which
// call it failed.
func SweepFaults(t *testing.T, faults []Fault, use func(ctx context.Context) error, check func(t *testing.T, at string, err error)) {
	t.Helper()
	SweepSomeFaults(t, faults, 1, use, check)
}

// SweepSomeFaults is SweepFaults that fails every n-th call, each kind of fault others.
func SweepSomeFaults(t *testing.T, faults []Fault, n int, use func(ctx context.Context) error, check func(t *testing.T, at string, err error)) {
	t.Helper()
	for i, fault := range faults {
		for at := 1 + i%n; ; at += n {
			if at > mostCalls {
				t.Fatalf("more than %d calls of the driver", mostCalls)
			}
			p := &plan{at: at, fault: &fault}
			err := use(context.WithValue(t.Context(), key{}, p))
			if int(p.calls.Load()) < at {
				if err != nil {
					t.Fatalf("without a fault: %v", err)
				}
				if p.calls.Load() == 0 {
					t.Fatal("the driver was not called")
				}
				break
			}
			check(t, fmt.Sprintf("%s at call %d", fault.Name, at), err)
		}
	}
}
