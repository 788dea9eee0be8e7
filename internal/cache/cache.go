package cache

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/google/uuid"
	"github.com/maypok86/otter/v2"
)

const (
	// overhead is what an entry takes beside its value, in bytes.
	overhead = 256
	// minVersions is the lowest number of row versions.
	minVersions = 1 << 14
	// versionShare is the part of the memory for entries, as its divisor, that row versions take in
	// addition.
	versionShare = 4
	// Freshness is how long the cache may be used after the last read of the change log began.
	// After it both tiers are bypassed.
	Freshness = 500 * time.Millisecond
)

// Kind is the type of a cached value.
type Kind uint8

// The kinds, with their TTL. The TTL is the last resort: invalidation keeps entries correct.
const (
	// Session is the projection of a session: its user, tenant and permissions. 5 minutes.
	Session Kind = iota
	// Provider is an OAuth provider of a tenant. One hour.
	Provider

	kinds
)

func (k Kind) String() string { return [...]string{"session", "provider"}[k] }

// shared reports whether values of the kind are stored in Redis too.
func (k Kind) shared() bool { return k == Session }

func (k Kind) ttl() time.Duration {
	return [...]time.Duration{5 * time.Minute, time.Hour}[k]
}

// Key identifies a value. Keys are compared member by member, so that two keys cannot collide.
type Key struct {
	Kind Kind
	ID   uuid.UUID
	// Name completes the key of a kind that is looked up by name.
	Name string
}

// Loaded is the result of a load. It must not be changed afterwards.
type Loaded[V any] struct {
	Value V
	// Rows are the IDs of the rows that the value was built from. A value without rows is not
	// cached.
	Rows []uuid.UUID
	// Size is the approximate size of the value in bytes.
	Size int
}

type entry struct {
	value any
	rows  []uuid.UUID
	// version is the sum of the versions of the rows when the value was stored.
	version uint64
	size    uint32
}

// rowVersion counts the changes of a row. Rows that share one invalidate each other's entries, which
// costs a load and nothing else.
type rowVersion struct {
	changes atomic.Uint64
	// changedAt is when the last change was read, in nanoseconds since 1970.
	changedAt atomic.Int64
}

// numberOfVersions returns how many row versions fit into their share of the memory. The default of
// 16 MiB has 262,144: with 300 changed rows a second, an entry built from three rows lives as long
// as its TTL.
func numberOfVersions(maxBytes int) int {
	fit := max(minVersions, maxBytes/versionShare/int(unsafe.Sizeof(rowVersion{})))
	return 1 << (bits.Len(uint(fit)) - 1)
}

// Cache is the in-process tier, with the Redis tier behind it. It is safe for concurrent use.
type Cache struct {
	entries *otter.Cache[Key, *entry]
	// maxBytes bounds the sum of the sizes of the entries.
	maxBytes int
	// versions are the row versions, by index. Their number is a power of two.
	versions []rowVersion
	// resets is a part of every version.
	resets atomic.Uint64
	// changes counts invalidations and own writes. It rises before versions and resets do: a store
	// that reads a new version must find that something has changed since its load began.
	changes atomic.Uint64
	// betweenCounters, set by tests, runs after changes has risen and before the version or resets
	// rises.
	betweenCounters func()

	// written counts the writes of this instance, and applied those that the change log reader has
	// covered.
	written, applied atomic.Uint64
	wake             chan struct{}
	// freshUntil is when the cache stops being fresh, in nanoseconds since start.
	freshUntil atomic.Int64
	start      time.Time

	// shared is the Redis tier, nil without it.
	shared *shared
	stats  [kinds]struct{ hits, shared, misses atomic.Uint64 }
}

// New returns an empty cache of at most maxBytes, which is bypassed until the first Confirm. With
// zero bytes only the shared tier caches.
func New(maxBytes int) *Cache {
	c := &Cache{maxBytes: maxBytes, versions: make([]rowVersion, numberOfVersions(maxBytes)),
		betweenCounters: func() {}, wake: make(chan struct{}, 1), start: time.Now()}
	c.entries = otter.Must(&otter.Options[Key, *entry]{
		// Maintenance runs in the goroutine of the read that is due for it: it takes less time than
		// starting a goroutine.
		Executor:      func(task func()) { task() },
		MaximumWeight: uint64(max(1, maxBytes)),
		Weigher:       func(k Key, e *entry) uint32 { return e.size },
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[Key, *entry]) time.Duration {
			return e.Key.Kind.ttl()
		}),
	})
	return c
}

