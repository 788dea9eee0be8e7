package cache_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"tenantry/internal/cache"
)

func key(n byte) cache.Key { return cache.Key{Kind: cache.Session, ID: uuid.UUID{15: n}} }

// fresh returns a cache whose change log was just read.
func fresh() *cache.Cache {
	c := cache.New(16 << 20)
	c.Confirm(time.Now(), 0)
	return c
}

// get returns the cached value, or loads one, and whether it has loaded it.
func get(t *testing.T, c *cache.Cache, k cache.Key, value string, rows ...uuid.UUID) (got string, loaded bool) {
	t.Helper()
	got, err := cache.Get(c, k, func() (cache.Loaded[string], error) {
		loaded = true
		return cache.Loaded[string]{Value: value, Rows: rows}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got, loaded
}

func TestCache_changeInvalidatesEntriesOfTheRow(t *testing.T) {
	t.Parallel()
	user, other := uuid.New(), uuid.UUID{14: 1, 15: 1}
	for name, change := range map[string]func(*cache.Cache){
		"row": func(c *cache.Cache) { c.Changed(user) }, "everything": (*cache.Cache).Reset,
		"own_write": (*cache.Cache).Written,
	} {
		c := fresh()
		if _, loaded := get(t, c, key(1), "before", user); !loaded {
			t.Errorf("%s: found in an empty cache", name)
		}
		if got, loaded := get(t, c, key(1), "after", user); loaded || got != "before" {
			t.Errorf("%s: loaded twice", name)
		}
		if _, loaded := get(t, c, key(2), "other", other); !loaded {
			t.Errorf("%s: two keys collide", name)
		}
		change(c)
		if got, loaded := get(t, c, key(1), "after", user); !loaded || got != "after" {
			t.Errorf("%s: cached %q", name, got)
		}
		if _, loaded := get(t, c, key(2), "other", other); loaded != (name != "row") {
			t.Errorf("%s: the other is loaded again: %t", name, loaded)
		}
	}
}

// The result of a load that began before a change is returned and not cached.
func TestLoad_thatBeganBeforeAChangeIsNotCached(t *testing.T) {
	t.Parallel()
	user := uuid.New()
	for name, change := range map[string]func(*cache.Cache){
		"row": func(c *cache.Cache) { c.Changed(user) }, "another_row": func(c *cache.Cache) { c.Changed(uuid.New()) },
		"everything": (*cache.Cache).Reset,
		"own_write":  func(c *cache.Cache) { c.Written(); c.Confirm(time.Now(), c.Writes()) },
	} {
		c := fresh()
		got, err := cache.Get(c, key(1), func() (cache.Loaded[string], error) {
			change(c)
			return cache.Loaded[string]{Value: "before", Rows: []uuid.UUID{user}}, nil
		})
		if err != nil || got != "before" {
			t.Fatal(got, err)
		}
		if got, loaded := get(t, c, key(1), "after", user); !loaded || got != "after" {
			t.Errorf("%s: cached %q", name, got)
		}
	}
}

func TestCache_isBypassedWhileTheChangeLogIsNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		user := uuid.New()
		c := cache.New(16 << 20)
		defer c.Stop()
		for range 2 {
			if _, loaded := get(t, c, key(1), "v", user); !loaded {
				t.Fatal("used before the change log was read")
			}
		}
		c.Confirm(time.Now().Add(-cache.Freshness+100*time.Millisecond), 0)
		get(t, c, key(1), "v", user)
		time.Sleep(99 * time.Millisecond) // of the bubble's clock
		if _, loaded := get(t, c, key(1), "v", user); loaded {
			t.Error("not used although the change log is read")
		}
		time.Sleep(time.Millisecond)
		if _, loaded := get(t, c, key(1), "v", user); !loaded {
			t.Fatal("used without a read of the change log")
		}
		// A write of this instance must be covered by a read.
		c.Confirm(time.Now(), 0)
		c.Written()
		if get(t, c, key(1), "v", user); c.Behind() < 0 {
			t.Error("Behind covers a read that did not happen")
		}
		if _, loaded := get(t, c, key(1), "v", user); !loaded {
			t.Error("used before a read covers its own write")
		}
		c.Confirm(time.Now(), c.Writes())
		get(t, c, key(1), "v", user)
		if _, loaded := get(t, c, key(1), "v", user); loaded {
			t.Error("not used although a read covers its own write")
		}
	})
}

