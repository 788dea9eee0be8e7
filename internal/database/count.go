package database

import (
	"context"
	"sync/atomic"
	"time"
)

type counter struct {
	statements atomic.Int64
	duration   atomic.Int64
}

type counterKey struct{}

// CountStatements returns a context whose statements are counted, and a function that reads how many there were so far
// and how long they took together. BEGIN and COMMIT are not counted.
func CountStatements(ctx context.Context) (context.Context, func() (int64, time.Duration)) {
	c := &counter{}
	return context.WithValue(ctx, counterKey{}, c), func() (int64, time.Duration) {
		return c.statements.Load(), time.Duration(c.duration.Load())
	}
}

// count records one statement of ctx that began at start.
func count(ctx context.Context, start time.Time) {
	if c, ok := ctx.Value(counterKey{}).(*counter); ok {
		c.statements.Add(1)
		c.duration.Add(int64(time.Since(start)))
	}
}
