package cache

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/maypok86/otter/v2"
)

const (
	// overhead is what an entry takes beside its value, in bytes.
	overhead = 256
	// slots is how many stamps there are. Rows that share one are taken for each other, which costs a load and nothing else.
	slots = 1 << 14
	// Freshness is how long the cache may be used after the last read of the change log began. After it both tiers are bypassed.
	Freshness = 500 * time.Millisecond
)

// Kind is what a value is.
type Kind uint8

// The kinds, with how long they are remembered at most: a last resort, since changes are heard of.
const (
	// Session is who has signed in with a session, and what they may do: 5 minutes.
	Session Kind = iota
	// Provider is an OAuth provider of a tenant, as a flow begins with it: an hour.
	Provider

	kinds
)

func (k Kind) String() string { return [...]string{"session", "provider"}[k] }

// shared reports whether instances share it.
func (k Kind) shared() bool { return k == Session }

func (k Kind) ttl() time.Duration {
	return [...]time.Duration{5 * time.Minute, time.Hour}[k]
}

// Key is where a value is found. It is compared part by part, so that no two are confused.
type Key struct {
	Kind Kind
	ID   uuid.UUID
	// Name is what is asked for by a name.
	Name string
}

// Loaded is what a load has found. It must not be changed afterwards.
type Loaded[V any] struct {
	Value V
	// Rows are the ids of the rows that the value was made of. Without any it is not remembered.
	Rows []uuid.UUID
	// Size is about how many bytes the value takes.
	Size int
}

type entry struct {
	value any
	rows  []uuid.UUID
	stamp uint64
	size  uint32
}

// Cache is the memory of one instance. Any number of requests may use it at once.
type Cache struct {
	entries *otter.Cache[Key, *entry]
	// maxBytes is how much is remembered, by the sizes that loads tell.
	maxBytes int
	stamps   [slots]atomic.Uint64
	// changedAt is when the last change was heard of that raised the stamp beside it, in nanoseconds since 1970.
	changedAt [slots]atomic.Int64
	// epoch is a part of every stamp.
	epoch atomic.Uint64
	// changes counts invalidations and own writes. It rises before the stamps and the epoch do: a store that reads a new stamp
	// must find that something has changed since its load began.
	changes atomic.Uint64
	// betweenCounters, set by tests, runs after changes has risen and before the stamp or epoch rises.
	betweenCounters func()

	// written counts the writes of this instance, and applied those that the change log reader has covered.
	written, applied atomic.Uint64
	wake             chan struct{}
	// freshUntil is when the cache stops being fresh, in nanoseconds since start.
	freshUntil atomic.Int64
	start      time.Time

	// shared is the tier that instances share, nil if they do not.
	shared *shared
	stats  [kinds]struct{ hits, found, misses atomic.Uint64 }
}

// New returns an empty cache of at most maxBytes, which is bypassed until the first Confirm. With zero bytes only the shared tier
// caches.
func New(maxBytes int) *Cache {
	c := &Cache{maxBytes: maxBytes, betweenCounters: func() {}, wake: make(chan struct{}, 1), start: time.Now()}
	c.entries = otter.Must(&otter.Options[Key, *entry]{
		// Now and then a look has something to put in order, which takes less than a goroutine that would.
		Executor:      func(task func()) { task() },
		MaximumWeight: uint64(max(1, maxBytes)),
		Weigher:       func(k Key, e *entry) uint32 { return e.size },
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[Key, *entry]) time.Duration {
			return e.Key.Kind.ttl()
		}),
	})
	return c
}

// Get returns what is remembered under a key, or loads it. A value that was loaded while something changed is returned and not
// remembered.
func Get[V any](c *Cache, key Key, load func() (Loaded[V], error)) (V, error) {
	fresh := c.fresh()
	if fresh {
		if e, ok := c.look(key); ok && e.stamp == c.stamp(e.rows) {
			if value, ok := e.value.(V); ok {
				c.stats[key.Kind].hits.Add(1)
				return value, nil
			}
		}
	}
	before := c.state()
	if loaded, ok := find[V](c, key); ok {
		c.stats[key.Kind].found.Add(1)
		c.remember(key, &entry{value: loaded.Value, rows: loaded.Rows}, loaded.Size, before)
		return loaded.Value, nil
	}
	c.stats[key.Kind].misses.Add(1)
	loaded, err := load()
	if err != nil || len(loaded.Rows) == 0 || !fresh {
		return loaded.Value, err
	}
	made := &entry{value: loaded.Value, rows: loaded.Rows}
	if c.remember(key, made, loaded.Size, before) {
		c.shared.offer(key, made)
	}
	return loaded.Value, nil
}

