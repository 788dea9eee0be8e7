package oauth

import (
	"context"
	"time"
)

const (
	// goodFor is how long a document of a provider is cached.
	goodFor = time.Hour
	// metadataStaleFor is how much longer metadata are used while the provider does not answer.
	// Keys are not: a provider withdraws one by removing it from the set.
	metadataStaleFor = 24 * time.Hour
	// askAgain is the least time between fetches of a document that lacks what is needed,
	// whatever tokens the provider issues.
	askAgain = 10 * time.Second
	// failedFor is how long a failure is cached.
	failedFor = 2 * time.Second
)

// cachedFetch caches a document of a provider. One request at a time fetches it; the others wait
// for its result, also if it is an error.
type cachedFetch[T any] struct {
	turn     chan struct{}
	staleFor time.Duration
	// value was read at a time, zero before the first; err is the failure of a later read.
	value    T
	at       time.Time
	err      error
	failedAt time.Time
}

func newCachedFetch[T any](staleFor time.Duration) *cachedFetch[T] {
	return &cachedFetch[T]{turn: make(chan struct{}, 1), staleFor: staleFor}
}

// get returns the cached value, loaded again if it is old, or if it does not suffice and was not
// asked for just now. While a load fails, a value that suffices is returned until it is stale, and
// otherwise the failure.
func (r *cachedFetch[T]) get(ctx context.Context, clock func() time.Time, suffices func(T) bool,
	load func() (T, error)) (T, error) {
	var none T
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return none, failed("wait for what another request has asked the provider", ctx.Err())
	}
	age, cached := clock().Sub(r.at), !r.at.IsZero()
	sufficient := cached && suffices(r.value)
	if cached && age < goodFor && (sufficient || r.err == nil && age < askAgain) {
		return r.value, nil
	}
	if r.err == nil || clock().Sub(r.failedAt) >= failedFor {
		value, err := load()
		if err == nil {
			r.value, r.at, r.err = value, clock(), nil
			return value, nil
		}
		r.err, r.failedAt = err, clock()
	}
	if sufficient && age < goodFor+r.staleFor {
		return r.value, nil
	}
	return none, r.err
}
