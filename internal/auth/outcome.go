package auth

import (
	"errors"

	"tenantry/internal/outcomes"
	"tenantry/internal/password"
	"tenantry/internal/problem"
	"tenantry/internal/sessions"
)

// errDisabled renders like sessions.ErrCredentials; it is distinct for metrics.
var errDisabled = sessions.ErrCredentials.Because(errors.New("the user or the tenant may not act"))

// passwordOutcome returns the outcome of a sign-in with a password.
func passwordOutcome(err error) string {
	switch {
	case err == nil:
		return outcomes.OK
	case errors.Is(err, errDisabled):
		return outcomes.Disabled
	case errors.Is(err, password.ErrBusy):
		return outcomes.Busy
	case errors.Is(err, problem.ErrTooMany):
		return outcomes.Throttled
	case errors.Is(err, sessions.ErrCredentials):
		return outcomes.WrongCredentials
	default:
		return outcomes.Failed
	}
}
