package sessions

import (
	"errors"
	"testing"

	"tenantry/internal/outcomes"
)

func TestRefreshOutcome(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{outcomes.Rotated: nil, outcomes.Refused: errSessionOver,
		outcomes.Reuse: errReuse, outcomes.Failed: errors.New("pq: gone")} {
		if got := refreshOutcome(false, err); got != want {
			t.Errorf("%v is %s, want %s", err, got, want)
		}
	}
	if got := refreshOutcome(true, nil); got != outcomes.Grace {
		t.Errorf("the same successor again is %s", got)
	}
}
