package dbtest

import (
	"context"
	"sync/atomic"
)

// cutOff is a context that ends when it was asked for the last time.
type cutOff struct {
	context.Context
	left atomic.Int64
}

// Err returns context.Canceled once no look is left.
func (c *cutOff) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return c.Context.Err()
}

// CutOff returns a context that is cancelled at the n-th time that it is looked at, which every
// statement does before it begins. With n from 0 on, an operation is interrupted at each place
// where it can be.
func CutOff(ctx context.Context, n int) context.Context {
	c := &cutOff{Context: ctx}
	c.left.Store(int64(n))
	return c
}
