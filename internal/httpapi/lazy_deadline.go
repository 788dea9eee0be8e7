package httpapi

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// lazyDeadline is a context with a deadline whose timer starts with the first call of Done. Most
// requests are answered without waiting for anything, and never need it. A timer for each request
// costs a tenth of the throughput of GET /users/me, since those of the last seconds are all kept.
//
// It ends with its parent, which net/http ends after each request.
type lazyDeadline struct {
	context.Context
	deadline time.Time

	start sync.Once
	timed atomic.Pointer[timedContext]
}

type timedContext struct {
	context.Context
	cancel context.CancelFunc
}

// Deadline returns the deadline.
func (d *lazyDeadline) Deadline() (time.Time, bool) { return d.deadline, true }

// Done is closed at the deadline, or when the parent ends.
func (d *lazyDeadline) Done() <-chan struct{} {
	d.start.Do(func() {
		ctx, cancel := context.WithDeadline(d.Context, d.deadline)
		d.timed.Store(&timedContext{ctx, cancel})
	})
	return d.timed.Load().Done()
}

// Err returns why the context has ended, and nil before.
func (d *lazyDeadline) Err() error {
	if timed := d.timed.Load(); timed != nil {
		return timed.Err()
	}
	if err := d.Context.Err(); err != nil || time.Now().Before(d.deadline) {
		return err
	}
	return context.DeadlineExceeded
}

// Value returns a value of the parent. Package context finds the timer here, and attaches children
// to it without a goroutine.
func (d *lazyDeadline) Value(key any) any {
	if timed := d.timed.Load(); timed != nil {
		return timed.Value(key)
	}
	return d.Context.Value(key)
}

// stop stops the timer.
func (d *lazyDeadline) stop() {
	if timed := d.timed.Load(); timed != nil {
		timed.cancel()
	}
}
