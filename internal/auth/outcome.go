package auth

import (
	"errors"
	"net/http"

	"tenantry/internal/outcomes"
	"tenantry/internal/password"
	"tenantry/internal/problem"
	"tenantry/internal/sessions"
)

// errDisabled is what sessions.ErrCredentials looks like, to everybody but us.
var errDisabled = sessions.ErrCredentials.Because(errors.New("the user or the tenant may not act"))

// passwordOutcome is how a sign-in with a password has ended.
func passwordOutcome(err error) string {
	p, known := errors.AsType[*problem.Problem](err)
	switch {
	case err == nil:
		return outcomes.OK
	case errors.Is(err, errDisabled):
		return outcomes.Disabled
	case errors.Is(err, password.ErrBusy):
		return outcomes.Busy
	case known && p.Status == http.StatusTooManyRequests:
		return outcomes.Throttled
	case known && p.Status == http.StatusUnauthorized:
		return outcomes.WrongCredentials
	default:
		return outcomes.Failed
	}
}
