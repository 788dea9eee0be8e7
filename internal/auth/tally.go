package auth

import (
	"errors"
	"net/http"
	"sync/atomic"

	"tenantry/internal/password"
	"tenantry/internal/problem"
)

// How attempts end, as operators read it. A client is told less (ASVS 6.3.8).
const (
	// EndOK is a sign-in that has begun a session.
	EndOK = "ok"
	// EndWrongCredentials is a password that is not right, or of nobody.
	EndWrongCredentials = "wrong_credentials" //nolint:gosec // the name of an outcome
	// EndDisabled is a right password of a user or a tenant that may not act.
	EndDisabled = "disabled"
	// EndThrottled is an attempt that has to wait.
	EndThrottled = "throttled"
	// EndBusy is an attempt whose password had no turn to be hashed.
	EndBusy = "busy"
	// EndRefused is an attempt that proves nothing, or not enough.
	EndRefused = "refused"
	// EndFailed is an attempt that was not decided: an outage, a client that has hung up, or something unforeseen.
	EndFailed = "failed"
	// EndRotated is a refresh that has moved its session on, and EndGrace one that was given the same successor again.
	EndRotated, EndGrace = "rotated", "grace"
	// EndReuse is a refresh token that came back after its time, which has ended its session.
	EndReuse = "reuse"
)

// Tally counts how attempts of one kind have ended. Any number of requests may use it at once.
type Tally map[string]*atomic.Int64

// NewTally returns a tally of these ends, each of which it shows from the beginning.
func NewTally(ends ...string) Tally {
	t := Tally{}
	for _, end := range ends {
		t[end] = &atomic.Int64{}
	}
	return t
}

// Count counts an attempt that has ended in one of the tally's ways.
func (t Tally) Count(end string) { t[end].Add(1) }

// Of returns how many attempts have ended so.
func (t Tally) Of(end string) int64 { return t[end].Load() }

// errDisabled is what ErrCredentials looks like, to everybody but us.
var errDisabled = ErrCredentials.Because(errors.New("the user or the tenant may not act"))

// passwordEnd is how a sign-in with a password has ended.
func passwordEnd(err error) string {
	p, known := errors.AsType[*problem.Problem](err)
	switch {
	case err == nil:
		return EndOK
	case errors.Is(err, errDisabled):
		return EndDisabled
	case errors.Is(err, password.ErrBusy):
		return EndBusy
	case known && p.Status == http.StatusTooManyRequests:
		return EndThrottled
	case known && p.Status == http.StatusUnauthorized:
		return EndWrongCredentials
	default:
		return EndFailed
	}
}

// refreshEnd is how a refresh has ended, again if its successor had been given before.
func refreshEnd(again bool, err error) string {
	switch {
	case err == nil && again:
		return EndGrace
	case err == nil:
		return EndRotated
	case errors.Is(err, errReuse):
		return EndReuse
	case errors.Is(err, errSessionOver):
		return EndRefused
	default:
		return EndFailed
	}
}
