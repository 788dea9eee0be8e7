package httpapi

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"
)

func TestDeadline_isSetOnHandlerContext(t *testing.T) {
	t.Parallel()
	var kept context.Context
	a := start(t, handling(func(ctx context.Context, _ any) error {
		if end, ok := ctx.Deadline(); !ok || time.Until(end) > deadline || time.Until(end) < deadline-5*time.Second {
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

// gin uses the context of a request again for the next one. Run with -race.
func TestDerivedContexts_doNotUseReusedRequest(t *testing.T) {
	t.Parallel()
	a := start(t, handling(func(ctx context.Context, _ any) error {
		for range 10 {
			child, cancel := context.WithTimeout(ctx, time.Hour)
			t.Cleanup(cancel)
			context.AfterFunc(child, func() {})
		}
		return nil
	}))
	for range 50 {
		a.expect(http.StatusOK, "", a.me())
	}
}

func TestLazyDeadline_endsWithDeadlineRequestOrResponse(t *testing.T) {
	t.Parallel()
	parent, hangUp := context.WithCancel(t.Context())
	running := func(d time.Duration) *lazyDeadline {
		return &lazyDeadline{Context: parent, deadline: time.Now().Add(d)}
	}
	late := running(-time.Second)
	if <-late.Done(); !errors.Is(late.Err(), context.DeadlineExceeded) {
		t.Errorf("after its time: %v", late.Err())
	}
	answered, waited := running(time.Hour), running(time.Hour)
	if waited.Err() != nil {
		t.Error("over before its time")
	}
	child, cancel := context.WithCancel(waited)
	defer cancel()
	answered.stop()
	waited.stop()
	<-child.Done()
	for name, ctx := range map[string]context.Context{"answered": answered, "waited": waited, "child": child} {
		if <-ctx.Done(); !errors.Is(ctx.Err(), context.Canceled) {
			t.Errorf("%s: %v", name, ctx.Err())
		}
	}
	gone := running(time.Hour)
	hangUp()
	if <-gone.Done(); !errors.Is(gone.Err(), context.Canceled) || !errors.Is(context.Cause(gone), context.Canceled) {
		t.Errorf("after the client has hung up: %v", gone.Err())
	}
}
