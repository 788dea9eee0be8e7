package auth

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"tenantry/internal/password"
	"tenantry/internal/problem"
)

func TestTally_tells_who_had_to_wait_from_who_was_wrong(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		EndOK:               nil,
		EndWrongCredentials: ErrCredentials,
		EndDisabled:         errDisabled,
		EndThrottled:        problem.TooMany(time.Second),
		EndBusy:             fmt.Errorf("sign in: %w", problem.Unavailable(password.ErrBusy)),
		EndFailed:           problem.Unavailable(context.Canceled),
	} {
		if got := passwordEnd(err); got != want {
			t.Errorf("%v is %s, want %s", err, got, want)
		}
	}
	for want, err := range map[string]error{EndRotated: nil, EndRefused: errSessionOver, EndReuse: errReuse, EndFailed: errors.New("pq: gone")} {
		if got := refreshEnd(false, err); got != want {
			t.Errorf("%v is %s, want %s", err, got, want)
		}
	}
	if got := refreshEnd(true, nil); got != EndGrace {
		t.Errorf("the same successor again is %s", got)
	}
}