// Get returns the cached value of a key, or loads it. A value that was loaded while a row changed
// is returned and not stored.
func Get[V any](c *Cache, key Key, load func() (Loaded[V], error)) (V, error) {
	fresh := c.fresh()
	if fresh {
		if e, ok := c.lookup(key); ok && e.version == c.version(e.rows) {
			if value, ok := e.value.(V); ok {
				c.stats[key.Kind].hits.Add(1)
				return value, nil
			}
		}
	}
	before := c.state()
	if loaded, ok := getShared[V](c, key); ok {
		c.stats[key.Kind].shared.Add(1)
		c.store(key, &entry{value: loaded.Value, rows: loaded.Rows}, loaded.Size, before)
		return loaded.Value, nil
	}
	c.stats[key.Kind].misses.Add(1)
	loaded, err := load()
	if err != nil || len(loaded.Rows) == 0 || !fresh {
		return loaded.Value, err
	}
	e := &entry{value: loaded.Value, rows: loaded.Rows}
	if c.store(key, e, loaded.Size, before) {
		c.shared.enqueue(key, e)
	}
	return loaded.Value, nil
}

// lookup returns the entry of a key. It reports one read in eight to the eviction policy, where
// cores contend: the report takes longer than the read.
func (c *Cache) lookup(key Key) (*entry, bool) {
	if rand.Uint32()%8 == 0 { //nolint:gosec // no secret
		return c.entries.GetIfPresent(key)
	}
	e, ok := c.entries.GetEntryQuietly(key)
	return e.Value, ok
}

// state changes with every invalidation. A store compares it with the state before the load.
type state struct{ changes, resets uint64 }

func (c *Cache) state() state { return state{c.changes.Load(), c.resets.Load()} }

// store stores an entry unless something has changed since before, and reports whether it did. It
// reads the version before the state: an invalidation that has incremented the version has changed
// the state too.
func (c *Cache) store(key Key, e *entry, size int, before state) bool {
	e.version = c.version(e.rows)
	e.size = uint32(min(size, c.maxBytes) + len(key.Name) + overhead) //nolint:gosec // bounded
	if c.state() != before || !c.fresh() {
		return false
	}
	if c.maxBytes > 0 {
		c.entries.Set(key, e)
	}
	return true
}

// version returns the sum of the versions of rows. Each version only grows, so that the sum differs
// after any change.
func (c *Cache) version(rows []uuid.UUID) uint64 {
	sum := c.resets.Load()
	for _, id := range rows {
		sum += c.rowVersion(id).changes.Load()
	}
	return sum
}

// rowVersion returns the version of a row. The last bytes of an ID are random (RFC 9562 §5.7).
func (c *Cache) rowVersion(id uuid.UUID) *rowVersion {
	mask := uint64(len(c.versions) - 1) //nolint:gosec // positive
	return &c.versions[binary.BigEndian.Uint64(id[8:])&mask]
}

// fresh reports whether cached values may be used: every change that was committed before the last
// Freshness, and every write of this instance, has been applied.
func (c *Cache) fresh() bool {
	return c.applied.Load() >= c.written.Load() && int64(time.Since(c.start)) < c.freshUntil.Load()
}

// Changed invalidates every entry that was built from a row.
func (c *Cache) Changed(id uuid.UUID) {
	// Redis is bypassed before the counters rise, so that a request that finds a value there
	// afterwards has read the state before this change. The row is queued after they have risen:
	// the goroutine that deletes its keys then compares the new version, and does not publish a
	// value with the old one.
	c.shared.bypass()
	c.changes.Add(1)
	row := c.rowVersion(id)
	row.changedAt.Store(time.Now().UnixNano())
	c.betweenCounters()
	row.changes.Add(1)
	c.shared.change(id)
}

// Reset invalidates every entry.
func (c *Cache) Reset() {
	c.changes.Add(1)
	c.betweenCounters()
	c.resets.Add(1)
	c.entries.InvalidateAll()
}

// Written records a write of this instance. The cache is bypassed until a read of the change log
// that begins later.
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

// Confirm records a read of the change log that began at a time: every change committed before it,
// and the first writes of this instance, have been applied.
func (c *Cache) Confirm(began time.Time, writes uint64) {
	c.applied.Store(writes)
	c.freshUntil.Store(int64(began.Sub(c.start) + Freshness))
}

// Behind returns the age of the last confirmed read of the change log. While a write of this
// instance is not covered by it, that is the age of the cache.
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

// Stats counts the reads of a kind: answered in process, answered by Redis, and loaded.
type Stats struct{ Hits, Shared, Misses uint64 }

// Stats returns the counters of each kind.
func (c *Cache) Stats() map[Kind]Stats {
	all := map[Kind]Stats{}
	for k := range kinds {
		all[k] = Stats{c.stats[k].hits.Load(), c.stats[k].shared.Load(), c.stats[k].misses.Load()}
	}
	return all
}
