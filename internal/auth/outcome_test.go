package auth

import (
	"context"
	"fmt"
	"testing"
	"time"

	"tenantry/internal/outcomes"
	"tenantry/internal/password"
	"tenantry/internal/problem"
	"tenantry/internal/sessions"
)

func TestPasswordOutcome_distinguishesWaitsFromWrongPasswords(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		outcomes.OK:               nil,
		outcomes.WrongCredentials: sessions.ErrCredentials,
		outcomes.Disabled:         errDisabled,
		outcomes.Throttled:        problem.TooMany(time.Second),
		outcomes.Busy:             fmt.Errorf("sign in: %w", problem.Unavailable(password.ErrBusy)),
		outcomes.Failed:           problem.Unavailable(context.Canceled),
	} {
		if got := passwordOutcome(err); got != want {
			t.Errorf("%v is %s, want %s", err, got, want)
		}
	}
}
