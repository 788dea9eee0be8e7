package cache_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"tenantry/internal/cache"
)

func key(n byte) cache.Key { return cache.Key{Kind: cache.Session, ID: uuid.UUID{15: n}} }

// heard returns a cache that hears the bus.
func heard() *cache.Cache {
	c := cache.New(16 << 20)
	c.Confirm(time.Now(), 0)
	return c
}

// loads counts how often a value had to be loaded.
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

func TestCache_forgets_what_has_changed(t *testing.T) {
	t.Parallel()
	user, other := uuid.New(), uuid.UUID{14: 1, 15: 1}
	for name, change := range map[string]func(*cache.Cache){
		"row": func(c *cache.Cache) { c.Changed(user) }, "everything": (*cache.Cache).Reset, "own_write": (*cache.Cache).Written,
	} {
		c := heard()
		if _, loaded := get(t, c, key(1), "before", user); !loaded {
			t.Errorf("%s: found in an empty cache", name)
		}
		if got, loaded := get(t, c, key(1), "after", user); loaded || got != "before" {
			t.Errorf("%s: loaded twice", name)
		}
		if _, loaded := get(t, c, key(2), "other", other); !loaded {
			t.Errorf("%s: a key is taken for another", name)
		}
		change(c)
		if got, loaded := get(t, c, key(1), "after", user); !loaded || got != "after" {
			t.Errorf("%s: remembered %q", name, got)
		}
		if _, loaded := get(t, c, key(2), "other", other); loaded != (name != "row") {
			t.Errorf("%s: the other is loaded again: %t", name, loaded)
		}
	}
}

// A load that began before a change is answered, and not remembered.
func TestLoad_that_began_before_a_change_is_not_remembered(t *testing.T) {
	t.Parallel()
	user := uuid.New()
	for name, change := range map[string]func(*cache.Cache){
		"row": func(c *cache.Cache) { c.Changed(user) }, "another_row": func(c *cache.Cache) { c.Changed(uuid.New()) },
		"everything": (*cache.Cache).Reset, "own_write": func(c *cache.Cache) { c.Written(); c.Confirm(time.Now(), c.Writes()) },
	} {
		c := heard()
		got, err := cache.Get(c, key(1), func() (cache.Loaded[string], error) {
			change(c)
			return cache.Loaded[string]{Value: "before", Rows: []uuid.UUID{user}}, nil
		})
		if err != nil || got != "before" {
			t.Fatal(got, err)
		}
		if got, loaded := get(t, c, key(1), "after", user); !loaded || got != "after" {
			t.Errorf("%s: remembered %q", name, got)
		}
	}
}

func TestCache_believes_nothing_while_the_bus_is_silent(t *testing.T) {
	t.Parallel()
	user := uuid.New()
	c := cache.New(16 << 20)
	for range 2 {
		if _, loaded := get(t, c, key(1), "v", user); !loaded {
			t.Fatal("believed before anything was heard")
		}
	}
	c.Confirm(time.Now().Add(-cache.Freshness+100*time.Millisecond), 0)
	get(t, c, key(1), "v", user)
	if _, loaded := get(t, c, key(1), "v", user); loaded {
		t.Error("not believed although it is heard")
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, loaded := get(t, c, key(1), "v", user); loaded {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("believed for ever")
		}
	}
	// What this instance has written it must have heard of.
	c.Confirm(time.Now(), 0)
	c.Written()
	if get(t, c, key(1), "v", user); c.Behind() < 0 {
		t.Error("caught up with what was not heard")
	}
	if _, loaded := get(t, c, key(1), "v", user); !loaded {
		t.Error("believed before it has heard of its own write")
	}
	c.Confirm(time.Now(), c.Writes())
	get(t, c, key(1), "v", user)
	if _, loaded := get(t, c, key(1), "v", user); loaded {
		t.Error("not believed although it has caught up")
	}
}

// Readers beside a writer: whoever begins to read after a change was heard of gets what is true by then.
func TestReaders_beside_changes_are_never_behind(t *testing.T) {
	t.Parallel()
	c := heard()
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
					t.Errorf("read %d after %d was heard of", got, least)
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

// A load may end between the two counters that an invalidation raises. What it has loaded before the change must not be stored under
// the new stamp.
func TestInvalidation_betweenItsCountersLosesNoChange(t *testing.T) {
	t.Parallel()
	user := uuid.New()
	for name, invalidate := range map[string]func(*cache.Cache){
		"row": func(c *cache.Cache) { c.Changed(user) }, "everything": (*cache.Cache).Reset,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := heard()
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
				c.Evict() // so that loads are under way
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

func TestCache_without_memory_remembers_nothing(t *testing.T) {
	t.Parallel()
	c := cache.New(0)
	c.Confirm(time.Now(), 0)
	for _, value := range []string{"first", "second"} {
		if got, loaded := get(t, c, key(1), value, uuid.New()); !loaded {
			t.Fatalf("found %q", got)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestCache_is_bounded(t *testing.T) {
	t.Parallel()
	c := heard()
	const size, values = 64 << 10, 1024 // which is 64 MiB
	visit := func() (found int) {
		for n := range values {
			loaded := false
			_, err := cache.Get(c, cache.Key{Kind: cache.Provider, Name: fmt.Sprint(n)}, func() (cache.Loaded[int], error) {
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
	visit()
	found, all := values, values
	for deadline := time.Now().Add(10 * time.Second); found*size > 20<<20; found, all = visit(), all+values { // it is emptied beside the requests
		if time.Now().After(deadline) {
			t.Fatalf("%d MiB are remembered", found*size>>20)
		}
		time.Sleep(10 * time.Millisecond)
		c.Confirm(time.Now(), 0)
	}
	if f := c.Figures()[cache.Provider]; f.Hits == 0 || f.Hits+f.Misses != uint64(all) {
		t.Errorf("figures %+v", f)
	}
}
