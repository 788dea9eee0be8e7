package oauth

import (
	"context"
	"time"
)

const (
	// goodFor is how long what a provider has said of itself is believed.
	goodFor = time.Hour
	// askAgain is how soon a provider is asked again for what it did not have: bounded, whatever the tokens that it issues say.
	askAgain = 10 * time.Second
	// failedFor is how long a failure is an answer.
	failedFor = 2 * time.Second
)

// remembered is what a provider has said, asked by one request at a time. The others wait for its answer, good or bad.
type remembered[T any] struct {
	turn  chan struct{}
	value T
	err   error
	at    time.Time
}

func newRemembered[T any]() *remembered[T] { return &remembered[T]{turn: make(chan struct{}, 1)} }

// get returns the value, loaded anew if it is old, or if it does not suffice and was not asked for just now.
func (r *remembered[T]) get(ctx context.Context, clock func() time.Time, suffices func(T) bool, load func() (T, error)) (T, error) {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		var none T
		return none, failed("wait for what another request has asked the provider", ctx.Err())
	}
	age, known := clock().Sub(r.at), !r.at.IsZero()
	switch {
	case known && r.err != nil && age < failedFor:
	case known && r.err == nil && age < goodFor && (age < askAgain || suffices(r.value)):
	default:
		r.value, r.err = load()
		r.at = clock()
	}
	return r.value, r.err
}
