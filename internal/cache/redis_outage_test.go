package cache_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"tenantry/internal/cache"
	"tenantry/internal/cache/cachetest"
)

// disturbances are failures of Redis. start returns the function that ends the failure.
var disturbances = []struct {
	name  string
	start func(ctx context.Context, redis *cachetest.Redis) (end func())
}{
	{"killed", func(_ context.Context, redis *cachetest.Redis) func() { redis.Kill(); return redis.Restart }},
	{"paused", func(_ context.Context, redis *cachetest.Redis) func() { return redis.Pause() }},
	{"flushed", func(ctx context.Context, redis *cachetest.Redis) func() {
		redis.Client.FlushAll(ctx)
		return func() {}
	}},
	{"full", func(ctx context.Context, redis *cachetest.Redis) func() {
		redis.Client.ConfigSet(ctx, "maxmemory", "1")
		return func() { redis.Client.ConfigSet(ctx, "maxmemory", "0") }
	}},
	{"wrong_types", func(ctx context.Context, redis *cachetest.Redis) func() {
		names := redis.Client.Keys(ctx, "*").Val()
		for _, name := range names {
			redis.Client.Del(ctx, name)
			redis.Client.LPush(ctx, name, "x")
		}
		return func() { redis.Client.Del(ctx, names...) }
	}},
}

// While Redis fails the cache answers quickly and with current values. Afterwards it shares again.
func TestShared_failingRedisCausesNoErrorAndNoOldValue(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("makes Redis fail")
	}
	for _, disturbance := range disturbances {
		// One after the other, because the test measures time.
		t.Run(disturbance.name, func(t *testing.T) {
			redis := cachetest.Start(t)
			a, b := join(t, redis.URL), join(t, redis.URL)
			row := uuid.New()
			shares(t, a, b, key(1), "before", row)
			end := disturbance.start(t.Context(), redis)
			a.Changed(row)
			b.Changed(row)
			begun := time.Now()
			answers, slow := 0, 0
			for time.Since(begun) < 2*time.Second {
				asked := time.Now()
				got, loaded := get(t, b.Cache, key(1), "after")
				if !loaded || got != "after" {
					t.Fatalf("found %q", got)
				}
				if time.Since(begun) > time.Second {
					answers++
					if time.Since(asked) > 30*time.Millisecond {
						slow++
					}
				}
			}
			// A cache that waits for Redis is slow in almost every answer; a busy machine in a few.
			if slow > answers/10 {
				t.Errorf("%d of %d answers took longer than 30 ms", slow, answers)
			}
			end()
			shares(t, a, b, key(3), "at the end", uuid.New())
		})
	}
}

// A late response is not used as the response of another command (CVE-2025-29923).
func TestShared_lateResponsesAreNotMixedUp(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("makes Redis slow")
	}
	redis := cachetest.Start(t)
	a, b := join(t, redis.URL), join(t, redis.Delayed(300*time.Millisecond))
	const values = 200
	shares(t, a, b, key(255), "first", uuid.New())
	for n := range byte(values) {
		get(t, a.Cache, key(n), fmt.Sprint("value of ", n), uuid.New())
	}
	eventually(t, "the values are published", func() bool { return len(publishedValues(t, redis)) > values })
	before := b.Stats()[cache.Session].Shared
	found := func() uint64 { return b.Stats()[cache.Session].Shared - before }
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			// Each late response ends the lease for a while.
			for end := time.Now().Add(time.Minute); time.Now().Before(end) && found() < values/4; {
				n := byte(rand.IntN(values))
				if got, _ := get(t, b.Cache, key(n), fmt.Sprint("value of ", n)); got != fmt.Sprint("value of ", n) {
					t.Errorf("value %d is %q", n, got)
				}
				b.Evict()
			}
		})
	}
	readers.Wait()
	if found() < values/4 {
		t.Errorf("%d values were found in Redis", found())
	}
}