// A read that begins after an invalidation returns the value of that time or a later one.
func TestGet_concurrentChangesReturnNoOldValue(t *testing.T) {
	t.Parallel()
	c := fresh()
	user := uuid.New()
	var truth, published atomic.Int64
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				least := published.Load()
				got, _ := cache.Get(c, key(1), func() (cache.Loaded[int64], error) {
					return cache.Loaded[int64]{Value: truth.Load(), Rows: []uuid.UUID{user}}, nil
				})
				if got < least {
					t.Errorf("read %d after the invalidation of %d", got, least)
					return
				}
			}
		})
	}
	for n := range int64(20_000) {
		truth.Store(n)
		c.Changed(user)
		published.Store(n)
		if n%100 == 0 {
			c.Confirm(time.Now(), 0)
		}
	}
	close(done)
	readers.Wait()
}

// A load may end between the increments of the two counters of an invalidation. A value that was
// loaded before the change must not be stored under the new version.
func TestInvalidation_loadBetweenItsCountersLosesNoChange(t *testing.T) {
	t.Parallel()
	user := uuid.New()
	for name, invalidate := range map[string]func(*cache.Cache){
		"row": func(c *cache.Cache) { c.Changed(user) }, "everything": (*cache.Cache).Reset,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := fresh()
			// The pauses make the loads of the readers end between the two increments.
			c.BetweenCounters(func() { time.Sleep(200 * time.Microsecond) })
			var truth atomic.Int64
			read := func() int64 {
				got, err := cache.Get(c, key(1), func() (cache.Loaded[int64], error) {
					value := truth.Load()
					time.Sleep(100 * time.Microsecond)
					return cache.Loaded[int64]{Value: value, Rows: []uuid.UUID{user}}, nil
				})
				if err != nil {
					t.Error(err)
				}
				return got
			}
			done := make(chan struct{})
			var readers sync.WaitGroup
			for range 4 {
				readers.Go(func() {
					for {
						select {
						case <-done:
							return
						default:
							read()
							time.Sleep(10 * time.Microsecond)
						}
					}
				})
			}
			lost := 0
			for n := range int64(200) {
				c.Evict() // so that the readers load
				c.Confirm(time.Now(), 0)
				time.Sleep(50 * time.Microsecond)
				truth.Store(n)
				invalidate(c)
				if read() != n {
					lost++
				}
			}
			close(done)
			readers.Wait()
			if lost > 0 {
				t.Errorf("%d of 200 changes were lost", lost)
			}
		})
	}
}

func TestCache_withoutMemoryCachesNothing(t *testing.T) {
	t.Parallel()
	c := cache.New(0)
	c.Confirm(time.Now(), 0)
	for _, value := range []string{"first", "second"} {
		if got, loaded := get(t, c, key(1), value, uuid.New()); !loaded {
			t.Fatalf("found %q", got)
		}
	}
}

func TestCache_staysWithinMaxBytes(t *testing.T) {
	t.Parallel()
	c := fresh()
	const size, values = 64 << 10, 1024 // which is 64 MiB
	readAll := func() (found int) {
		for n := range values {
			loaded := false
			_, err := cache.Get(c, cache.Key{Kind: cache.Provider, Name: fmt.Sprint(n)},
				func() (cache.Loaded[int], error) {
					loaded = true
					return cache.Loaded[int]{Value: n, Rows: []uuid.UUID{{}}, Size: size}, nil
				})
			if err != nil {
				t.Fatal(err)
			}
			if !loaded {
				found++
			}
		}
		return found
	}
	readAll()
	found, all := values, values
	// Reads evict entries.
	for deadline := time.Now().Add(10 * time.Second); found*size > 20<<20; found, all = readAll(), all+values {
		if time.Now().After(deadline) {
			t.Fatalf("%d MiB are cached", found*size>>20)
		}
		time.Sleep(10 * time.Millisecond)
		c.Confirm(time.Now(), 0)
	}
	if f := c.Stats()[cache.Provider]; f.Hits == 0 || f.Hits+f.Misses != uint64(all) {
		t.Errorf("stats %+v", f)
	}
}
