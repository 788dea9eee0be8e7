package oauth

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestApart_ends_with_the_call_and_keeps_nothing_of_its_request(t *testing.T) {
	t.Parallel()
	type key struct{}
	request, hangUp := context.WithCancel(context.WithValue(t.Context(), key{}, "the request's"))
	call, over := context.WithTimeout(request, time.Hour)
	defer over()
	ctx, cancel := apart(call)
	defer cancel()
	if ctx.Value(key{}) != nil || ctx.Err() != nil {
		t.Errorf("has %v, and is over: %v", ctx.Value(key{}), ctx.Err())
	}
	hangUp()
	if <-ctx.Done(); !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("after the client has hung up: %v", ctx.Err())
	}
	late, over := context.WithTimeout(t.Context(), time.Millisecond)
	defer over()
	ctx, cancel = apart(late)
	defer cancel()
	if <-ctx.Done(); !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Errorf("after its time: %v", ctx.Err())
	}
}
