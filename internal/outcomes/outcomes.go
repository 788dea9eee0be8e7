package outcomes

import "sync/atomic"

// Outcomes of sign-ins and refreshes, as in the metrics. Clients get less detail (ASVS 6.3.8).
const (
	// OK is a sign-in that started a session.
	OK = "ok"
	// WrongCredentials is a wrong password, or an account that does not exist.
	WrongCredentials = "wrong_credentials" //nolint:gosec // the name of an outcome
	// Disabled is the correct password of a disabled user, or of a user of a disabled tenant.
	Disabled = "disabled"
	// Throttled is an attempt that must wait.
	Throttled = "throttled"
	// Busy is an attempt for which the password hasher had no capacity.
	Busy = "busy"
	// Refused is an attempt without sufficient proof.
	Refused = "refused"
	// Failed is an attempt that was not decided: after an outage, an unexpected error, or because
	// the client disconnected.
	Failed = "failed"
	// Rotated is a refresh that returned new tokens. Grace is one in the reuse window, which
	// returned the same tokens again.
	Rotated, Grace = "rotated", "grace"
	// Reuse is a used refresh token presented after the reuse window, which revokes its session.
	Reuse = "reuse"
)

// Counters count the outcomes of one kind of attempt. They are safe for concurrent use.
type Counters map[string]*atomic.Int64

// NewCounters returns counters of these outcomes, which start at 0.
func NewCounters(outcomes ...string) Counters {
	c := Counters{}
	for _, outcome := range outcomes {
		c[outcome] = &atomic.Int64{}
	}
	return c
}

// Count counts an attempt. It panics for an outcome that was not passed to NewCounters.
func (c Counters) Count(outcome string) { c[outcome].Add(1) }

// Of returns the number of attempts with an outcome.
func (c Counters) Of(outcome string) int64 { return c[outcome].Load() }
