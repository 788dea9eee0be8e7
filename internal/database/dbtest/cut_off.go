package dbtest

import (
	"context"
	"sync/atomic"
)

// cutOff is a context that is cancelled after a number of calls of Err.
type cutOff struct {
	context.Context
	left atomic.Int64
}

// Err returns context.Canceled once no call is left.
func (c *cutOff) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return c.Context.Err()
}

// CutOff returns a context that is cancelled at the n-th call of Err, which every statement makes
// before it begins. With n from 0 on, a test interrupts an operation before each of its statements.
func CutOff(ctx context.Context, n int) context.Context {
	c := &cutOff{Context: ctx}
	c.left.Store(int64(n))
	return c
}
