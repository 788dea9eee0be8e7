package outcomes

import "sync/atomic"

// Outcomes of attempts, as operators read them. Clients get less detail (ASVS 6.3.8).
const (
	// OK is a sign-in that started a session.
	OK = "ok"
	// WrongCredentials is a wrong password, or an account that does not exist.
	WrongCredentials = "wrong_credentials" //nolint:gosec // the name of an outcome
	// Disabled is the correct password of a disabled user or tenant.
	Disabled = "disabled"
	// Throttled is an attempt that has to wait.
	Throttled = "throttled"
	// Busy is an attempt that the password hasher had no capacity for.
	Busy = "busy"
	// Refused is an attempt that proves nothing, or not enough.
	Refused = "refused"
	// Failed is an attempt that was not decided: an outage, a client that has hung up, or something
	// unforeseen.
	Failed = "failed"
	// Rotated is a refresh that has moved its session on, and Grace one that was given the same
	// successor again.
	Rotated, Grace = "rotated", "grace"
	// Reuse is a used refresh token presented after the reuse window, which revokes its session.
	Reuse = "reuse"
)

// Counters count how attempts of one kind have ended. Any number of requests may use it at once.
type Counters map[string]*atomic.Int64

// NewCounters returns counters of these ends, each of which they show from the beginning.
func NewCounters(ends ...string) Counters {
	c := Counters{}
	for _, end := range ends {
		c[end] = &atomic.Int64{}
	}
	return c
}

// Count counts an attempt that has ended in one of the outcomes that were named.
func (c Counters) Count(end string) { c[end].Add(1) }

// Of returns how many attempts have ended so.
func (c Counters) Of(end string) int64 { return c[end].Load() }