// look returns the entry of a key. One look of eight is told to what decides which entries are forgotten once there are too many: it takes
// longer than the look itself, since the cores wait there for each other.
func (c *Cache) look(key Key) (*entry, bool) {
	if rand.Uint32()%8 == 0 { //nolint:gosec // no secret
		return c.entries.GetIfPresent(key)
	}
	e, ok := c.entries.GetEntryQuietly(key)
	return e.Value, ok
}

// state is what a store compares: it changes with every invalidation.
type state struct{ changes, epoch uint64 }

func (c *Cache) state() state { return state{c.changes.Load(), c.epoch.Load()} }

// remember stores an entry unless something has changed since before, and reports whether it did. The stamp is read before the
// state: an invalidation that has raised the stamp has raised the state too.
func (c *Cache) remember(key Key, made *entry, size int, before state) bool {
	made.stamp, made.size = c.stamp(made.rows), uint32(min(size, c.maxBytes)+len(key.Name)+overhead) //nolint:gosec // bounded
	if c.state() != before || !c.fresh() {
		return false
	}
	if c.maxBytes > 0 {
		c.entries.Set(key, made)
	}
	return true
}

// stamp sums up the stamps of rows. Each of them only ever grows, so that the sum is another one after any change.
func (c *Cache) stamp(rows []uuid.UUID) uint64 {
	sum := c.epoch.Load()
	for _, id := range rows {
		sum += c.stamps[slot(id)].Load()
	}
	return sum
}

// slot is where the stamp of a row is. The end of an id is random (RFC 9562 §5.7).
func slot(id uuid.UUID) int { return (int(id[14])<<8 | int(id[15])) % slots }

// fresh reports whether cached values may be used: every change that was committed before the last Freshness, and every write of
// this instance, has been applied.
func (c *Cache) fresh() bool {
	return c.applied.Load() >= c.written.Load() && int64(time.Since(c.start)) < c.freshUntil.Load()
}

// Changed invalidates every value that was made of a row.
func (c *Cache) Changed(id uuid.UUID) {
	// The shared tier is bypassed before the counters rise, so that a request that finds a value there afterwards has read the
	// state before this change. The row is passed on after they have risen: the goroutine that deletes its keys then compares
	// the new stamp, and writes no key again for a value with the old one.
	c.shared.bypass()
	c.changes.Add(1)
	c.changedAt[slot(id)].Store(time.Now().UnixNano())
	c.betweenCounters()
	c.stamps[slot(id)].Add(1)
	c.shared.change(id)
}

// Reset invalidates every value.
func (c *Cache) Reset() {
	c.changes.Add(1)
	c.betweenCounters()
	c.epoch.Add(1)
	c.entries.InvalidateAll()
}

// Written records that this instance has changed rows. The cache is bypassed until a read of the change log that begins after it.
func (c *Cache) Written() {
	c.written.Add(1)
	c.changes.Add(1)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Wake receives after Written, so that the change log is read at once.
func (c *Cache) Wake() <-chan struct{} { return c.wake }

// Writes returns the number of calls of Written.
func (c *Cache) Writes() uint64 { return c.written.Load() }

// Confirm records that every change that was committed before a time has been applied, and the first writes of this instance. The
// time is when the read of the change log began.
func (c *Cache) Confirm(began time.Time, writes uint64) {
	c.applied.Store(writes)
	c.freshUntil.Store(int64(began.Sub(c.start) + Freshness))
}

// Behind returns the age of the last confirmed read of the change log. While a write of this instance is not covered by it, that
// is the age of the cache.
func (c *Cache) Behind() time.Duration {
	if c.applied.Load() < c.written.Load() {
		return time.Since(c.start)
	}
	return time.Since(c.confirmedAt())
}

// confirmedAt returns when the last confirmed read of the change log began.
func (c *Cache) confirmedAt() time.Time {
	return c.start.Add(time.Duration(c.freshUntil.Load()) - Freshness)
}

// Changes returns the number of invalidations and own writes.
func (c *Cache) Changes() uint64 { return c.changes.Load() }

// Figures are how often a kind was remembered, how often it was found to be shared, and how often neither.
type Figures struct{ Hits, Shared, Misses uint64 }

// Figures returns the figures of each kind.
func (c *Cache) Figures() map[Kind]Figures {
	all := map[Kind]Figures{}
	for k := range kinds {
		all[k] = Figures{c.stats[k].hits.Load(), c.stats[k].found.Load(), c.stats[k].misses.Load()}
	}
	return all
}
