package problem_test

import (
	"errors"
	"fmt"
	"testing"

	"tenantry/internal/problem"
)

func TestClass_matchesProblemsByCode(t *testing.T) {
	t.Parallel()
	cause := errors.New("the database is down")
	for _, test := range []struct {
		err   error
		class problem.Class
		want  bool
	}{
		{problem.TooMany(1), problem.ErrTooMany, true},
		{fmt.Errorf("sign in: %w", problem.TooMany(1).Because(cause)), problem.ErrTooMany, true},
		{problem.Unavailable(cause), problem.ErrTooMany, false},
		{problem.Unavailable(cause), problem.ErrFault, true},
		{problem.Internal(cause), problem.ErrFault, true},
		{problem.NotFound(), problem.ErrFault, false},
		{cause, problem.ErrFault, false},
		{nil, problem.ErrFault, false},
	} {
		if got := errors.Is(test.err, test.class); got != test.want {
			t.Errorf("%v is %v: %v", test.err, test.class, got)
		}
	}
	// Two problems of one code stay distinct.
	if a, b := problem.NotFound(), problem.NotFound(); errors.Is(a, b) || !errors.Is(a, a) {
		t.Error("problems are not compared by identity")
	}
}
