package apitest

import (
	"sync/atomic"
	"testing"
	"time"
)

// Eventually polls a condition, and fails the test if it does not become true within a second.
func Eventually(t testing.TB, condition string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within a second: %s", condition)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Clock is a clock that stands still until Advance, so that no wait ends by itself. It is safe for
// parallel use: the jobs of an instance read it too.
type Clock struct {
	start    time.Time
	advanced atomic.Int64
}

// NewClock returns a clock at the present time in UTC, in microseconds, which both databases store.
func NewClock() *Clock { return &Clock{start: time.Now().UTC().Truncate(time.Microsecond)} }

// Now returns the time of the clock.
func (c *Clock) Now() time.Time { return c.start.Add(time.Duration(c.advanced.Load())) }

// Advance moves the clock by d.
func (c *Clock) Advance(d time.Duration) { c.advanced.Add(int64(d)) }
