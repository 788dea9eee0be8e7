package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
)

func TestDeadline_isSetOnHandlerContext(t *testing.T) {
	t.Parallel()
	var kept context.Context
	a := start(t, handling(func(ctx context.Context, _ any) error {
		if end, ok := ctx.Deadline(); !ok || time.Until(end) > 15*time.Second || time.Until(end) < 10*time.Second {
			t.Errorf("the deadline is %v, %t", end, ok)
		}
		derived, cancel := context.WithCancel(ctx)
		defer cancel()
		if ctx.Err() != nil || derived.Err() != nil {
			t.Error("over before it has begun")
		}
		kept = ctx
		return nil
	}))
	a.expect(http.StatusOK, "", a.me())
	select {
	case <-kept.Done():
	case <-time.After(10 * time.Second):
		t.Error("what is left of a request waits for ever")
	}
}

// gin reuses gin.Context for later requests, so that the context of a handler must not refer to it.
// Run with -race.
func TestHandlerContext_remainsValidAfterItsRequest(t *testing.T) {
	t.Parallel()
	var kept []context.Context
	a := start(t, handling(func(ctx context.Context, _ any) error {
		if ctx.Value(gin.ContextKey) != nil {
			t.Error("the context refers to gin.Context")
		}
		child, cancel := context.WithTimeout(ctx, time.Hour)
		t.Cleanup(cancel)
		kept = append(kept, child)
		return nil
	}))
	for i := range 50 {
		a.expect(http.StatusOK, "", a.me("X-Request-Id: request-"+strconv.Itoa(100+i)))
	}
	for i, ctx := range kept {
		if id, want := RequestID(ctx), "request-"+strconv.Itoa(100+i); id != want || ctx.Err() == nil {
			t.Errorf("the context of %s has the ID %q and the error %v", want, id, ctx.Err())
		}
	}
}
