package database

import (
	"context"
	"sync/atomic"
	"time"
)

// counter counts the statements of a context.
type counter struct {
	statements atomic.Int64
	duration   atomic.Int64
}

type counterKey struct{}

func (c *counter) read() (int64, time.Duration) {
	return c.statements.Load(), time.Duration(c.duration.Load())
}

// CountStatements returns a context whose statements are counted, and a function that returns their
// number and total duration so far. BEGIN and COMMIT are not counted.
func CountStatements(ctx context.Context) (context.Context, func() (int64, time.Duration)) {
	c := &counter{}
	return context.WithValue(ctx, counterKey{}, c), c.read
}

// Count records one statement that began at start. For a statement that several requests share,
// start is when the request of ctx began to wait for it.
func Count(ctx context.Context, start time.Time) {
	if c, ok := ctx.Value(counterKey{}).(*counter); ok {
		c.statements.Add(1)
		c.duration.Add(int64(time.Since(start)))
	}
}
