package apitest

import (
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

// StoppedClock returns a clock that does not advance, so that no wait ends by itself.
func StoppedClock() func() time.Time {
	now := time.Now().UTC()
	return func() time.Time { return now }
}
